"""Places of particles: patterns and sets whose statistics are known."""

import numpy as np
import pandas as pd
import pytest

from nanolab.core.checks import InputError
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.particles import measure
from nanolab.measurement.spatial import (
    agglomerates,
    box_counting_dimension,
    fractal_dimension,
    radial_distribution,
    radial_distribution_of,
)

UNKNOWN = PixelSize.unknown("nothing known")


def test_points_without_order_have_a_radial_distribution_of_one(rng: np.random.Generator) -> None:
    windows = [(300.0, 500.0), (400.0, 400.0)] * 3
    patterns = [rng.uniform(0, 1, (400, 2)) * window for window in windows]
    found = radial_distribution(patterns, windows, r_max=150, bins=15)
    assert np.abs(found["g"] - 1).to_numpy()[1:].max() < 0.05  # 4 / sqrt(pairs) in the second ring
    assert found["g"].mean() == pytest.approx(1, abs=0.02)
    count = sum(len(each) for each in patterns)
    density = count / sum(a * b for a, b in windows)
    expected = count / 2 * density * np.pi * (found["r"] + 5) ** 2
    assert found["pairs"].sum() < 0.75 * expected.iloc[-1]  # what g would be without the correction


def test_a_square_lattice_has_its_first_neighbours_at_its_spacing() -> None:
    rows, cols = np.mgrid[5:400:10, 5:400:10]
    found = radial_distribution([np.column_stack([rows.ravel(), cols.ravel()])], [(400.0, 400.0)], r_max=19.5, bins=39)
    filled = found[found["pairs"] > 0]["r"].tolist()
    assert filled == [10.25, 14.25]  # 10 and 10 sqrt 2, in rings of 0.5


def test_the_radial_distribution_of_a_table_is_in_nm() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[30, 20], labels[30, 30] = 1, 2
    known = radial_distribution_of(measure(labels, pixel_size=PixelSize.typed(2.0)), r_max=30, bins=30)
    assert known.loc[known["pairs"] > 0, "r_nm"].tolist() == [20.5]
    unknown = radial_distribution_of(measure(labels, pixel_size=UNKNOWN), bins=15)
    assert unknown.loc[unknown["pairs"] > 0, "r_px"].tolist() == [10.5]
    with pytest.raises(InputError, match="r_max must be at most half the shortest side"):
        radial_distribution_of(measure(labels, pixel_size=UNKNOWN), r_max=31)
    with pytest.raises(InputError, match="at least two particles"):
        radial_distribution([np.zeros((1, 2))], [(9.0, 9.0)], r_max=4)


def test_touching_particles_are_one_agglomerate() -> None:
    labels = np.zeros((30, 60), np.int32)
    labels[5:9, 5:9], labels[5:9, 9:13] = 1, 2  # touch
    labels[5:9, 14:18] = 5  # cut off by a line of one pixel
    labels[20:24, 40:44] = 7  # alone
    labels[0:2, 58:60] = 9  # alone, at the border
    table, membership = agglomerates(labels, pixel_size=PixelSize.typed(3.0), name="a")
    assert sorted(table["primary_particles"]) == [1, 1, 3]
    three = table[table["primary_particles"] == 3].iloc[0]
    assert three["area_px"] == 48
    assert three["area_nm2"] == 48 * 9
    assert membership[1] == membership[2] == membership[5] == three["agglomerate"]
    assert membership[7] != membership[1]
    assert table["touches_border"].tolist().count(True) == 1
    alone = table[table["agglomerate"] == membership[7]].iloc[0]
    assert alone["radius_of_gyration_px"] == pytest.approx(np.sqrt(2 * 4**2 / 12))  # of a square
    assert alone["primary_diameter_nm"] == pytest.approx(3 * np.sqrt(4 / np.pi * 16))
    strict, _ = agglomerates(labels, pixel_size=UNKNOWN, reach_px=0)
    assert sorted(strict["primary_particles"]) == [1, 1, 1, 2]
    assert "area_nm2" not in strict
    assert len(agglomerates(np.zeros((5, 5), int), pixel_size=UNKNOWN)[0]) == 0


def grid_of(rows: int, cols: int) -> np.ndarray:
    """Make squares of 6 px side by side, cut apart by lines of one pixel."""
    labels = np.zeros((7 * rows + 21, 7 * cols + 21), np.int32)
    for k in range(rows * cols):
        row, col = 10 + 7 * (k // cols), 10 + 7 * (k % cols)
        labels[row : row + 6, col : col + 6] = k + 1
    return labels


@pytest.mark.parametrize(
    ("dimension", "shapes"), [(1, [(1, n) for n in (8, 16, 32)]), (2, [(n, n) for n in (4, 8, 12)])]
)
def test_chains_and_sheets_have_dimensions_one_and_two(dimension: int, shapes: list[tuple[int, int]]) -> None:
    table = pd.concat([agglomerates(grid_of(*shape), pixel_size=UNKNOWN)[0] for shape in shapes])
    found = fractal_dimension(table)
    # a chain of n is n - 1 gaps longer than its particles, which bends the line by less than 2 % from 8 on
    assert found.dimension == pytest.approx(dimension, rel=0.02)
    assert found.points == 3
    with pytest.raises(InputError, match="at least 3 agglomerates"):
        fractal_dimension(table.iloc[:2])


def carpet(steps: int) -> np.ndarray:
    """Make Sierpinski's carpet, of dimension log 8 / log 3."""
    mask = np.ones((1, 1), dtype=bool)
    for _ in range(steps):
        mask = np.block([[mask, mask, mask], [mask, ~mask & False, mask], [mask, mask, mask]])
    return mask


def test_box_counting_finds_known_dimensions() -> None:
    assert box_counting_dimension(np.ones((256, 256))).dimension == pytest.approx(2)
    line = np.zeros((300, 300))
    line[150, 20:276] = 1
    assert box_counting_dimension(line).dimension == pytest.approx(1)
    found = box_counting_dimension(carpet(5), boxes_px=[1, 3, 9, 27])
    assert found.dimension == pytest.approx(np.log(8) / np.log(3))
    # boxes that do not fit its thirds see more of the holes' edges
    assert box_counting_dimension(carpet(5)).dimension == pytest.approx(np.log(8) / np.log(3), abs=0.06)
    with pytest.raises(InputError, match="at least one pixel"):
        box_counting_dimension(np.zeros((9, 9)))
    with pytest.raises(InputError, match="at least 16 px across, got 4 px"):
        box_counting_dimension(np.ones((4, 4)))
