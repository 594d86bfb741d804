from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stardist.matching import matching

from nanolab.core.checks import InputError
from nanolab.images.labels import relabel
from nanolab.metrics.instance import InstanceScores, match

pairs_of_maps = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(*[arrays(np.int32, shape, elements=st.integers(0, 4))] * 2)
)
thresholds = st.sampled_from([0.05, 0.25, 1 / 3, 0.5, 0.75, 1.0])


def brute_force(truth: np.ndarray, predicted: np.ndarray, iou: float) -> tuple[int, float]:
    """Most pairs that reach the threshold, and the largest sum of IoU with so many, over all matchings."""
    table = [
        [((truth == a) & (predicted == b)).sum() / ((truth == a) | (predicted == b)).sum() for b in _labels(predicted)]
        for a in _labels(truth)
    ]
    size = max(len(_labels(truth)), len(_labels(predicted)))
    square = np.zeros((size, size))
    if table and table[0]:
        square[: len(table), : len(table[0])] = table
    chosen = [[square[i, j] for i, j in enumerate(order) if square[i, j] >= iou] for order in permutations(range(size))]
    return max((len(each), sum(each)) for each in chosen)


def _labels(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels[labels > 0])


@given(pairs_of_maps, thresholds)
def test_the_matching_is_the_best_of_all(maps: tuple[np.ndarray, np.ndarray], iou: float):
    truth, predicted = maps
    scores = match(truth, predicted, iou)
    count, total = brute_force(truth, predicted, iou)
    assert (scores.tp, scores.ious.sum()) == (count, pytest.approx(total))
    assert (scores.tp + scores.fn, scores.tp + scores.fp) == (len(_labels(truth)), len(_labels(predicted)))


@given(pairs_of_maps, thresholds)
def test_each_pair_is_what_it_says(maps: tuple[np.ndarray, np.ndarray], iou: float):
    truth, predicted = maps
    scores = match(truth, predicted, iou)
    for (a, b), value in zip(scores.pairs, scores.ious, strict=True):
        assert value == ((truth == a) & (predicted == b)).sum() / ((truth == a) | (predicted == b)).sum() >= iou
    assert all(len(set(side)) == scores.tp for side in scores.pairs.T)


@given(pairs_of_maps, thresholds)
def test_exchanging_truth_and_prediction_exchanges_the_errors(maps: tuple[np.ndarray, np.ndarray], iou: float):
    one, other = match(*maps, iou), match(*maps[::-1], iou)
    assert (one.tp, one.fp, one.fn) == (other.tp, other.fn, other.fp)


def scattered(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Squares of 3 to 9 px at random, later ones over earlier ones."""
    labels = np.zeros((size, size), np.int32)
    for number, (row, col, edge) in enumerate(rng.integers((0, 0, 3), (size, size, 10), (count, 3)), start=1):
        labels[row : row + edge, col : col + edge] = number
    return relabel(labels)


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.75])
def test_counts_agree_with_stardist(rng: np.random.Generator, iou: float):
    truth = scattered(rng, 300, 400)
    predicted = relabel(np.roll(truth, 1, axis=0) * (rng.random(truth.shape) > 0.05))
    ours, theirs = match(truth, predicted, iou), matching(truth, predicted, thresh=iou)
    assert 0 < ours.tp < truth.max()  # neither trivial case
    assert (ours.tp, ours.fp, ours.fn) == (theirs.tp, theirs.fp, theirs.fn)
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx((theirs.precision, theirs.recall, theirs.f1))
    assert ours.ious.mean() == pytest.approx(theirs.mean_matched_score)
    assert ours.stardist_ap == pytest.approx(theirs.accuracy)


def test_a_pair_at_the_threshold_counts():
    truth, predicted = np.array([[1, 1, 0]]), np.array([[1, 0, 0]])
    assert match(truth, predicted, 0.5).tp == 1
    assert match(truth, predicted, 0.51).tp == 0


def test_stardist_ap_by_hand():
    # One perfect pair, one of IoU 3/4, one missed, two too many.
    scores = InstanceScores(np.zeros((2, 2), int), np.array([1, 0.75]), fp=2, fn=1)
    assert scores.stardist_ap == 2 / 5
    assert np.isnan(InstanceScores().stardist_ap)


def test_labels_may_be_larger_than_the_image():
    truth, predicted = np.array([[7, 2_000_000_000]]), np.array([[1, 2**40]])
    assert match(truth, predicted).pairs.tolist() == [[7, 1], [2_000_000_000, 2**40]]


def test_more_pairs_are_preferred_to_one_better_pair():
    truth = np.array([[1] * 6 + [2] * 4])
    predicted = np.array([[0, 0, 1, 1, 1, 1, 1, 1, 1, 0]])  # alone it would pair with 1 at 4/9
    predicted = np.where(np.arange(10) < 2, 2, predicted)
    # 1 with 1: 4/9, 1 with 2: 2/6, 2 with 1: 3/8. One-one leaves the second particle to nobody.
    scores = match(truth, predicted, 0.3)
    assert scores.pairs.tolist() == [[1, 2], [2, 1]]
    assert scores.ious.tolist() == [2 / 6, 3 / 8]


def test_thousands_of_particles_need_no_table_of_all_with_all():
    side = 150
    truth = np.kron(np.arange(1, side * side + 1).reshape(side, side), np.ones((4, 4), int))  # 22500: 4 GB as a table
    scores = match(truth, np.roll(truth, 1, axis=1))
    assert (scores.tp, scores.fp, scores.fn) == (side * side, 0, 0)
    assert (scores.ious == 12 / 20).all()


def test_an_empty_map_has_undefined_scores_where_nothing_can_be_said():
    empty, one = np.zeros((3, 3), int), np.eye(3, dtype=int)
    assert np.isnan(match(empty, empty).f1)
    missed = match(one, empty)
    assert (missed.recall, missed.f1, missed.fn) == (0, 0, 1)
    assert np.isnan(missed.precision)


def test_pooling_adds_counts_and_keeps_pairs():
    one, other = match(np.array([[1, 2]]), np.array([[3, 0]])), match(np.array([[4, 0]]), np.array([[5, 6]]))
    both = one + other
    assert (both.tp, both.fp, both.fn, both.pairs.tolist()) == (2, 1, 1, [[1, 3], [4, 5]])
    assert (InstanceScores() + one).tp == one.tp


@pytest.mark.parametrize("iou", [0, -0.5, 1.5])
def test_a_threshold_that_is_no_iou_is_refused(iou: float):
    with pytest.raises(InputError, match="above 0 and at most 1"):
        match(np.eye(2, dtype=int), np.eye(2, dtype=int), iou)
