"""What all arrangements share: their result, and what lies on the substrate already."""

from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import numpy as np
from pydantic import AfterValidator

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.plane import Plane, disc, footprint
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Model, Positive
from nanolab.synthesis.mesh import Mesh

__all__ = ["PARTICLES", "TRIES", "Counted", "Ground", "Placed", "Placement", "Position", "Spec", "Structure", "whole"]


# So many particles take minutes, and more of them longer by the square of their number.
PARTICLES = 20_000
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
class Position:
    """Where particle `index` lies: its centre (x, y, z) in nm, z above the substrate.

    `turn` is the angle in radians, from x towards y, by which it is turned about the beam; `grounded` is true where it
    stands on the substrate and not on another one; `group` numbers the structure that it belongs to, -1 if none, and
    `group_kind` names what it is there; a wire has its axis `line_nm` (n, 3).
    """

    index: int
    centre_nm: FloatArray
    turn: float = 0.0
    grounded: bool = True
    group: int = -1
    group_kind: str = ""
    line_nm: FloatArray | None = None


@dataclass
class Placement:
    """Particles that found a place, of the `requested` number, and the structures that they form."""

    requested: int
    positions: list[Position] = field(default_factory=list)
    structures: list[Structure] = field(default_factory=list)

    def add(self, index: int, centre: Any, **about: Any) -> None:
        """Put a particle at a centre (x, y, z) in nm; see `Position` for what can be said about it."""
        self.positions.append(Position(index, np.asarray(centre, dtype=float), **about))


class Ground:
    """The field of (width, height) nm and what earlier populations put there; others keep clear of it or lie on it."""

    def __init__(self, field_nm: tuple[float, float]) -> None:
        self.field_nm = field_nm
        self.placed: list[Placed] = []

    def anywhere(self, margin: float | FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return a point (x, y) in the field or up to `margin` nm outside it; below 0, at least so far inside."""
        return rng.uniform(np.zeros(2) - margin, np.asarray(self.field_nm) + margin)

    def margin_nm(self, population: Population, numbers: range) -> float:
        """Return how far outside the field a particle may lie and still reach into it; at most the field's own size."""
        return min(max((population.footprint(k).radius for k in numbers), default=0.0), max(self.field_nm))

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

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Draw particles from a population and place them on the ground."""
        raise NotImplementedError


def _countable(count: Any) -> Any:
    most = count.support[1]
    if PARTICLES < most < np.inf:  # where there is no limit, the draw tells
        raise ValueError(f"at most {PARTICLES:,} particles a scene are possible, these go up to {most:,.0f}")
    return count


class Counted(Spec):
    """Base of the arrangements that are told how many particles to place, `count`."""

    count: Annotated[Positive, AfterValidator(_countable)]

    def draw(self, population: Population, rng: np.random.Generator) -> range:
        """Draw the number of particles, then so many particles."""
        count = max(0, whole(self.count, rng))
        if count > PARTICLES:
            raise InputError(
                f"arrangement: at most {PARTICLES:,} particles a scene are possible, got {count:,}; set max"
            )
        return population.draw(count)


def whole(distribution: Any, rng: np.random.Generator) -> int:
    """Draw a whole number."""
    return round(float(distribution.draw(rng, 1)[0]))
