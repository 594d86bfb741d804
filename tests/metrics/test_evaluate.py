import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ks_2samp

from nanolab.core.checks import InputError
from nanolab.images.labels import labels_from_mask, write_labels
from nanolab.images.tiff import read_tiff
from nanolab.measurement.comparison import size_distances
from nanolab.metrics.comparison import compare, pooled
from nanolab.metrics.evaluate import (
    evaluate,
    evaluate_folders,
    evaluate_many,
    summarise,
)

TRUTH = np.zeros((12, 12), np.int32)
TRUTH[0:4, 0:4], TRUTH[6:10, 6:10], TRUTH[11, 11] = 1, 2, 3  # two squares of 16 px and a fragment of 1
FOUND = np.zeros((12, 12), np.int32)
FOUND[0:4, 0:2], FOUND[6:10, 6:10], FOUND[0, 11] = 1, 2, 3  # half of the first, all of the second, one wrong pixel


def test_scores_of_one_image_by_hand():
    scores = evaluate(TRUTH, FOUND, pixel_size_nm=2.0, boundary_px=0)
    chance = (33 * 25 + 111 * 119) / 144**2
    ecd = 2 * np.sqrt(4 / np.pi)  # nm of 1 px
    assert scores == pytest.approx(
        {
            "dice": 2 * 24 / (33 + 25),
            "precision": 24 / 25,
            "recall": 24 / 33,
            "accuracy": (144 - 9 - 1) / 144,
            "iou": 24 / 34,
            "miou": (24 / 34 + 110 / 120) / 2,
            "mdice": (48 / 58 + 220 / 230) / 2,
            "kappa": (134 / 144 - chance) / (1 - chance),
            "instance_precision_50": 2 / 3,  # half a square has an IoU of exactly 0.5
            "instance_recall_50": 2 / 3,
            "instance_f1_50": 2 / 3,
            "stardist_ap_50": 2 / 4,
            "panoptic_quality": 1 / (1 + 2 / 2 + 2 / 2),  # above 0.5 only
            # At 0.5 precision and recall are 2/3, which covers the recalls 0 to 0.66; above they are 1/3.
            "coco_ap_50": 2 / 3 * 67 / 101,
            "coco_ap_75": 1 / 3 * 34 / 101,
            "coco_ap": (2 / 3 * 67 + 9 / 3 * 34) / 101 / 10,
            # Of the first square, which the corner of the image cuts, the annotated outline has 7 pixels and the found
            # one 5, with the 2 in row 3 in common; of the second both have 12; the fragments have one each.
            "boundary_precision_0px": (2 + 12) / (5 + 12 + 1),
            "boundary_recall_0px": (2 + 12) / (7 + 12 + 1),
            "boundary_f1_0px": 2 * 14 / (18 + 20),
            # Half a square is a shifted boundary; one annotated and one found particle have no partner.
            "warping_error": 2 / 144,
            "n_warping_errors": 2,
            "n_found": 3,
            "n_annotated": 3,
            "count_error": 0,
            "count_error_relative": 0,
            "count_error_absolute_mean": 0,
            "median_ecd_found_nm": ecd * np.sqrt(8),
            "median_ecd_annotated_nm": ecd * 4,
            "ecd_wasserstein_nm": ecd * (4 - np.sqrt(8)) / 3,  # of three particles one moves
            "ecd_ks": 1 / 3,
        }
    )


def test_a_minimum_area_leaves_out_particles_but_no_pixels():
    all_of_them, large = (evaluate(TRUTH, FOUND, pixel_size_nm=None, min_area_px=area) for area in (0, 9))
    assert (large["n_found"], large["n_annotated"]) == (1, 2)
    assert (large["instance_precision_50"], large["instance_recall_50"]) == (1, 0.5)
    assert all(large[key] == all_of_them[key] for key in ("dice", "precision", "recall", "accuracy", "iou"))


def test_the_threshold_is_part_of_the_name():
    scores = evaluate(TRUTH, FOUND, pixel_size_nm=None, iou=0.75)
    assert scores["instance_f1_75"] == pytest.approx(1 / 3)
    assert "instance_f1_50" not in scores


def test_undefined_scores_are_none_and_the_result_is_json():
    scores = evaluate(np.zeros_like(TRUTH), np.zeros_like(TRUTH), pixel_size_nm=None)
    assert (scores["dice"], scores["accuracy"], scores["median_ecd_found_px"]) == (None, 1, None)
    json.dumps(scores, allow_nan=False)


def test_pooling_weighs_particles_not_images():
    one = compare(TRUTH, TRUTH, pixel_size_nm=2.0)
    other = compare(np.eye(1, dtype=int), np.zeros((1, 1), int), pixel_size_nm=4.0)
    scores = pooled([one, other]).scores(0.5)
    assert scores["instance_recall_50"] == 3 / 4
    assert scores["recall"] == 33 / 34
    # ECD in nm of 16, 16, 1 px at 2 nm and 1 px at 4 nm: the median lies between the middle two.
    assert scores["median_ecd_annotated_nm"] == pytest.approx((2 * np.sqrt(64 / np.pi) + 4 * np.sqrt(4 / np.pi)) / 2)


def test_no_median_is_taken_over_nm_and_px():
    mixed = pooled([compare(TRUTH, FOUND, pixel_size_nm=size) for size in (2.0, None)]).scores(0.5)
    assert not [key for key in mixed if key.startswith("median")]


def test_counts_that_cancel_are_told_from_counts_that_are_right():
    more = compare(TRUTH, FOUND, pixel_size_nm=None, min_area_px=9)
    fewer = compare(FOUND, TRUTH, pixel_size_nm=None, min_area_px=9)  # 2 annotated, 1 found, and the reverse
    scores = pooled([more, fewer]).scores(0.5)
    assert (scores["count_error"], scores["count_error_absolute_mean"]) == (0, 1)
    assert (more.scores(0.5)["count_error"], more.scores(0.5)["count_error_relative"]) == (-1, -0.5)


def test_pooled_scores_are_those_of_the_images_side_by_side(rng: np.random.Generator):
    def random_map() -> np.ndarray:
        labels = np.zeros((60, 60), np.int32)
        labels[2:-2, 2:-2] = labels_from_mask(rng.random((56, 56)) < 0.4)  # with a margin that keeps images apart
        return labels

    pairs = [(truth, np.where(rng.random((60, 60)) < 0.9, truth, 0)) for truth in (random_map() for _ in range(3))]
    one = compare(
        np.hstack([np.where(truth, truth + 10_000 * k, 0) for k, (truth, _) in enumerate(pairs)]),
        np.hstack([np.where(found, found + 10_000 * k, 0) for k, (_, found) in enumerate(pairs)]),
        pixel_size_nm=2.0,
    ).scores(0.5)
    all_of_them = pooled(compare(*pair, pixel_size_nm=2.0) for pair in pairs).scores(0.5)
    del one["count_error_absolute_mean"], all_of_them["count_error_absolute_mean"]  # a mean over images
    assert all_of_them == pytest.approx(one)


def test_many_images_one_by_one_and_together():
    pairs = {"a": (TRUTH, FOUND), "b": (TRUTH, TRUTH), "none": (TRUTH, np.zeros_like(TRUTH))}
    sizes = {"a": 2.0, "b": 2.0, "none": None}
    result = evaluate_many(iter(pairs.items()), pixel_size_nm=sizes, warping=False)
    assert result == evaluate_many(pairs, pixel_size_nm=sizes, warping=False)  # the same seed, the same intervals
    assert result["images"]["a"] == evaluate(TRUTH, FOUND, pixel_size_nm=2.0, warping=False)
    assert "warping_error" not in result["pooled"]
    assert [scores["n_found"] for scores in result["images"].values()] == [3, 3, 0]
    assert result["images"]["none"]["precision"] is None
    json.dumps(result, allow_nan=False)


def test_scores_of_particles_follow_them_when_small_ones_are_left_out():
    sure = np.array([0.2, 0.9, 0.5])  # of the two squares and the wrong pixel
    scores = evaluate(TRUTH, FOUND, pixel_size_nm=None, scores=sure)
    # Second square, wrong pixel, first square: recall 1/3 at precision 1, then 2/3 at 2/3.
    assert scores["coco_ap_50"] == pytest.approx((34 + 33 * 2 / 3) / 101)
    large = evaluate(TRUTH, FOUND, pixel_size_nm=None, scores=sure, min_area_px=8)
    assert large["coco_ap_50"] == 1
    with pytest.raises(InputError, match="3 numbers, one a particle found"):
        evaluate(TRUTH, FOUND, pixel_size_nm=None, scores=sure[:2], min_area_px=8)


def test_the_distance_of_distributions_is_that_of_scipy(rng: np.random.Generator):
    for n, m in ((30, 50), (1, 7), (5, 5)):
        first, second = rng.integers(0, 20, n).astype(float), rng.integers(5, 25, m).astype(float)  # with ties
        assert size_distances(first, second)[0] == pytest.approx(ks_2samp(first, second, method="asymp").statistic)
    assert np.isnan(size_distances(np.empty(0), np.ones(3))[0])


def test_what_does_not_fit_together_is_not_pooled():
    one, other = (compare(TRUTH, FOUND, pixel_size_nm=2.0, boundary_px=px) for px in (1, 2))
    with pytest.raises(InputError, match=r"boundary_px: must be one for all pooled images, got \[1, 2\]"):
        _ = one + other
    with pytest.raises(InputError, match="at least one image"):
        summarise({})


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Truth as BAM names its masks, prediction as nanolab writes it."""
    truth, pred = tmp_path / "truth", tmp_path / "pred"
    truth.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.where(TRUTH, 255, 0).astype(np.uint8)).save(truth / f"{name}_m.tif")
        write_labels(pred / f"{name}.labels.tif", FOUND if name == "a" else TRUTH, pixel_size_nm=2.0)
    return truth, pred


def test_folders_are_compared_by_stem(folders: tuple[Path, Path]):
    result = evaluate_folders(*folders)
    assert list(result["images"]) == ["a", "b"]
    assert result["images"]["a"] == pytest.approx(evaluate(TRUTH, FOUND, pixel_size_nm=2.0))
    assert result["images"]["b"]["instance_f1_50"] == 1
    assert result["pooled"]["n_found"] == 6
    assert result["pooled"]["dice"] == pytest.approx(2 * (24 + 33) / (58 + 66))
    assert result["settings"] == {"iou": 0.5, "min_area_px": 0, "boundary_px": 2, "warping": True, "seed": 0}
    assert result["errors"] == {}
    assert result["intervals"]["instance_f1_50"] == pytest.approx([2 / 3, 1])  # two images: one or the other twice
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("ending", ["_m", "_cp_masks", "_mask", "-mask", "_seg", "_gt", "_m.labels"])
def test_the_endings_that_annotations_have_do_not_count(tmp_path: Path, ending: str) -> None:
    Path(tmp_path, "truth").mkdir()
    Image.fromarray(np.where(TRUTH, 255, 0).astype(np.uint8)).save(tmp_path / "truth" / f"a{ending}.tif")
    write_labels(tmp_path / "pred" / "a.labels.tif", FOUND)
    result = evaluate_folders(tmp_path / "truth", tmp_path / "pred")
    assert (list(result["images"]), result["errors"]) == (["a"], {})


def test_what_cannot_be_compared_stops_nothing_else(folders: tuple[Path, Path]):
    truth, pred = folders
    write_labels(pred / "alone.labels.tif", FOUND, pixel_size_nm=None)
    write_labels(pred / "small.labels.tif", FOUND[:5], pixel_size_nm=None)
    write_labels(truth / "small.tif", TRUTH, pixel_size_nm=None)
    write_labels(pred / "cut.labels.tif", FOUND, pixel_size_nm=None)
    (truth / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write_labels(truth / "a.tif", TRUTH, pixel_size_nm=None)  # a second truth for "a"
    result = evaluate_folders(truth, pred)
    assert list(result["images"]) == ["b"]
    assert result["errors"].keys() == {"a", "alone", "cut", "small"}
    assert "must hold one label map of a, found a.tif, a_m.tif" in result["errors"]["a"]
    assert "must hold one label map of alone, found none" in result["errors"]["alone"]
    assert "cut.png: not a readable image" in result["errors"]["cut"]
    assert "small.labels.tif: must have the size of" in result["errors"]["small"]


def test_beside_label_maps_other_pictures_do_not_count(folders: tuple[Path, Path]):
    truth, pred = folders
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(pred / "a.png")  # such as a picture of the contours
    assert evaluate_folders(truth, pred)["errors"] == {}


def test_folders_without_anything_to_compare_are_an_error(folders: tuple[Path, Path], tmp_path: Path):
    truth, _ = folders
    with pytest.raises(InputError, match="nowhere: must be a folder"):
        evaluate_folders(truth, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: must hold label maps"):
        evaluate_folders(tmp_path / "empty", truth)
    write_labels(tmp_path / "other" / "c.tif", FOUND, pixel_size_nm=None)
    with pytest.raises(InputError, match="no image could be compared"):
        evaluate_folders(truth, tmp_path / "other")


def test_a_pair_of_two_sizes_is_named_before_what_has_no_partner(tmp_path: Path) -> None:
    for name, labels in {"truth/b": FOUND, "found/a": FOUND, "found/b": FOUND[:-1]}.items():
        write_labels(tmp_path / f"{name}.tif", labels, pixel_size_nm=None)
    with pytest.raises(InputError, match=r"no image could be compared; .*b.tif: must have the size of .*; segment the"):
        evaluate_folders(tmp_path / "truth", tmp_path / "found")


def test_annotation_shifted_by_a_pixel_loses_what_counting_says(bam_folder: Path):
    truth = labels_from_mask(read_tiff(next(bam_folder.rglob("1908248_m.tif")))[:704])
    shifted = np.roll(truth, 1, axis=0)
    scores = evaluate(truth, shifted, pixel_size_nm=7.34375, min_area_px=20)
    common = ((truth > 0) & (shifted > 0)).sum()
    assert scores["dice"] == pytest.approx(2 * common / ((truth > 0).sum() + (shifted > 0).sum()))
    # A particle of the median 22 px loses 6 % of its height; only slivers a few px high fall below an IoU of 0.5.
    assert 0.95 < scores["instance_f1_50"] < 1
