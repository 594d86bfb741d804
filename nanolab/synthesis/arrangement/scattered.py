"""Particles on the plane: one by one, apart from one another, or side by side in rows and clusters."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import TRIES, Counted, Ground, Placement, whole
from nanolab.synthesis.arrangement.plane import Footprint
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Fraction, NotNegative, Positive, default

__all__ = ["Scattered", "Touching"]


class Scattered(Counted):
    """Particles at random on the substrate, at least `min_gap_nm` apart (random sequential addition).

    With `middle` their middles lie in that part of the field's width and height about its middle; else anywhere, also
    beyond the border.
    """

    kind: Literal["scattered"] = "scattered"
    min_gap_nm: NotNegative = default(0)
    middle: Annotated[float, Field(gt=0, le=1)] | None = None

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place the large ones first, while there is room."""
        numbers = self.draw(population, rng)
        (gap,) = self.min_gap_nm.draw(rng, 1)
        placement, plane = Placement(len(numbers)), ground.plane()
        margin, field = ground.margin_nm(population, numbers), np.asarray(ground.field_nm)
        for k in sorted(numbers, key=lambda k: -population.footprint(k).radius):
            shape = population.footprint(k)
            for _ in range(TRIES):
                point = ground.anywhere(margin if self.middle is None else (self.middle - 1) / 2 * field, rng)
                turn = 0.0 if shape.is_disc else rng.uniform(0, 2 * np.pi)
                turned = shape.turned(turn)
                if plane.gap(turned, point, gap) >= gap:
                    plane.add(turned, point)
                    placement.add(k, [*point, population.rest_nm(k)], turn=turn)
                    break
        return placement


# Directions from which a particle may come to its neighbour; and by how much a row bends at each particle, in radians.
DIRECTIONS = 12
BEND = 0.25
# How exactly particles that are aligned lie alike, in radians.
ALIGNED = 0.05


class Touching(Counted):
    """Clusters and rows of particles that touch, each standing on the substrate.

    `cluster_size` is the number of particles in one; `row` the chance that a particle continues the line of the last
    two; `compact` the chance that, otherwise, it takes the free place nearest the middle of its cluster, rather than
    any; `align` the chance that it is turned like its neighbour, face to face. Neighbours are `gap_nm` apart, and
    clusters at least that.
    """

    kind: Literal["touching"] = "touching"
    cluster_size: Positive
    row: Fraction = default(0.3)
    compact: Fraction = default(0.5)
    align: Fraction = default(0.8)
    gap_nm: NotNegative = default(0)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place cluster after cluster; a particle that finds no place in its cluster begins the next one."""
        numbers = self.draw(population, rng)
        values = self.drawn(rng, "row", "compact", "align", "gap_nm")
        growth = _Growth(ground, values, ground.margin_nm(population, numbers), rng)
        placement = Placement(len(numbers))
        wanted, cluster = 0, -1
        for k in numbers:
            shape = population.footprint(k)
            found = growth.beside(shape) if 0 < len(growth.members) < wanted else None
            if found is None:
                found = growth.apart(shape)
                wanted, cluster = max(1, whole(self.cluster_size, rng)), cluster + 1
            if found is not None:
                point, turn = found
                growth.add(shape, point, turn)
                placement.add(k, [*point, population.rest_nm(k)], turn=turn, group=cluster, group_kind="cluster")
        return placement


class _Growth:
    """The plane, and on it the cluster that grows: `members` are its outlines' numbers on the plane."""

    def __init__(self, ground: Ground, values: dict[str, float], margin: float, rng: np.random.Generator) -> None:
        self.ground, self.plane, self.values, self.margin, self.rng = ground, ground.plane(), values, margin, rng
        self.members: list[int] = []
        self.turns: dict[int, float] = {}
        self.heading = 0.0

    def add(self, shape: Footprint, point: FloatArray, turn: float) -> None:
        """Make an outline a member of the cluster."""
        self.members.append(len(self.plane))
        self.turns[len(self.plane)] = turn
        self.plane.add(shape.turned(turn), point)

    def apart(self, shape: Footprint) -> tuple[FloatArray, float] | None:
        """Begin another cluster: return a free place and a turn, if one is found."""
        self.members = []
        self.heading = self.rng.uniform(0, 2 * np.pi)
        for _ in range(TRIES):
            point, turn = self.ground.anywhere(self.margin, self.rng), self.rng.uniform(0, 2 * np.pi)
            if self.plane.gap(shape.turned(turn), point, self.values["gap_nm"]) >= self.values["gap_nm"]:
                return point, turn
        return None

    def beside(self, shape: Footprint) -> tuple[FloatArray, float] | None:
        """Return a place next to a member of the cluster, and a turn, if one is found."""
        for _ in range(TRIES // 5):
            in_row = self.rng.random() < self.values["row"]
            neighbour = self.members[-1] if in_row else self.members[self.rng.integers(len(self.members))]
            turn = self.rng.uniform(0, 2 * np.pi)
            if self.rng.random() < self.values["align"]:
                turn = self.turns[neighbour] + self.rng.normal(0, ALIGNED)
            angles = self.rng.uniform(0, 2 * np.pi) + np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
            if in_row:
                self.heading += self.rng.normal(0, BEND)
                angles = np.array([self.heading])
            free = self._free(shape.turned(turn), neighbour, angles)
            if len(free):
                nearest = np.linalg.norm(free - self.plane.centres[self.members].mean(axis=0), axis=1).argmin()
                compact = self.rng.random() < self.values["compact"]
                return free[nearest if compact else self.rng.integers(len(free))], turn
        return None

    def _free(self, shape: Footprint, neighbour: int, angles: FloatArray) -> FloatArray:
        """Return the places (n, 2) next to a neighbour where nobody lies."""
        directions = np.column_stack([np.cos(angles), np.sin(angles)])
        places = self.plane.contact(shape, neighbour, directions, self.values["gap_nm"])
        gaps = self.plane.gaps(shape, places, self.values["gap_nm"])
        return places[gaps >= self.values["gap_nm"] - 1e-6 * shape.radius]
