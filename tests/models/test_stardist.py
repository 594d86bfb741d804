"""StarDist's read-out against known discs, the package's own functions, and real label maps."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers.discs import disc_labels
from hypothesis import given
from hypothesis import strategies as st
from stardist.geometry import star_dist
from stardist.nms import non_maximum_suppression
from torch.nn import functional

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.datasets.annotations.coco import read_coco
from nanolab.datasets.public import public_images
from nanolab.images.rle import decode_rle
from nanolab.metrics.instance import match
from nanolab.models.readouts.outlines import Outlines, find_outlines, join, write_outlines
from nanolab.models.readouts.stardist import StarConvex
from nanolab.models.views import VIEWS, View

seeds = st.integers(0, 2**32 - 1)
DENSE = StarConvex(spacing_px=1)
PLAIN = StarConvex(spacing_px=1, foreground_channel=False)


def prediction(shape: tuple[int, int], discs: list[tuple[int, int, float, float]], rays: int = 32) -> npt.NDArray:
    """Return the channels of plain StarDist for discs (row, column, radius, object probability), at centres alone."""
    found = np.zeros((1 + rays, *shape), dtype=np.float32)
    for row, col, radius, probability in discs:
        found[0, row, col] = probability
        found[1:, row, col] = radius
    return found


def polygon_area(rays: int) -> float:
    """Return the area of a regular polygon in a circle of radius 1."""
    return rays / 2 * np.sin(2 * np.pi / rays)


def test_overlapping_discs_are_two_whole_outlines() -> None:
    found = StarConvex(foreground_channel=False, overlap=0.5).outlines(
        prediction((80, 100), [(40, 35, 20, 0.8), (40, 60, 20, 0.9)])
    )
    assert found.centres.tolist() == [[40, 60], [40, 35]]
    np.testing.assert_allclose(found.scores, [0.9, 0.8])
    areas = [found.whole(index, (80, 100))[0].sum() for index in range(2)]
    # the polygon is that area; on the pixel grid its edge, 125 px long, adds a random error of about sqrt(125) / 2 px
    np.testing.assert_allclose(areas, polygon_area(32) * 20**2, atol=12)
    drawn = found.drawn((80, 100))
    assert (drawn == 1).sum() == areas[0]  # the better one lies on top
    distance, radius = 25, 20
    lens = 2 * radius**2 * np.arccos(distance / 2 / radius) - distance / 2 * np.sqrt(4 * radius**2 - distance**2)
    assert (drawn == 2).sum() == pytest.approx(areas[1] - lens, abs=20)  # two more edges


@pytest.mark.parametrize(("overlap", "count"), [(0.3, 1), (0.5, 2)])
def test_too_much_overlap_suppresses_the_less_probable(overlap: float, count: int) -> None:
    # the lens of two discs of radius 20 at a distance of 20 is 0.391 of each
    found = StarConvex(foreground_channel=False, overlap=overlap).outlines(
        prediction((80, 100), [(40, 35, 20, 0.8), (40, 55, 20, 0.9)])
    )
    assert len(found) == count
    assert found.centres[0].tolist() == [40, 55]


def test_targets_are_those_of_the_package(rng: np.random.Generator) -> None:
    labels = disc_labels(rng, (70, 90), 25)
    targets = DENSE.targets(labels)
    assert targets.dtype == np.float32
    assert DENSE.names[:3] == ("foreground", "object", "ray00")
    assert targets.shape == (len(DENSE.names), 70, 90) == (DENSE.channels, 70, 90)
    np.testing.assert_array_equal(targets[0], labels > 0)
    np.testing.assert_array_equal(targets[1] > 0, labels > 0)
    np.testing.assert_array_equal(targets[2:], np.moveaxis(star_dist(labels, 32), -1, 0))
    for label in range(1, labels.max() + 1):
        assert targets[1][labels == label].max() == pytest.approx(1)
    np.testing.assert_array_equal(PLAIN.targets(labels), targets[1:])


def test_the_rays_of_a_square_reach_its_edge() -> None:
    labels = np.zeros((31, 31), dtype=np.int32)
    labels[5:26, 5:26] = 1
    rays = StarConvex(rays=8, spacing_px=1).targets(labels)[2:, 15, 15]
    # 10.5 px along the axes, sqrt(2) times that along the diagonals; StarDist stops within half a step of it
    np.testing.assert_allclose(rays, [10.5, 10.5 * 2**0.5] * 4, atol=0.5 * 2**0.5)


def test_sparse_targets_are_dense_ones_here_and_there_and_every_pixel_has_its_turn(rng: np.random.Generator) -> None:
    inner = np.pad(disc_labels(rng, (60, 60), 15), 4)  # away from the edge, at which the grid's first row may cut
    taught = np.zeros(inner.shape, dtype=bool)
    for extra in range(9):
        labels = inner.copy()
        labels[0, :extra] = 99
        sparse, dense = StarConvex().targets(labels), DENSE.targets(labels)
        here = sparse[2] >= 0
        assert here.sum() in (22 * 22, 22 * 23, 23 * 23)
        here[:3] = False
        np.testing.assert_array_equal(sparse[2:, here], dense[2:, here])
        np.testing.assert_array_equal(sparse[:2], dense[:2])
        taught |= here
    assert taught[3:].all()


@pytest.mark.parametrize("labels", [np.zeros((32, 32), int), np.full((32, 32), 7), np.full((32, 32), 70_000)])
def test_patches_of_one_label_are_no_exception(labels: npt.NDArray[np.int64]) -> None:
    targets = DENSE.targets(labels)
    assert np.isfinite(targets).all()
    np.testing.assert_array_equal(DENSE.instances(targets), labels > 0)


def test_probabilities_are_logistic_and_distances_positive_and_linear() -> None:
    logits = torch.tensor([-3.0, 0.0, 50.0]).expand(1, 34, 1, 3)
    found = DENSE.probabilities(logits)
    torch.testing.assert_close(found[:, :2], logits[:, :2].sigmoid())
    torch.testing.assert_close(found[0, 2, 0], torch.tensor([0.38870, 5.54518, 400]), atol=1e-4, rtol=1e-6)
    exact = DENSE.probabilities(torch.tensor([4.9]).expand(1, 34, 1, 1))[0, 2].item()
    short = DENSE.probabilities(torch.tensor([4.9]).bfloat16().float().expand(1, 34, 1, 1))[0, 2].item()
    assert short == pytest.approx(exact, rel=2**-8)  # 8 significant bits


def slow_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """StarDist's loss in Keras, pixel by pixel, where distances are taught: mean(mask * mae) / mean(mask)."""
    total, weights, background, count = torch.zeros(()), torch.zeros(()), torch.zeros(()), 0
    for image in range(len(logits)):
        for row in range(logits.shape[2]):
            for col in range(logits.shape[3]):
                true = targets[image, 1:, row, col]
                if true[0] >= 0:
                    found, weight = 8 * functional.softplus(logits[image, 1:, row, col]), targets[image, 0, row, col]
                    total = total + weight * (found - true).abs().mean()
                    background = background + (1 - weight) * found.mean()
                    weights, count = weights + weight, count + 1
    objects = functional.binary_cross_entropy_with_logits(logits[:, 0], targets[:, 0])
    return objects + 0.2 * (total / weights + 1e-4 * background / count)


def test_the_loss_is_the_slow_one(rng: np.random.Generator) -> None:
    readout = StarConvex(foreground_channel=False, rays=8)
    targets = torch.from_numpy(np.stack([readout.targets(disc_labels(rng, (24, 20), 3)) for _ in range(2)]))
    logits = torch.from_numpy(rng.standard_normal(targets.shape, dtype=np.float32)).requires_grad_()
    loss = readout.loss(logits, targets)
    torch.testing.assert_close(loss, slow_loss(logits, targets), rtol=1e-5, atol=0)  # sums of float32 in other orders
    (fast,) = torch.autograd.grad(loss, logits)
    (slow,) = torch.autograd.grad(slow_loss(logits, targets), logits)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("readout", [DENSE, PLAIN, StarConvex()])
def test_the_loss_is_least_where_the_prediction_is_right(readout: StarConvex, rng: np.random.Generator) -> None:
    targets = torch.from_numpy(readout.targets(disc_labels(rng, (64, 64), 12)))[None]
    first = readout.channels - 32
    distance = targets[:, first:].clamp(min=0.01)
    right = torch.cat([torch.logit(targets[:, :first], eps=1e-4), (distance / 8).expm1().log()], dim=1)
    loss = readout.loss(right.requires_grad_(), targets)
    noise = torch.from_numpy(rng.standard_normal(right.shape, dtype=np.float32))
    worse = [readout.loss(right + shift * noise, targets) for shift in (0.1, 1, 5)]
    assert loss < worse[0] < worse[1] < worse[2]
    loss.backward()
    assert right.grad is not None
    assert torch.isfinite(right.grad).all()


@given(seeds)
def test_instances_of_perfect_targets_are_the_particles(seed: int) -> None:
    labels = disc_labels(np.random.default_rng(seed), (96, 96), 30)
    labels[np.bincount(labels.ravel())[labels] < 40] = 0  # slivers at the border are not round
    for readout, iou in ((DENSE, 0.9), (PLAIN, 0.7)):  # a polygon is smaller than its disc, by 1 px of 5 at worst
        scores = match(labels, readout.instances(readout.targets(labels)), iou)
        assert (scores.fp, scores.fn) == (0, 0)


@pytest.mark.parametrize(("readout", "iou"), [(DENSE, 0.98), (PLAIN, 0.94)])
def test_perfect_targets_of_real_particles_give_them_back(bam_folder: Path, readout: StarConvex, iou: float) -> None:
    for sample in public_images("bam-tio2")[:3]:
        labels = np.asarray(sample.labels)
        scores = match(labels, readout.instances(readout.targets(labels)), 0.5)
        assert scores.fn == 0
        assert scores.fp <= 5  # a concave particle is no star: what its outline leaves over may get one of its own
        assert scores.ious.mean() > iou


def test_candidates_at_maxima_are_enough(rng: np.random.Generator) -> None:
    labels = disc_labels(rng, (200, 200), 80)
    targets = PLAIN.targets(labels)
    points, _, _ = non_maximum_suppression(np.moveaxis(targets[1:], 0, -1), targets[0], b=0, nms_thresh=0.4)
    found = find_outlines(targets[0], targets[1:], threshold=0.5, overlap=0.4)
    assert sorted(labels[tuple(found.centres.T)]) == sorted(labels[tuple(points.T)])


def test_the_foreground_decides_where_particles_end() -> None:
    found = np.concatenate([np.zeros((1, 60, 90)), prediction((60, 90), [(30, 25, 14, 0.9), (30, 55, 14, 0.8)])])
    rows, cols = np.ogrid[:60, :90]
    first, second = (rows - 30) ** 2 + (cols - 25) ** 2, (rows - 30) ** 2 + (cols - 55) ** 2
    found[0, (first < 10**2) | (second < 20**2)] = 1
    found[0, 2:8, 2:8] = 1  # no outline here
    found[1] = np.maximum(found[1], np.clip(1 - np.sqrt(np.minimum(first, second)) / 20, 0, 0.7))
    labels = StarConvex().instances(found.astype(np.float32))
    np.testing.assert_array_equal(labels > 0, found[0] > 0.5)
    assert labels.max() == 3
    assert (labels[first < 10**2] == labels[30, 25]).mean() > 0.9  # the larger one begins 5 px left of there
    assert (labels[(second < 20**2) & (cols > 45)] == labels[30, 55]).all()  # far beyond its outline, too
    assert (labels[2:8, 2:8] == labels[2, 2]).all()


def turned(channels: npt.NDArray, view: View) -> npt.NDArray:
    return view.apply(torch.from_numpy(channels)).numpy()


@pytest.mark.parametrize("view", VIEWS)
def test_rays_go_where_they_belong_when_the_image_is_turned(view: View, rng: np.random.Generator) -> None:
    labels = disc_labels(rng, (48, 64), 12)
    seen = DENSE.targets(np.ascontiguousarray(turned(labels, view)))
    back = DENSE.realigned(view.undo(torch.from_numpy(seen)), view).numpy()
    # StarDist rounds halves upwards, so that a mirrored ray may end one step of 1 px earlier or later
    expected = DENSE.targets(labels)
    np.testing.assert_allclose(back[:2], expected[:2], atol=1e-6)
    np.testing.assert_allclose(back[2:], expected[2:], atol=1.5)
    assert np.median(np.abs(back[2:] - expected[2:])[:, labels > 0]) < 0.01


def test_views_are_all_different_and_undone() -> None:
    image = torch.arange(6.0).reshape(1, 2, 3)
    seen = [view.apply(image) for view in VIEWS]
    assert len({(*each.shape, *each.flatten().tolist()) for each in seen}) == 8
    for view, each in zip(VIEWS, seen, strict=True):
        torch.testing.assert_close(view.undo(each), image, rtol=0, atol=0)


@pytest.mark.parametrize("readout", [DENSE, PLAIN])
def test_what_is_kept_gives_the_same_particles(readout: StarConvex, rng: np.random.Generator) -> None:
    targets = readout.targets(disc_labels(rng, (128, 160), 40))
    packed = readout.pack(targets)
    assert [plane.dtype for plane in packed] == [np.uint8] * len(readout.kept)
    assert packed[-1].shape == (32 * 128, 160)
    back = readout.unpack(packed)
    assert back.shape == targets.shape
    first = readout.channels - 32
    np.testing.assert_allclose(back[:first], targets[:first], atol=0.5 / 255 + 1e-6)
    was, now = readout.outlines(targets), readout.outlines(back)
    order_was, order_now = (np.lexsort(each.centres.T) for each in (was, now))
    np.testing.assert_array_equal(was.centres[order_was], now.centres[order_now])
    # half of a step of ln(1024) / 254 in the logarithm of 1 + px
    kept, true = now.distances[order_now], was.distances[order_was]
    np.testing.assert_allclose(kept, true, atol=0.014 * (1 + true.max()))
    assert match(readout.instances(targets), readout.instances(back), 0.8).f1 == 1


def test_outlines_are_written_with_their_hidden_parts(tmp_path: Path) -> None:
    found = PLAIN.outlines(prediction((50, 70), [(25, 20, 10, 0.6), (25, 33, 10, 0.9), (25, 69, 10, 0.7)]))
    write_outlines(tmp_path / "a.json", found, (50, 70), "a.tif")
    assert len(read_coco(tmp_path / "a.json")) == 1
    content = read_json(tmp_path / "a.json")
    assert content["images"] == [{"id": 1, "file_name": "a.tif", "width": 70, "height": 50}]
    best, cut, behind = content["annotations"]
    assert [each["score"] for each in (best, cut, behind)] == [0.9, 0.7, 0.6]
    whole = polygon_area(32) * 10**2
    # their edges, 63 px long, each add a random error of about sqrt(63) / 2 px
    assert best["area"] == pytest.approx(whole, abs=8)
    assert behind["area"] == pytest.approx(whole, abs=8)  # though the best one covers a part of it
    assert cut["area"] == pytest.approx(whole / 2 + 10, abs=8)  # the column of its centre is the image's last
    mask = decode_rle(behind["segmentation"]["counts"], (50, 70), "test")
    np.testing.assert_array_equal(mask, found.take(np.array([2])).drawn((50, 70)) > 0)


def test_parts_are_joined_and_moved() -> None:
    one = Outlines(np.array([[1, 2]]), np.ones((1, 8), np.float32), np.array([0.5], np.float32))
    both = join([one, Outlines(np.array([[3, 4]]), np.ones((1, 8), np.float32), np.array([0.7], np.float32))])
    assert both.centres.tolist() == [[3, 4], [1, 2]]
    assert both.moved(10, 20).centres.tolist() == [[13, 24], [11, 22]]
    assert both.corners.shape == (2, 2, 8)
    np.testing.assert_allclose(both.corners[0, :, [0, 2]], [[3, 5], [4, 4]], atol=1e-6)  # right, then down


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rays": 30}, "rays must be a multiple of 4"),
        ({"rays": "x"}, "rays must be a number from 4 to 512, got 'x'"),
        ({"spacing_px": 0}, "spacing_px must be a number from 1 to 64"),
        ({"overlap": 1.0}, "overlap must be a number from 0.001 to 0.999"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StarConvex(**options)  # type: ignore[arg-type]
