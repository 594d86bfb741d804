"""Small particles along circles and lines, with loose ones next to them."""

from typing import Annotated, Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import TRIES, Counted, Ground, Placement, Structure, whole
from nanolab.synthesis.arrangement.plane import turning
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Distribution, NotNegative, Positive, between, default

__all__ = ["Rings"]


# What decides where on a line particles lie.
SPACING = ("gap", "gap_spread", "scatter_nm", "complete")
# Points of a ring's or line's axis.
POINTS = 180
# Particles of a ring may overlap by this part of their radius.
OVERLAP = 0.1
# Rings are this far apart: their middles in the sum of their radii, or one within the other by as much.
APART = 1.15


class Rings(Counted):
    """Particles in rings, in straight and curved lines, and alone, as on carbon in Boiko's images of palladium.

    `count` is the number of rings. Each is an ellipse of mean radius `radius_nm` and axes in the ratio `ellipticity`,
    bent in and out by `wobble` times the radius; the part `complete` of it bears particles. Of `lines` there are so
    many, `line_nm` long, their ends turned against each other by `line_bend_deg`, and of `loose` particles so many.
    Neighbours are `gap` times their diameter apart, from one to the next by a factor whose logarithm has the SD
    `gap_spread`, and lie next to the axis by a normal deviation of `scatter_nm`. A small ring may lie in a large one.

    The label of a ring is the band that its particles cover, between an inner and an outer outline: see
    `nanolab.synthesis.scene.truth`.
    """

    kind: Literal["rings"] = "rings"
    radius_nm: Positive
    ellipticity: Annotated[Distribution, between(1, 3)] = default([1.0, 1.15])
    wobble: Annotated[Distribution, between(0, 0.2)] = default([0.0, 0.04])
    complete: Annotated[Distribution, between(0.2, 1)] = default([0.9, 1.0])
    gap: Annotated[Distribution, between(0, 5)] = default([0.1, 0.4])
    gap_spread: NotNegative = default(0)
    scatter_nm: NotNegative = default(0)
    lines: NotNegative = default(0)
    line_nm: Positive = default([50, 200])
    line_bend_deg: Annotated[Distribution, between(0, 360)] = default([0, 90])
    loose: NotNegative = default(0)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place rings first, then lines, then loose particles; each keeps clear of those before."""
        beads = _Beads(population, ground, rng)
        rings, lines, loose = (whole(d, rng) for d in (self.count, self.lines, self.loose))
        circles: list[tuple[FloatArray, float]] = []
        for _ in range(rings):
            radius = float(self.radius_nm.draw(rng, 1)[0])
            centre = self._free_place(circles, radius, ground, rng)
            line, values = self._ring(radius, rng), self.drawn(rng, *SPACING)
            if centre is None:
                beads.placement.requested += len(beads.stations(line, values, closed=True))
            else:
                circles.append((centre, radius))
                beads.thread("ring", centre + line, values, closed=True)
        for _ in range(lines):
            line = ground.anywhere(0, rng) + self._line(rng)
            beads.thread("line", line, self.drawn(rng, *SPACING), closed=False)
        beads.loose(loose)
        return beads.placement

    def _free_place(
        self, circles: list[tuple[FloatArray, float]], radius: float, ground: Ground, rng: np.random.Generator
    ) -> FloatArray | None:
        """Return a centre in the field for a ring that meets no other ring, if one is found."""
        for _ in range(TRIES):
            centre = ground.anywhere(0, rng)
            if all(_apart(float(np.hypot(*(centre - other))), radius, size) for other, size in circles):
                return centre
        return None

    def _ring(self, radius: float, rng: np.random.Generator) -> FloatArray:
        """Return points (n, 2) around a ring about its middle."""
        ellipticity, wobble = self.drawn(rng, "ellipticity", "wobble").values()
        angles = np.arange(POINTS) * 2 * np.pi / POINTS
        waves, phases = np.arange(2, 6), rng.uniform(0, 2 * np.pi, 4)
        bent = 1 + wobble * np.cos(np.outer(angles, waves) + phases).sum(axis=1) / 2
        points = radius * bent[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
        points *= np.sqrt([ellipticity, 1 / ellipticity])
        return points @ turning(rng.uniform(0, 2 * np.pi))

    def _line(self, rng: np.random.Generator) -> FloatArray:
        """Return points (n, 2) along a line about its middle."""
        length, bend_deg = self.drawn(rng, "line_nm", "line_bend_deg").values()
        angles = np.deg2rad(bend_deg) * (np.linspace(0, 1, POINTS) - 0.5)
        steps = length / POINTS * np.column_stack([np.cos(angles), np.sin(angles)])
        points = np.cumsum(steps, axis=0)
        return (points - points.mean(axis=0)) @ turning(rng.uniform(0, 2 * np.pi))


class _Beads:
    """Particles on threads: a placement, and the plane that it lies on."""

    def __init__(self, population: Population, ground: Ground, rng: np.random.Generator) -> None:
        self.population, self.ground, self.plane, self.rng = population, ground, ground.plane(), rng
        self.placement = Placement(0)

    def stations(
        self, line: FloatArray, values: dict[str, float], *, closed: bool
    ) -> list[tuple[int, FloatArray, FloatArray]]:
        """Return the particles that fit on a line (n, 2), one next to the other: which, where, and the way there."""
        line = np.concatenate([line, line[:1]]) if closed else line
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        tangents = np.gradient(line, along, axis=0)
        station = 0.0
        found: list[tuple[int, FloatArray, FloatArray]] = []
        while True:
            (k,) = self.population.draw(1)
            radius = self.population.extent_nm(k)
            station += radius
            if station + radius > values["complete"] * along[-1]:
                return found
            x, y, tx, ty = (np.interp(station, along, v) for v in (*line.T, *tangents.T))
            found.append((k, np.array([x, y]), np.array([tx, ty])))
            station += radius * (1 + 2 * values["gap"] * np.exp(values["gap_spread"] * self.rng.standard_normal()))

    def thread(self, kind: str, line: FloatArray, values: dict[str, float], *, closed: bool) -> None:
        """Put particles along a line (n, 2); with at least one of them it is a structure, as wide as they need."""
        number, width = len(self.placement.structures), 0.0
        for k, (x, y), (tx, ty) in self.stations(line, values, closed=closed):
            self.placement.requested += 1
            aside = self.rng.normal(0, values["scatter_nm"])
            if self._lay(k, np.array([x - ty * aside, y + tx * aside]), number, kind):
                width = max(width, 2 * (abs(aside) + self.population.extent_nm(k)))
        if width > 0:
            self.placement.structures.append(Structure(kind, number, line, width, closed))

    def loose(self, count: int) -> None:
        """Put single particles anywhere."""
        self.placement.requested += count
        for k in self.population.draw(count):
            for _ in range(TRIES):
                if self._lay(k, self.ground.anywhere(self.population.extent_nm(k), self.rng), -1, "loose"):
                    break

    def _lay(self, k: int, point: FloatArray, group: int, group_kind: str) -> bool:
        turn = self.rng.uniform(0, 2 * np.pi)
        shape = self.population.footprint(k).turned(turn)
        if self.plane.gap(shape, point) < -OVERLAP * shape.radius:
            return False
        self.plane.add(shape, point)
        self.placement.add(k, [*point, self.population.rest_nm(k)], turn=turn, group=group, group_kind=group_kind)
        return True


def _apart(distance: float, radius: float, other: float) -> bool:
    """Return whether two rings at a distance neither cross nor touch."""
    small, large = sorted((radius, other))
    return distance > APART * (small + large) or APART * (distance + APART * small) < large
