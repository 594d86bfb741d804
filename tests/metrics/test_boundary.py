import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.segmentation import find_boundaries

from nanolab.core.checks import InputError
from nanolab.metrics.pixel import BoundaryScores, boundary_scores, outlines


def square(row: int, col: int, edge: int = 6, shape: tuple[int, int] = (20, 20)) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    labels[row : row + edge, col : col + edge] = 1
    return labels


def scattered(rng: np.random.Generator) -> np.ndarray:
    labels = np.zeros((60, 70), np.int32)
    for number, (row, col, edge) in enumerate(rng.integers((0, 0, 3), (60, 70, 15), (12, 3)), start=1):
        labels[row : row + edge, col : col + edge] = number
    return labels


@pytest.mark.parametrize("tolerance_px", [0, 1, 1.5, 2, 5**0.5, 3.7, 5, 100])
def test_it_agrees_with_all_distances(rng: np.random.Generator, tolerance_px: float):
    truth, predicted = scattered(rng), scattered(rng)
    true, found = (find_boundaries(labels, mode="inner", connectivity=1) for labels in (truth, predicted))
    apart = cdist(np.argwhere(found), np.argwhere(true)) <= tolerance_px + 1e-9
    expected = BoundaryScores(apart.any(axis=1).sum(), len(apart), apart.any(axis=0).sum(), apart.shape[1])
    assert boundary_scores(truth, predicted, tolerance_px) == expected


def test_outlines_are_those_of_scikit_image(rng: np.random.Generator):
    labels = scattered(rng)
    assert (outlines(labels) == find_boundaries(labels, mode="inner", connectivity=1)).all()
    assert not outlines(np.ones((4, 4), int)).any()  # the border of the image is no outline


def test_a_shift_within_the_tolerance_costs_nothing():
    assert boundary_scores(square(4, 4), square(6, 4), 2).f1 == 1
    strict = boundary_scores(square(4, 4), square(6, 4), 0)
    # Two squares of 20 outline pixels, 2 px apart: they share 4 of the 6 rows of their left and right sides.
    assert (strict.precision, strict.recall, strict.f1) == pytest.approx((8 / 20, 8 / 20, 8 / 20))


def test_the_line_between_touching_particles_counts():
    one = square(4, 4)
    two = np.where(one & (np.arange(20) > 6), 2, one)
    assert boundary_scores(two, one, 0).recall < 1
    assert boundary_scores(two, one, 0).precision == 1


def test_scores_add_up_and_are_undefined_where_nothing_is():
    assert BoundaryScores(1, 2, 3, 4) + BoundaryScores(1, 2, 3, 4) == BoundaryScores(2, 4, 6, 8)
    assert BoundaryScores(1, 2, 3, 4).f1 == pytest.approx(2 * 0.5 * 0.75 / 1.25)
    empty = np.zeros((20, 20), np.int32)
    assert np.isnan(boundary_scores(empty, empty, 2).f1)
    assert boundary_scores(empty, square(4, 4), 2).f1 == boundary_scores(square(4, 4), empty, 2).f1 == 0
    assert boundary_scores(square(0, 0, 3), square(15, 15, 3), 2).f1 == 0


@pytest.mark.parametrize("tolerance_px", [-1, 101, np.nan, np.inf])
def test_a_tolerance_that_is_no_distance_is_refused(tolerance_px: float):
    with pytest.raises(InputError, match="boundary_px must be a number from 0 to 100"):
        boundary_scores(square(4, 4), square(4, 4), tolerance_px)
