import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from skimage.segmentation import relabel_sequential

from nanolab.core.checks import InputError
from nanolab.metrics.coco import COCO_IOUS, CocoScores, coco_scores
from nanolab.metrics.instance import overlaps

Pair = tuple[np.ndarray, np.ndarray]


def scattered(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    labels = np.zeros((size, size), dtype=np.int32)
    for number, (row, col, edge) in enumerate(rng.integers((0, 0, 3), (size, size, 12), (count, 3)), start=1):
        labels[row : row + edge, col : col + edge] = number
    return relabel_sequential(labels)[0]


def pair(rng: np.random.Generator, size: int = 150, count: int = 180) -> Pair:
    truth = scattered(rng, size, count)
    predicted = np.where(rng.random(truth.max() + 1)[truth] > 0.1, truth, 0)
    predicted = np.where(rng.random(truth.shape) < 0.08, 0, np.roll(predicted, 1, axis=1))
    spurious = scattered(rng, size, 20)
    return truth, relabel_sequential(np.where(predicted, predicted, spurious + (spurious > 0) * 10_000))[0]


def records(labels: np.ndarray, image: int, first: int) -> list[dict]:
    found = []
    for number in range(1, labels.max() + 1):
        code = rle.encode(np.asfortranarray(labels == number).astype(np.uint8))
        area = int(rle.area(code))
        found.append(
            {"id": first + number, "image_id": image, "category_id": 1, "segmentation": code, "area": area}
            | {"iscrowd": 0, "bbox": rle.toBbox(code).tolist()}
        )
    return found


def pycocotools_ap(pairs: list[Pair], scores: list[np.ndarray]) -> np.ndarray:
    """Return the average precision at each threshold by the reference."""
    truths, detections = [], []
    for image, ((truth, predicted), ranks) in enumerate(zip(pairs, scores, strict=True), start=1):
        truths += records(truth, image, len(truths))
        new = records(predicted, image, len(detections))
        detections += [record | {"score": float(rank)} for record, rank in zip(new, ranks, strict=True)]
    with contextlib.redirect_stdout(io.StringIO()):
        reference, results = COCO(), COCO()
        for coco, annotations in ((reference, truths), (results, detections)):
            height, width = pairs[0][0].shape
            images = [{"id": image, "height": height, "width": width} for image in range(1, len(pairs) + 1)]
            coco.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1}]}
            coco.createIndex()
        judge = COCOeval(reference, results, "segm")
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [100_000]  # the usual 100 would leave out particles
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][:, :, 0, 0, 0].mean(axis=1)


def found_in(pair: Pair, scores: np.ndarray | None = None) -> CocoScores:
    return coco_scores(overlaps(*pair), scores)


def test_it_agrees_with_pycocotools_on_one_image(rng: np.random.Generator):
    both = pair(rng)
    scores = rng.random(both[1].max())
    ours, theirs = found_in(both, scores), pycocotools_ap([both], [scores])
    assert len(scores) > 100  # more than the usual limit
    assert 0.1 < theirs.mean() < 0.9
    assert ours.by_iou == pytest.approx(theirs, abs=1e-9)  # the same sums, rounded otherwise
    assert (ours.ap, ours.ap_50, ours.ap_75) == pytest.approx((theirs.mean(), theirs[0], theirs[5]), abs=1e-9)


def test_it_agrees_with_pycocotools_on_several_images_with_equal_scores(rng: np.random.Generator):
    pairs = [pair(rng, 80, 50), (scattered(rng, 80, 20), np.zeros((80, 80), np.int32)), pair(rng, 80, 30)]
    pairs.append((np.zeros((80, 80), np.int32), scattered(rng, 80, 10)))  # nothing annotated
    scores = [np.round(rng.random(predicted.max()), 1) for _, predicted in pairs]
    ours = CocoScores.pooled([found_in(*each) for each in zip(pairs, scores, strict=True)])
    assert ours.by_iou == pytest.approx(pycocotools_ap(pairs, scores), abs=1e-9)


def test_equal_ious_go_to_the_same_particle_as_in_pycocotools():
    # At 0.5 the first detection reaches both particles alike, the second only the later one.
    truth = np.array([[1, 1, 2, 2, 2, 2]])
    predicted = np.array([[1, 1, 1, 1, 2, 2]])
    for scores in (np.array([0.9, 0.5]), np.array([0.5, 0.9])):
        ours = found_in((truth, predicted), scores)
        assert ours.by_iou == pytest.approx(pycocotools_ap([(truth, predicted)], [scores]), abs=1e-9)


def test_without_scores_all_enter_at_once(rng: np.random.Generator):
    both = pair(rng)
    ours = found_in(both)
    for at, iou in enumerate(COCO_IOUS):
        wrong_first = np.where(ours.hits[at], 0.1, 0.9)
        assert ours.by_iou[at] == pytest.approx(pycocotools_ap([both], [wrong_first])[at], abs=1e-9), iou


def test_by_hand():
    truth = np.repeat([[1, 2, 3, 4]], 4, axis=0).repeat(5, axis=1)
    truth[:, 4::5] = 0  # four squares of 16 px
    predicted = np.where(truth == 3, 0, truth)  # one is missed,
    predicted[3, 15:19] = 0  # one covers three quarters
    predicted[0, 4] = 3  # and one is too many
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    ours = found_in((truth, predicted), scores)
    # Hits at 0.5: 1, 1, 0, 1. Recall up to 0.5 at precision 1 (51 of 101 recalls), up to 0.75 at 3/4 (25 more).
    assert ours.ap_50 == pytest.approx((51 + 25 * 3 / 4) / 101)
    assert ours.ap_75 == ours.ap_50  # an IoU of 12/16 reaches 0.75
    assert ours.by_iou[6] == pytest.approx(51 / 101)
    assert ours.ap == pytest.approx((6 * ours.ap_50 + 4 * 51 / 101) / 10)


def test_nothing_annotated_is_undefined_and_nothing_found_is_zero():
    empty, one = np.zeros((3, 3), int), np.eye(3, dtype=int)
    assert np.isnan(found_in((empty, one)).ap)
    assert found_in((one, empty)).ap == found_in((one, empty), np.empty(0)).ap == 0
    assert found_in((one, one)).ap == found_in((one, one), np.ones(1)).ap == 1


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.6, np.nan], [[0.1, 0.2, 0.3]]])
def test_scores_must_be_one_finite_number_a_particle(scores: list[float]):
    with pytest.raises(InputError, match="3 finite numbers"):
        found_in((np.eye(3, dtype=int), np.diag([1, 2, 3])), np.array(scores))


def test_images_with_and_without_scores_do_not_mix():
    one = np.eye(3, dtype=int)
    with pytest.raises(InputError, match="of 2 pooled images, 1 have some"):
        _ = found_in((one, one)) + found_in((one, one), np.ones(1))
