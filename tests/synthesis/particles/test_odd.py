"""Stars and bodies of revolution: arms and necks, bowls and dimples are where and as large as asked for."""

from typing import Any

import numpy as np
import pytest
from helpers.particle_kinds import PIXEL, SIZE, STAR, made

from nanolab.synthesis.projection import layers

TURNED: dict[str, Any] = {"template": "turned", "diameter_nm": SIZE}


def through_the_middle(values: dict[str, Any], turn: Any = None, seed: int = 0) -> np.ndarray:
    """Thickness in nm along the beam, (75, 75) pixels of 4 nm around the particle's centroid."""
    mesh = made(values, seed=seed)
    mesh = mesh if turn is None else mesh.rotated(np.asarray(turn, dtype=float))
    met = layers([mesh], [np.full(3, 150.0)], (75, 75), PIXEL)
    thickness = np.zeros(75 * 75)
    thickness[met.pixel] = met.thickness_nm
    return thickness.reshape(75, 75)


def test_arms_reach_beyond_the_ball_by_their_length() -> None:
    for length in (0.3, 1.5):
        radii = np.linalg.norm(made(STAR, length=length, spread=0, width_deg=20).vertices, axis=1)
        # The centroid is a little off the ball's middle, and arms that overlap are no longer; so ten per cent.
        assert radii.max() / np.median(radii) == pytest.approx(1 + length, rel=0.15)


def test_a_flat_star_is_flat_and_its_arms_lie_in_the_plane() -> None:
    spans = np.ptp(made(STAR, flatness=1).vertices, axis=0)
    assert spans[2] < 0.3 * spans[:2].min()


def test_more_and_sharper_arms_make_a_rougher_surface() -> None:
    smooth, urchin = (made(STAR, arms=arms, length=0.3, width_deg=width) for arms, width in ((6, 50), (80, 10)))
    assert urchin.surface_nm2 > 1.2 * smooth.surface_nm2  # of the same volume


def test_the_neck_of_a_dumbbell_is_thinner_the_deeper() -> None:
    def narrowest(depth: float, seed: int) -> float:
        wide = (through_the_middle({**TURNED, "profile": "dumbbell", "depth": depth}, seed=seed) > 0).sum(axis=0)
        rows = np.flatnonzero(wide)
        middle = wide[rows[0] + len(rows) // 4 : rows[-1] - len(rows) // 4]
        return float(middle.min() / wide.max())

    necks = np.array([[narrowest(depth, seed) for depth in (0.0, 0.9)] for seed in range(6)])
    assert necks[:, 0].min() > 0.7  # the smaller ball has at least 0.8 of the larger one's width
    assert (necks[:, 1] < necks[:, 0] - 0.05).all()
    assert necks[:, 1].min() < 0.35  # where the balls do not overlap


def test_a_cup_is_empty_inside_and_open_above() -> None:
    cup = through_the_middle({**TURNED, "profile": "cup", "depth": 0.9})
    side = through_the_middle({**TURNED, "profile": "cup", "depth": 0.9}, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    whole = 2 * np.sqrt((cup > 0).sum() * PIXEL**2 / np.pi)  # its outer diameter
    assert 0 < cup[37, 37] < 0.4 * whole  # the bottom's wall alone
    assert (side > 0).any(axis=1).sum() < 0.75 * (side > 0).any(axis=0).sum()  # a bowl, no ball


def test_a_dimpled_disc_is_thinner_in_its_middle_than_around_it() -> None:
    flat, deep = (through_the_middle({**TURNED, "profile": "disc", "depth": depth}) for depth in (0.0, 0.9))
    assert flat[37, 37] > 0.95 * flat.max()
    assert 0 < deep[37, 37] < 0.7 * deep.max()
