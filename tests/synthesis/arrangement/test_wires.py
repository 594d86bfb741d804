"""Wires that cross and bundle."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from helpers.arrangements import BALL, FIELD, ONE_OF_EACH, WIRE, arranged
from pydantic import ValidationError
from scipy.spatial.distance import cdist

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.recipe import OtherParticles


def crossings(first: FloatArray, second: FloatArray) -> list[tuple[FloatArray, float, float]]:
    """Where two lines (n, 3) cross as seen from above: the point, and the heights of both there."""
    a, b = np.diff(first, axis=0), np.diff(second, axis=0)
    between = second[None, :-1, :2] - first[:-1, None, :2]
    cross = a[:, None, 0] * b[None, :, 1] - a[:, None, 1] * b[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (between[..., 0] * b[None, :, 1] - between[..., 1] * b[None, :, 0]) / cross
        t = (between[..., 0] * a[:, None, 1] - between[..., 1] * a[:, None, 0]) / cross
    found = np.argwhere((s >= 0) & (s < 1) & (t >= 0) & (t < 1))
    return [
        (first[i, :2] + s[i, j] * a[i, :2], first[i, 2] + s[i, j] * a[i, 2], second[j, 2] + t[i, j] * b[j, 2])
        for i, j in found
    ]


@pytest.mark.parametrize(("overlap", "widths"), [(0, 40), (0.3, 40), (0.05, [20, 80])], ids=str)
def test_wires_lie_on_one_another(overlap: float, widths: Any) -> None:
    placement, population = arranged("wires", {**WIRE, "width_nm": widths}, count=20, overlap=overlap)
    assert len(placement.index) == 20
    count = 0
    for i, j in combinations(placement.index.tolist(), 2):
        r, q = population.size_nm(i) / 2, population.size_nm(j) / 2
        for point, below, above in crossings(placement.lines[i], placement.lines[j]):
            if ((point > 0) & (point < FIELD)).all():  # outside the map of heights the ground is bare
                count += 1
                # The later one lies above. The map's points are 1/13 of the thinnest wire or a pixel apart, and where
                # two cross the upper one may miss the lower one's ridge by that.
                assert above - below >= r + q - overlap * q - 0.1 * min(r, q)
    assert count > 10


@pytest.mark.parametrize("rise", [0.1, 0.5])
def test_wires_have_their_length_and_slope(rise: float) -> None:
    placement, _ = arranged("wires", WIRE, count=15, rise=rise)
    for line in placement.lines.values():
        steps = np.diff(line, axis=0)
        along = np.hypot(*steps[:, :2].T)
        assert along.sum() == pytest.approx(1200, rel=0.002)  # chords a quarter of a width long
        assert (np.abs(steps[:, 2]) / along).max() <= rise * 1.02  # the same
        assert line[:, 2].min() >= 20 - 1e-9


def test_a_lone_wire_lies_on_the_substrate() -> None:
    placement, _ = arranged("wires", WIRE, count=1)
    assert placement.lines[0][:, 2] == pytest.approx(20)
    assert placement.centres_nm[0] == pytest.approx(placement.lines[0].mean(axis=0))


def test_aligned_wires_run_the_same_way() -> None:
    def order(align: float) -> float:
        placement, _ = arranged("wires", {**WIRE, "persistence_nm": 1e6}, count=40, align=align)
        x, y = np.array([line[-1, :2] - line[0, :2] for line in placement.lines.values()]).T
        return float(np.abs(np.exp(2j * np.arctan2(y, x)).mean()))

    assert order(1) > 0.95
    assert order(0) < 0.45  # 40 at random: 1 / sqrt(40), below three times that but once in 10^4


def test_bundles_keep_together() -> None:
    placement, _ = arranged("wires", WIRE, count=12, bundle_size=4, bundle_widths=1)
    assert np.bincount(placement.group).tolist() == [4, 4, 4]
    assert set(placement.group_kind) == {"bundle"}
    for first in range(0, 12, 4):
        for k in range(first + 1, first + 4):
            away = cdist(placement.lines[k][:, :2], placement.lines[first][:, :2]).min(axis=1)
            # A normal offset of SD 0.5 and a drift of SD 0.3 widths: four SD of the two together are 2.3 widths.
            assert away.max() < 2.4 * 40


def test_a_bundle_may_have_pieces_shorter_than_a_step_of_its_first_wire() -> None:
    piece = {**WIRE, "width_nm": 8, "length_nm": 9, "share": 3}
    placement, _ = arranged("wires", {**WIRE, "width_nm": 80}, piece, count=40, bundle_size=20)
    lengths = [np.hypot(*np.diff(line[:, :2], axis=0).T).sum() for line in placement.lines.values()]
    assert len(lengths) == 40
    assert min(lengths) > 0.5 * 9  # on the inner side of a bend a wire of a bundle is shorter


@pytest.mark.parametrize(
    ("particles", "arrangement", "message"),
    [
        ([BALL], {"kind": "wires", "count": 3}, "the arrangement wires needs the template wire, got sphere"),
        ([WIRE], {"kind": "lattice"}, "template wire needs the arrangement wires or scattered, got lattice"),
        ([WIRE], {"kind": "samples", "of": ONE_OF_EACH["samples"][0]["of"]}, "template wire needs the arrangement"),
        ([BALL], {"kind": "wires", "count": 3, "rise": 3}, "values must lie between 0.02 and 2"),
        ([BALL], {"kind": "monolayer", "coverage": 0.95}, "values must lie between 0.01 and 0.9"),
        ([BALL], {"kind": "samples", "of": []}, "at least 1 item"),
        ([BALL], {"kind": "heap", "count": 3}, "'scattered', 'touching', 'lattice', 'monolayer', 'agglomerates'"),
    ],
)
def test_impossible_arrangements_are_refused(
    particles: list[dict[str, Any]], arrangement: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        OtherParticles.model_validate({"particles": particles, "arrangement": arrangement})


def test_wires_place_wires_only() -> None:
    with pytest.raises(InputError, match="places particles of template wire only, got sphere"):
        arranged("wires", WIRE, BALL, count=3)
