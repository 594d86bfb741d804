"""What all arrangements share: their result, and what lies on the substrate already."""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.plane import Plane, disc, footprint
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Model, Positive
from nanolab.synthesis.mesh import Mesh

__all__ = [
    "TRIES",
    "Counted",
    "Crowd",
    "Ground",
    "Placed",
    "Placement",
    "Spec",
    "Structure",
    "anywhere",
    "margin_nm",
    "whole",
]


# A position is given up after so many draws; the particle is then left out and the record says so.
TRIES = 50


@dataclass(frozen=True)
class Structure:
    """What the particles of a `group` form: a band of `width_nm` along a line (n, 2) in nm, closed for a ring."""

    kind: str
    group: int
    line_nm: FloatArray
    width_nm: float
    closed: bool


@dataclass(frozen=True)
class Placement:
    """Centres (N, 3) in nm as (x, y, z), z above the substrate; `index` (N,) says which of the particles each is.

    `grounded` (N,) is true where the particle stands on the substrate and not on another one; `turns` (N,) are the
    angles in radians, from x towards y, by which each is turned about the beam; `group` (N,) numbers the structure
    that it belongs to, -1 if none, and `group_kind` (N,) names what it is there; `lines` are the axes (n, 3) in nm of
    wires, by their number among the particles. `requested` is how many there should have been.
    """

    requested: int
    centres_nm: FloatArray
    index: npt.NDArray[np.int64]
    grounded: npt.NDArray[np.bool_]
    turns: FloatArray
    group: npt.NDArray[np.int64]
    group_kind: tuple[str, ...]
    structures: tuple[Structure, ...] = ()
    lines: dict[int, FloatArray] = field(default_factory=dict)


class Crowd:
    """A placement that grows particle by particle."""

    def __init__(self) -> None:
        self.centres: list[FloatArray] = []
        self.index: list[int] = []
        self.turns: list[float] = []
        self.grounded: list[bool] = []
        self.group: list[int] = []
        self.group_kind: list[str] = []

    def __len__(self) -> int:
        return len(self.index)

    def add(
        self,
        k: int,
        centre: Any,
        *,
        turn: float = 0.0,
        grounded: bool = True,
        group: int = -1,
        group_kind: str = "",
    ) -> None:
        """Put particle `k` at a centre (x, y, z) in nm."""
        self.index.append(k)
        self.centres.append(np.asarray(centre, dtype=float))
        self.turns.append(turn)
        self.grounded.append(grounded)
        self.group.append(group)
        self.group_kind.append(group_kind)

    def placement(
        self, requested: int, *, structures: tuple[Structure, ...] = (), lines: dict[int, FloatArray] | None = None
    ) -> Placement:
        """Return what was placed of the number of particles that were asked for."""
        return Placement(
            requested,
            np.array(self.centres).reshape(-1, 3),
            np.array(self.index, dtype=np.int64),
            np.array(self.grounded, dtype=bool),
            np.array(self.turns, dtype=float),
            np.array(self.group, dtype=np.int64),
            tuple(self.group_kind),
            structures,
            lines or {},
        )


class Ground:
    """What earlier populations of a scene put on the substrate; others keep clear of it or lie on it."""

    def __init__(self) -> None:
        self.placed: list[Placed] = []

    def plane(self) -> Plane:
        """Return the outlines of all that lies there."""
        plane = Plane()
        for one in self.placed:
            if one.line_nm is None:
                plane.add(footprint(one.mesh.vertices), one.centre_nm)
            else:
                for point in one.beads_nm():
                    plane.add(disc(one.width_nm / 2), point)
        return plane

    def balls(self) -> tuple[FloatArray, FloatArray]:
        """Return centres (n, 3) and radii (n,) of balls in nm in place of all that lies there."""
        centres = [one.centre_nm[None] if one.line_nm is None else one.beads_nm() for one in self.placed]
        radii = [np.full(len(c), one.width_nm / 2) for c, one in zip(centres, self.placed, strict=True)]
        return np.concatenate([np.empty((0, 3)), *centres]), np.concatenate([np.empty(0), *radii])


@dataclass(frozen=True)
class Placed:
    """A body on the substrate: its turned mesh, its centre, and its width, that of the ball of its volume.

    A wire has its axis `line_nm` (n, 3) and its own width instead. `is_ball` if that ball may stand for it.
    """

    mesh: Mesh
    centre_nm: FloatArray
    width_nm: float
    line_nm: FloatArray | None = None
    is_ball: bool = False

    def beads_nm(self) -> FloatArray:
        """Return points (n, 3) half a width apart along a wire."""
        line = cast(FloatArray, self.line_nm)
        along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        stations = np.arange(0, along[-1], self.width_nm / 2)
        return np.stack([np.interp(stations, along, column) for column in line.T], axis=1)


class Spec(Model):
    """Base of all arrangements."""

    def place(
        self, population: Population, field_nm: tuple[float, float], rng: np.random.Generator, ground: Ground
    ) -> Placement:
        """Draw particles from a population and place them in a field of (width, height) nm."""
        raise NotImplementedError


class Counted(Spec):
    """Base of the arrangements that are told how many particles to place."""

    count: Positive

    def draw(self, population: Population, rng: np.random.Generator) -> range:
        """Draw the number of particles, then so many particles."""
        return population.draw(max(0, whole(self.count, rng)))


def whole(distribution: Any, rng: np.random.Generator) -> int:
    """Draw a whole number."""
    return round(float(distribution.draw(rng, 1)[0]))


def anywhere(margin: float, field_nm: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Return a point (x, y) in the field or up to `margin` nm outside it."""
    return rng.uniform((-margin, -margin), np.asarray(field_nm) + margin)


def margin_nm(population: Population, numbers: range, field_nm: tuple[float, float]) -> float:
    """Return how far outside the field a particle may lie and still reach into it; at most the field's own size."""
    return min(max((population.footprint(k).radius for k in numbers), default=0.0), max(field_nm))
