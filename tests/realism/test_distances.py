"""Distances against their definitions and against distributions whose distance is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from nanolab.core.checks import InputError
from nanolab.realism.distances import frechet_distance, kid, kid_interval, neighbour_scores


def kid_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    xx = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    return float(xx + yy - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_kid_is_its_definition(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(7, 4)), rng.normal(0.5, 1, size=(9, 4))
    assert kid(x, y) == pytest.approx(kid_by_loops(x, y), rel=1e-10)
    own = np.arange(7), np.arange(9)
    assert kid(x, y, *own) == pytest.approx(kid(x, y), rel=1e-12)


def test_kid_of_one_population_is_zero_on_average_also_where_images_differ(rng: np.random.Generator) -> None:
    # Patches of an image share an offset; taken for independent, they would make the distance positive.
    groups = np.repeat(np.arange(6), 10)
    grouped, naive = [], []
    for _ in range(200):
        x, y = (rng.normal(size=(60, 3)) + rng.normal(size=(6, 3))[groups] for _ in range(2))
        grouped.append(kid(x, y, groups, groups))
        naive.append(kid(x, y))
    error = np.std(grouped) / np.sqrt(len(grouped))
    assert abs(np.mean(grouped)) < 3 * error
    assert np.mean(naive) > 5 * error


def test_kid_interval_holds_the_distance_of_the_populations(rng: np.random.Generator) -> None:
    # k(x, y) = (xy + 1)^3 in one dimension: E k over normal means a, b of variance 1 is a polynomial of moments.
    def mean_kernel(a: float, b: float) -> float:
        moments = [(1, m, m * m + 1, m**3 + 3 * m) for m in (a, b)]
        return sum(c * moments[0][p] * moments[1][p] for p, c in enumerate((1, 3, 3, 1)))

    truth = mean_kernel(0, 0) + mean_kernel(1, 1) - 2 * mean_kernel(0, 1)
    groups = np.repeat(np.arange(30), 4)
    held = 0
    for _ in range(60):
        x, y = rng.normal(0, 1, (120, 1)), rng.normal(1, 1, (120, 1))
        low, high = kid_interval(x, y, groups, groups, rng=rng, repeats=200)
        held += low <= truth <= high
    # 95 % of 60 is 57, the binomial SD is 1.7; a bootstrap of 30 images of a skewed statistic covers some less.
    assert held >= 50


def test_kid_needs_two_images(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 2))
    with pytest.raises(InputError, match="at least two images"):
        kid(x, x, np.zeros(5, dtype=int), np.arange(5))


@pytest.mark.parametrize(("count", "features"), [(40, 5), (6, 30)])
def test_frechet_is_its_definition(count: int, features: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(count, features)), rng.normal(0.3, 2, size=(count + 3, features))
    a, b = np.cov(x.T), np.cov(y.T)
    # The root of a singular product loses half the digits, hence 1e-4 where there are fewer vectors than features.
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b) - 2 * np.trace(sqrtm(a @ b)).real
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8 if count > features else 1e-4)


@given(st.integers(0, 2**16), st.floats(-3, 3))
def test_frechet_of_a_shifted_copy_is_the_shift_squared(seed: int, shift: float) -> None:
    x = np.random.default_rng(seed).normal(size=(12, 4))
    assert frechet_distance(x, x + shift) == pytest.approx(4 * shift**2, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx(frechet_distance(x + shift, x), abs=1e-9)


def test_neighbour_scores_of_the_same_and_of_distant_sets(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 3))
    same = neighbour_scores(x, x)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    far = neighbour_scores(x, x + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_precision_and_recall_tell_missing_variety_from_wrong_variety(rng: np.random.Generator) -> None:
    real = rng.normal(size=(300, 2))
    narrow = neighbour_scores(real, 0.2 * rng.normal(size=(300, 2)))
    wide = neighbour_scores(real, 6 * rng.normal(size=(300, 2)))
    assert narrow.precision > 0.95
    assert narrow.recall < 0.4
    assert wide.recall > 0.9
    assert wide.precision < 0.4


def test_neighbour_scores_need_more_than_the_neighbours(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="more than 5"):
        neighbour_scores(rng.normal(size=(5, 2)), rng.normal(size=(9, 2)))
