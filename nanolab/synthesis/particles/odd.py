"""Shapes that are neither convex nor swept: stars, flowers, urchins; dumbbells, cups, dimpled discs."""

from typing import Annotated, ClassVar, Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Fraction, Positive, between, default
from nanolab.synthesis.mesh import Mesh, icosphere, subdivisions_for
from nanolab.synthesis.particles.kind import Kind, Orientation
from nanolab.synthesis.particles.lofted import circle, sweep

__all__ = ["Star", "Turned"]


class Star(Kind):
    """A ball with arms: a star, a flower, an urchin, a raspberry; of the volume of a ball of `diameter_nm`.

    There are about `arms`, `length` times the ball's radius long and `width_deg` wide at their half height, unlike one
    another by `spread` (SD of the logarithm). `flatness` goes from arms all around (0) to a disc with arms at its rim
    (1).
    """

    template: Literal["star"] = "star"
    diameter_nm: Positive
    arms: Annotated[Distribution, between(2, 400)]
    length: Annotated[Distribution, between(0.02, 5)]
    width_deg: Annotated[Distribution, between(3, 60)]
    spread: Annotated[Distribution, between(0, 1)] = default(0.2)
    flatness: Fraction = default(0)

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return a ball whose radius rises towards each arm's direction."""
        arms, length, width, spread, flat = self.drawn(
            rng, "arms", "length", "width_deg", "spread", "flatness"
        ).values()
        fine = max(subdivisions_for(size_nm / 2, tolerance_nm), 4 if width < 25 else 3)
        directions, triangles = icosphere(min(fine + 1, 5))
        towards = _apart(max(round(arms), 2), rng) * np.array([1, 1, 1 - flat])
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        lengths = length * np.exp(spread * rng.standard_normal(len(towards)))
        cosines = np.clip(directions @ towards.T, -1, 1)
        sharpness = np.log(2) / (1 - np.cos(np.deg2rad(width / 2)))
        radius = 1 + (lengths * np.exp(sharpness * (cosines - 1))).max(axis=1)
        vertices = directions * radius[:, None] * np.array([1, 1, 1 - 0.8 * flat])
        mesh = Mesh(vertices, triangles)
        return mesh.moved(-mesh.centroid).scaled_to(size_nm)


class Turned(Kind):
    """A body of revolution of a `profile`, of the volume of a ball of `diameter_nm`.

    "dumbbell" is two balls whose neck `depth` thins from a rod (0) to a thread (1), "cup" a bowl that opens a little
    (0) or wide (1), "disc" has a dimple on either side, as red blood cells have, none (0) or a deep one (1).
    """

    template: Literal["turned"] = "turned"
    diameter_nm: Positive
    profile: Literal["dumbbell", "cup", "disc"]
    depth: Fraction = default(0.5)
    orientation: Orientation = "random"

    _STEPS: ClassVar[int] = 48

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the body, its axis upright; a dumbbell lies along x."""
        (depth,) = self.depth.draw(rng, 1)
        along, radii = _PROFILES[self.profile](float(depth), self._STEPS, rng)
        centres = np.column_stack([along, np.zeros((len(along), 2))])
        outline = circle(size_nm / 2, tolerance_nm)
        tangents = np.tile([1.0, 0, 0], (len(along) - 2, 1))
        mesh = sweep(centres[1:-1], tangents, radii[1:-1], outline, ends=(centres[0], centres[-1]))
        if self.profile != "dumbbell":
            mesh = mesh.rotated(np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]))
        return mesh.moved(-mesh.centroid).scaled_to(size_nm)


def _apart(count: int, rng: np.random.Generator) -> FloatArray:
    """Return unit vectors (count, 3), each the one of some random ones that is farthest from those before."""
    chosen = np.empty((0, 3))
    for _ in range(count):
        tries = rng.normal(size=(12, 3))
        tries /= np.linalg.norm(tries, axis=1, keepdims=True)
        nearest = (tries @ chosen.T).max(axis=1, initial=-1)
        chosen = np.vstack([chosen, tries[np.argmin(nearest)]])
    return chosen


def _dumbbell(depth: float, steps: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Two balls a little unlike, and what is left of a rod between them."""
    second, apart = rng.uniform(0.8, 1), rng.uniform(1.2, 2.4)
    along = -np.cos(np.linspace(0, np.pi, 2 * steps)) * (apart + 1 + second) / 2 + (apart - 1 + second) / 2
    balls = [np.sqrt(np.clip(r**2 - (along - x) ** 2, 0, None)) for r, x in ((1, 0), (second, apart))]
    neck = (1 - 0.9 * depth) * second * ((along > 0) & (along < apart))
    return along, sum(one**6 for one in (*balls, neck)) ** (1 / 6)


def _cup(depth: float, steps: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """A bowl from its outer bottom over the rim to its inner bottom, the axis along x."""
    opening, wall = np.deg2rad(25 + 65 * depth), rng.uniform(0.12, 0.4)
    outer = np.linspace(np.pi, opening, steps)
    around = np.linspace(0, np.pi, steps // 4)[1:-1]
    rim = 1 - wall / 2 + wall / 2 * np.cos(around)  # the wall is rounded at its edge
    turned = opening - wall / 2 * np.sin(around)
    angle, radius = (
        np.concatenate([outer, turned, outer[::-1]]),
        np.concatenate([np.ones(steps), rim, np.full(steps, 1 - wall)]),
    )
    return radius * np.cos(angle), radius * np.sin(angle)


def _disc(depth: float, steps: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """The section of a red blood cell (Evans & Fung, Microvasc. Res. 1972, 10.1016/0026-2862(72)90069-6)."""
    r = np.sin(np.linspace(0, np.pi / 2, steps))
    height = np.sqrt(1 - r**2) * (0.9 - 0.7 * depth + 2.0 * depth * r**2 - 1.1 * depth * r**4) * rng.uniform(0.3, 0.5)
    return np.concatenate([-height, height[-2::-1]]), np.concatenate([r, r[-2::-1]])


_PROFILES = {"dumbbell": _dumbbell, "cup": _cup, "disc": _disc}
