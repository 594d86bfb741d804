"""Where a body comes to rest that is let down from above: on the substrate, or on what lies there."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nanolab.core.typing import FloatArray, Mask
from nanolab.synthesis.arrangement.base import Ground
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.projection import underside_and_top

__all__ = ["BallFloor", "Floor", "Relief", "floor_for"]


# The map has at most so many points a side; coarser than a pixel it is still fine against a particle.
POINTS = 2048


@dataclass(frozen=True)
class Stamp:
    """A body as the map sees it: its underside and top (h, w) in nm from its centre, NaN next to it.

    `row` and `column` are where they begin, in points from the centre; `half_nm` is half its height.
    """

    row: int
    column: int
    underside: FloatArray
    top: FloatArray
    half_nm: float
    lowest: float


class Relief:
    """A map of heights in nm over the field and a margin around it; outside, the substrate is bare.

    Parameters
    ----------
    field_nm
        Width and height of the field.
    margin_nm
        How far the map goes beyond it.
    pitch_nm
        Distance of its points.
    """

    def __init__(self, field_nm: tuple[float, float], margin_nm: float, pitch_nm: float) -> None:
        width, height = (side + 2 * margin_nm for side in field_nm)
        self.pitch_nm = max(pitch_nm, width / POINTS, height / POINTS)
        self.margin_nm = margin_nm
        self._top = np.zeros((int(np.ceil(height / self.pitch_nm)), int(np.ceil(width / self.pitch_nm))))
        self._half = np.zeros_like(self._top)

    def stamp(self, mesh: Mesh) -> Stamp:
        """Return a mesh as the map sees it."""
        reach = int(np.ceil(np.abs(mesh.vertices[:, :2]).max() / self.pitch_nm)) + 1
        centre = np.full(2, (reach + 0.5) * self.pitch_nm)
        low, high = underside_and_top(mesh, centre, (2 * reach + 1, 2 * reach + 1), self.pitch_nm)
        z = mesh.vertices[:, 2]
        return Stamp(low.row - reach, low.column - reach, low.values, high.values, float(np.ptp(z)) / 2, float(z.min()))

    def rest(self, stamp: Stamp, point: FloatArray, overlap: float) -> float:
        """Return the height of the centre of a body let down at `point`, (x, y) in nm, until it meets something.

        `overlap` is the fraction of the smaller one's half height by which it may sink into another body.
        """
        here, part = self._window(stamp, point)
        sunk = overlap * np.minimum(self._half[here], stamp.half_nm)
        contact = self._top[here] - sunk - stamp.underside[part]
        contact = contact[self._top[here] > 0]
        return float(np.nanmax(contact, initial=-stamp.lowest)) if contact.size else -stamp.lowest

    def add(self, stamp: Stamp, centre: FloatArray) -> None:
        """Lay a body down with its centre at (x, y, z) in nm."""
        here, part = self._window(stamp, centre)
        top = stamp.top[part] + centre[2]
        higher = top > self._top[here]
        self._top[here][higher] = top[higher]
        self._half[here][higher] = stamp.half_nm

    def heights(self, points: FloatArray) -> FloatArray:
        """Return the heights in nm at points (..., 2); 0 outside the map."""
        inside, row, column = self._cells(points)
        return np.where(inside, self._top[row, column], 0.0)

    def raise_to(self, points: FloatArray, heights: FloatArray, half_nm: float) -> None:
        """Raise the map to heights in nm at points (..., 2), by a body of half the height `half_nm`."""
        inside, row, column = self._cells(points)
        row, column, heights = row[inside], column[inside], heights[inside]
        higher = heights > self._top[row, column]
        self._half[row[higher], column[higher]] = half_nm
        np.maximum.at(self._top, (row, column), heights)

    def _window(self, stamp: Stamp, point: FloatArray) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the part of the map under a stamp, and the part of the stamp on the map."""
        column, row = (np.floor((np.asarray(point)[:2] + self.margin_nm) / self.pitch_nm)).astype(int)
        here, part = [], []
        for first, length, size in zip(
            (row + stamp.row, column + stamp.column), stamp.top.shape, self._top.shape, strict=True
        ):
            start, stop = min(max(first, 0), size), max(min(first + length, size), 0)
            here.append(slice(start, max(stop, start)))
            part.append(slice(start - first, max(stop, start) - first))
        return (here[0], here[1]), (part[0], part[1])

    def _cells(self, points: FloatArray) -> tuple[Mask, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        cells = np.floor((points + self.margin_nm) / self.pitch_nm).astype(np.int64)
        column, row = cells[..., 0], cells[..., 1]
        height, width = self._top.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return inside, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)


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
