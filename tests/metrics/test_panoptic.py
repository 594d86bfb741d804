import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nanolab.core.checks import InputError
from nanolab.metrics.instance import InstanceScores, PanopticScores, match, panoptic_scores

pairs_of_maps = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(*[arrays(np.int32, shape, elements=st.integers(0, 4))] * 2)
)


def by_definition(truth: np.ndarray, predicted: np.ndarray) -> tuple[int, int, int, float]:
    """Try each particle with each; 2 x common > union is an IoU above 0.5 without a rounding."""
    true, found = np.unique(truth[truth > 0]), np.unique(predicted[predicted > 0])
    tp, total = 0, 0.0
    for a in true:
        for b in found:
            common, union = ((truth == a) & (predicted == b)).sum(), ((truth == a) | (predicted == b)).sum()
            if 2 * common > union:
                tp, total = tp + 1, total + common / union
    return tp, len(found) - tp, len(true) - tp, total


def test_known_particles():
    truth = np.array([[1, 1, 1, 1, 2, 2, 2, 0, 3, 0]])
    found = np.array([[9, 9, 9, 0, 4, 4, 4, 0, 0, 5]])
    scores = panoptic_scores(match(truth, found))  # 3/4 and 3/3; particle 3 missed, 5 too many
    assert scores == PanopticScores(tp=2, fp=1, fn=1, iou_sum=1.75)
    assert scores.segmentation_quality == 1.75 / 2
    assert scores.recognition_quality == 2 / 3
    assert scores.panoptic_quality == pytest.approx(1.75 / 3)


@given(pairs_of_maps)
def test_it_is_the_published_definition(maps: tuple[np.ndarray, np.ndarray]):
    scores = panoptic_scores(match(*maps))
    *counts, total = by_definition(*maps)
    assert [scores.tp, scores.fp, scores.fn] == counts
    assert scores.iou_sum == pytest.approx(total)  # summed in another order


@given(pairs_of_maps)
def test_panoptic_quality_is_the_product_of_both_factors(maps: tuple[np.ndarray, np.ndarray]):
    scores = panoptic_scores(match(*maps))
    if scores.tp:
        product = scores.segmentation_quality * scores.recognition_quality
        assert scores.panoptic_quality == pytest.approx(product)  # rounded once more
        assert 0.5 < scores.segmentation_quality <= 1
    else:
        assert np.isnan(scores.segmentation_quality)
        assert scores.panoptic_quality == 0 or not (maps[0].any() or maps[1].any())


@given(pairs_of_maps, pairs_of_maps)
def test_pooling_before_or_after_is_the_same(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]):
    first, second = match(*one), match(*other)
    before, after = panoptic_scores(first + second), panoptic_scores(first) + panoptic_scores(second)
    assert (before.tp, before.fp, before.fn) == (after.tp, after.fp, after.fn)
    assert before.iou_sum == pytest.approx(after.iou_sum)  # summed in another order


@pytest.mark.parametrize(("common", "tp"), [(49_999, 0), (50_000, 0), (50_001, 1)])
def test_a_pair_counts_only_above_one_half(common: int, tp: int):
    truth, found = np.ones((1, 100_000), int), np.zeros((1, 100_000), int)
    found[0, :common] = 1
    assert panoptic_scores(match(truth, found)) == PanopticScores(tp, 1 - tp, 1 - tp, tp * common / 100_000)


def test_nothing_found_is_zero_and_nothing_there_is_undefined():
    empty, one = np.zeros((3, 3), int), np.ones((3, 3), int)
    for maps in [(empty, one), (one, empty)]:
        scores = panoptic_scores(match(*maps))
        assert (scores.panoptic_quality, scores.recognition_quality) == (0, 0)
        assert np.isnan(scores.segmentation_quality)
    assert np.isnan(panoptic_scores(InstanceScores()).panoptic_quality)


def test_particles_matched_at_a_lower_threshold_are_refused():
    with pytest.raises(InputError, match=r"IoU of 0\.5, got a pair at 0\.333"):
        panoptic_scores(match(np.array([[1, 1, 1]]), np.array([[1, 0, 0]]), 0.3))
