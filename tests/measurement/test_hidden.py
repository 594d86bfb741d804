"""What lies beneath a neighbour is estimated, and what touches nothing is whole."""

import numpy as np
import pandas as pd
import pytest

from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.hidden import SIGNS, TREES, fractions_of, signs, visible_fractions
from nanolab.measurement.particles import measure
from nanolab.measurement.regions import find_regions


def discs(*places: tuple[float, float, float], size: int = 160) -> np.ndarray:
    """Draw discs of (row, col, radius), each over those before it."""
    rows, cols = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.int32)
    for number, (row, col, radius) in enumerate(places, start=1):
        labels[np.hypot(rows - row, cols - col) <= radius] = number
    return labels


def seen(labels: np.ndarray) -> np.ndarray:
    return visible_fractions(labels, find_regions(labels))


def test_particles_that_touch_nothing_are_whole() -> None:
    labels = discs((40, 40, 20), (40, 84, 20), (120, 80, 30))  # 4 px apart, twice the reach
    assert seen(labels).tolist() == [1, 1, 1]
    table = measure(labels, pixel_size=PixelSize.typed(2.0))
    assert table["ecd_whole_nm"].tolist() == table["ecd_nm"].tolist()
    assert table["visible_fraction"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("shift", [20, 30, 40, 50])
def test_a_disc_beneath_another_one_is_as_large_as_it_was(shift: int) -> None:
    labels = discs((80, 60, 30), (80, 60 + shift, 30))
    true = np.count_nonzero(labels == 1) / np.pi / 30**2
    below, above = seen(labels)
    # of rendered particles of that fraction, the diameter is within 9 % for half, which is 19 % of the area
    assert below == pytest.approx(true, rel=0.25)
    assert above > 0.93


def test_signs_of_two_halves_of_a_square_are_those_of_geometry() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[20:40, 20:30], labels[20:40, 30:40] = 1, 2
    table = pd.DataFrame(signs(labels, find_regions(labels)), columns=list(SIGNS))
    # an outline of 56 pixels, of which the side of 20 touches, and two pixels of reach at each end of it
    assert table["contact"].tolist() == pytest.approx([22 / 56, 22 / 56], abs=0.04)
    assert table["hull"].tolist() == [0, 0]
    assert table["size"].tolist() == [0, 0]
    assert table["solidity"].tolist() == [1, 1]


def test_it_does_not_depend_on_numbers_or_on_where_the_particles_lie() -> None:
    labels = discs((80, 60, 30), (80, 90, 30), (30, 60, 25))
    fractions = seen(labels)
    other = np.array([0, 2**31 - 1, 2**31 - 2, 7])[labels]
    assert seen(other).tolist() == fractions[[2, 1, 0]].tolist()
    assert seen(np.roll(labels, (9, -4), (0, 1))) == pytest.approx(fractions)
    assert seen(np.rot90(labels)) == pytest.approx(fractions, abs=0.05)  # pixels of an ellipse, and trees, have steps


@pytest.mark.parametrize("labels", [np.ones((9, 9), np.int32), np.zeros((9, 9), np.int32), np.array([[1, 2], [2, 1]])])
def test_images_that_are_full_or_empty_or_smallest(labels: np.ndarray) -> None:
    assert np.isfinite(seen(labels)).all()
    assert ((seen(labels) > 0) & (seen(labels) <= 1)).all()


def test_trees_end_in_leaves() -> None:
    trees = pd.read_csv(TREES)
    inner = trees["sign"] >= 0
    assert trees["sign"].max() < len(SIGNS)
    assert (trees.loc[inner, ["left", "right"]] > 0).all(axis=None)  # the root is nobody's child: no circles
    assert (trees.loc[~inner, ["left", "right"]] == -1).all(axis=None)
    assert fractions_of(np.empty((0, len(SIGNS)))).shape == (0,)
