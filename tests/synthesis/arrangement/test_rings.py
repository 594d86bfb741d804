"""Rings and lines of particles."""

from itertools import combinations

import numpy as np
import pytest
from helpers.arrangements import arranged, gaps_between
from scipy.spatial.distance import cdist

from nanolab.synthesis.arrangement import Structure
from nanolab.synthesis.scene.scene import Scene
from nanolab.synthesis.scene.truth import structure_labels

ROUND = {"radius_nm": 400, "ellipticity": 1, "wobble": 0, "complete": 1}
BEAD = {"template": "sphere", "diameter_nm": 20}


def test_a_ring_is_a_ring() -> None:
    placement, _ = arranged("rings", BEAD, count=1, gap=0.25, **ROUND)
    (ring,) = placement.structures
    assert (ring.kind, ring.group, ring.closed, ring.width_nm) == ("ring", 0, True, pytest.approx(20))
    centre = ring.line_nm.mean(axis=0)
    assert np.linalg.norm(ring.line_nm - centre, axis=1) == pytest.approx(400)
    # 180 chords stand for the circle, the inside of which they cut by 1 - cos(1 deg), 0.015 %.
    assert np.linalg.norm(placement.centres_nm[:, :2] - centre, axis=1) == pytest.approx(400, rel=2e-4)
    # A bead each 25 nm of 2 pi 400 nm.
    assert len(placement.index) == pytest.approx(2 * np.pi * 400 / 25, abs=1.5)
    steps = np.linalg.norm(np.diff(placement.centres_nm[:, :2], axis=0), axis=1)
    assert steps == pytest.approx(25, rel=2e-3)  # chords for arcs
    assert set(placement.group.tolist()) == {0}
    assert set(placement.group_kind) == {"ring"}


def test_an_ellipse_keeps_its_axes_and_mean_radius() -> None:
    placement, _ = arranged("rings", BEAD, count=1, **{**ROUND, "ellipticity": 2})
    line = placement.structures[0].line_nm
    across, along = np.sort(np.linalg.svd(line - line.mean(axis=0), compute_uv=False)) * np.sqrt(2 / len(line))
    assert along / across == pytest.approx(2)
    assert np.sqrt(along * across) == pytest.approx(400)


@pytest.mark.parametrize("complete", [0.4, 0.8])
def test_an_incomplete_ring_ends_early(complete: float) -> None:
    placement, _ = arranged("rings", BEAD, count=1, gap=0, **{**ROUND, "complete": complete})
    assert len(placement.index) == pytest.approx(complete * 2 * np.pi * 400 / 20, abs=1.5)


def test_gaps_spread_by_their_factor() -> None:
    placement, _ = arranged("rings", {**BEAD, "diameter_nm": 4}, count=1, gap=0.5, gap_spread=0.4, **ROUND)
    gaps = np.linalg.norm(np.diff(placement.centres_nm[:, :2], axis=0), axis=1) - 4
    logs = np.log(gaps / (0.5 * 4))
    # Some 400 gaps: the standard error of a mean is sigma / 20, of an SD sigma / 28; four of them.
    assert logs.mean() == pytest.approx(0, abs=4 * 0.4 / 20)
    assert logs.std() == pytest.approx(0.4, abs=4 * 0.4 / 28)


def test_beads_scatter_about_the_line() -> None:
    placement, _ = arranged("rings", {**BEAD, "diameter_nm": 4}, count=1, gap=1, scatter_nm=6, **ROUND)
    ring = placement.structures[0]
    aside = np.linalg.norm(placement.centres_nm[:, :2] - ring.line_nm.mean(axis=0), axis=1) - 400
    assert aside.std() == pytest.approx(6, rel=4 / np.sqrt(2 * len(aside)))  # four standard errors
    assert ring.width_nm / 2 == pytest.approx(np.abs(aside).max() + 2, abs=0.1)  # chords for arcs: 0.06 nm


def test_groups_number_the_structures() -> None:
    placement, _ = arranged("rings", BEAD, count=2, radius_nm=150, lines=3, line_nm=300, loose=7, scatter_nm=2)
    kinds = np.array(placement.group_kind)
    assert [s.kind for s in placement.structures] == ["ring"] * 2 + ["line"] * 3
    assert [s.group for s in placement.structures] == list(range(5))
    assert [s.closed for s in placement.structures] == [True] * 2 + [False] * 3
    assert (placement.group[kinds == "loose"] == -1).all()
    assert (kinds == "loose").sum() == 7
    for structure in placement.structures:
        own = placement.group == structure.group
        assert own.any()
        assert set(kinds[own]) == {structure.kind}
        fine = np.concatenate([structure.line_nm, structure.line_nm[:1]]) if structure.closed else structure.line_nm
        fine = np.stack([np.interp(np.linspace(0, 1, 9001), np.linspace(0, 1, len(fine)), v) for v in fine.T], axis=1)
        away = cdist(placement.centres_nm[own, :2], fine).min(axis=1)
        assert away.max() + 10 <= structure.width_nm / 2 + 0.2  # tangents are means over two chords


@pytest.mark.parametrize("bend", [0, 90, 180])
def test_lines_have_their_length_and_bend(bend: float) -> None:
    placement, _ = arranged("rings", BEAD, count=0.1, radius_nm=100, lines=1, line_nm=600, line_bend_deg=bend)
    (line,) = placement.structures
    steps = np.diff(line.line_nm, axis=0)
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(600, rel=1 / 150)  # 179 of 180 steps
    turned = np.ptp(np.unwrap(np.arctan2(*steps.T)))
    assert np.rad2deg(turned) == pytest.approx(bend, abs=bend / 150 + 1e-6)


def test_rings_do_not_cross_and_may_be_nested() -> None:
    sizes = {"kind": "mixture", "components": [500, 80], "weights": [1, 3]}
    nested = 0
    for seed in range(5):
        placement, _ = arranged("rings", BEAD, seed=seed, count=12, **{**ROUND, "radius_nm": sizes})
        circles = [
            (s.line_nm.mean(axis=0), np.linalg.norm(s.line_nm - s.line_nm.mean(axis=0), axis=1).mean())
            for s in placement.structures
        ]
        for (one, r), (two, q) in combinations(circles, 2):
            distance = float(np.linalg.norm(one - two))
            assert distance > r + q or distance + min(r, q) < max(r, q)
            nested += distance < max(r, q)
        # Those laid side by side may overlap by a tenth of their radius.
        assert gaps_between(placement.centres_nm[:, :2], np.full(len(placement.index), 10.0)).min() >= -1 - 1e-6
    assert nested > 0


def scene_with(*structures: Structure) -> Scene:
    return Scene((300, 400), 2.0, (), 0, structures)


def test_rings_without_a_free_place_are_asked_for_all_the_same() -> None:
    one, _ = arranged("rings", BEAD, count=1, gap=0, **ROUND)
    crowded, _ = arranged("rings", BEAD, count=60, gap=0, **ROUND)
    assert len(crowded.structures) < 60
    assert crowded.requested == pytest.approx(60 * one.requested)


def test_a_ring_that_no_particle_fits_on_is_no_structure() -> None:
    placement, _ = arranged("rings", {**BEAD, "diameter_nm": 40}, count=1, **{**ROUND, "radius_nm": 5})
    assert (placement.structures, placement.requested) == ([], 0)


def test_labels_of_rings_are_their_bands() -> None:
    angles = np.arange(180) * 2 * np.pi / 180
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    ring = Structure("ring", 0, [250, 300] + 150 * circle, 40, closed=True)
    line = Structure("line", 1, np.column_stack([np.linspace(500, 700, 180), np.full(180, 301.0)]), 60, closed=False)
    labels = structure_labels(scene_with(ring, line))
    # 4 nm^2 a pixel; the edge leaves half a pixel at each of its n pixels, at random: some sqrt(n), 1 % here.
    assert (labels == 1).sum() * 4 == pytest.approx(np.pi * (170**2 - 130**2), rel=0.01)
    assert labels[150, 125] == 0  # its middle is no part of it
    assert set(np.unique(labels).tolist()) == {0, 1}  # a line has none
