import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from nanolab.core.checks import InputError
from nanolab.metrics.pixel import PixelScores, pixel_scores

masks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)


def test_known_counts_give_the_published_definitions():
    scores = pixel_scores(np.array([[1, 1, 1, 0, 0, 0, 0]]), np.array([[5, 5, 0, 5, 0, 0, 0]]))
    assert scores == PixelScores(tp=2, fp=1, fn=1, tn=3)
    assert (scores.precision, scores.recall, scores.dice) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (scores.iou, scores.accuracy) == pytest.approx((2 / 4, 5 / 7))
    assert scores.miou == pytest.approx((2 / 4 + 3 / 5) / 2)
    assert scores.mdice == pytest.approx((4 / 6 + 6 / 8) / 2)
    chance = (3 * 3 + 4 * 4) / 49  # three of seven are particle in both
    assert scores.kappa == pytest.approx((5 / 7 - chance) / (1 - chance))


@given(masks)
def test_scores_agree_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]):
    truth, found = (each.ravel() for each in pair)
    ours = pixel_scores(*pair)
    theirs = [score(truth, found, zero_division=np.nan) for score in (precision_score, recall_score, f1_score)]
    np.testing.assert_allclose([ours.precision, ours.recall, ours.dice], theirs)  # NaN in the same places
    np.testing.assert_allclose(ours.iou, ours.dice / (2 - ours.dice))
    assert ours.accuracy == pytest.approx(accuracy_score(truth, found))
    present = np.union1d(truth, found)  # a class that neither has takes no part in the mean
    assert ours.miou == pytest.approx(jaccard_score(truth, found, labels=present, average="macro"))
    if len(present) == 2:  # scikit-learn warns otherwise
        assert ours.kappa == pytest.approx(cohen_kappa_score(truth, found), abs=1e-12)  # of values near 0 the rounding
    else:
        assert np.isnan(ours.kappa)


@given(masks)
def test_pooling_two_images_is_scoring_them_as_one(pair: tuple[np.ndarray, np.ndarray]):
    truth, found = pair
    both = pixel_scores(np.concatenate([truth, found]), np.concatenate([found, found]))
    assert pixel_scores(truth, found) + pixel_scores(found, found) == both


def test_images_of_two_sizes_are_refused():
    with pytest.raises(InputError, match=r"\(2, 3\) and \(3, 2\)"):
        pixel_scores(np.zeros((2, 3)), np.zeros((3, 2)))


def test_the_papers_dice_is_that_of_both_classes() -> None:
    """The accuracy, MIoU and kappa that PLOS ONE 2024 prints determine its confusion matrix."""
    # per pixel: an accuracy of 0.9967, and an IoU of the rings of 2 MIoU - IoU of the ground
    wrong, miou = 1 - 0.9967, 0.8362
    shares = np.linspace(0.001, 0.05, 50_000)  # of the rings that are found
    ring, ground = shares / (shares + wrong), (1 - shares - wrong) / (1 - shares)
    tp = shares[np.argmin(np.abs((ring + ground) / 2 - miou))]
    n = 10**8
    found = PixelScores(round(tp * n), round(wrong / 2 * n), round(wrong / 2 * n), round((1 - tp - wrong) * n))
    assert found.miou == pytest.approx(miou, abs=1e-4)
    assert found.kappa == pytest.approx(0.8046, abs=1e-3)  # rounded digits of the accuracy allow no more
    assert found.mdice == pytest.approx(0.9023, abs=1e-3)
    assert found.dice == pytest.approx(0.806, abs=2e-3)
