"""Where a body comes to rest that is let down from above: on the substrate, or on what lies there."""

from typing import Protocol

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import Ground
from nanolab.synthesis.arrangement.height_map import Relief, Stamp
from nanolab.synthesis.arrangement.population import Population

__all__ = ["BallFloor", "BodyFloor", "Floor", "floor_for"]


class Floor(Protocol):
    """A substrate with bodies on it."""

    def rest(self, k: int, points: FloatArray, turn: float) -> FloatArray:
        """Return the heights (n,) of the centre of particle `k` when it is let down at points (n, 2)."""

    def add(self, k: int, centre: FloatArray, turn: float) -> None:
        """Leave particle `k` at a centre (x, y, z)."""

    def turn(self, rng: np.random.Generator) -> float:
        """Return a random turn about the beam, if turns matter."""


class BallFloor:
    """Balls on balls: exact and fast."""

    def __init__(self, radii_nm: FloatArray, overlap: float, ground: Ground) -> None:
        self._own, self._overlap = radii_nm, overlap
        centres, radii = ground.balls()
        self._count = len(radii)
        self._centres = np.concatenate([centres, np.empty((len(radii_nm), 3))])
        self._radii = np.concatenate([radii, np.empty(len(radii_nm))])

    def rest(self, k: int, points: FloatArray, turn: float = 0.0) -> FloatArray:  # noqa: ARG002 (a ball looks alike)
        """Return the heights (n,) at which ball `k`, falling at points (n, 2), first meets the substrate or a ball."""
        return self.rest_of(np.full(len(points), self._own[k]), points)

    def rest_of(self, own: FloatArray, points: FloatArray) -> FloatArray:
        """Return those heights for balls of the radii `own` (n,)."""
        centres, radii = self._centres[: self._count], self._radii[: self._count]
        contact = own[:, None] + radii - self._overlap * np.minimum(own[:, None], radii)
        beside = ((centres[:, :2] - points[:, None]) ** 2).sum(axis=2)
        rise = np.sqrt(np.clip(contact**2 - beside, 0, None))
        return np.maximum(np.max(centres[:, 2] + rise, axis=1, where=rise > 0, initial=-np.inf), own)

    def add(self, k: int, centre: FloatArray, turn: float = 0.0) -> None:  # noqa: ARG002
        """Leave ball `k` at a centre."""
        self._centres[self._count], self._radii[self._count] = centre, self._own[k]
        self._count += 1

    def turn(self, rng: np.random.Generator) -> float:  # noqa: ARG002
        """Return 0: a ball looks alike from all sides."""
        return 0.0


class BodyFloor:
    """Bodies of any shape on a map of heights."""

    def __init__(self, population: Population, overlap: float, margin: float, ground: Ground) -> None:
        self._population, self._overlap = population, overlap
        self._relief = Relief(ground.field_nm, 2 * margin, population.pixel_size_nm)
        for one in ground.placed:
            self._relief.add(self._relief.stamp(one.mesh), one.centre_nm)
        self._last: tuple[tuple[int, float], Stamp] | None = None

    def rest(self, k: int, points: FloatArray, turn: float) -> FloatArray:
        """Return the heights (n,) of the centre of body `k` when it is let down at points (n, 2)."""
        stamp = self._stamp(k, turn)
        return np.array([self._relief.rest(stamp, point, self._overlap) for point in points])

    def add(self, k: int, centre: FloatArray, turn: float) -> None:
        """Leave body `k` at a centre."""
        self._relief.add(self._stamp(k, turn), centre)

    def turn(self, rng: np.random.Generator) -> float:
        """Return any angle."""
        return float(rng.uniform(0, 2 * np.pi))

    def _stamp(self, k: int, turn: float) -> Stamp:
        if self._last is None or self._last[0] != (k, turn):
            self._last = (k, turn), self._relief.stamp(self._population.body(k).turned(turn))
        return self._last[1]


def floor_for(population: Population, overlap: float, margin: float, ground: Ground) -> Floor:
    """Return balls on balls where all are balls, or wires as rows of beads; a map of heights for other shapes."""
    if population.are_balls and all(one.is_ball or one.line_nm is not None for one in ground.placed):
        return BallFloor(population.radii_nm(), overlap, ground)
    return BodyFloor(population, overlap, margin, ground)
