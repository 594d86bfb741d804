"""Nested regions, what is known of them, and which of them are taken as particles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanolab.measurement.regions import find_regions
from nanolab.metrics.instance import match, overlaps
from nanolab.models.readouts.interior_border import InteriorBorder, basins_of, depth, split_touching
from nanolab.segmentation.candidates import (
    FEATURES,
    Candidates,
    find_candidates,
    likeliest,
    likelihood,
    nested_regions,
)

READOUT = InteriorBorder(smoothing_px=0.01)


def profile(*heights: float) -> np.ndarray:
    """A ridge of these heights, two px for each."""
    return np.repeat(np.array([heights], dtype=np.float32), 2, axis=1).repeat(2, axis=0)


def regions_of(height: np.ndarray) -> dict[tuple[float, float], int]:
    """Return birth and death of each region and how many basins it has."""
    _, *about = basins_of(height, height > 0)
    return {(round(each.birth, 3), round(each.death, 3)): each.size for each in nested_regions(*about)[1]}


def of_labels(labels: np.ndarray, grey: np.ndarray | None = None) -> list[Candidates]:
    """Return the candidates of a network that sees a label map as it is, its valleys half as deep."""
    seen = {1.0: (np.stack([(labels > 0).astype(np.float32), (depth(labels) + (labels > 0)) / 2]), labels)}
    grey = np.zeros(labels.shape, np.float32) if grey is None else grey
    return find_candidates(seen, grey, READOUT, {1.0: 0.8})


def column(candidates: Candidates, name: str) -> np.ndarray:
    return candidates.features[:, FEATURES.index(name)]


def draw_discs(centres: list[tuple[int, int]], radius: float, shape: tuple[int, int]) -> np.ndarray:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number, (row, col) in enumerate(centres, start=1):
        labels[(rows - row) ** 2 + (cols - col) ** 2 < radius**2] = number
    return labels


def two_squares() -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    return labels


def test_regions_last_from_one_valley_to_the_next() -> None:
    # valleys of 0.8 - 0.5 and 0.6 - 0.2 below the lower summit
    _, *about = basins_of(profile(1, 0.5, 0.8, 0.2, 0.6), profile(1, 1, 1, 1, 1) > 0)
    found = nested_regions(*about)[1]
    assert sorted((round(each.birth, 3), round(each.death, 3), each.size) for each in found) == [
        (0.0, 0.3, 1),
        (0.0, 0.3, 1),
        (0.0, 0.4, 1),
        (0.3, 0.4, 2),
        (0.4, 1.0, 3),
    ]


def test_a_shallow_valley_makes_no_candidate_of_its_own() -> None:
    assert regions_of(profile(1, 0.79, 0.8)) == {(0.01, 1.0): 2}


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.03, 0.5))
def test_what_is_cut_at_one_depth_is_among_the_regions(seed: int, dynamic: float) -> None:
    height = gaussian_filter(np.random.default_rng(seed).random((40, 50)), 2).astype(np.float32)
    height = (height - height.min()) / np.ptp(height)
    mask = height > 0.3
    basins, *about = basins_of(height, mask)
    order, regions = nested_regions(*about)
    assert sorted(order) == list(range(len(about[0])))
    cut = split_touching(height, mask, dynamic)
    for each in regions:
        if not each.birth < dynamic <= each.death:
            continue
        inside = np.isin(basins, order[each.first : each.first + each.size])
        (number,) = np.unique(cut[inside])
        assert np.array_equal(cut == number, inside)


def test_features_are_those_of_the_region() -> None:
    labels = two_squares()
    labels[2:8, 2:50] = 3
    (candidates,) = of_labels(labels)
    for number, area in ((1, 400), (3, 288)):
        index = int(np.argmax(candidates.likeness(np.where(labels == number, labels, 0).astype(np.int32))))
        alone = find_regions((labels == number).astype(np.int32))
        assert np.exp(column(candidates, "area")[index]) == pytest.approx(area)
        assert np.exp(column(candidates, "elongation")[index]) == pytest.approx(alone.major[0] / alone.minor[0])
        assert column(candidates, "solidity")[index] == pytest.approx(1)
        assert column(candidates, "ellipticity")[index] == pytest.approx(3 / np.pi, 0.01)  # of a rectangle
        assert column(candidates, "border")[index] == 0
    square = int(np.argmax(candidates.likeness((labels == 1).astype(np.int32))))
    assert column(candidates, "touching")[square] == pytest.approx(0.25)  # one of four sides
    assert column(candidates, "inside")[square] == 1
    assert column(candidates, "outside")[square] == 0


def test_what_joins_two_squares_is_known() -> None:
    (candidates,) = of_labels(two_squares())
    both = int(np.argmax(candidates.likeness((two_squares() > 0).astype(np.int32))))
    assert column(candidates, "smaller_half")[both] == pytest.approx(0.5, abs=0.03)  # where they touch, depth is 0
    assert column(candidates, "neck")[both] == pytest.approx(1, abs=0.05)  # a side of a square, by the root of its area
    assert column(candidates, "neck_depth")[both] == pytest.approx(0.5, abs=0.05)
    assert column(candidates, "inner_valley")[both] == pytest.approx(0.5)
    assert column(candidates, "touching")[both] == 0


def test_an_edge_between_two_is_seen_in_the_image() -> None:
    grey = np.zeros((40, 60), np.float32)
    grey[:, 30:] = 1
    (flat,), (edged,) = of_labels(two_squares()), of_labels(two_squares(), grey)
    both = int(np.argmax(edged.likeness((two_squares() > 0).astype(np.int32))))
    assert column(flat, "neck_edge")[both] == 0
    assert column(edged, "neck_edge")[both] > 5  # of the mean gradient within


def test_likeness_is_the_largest_iou() -> None:
    labels = draw_discs([(20, 20), (20, 34), (50, 40)], 9, shape=(70, 70))
    other = draw_discs([(22, 21), (52, 40)], 8, shape=(70, 70))
    (candidates,) = of_labels(labels)
    found, _ = likeliest(candidates, candidates.likeness(labels), 0.5)
    both = overlaps(other, found)
    expected = np.zeros(3)
    np.maximum.at(expected, both.cols, both.ious)
    picked = [int(np.argmax(candidates.likeness((found == each).astype(np.int32)))) for each in (1, 2, 3)]
    assert candidates.likeness(other)[picked].tolist() == pytest.approx(expected.tolist())


def test_the_likeliest_are_taken_and_nothing_within_them() -> None:
    labels = two_squares()
    (candidates,) = of_labels(labels)
    apart, of_each = likeliest(candidates, candidates.likeness(labels), 0.5)
    assert match(labels, apart, 0.9).f1 == 1
    assert len(of_each) == apart.max() == 2
    together, _ = likeliest(candidates, candidates.likeness((labels > 0).astype(np.int32)), 0.4)
    assert together.max() == 1
    assert np.array_equal(together > 0, labels > 0)


def test_nothing_is_a_candidate_where_nothing_is_seen() -> None:
    assert of_labels(np.zeros((40, 40), np.int32)) == []


def test_a_likelihood_is_that_of_the_networks_together() -> None:
    weights = {
        "mean": np.zeros(2),
        "scale": np.ones(2),
        "weight_0": np.array([np.eye(2), np.eye(2)]),
        "bias_0": np.zeros((2, 2)),
        "weight_1": np.array([np.eye(2), np.eye(2)]),
        "bias_1": np.zeros((2, 2)),
        "weight_2": np.array([[[1.0], [0.0]], [[0.0], [1.0]]]),
        "bias_2": np.array([[0.5], [-0.5]]),
    }

    def swish(value: float) -> float:
        return value / (1 + np.exp(-value))

    expected = 1 / (1 + np.exp(-(swish(swish(1)) + swish(swish(-2))) / 2))
    assert likelihood(np.array([[1.0, -2.0]]), weights) == pytest.approx([expected])
    assert likelihood(np.array([[0.0, 9.0]]), weights) == likelihood(np.array([[0.0, 4.0]]), weights)  # says no more


def test_what_ships_knows_a_disc_from_two() -> None:
    labels = draw_discs([(30, 30), (30, 56), (70, 40)], 14, shape=(100, 100))
    (candidates,) = of_labels(labels)
    told = likelihood(candidates.features)
    assert ((told >= 0) & (told <= 1)).all()
