"""Particles on the surface of what lies there already: on a support, on carriers, on larger particles."""

from typing import Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import TRIES, Counted, Ground, Placement
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Fraction, NotNegative, default

__all__ = ["Attached"]


class Attached(Counted):
    """Particles at random on the surfaces of all that was placed before; none where there is nothing.

    `sunk` is the part of its radius by which one sinks into what bears it; `overlap` that of the smaller radius by
    which two may intersect; `uneven` how differently the bodies are covered (SD of the logarithm).
    """

    kind: Literal["attached"] = "attached"
    sunk: Fraction = default([0.0, 0.5])
    overlap: Fraction = default(0.1)
    uneven: NotNegative = default(0.5)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place particle by particle at points of the surface, wherever it looks."""
        numbers = self.draw(population, rng)
        sunk, overlap, uneven = self.drawn(rng, "sunk", "overlap", "uneven").values()
        placement = Placement(len(numbers))
        if not ground.placed or not len(numbers):
            return placement
        corners, chances = _surface(ground, uneven, rng)
        centres, radii = np.empty((len(numbers), 3)), np.empty(len(numbers))
        for k in numbers:
            radius, placed = population.body(k).diameter_nm / 2, len(placement.positions)
            for _ in range(TRIES):
                point, normal = _point(corners[np.searchsorted(chances, rng.random())], rng)
                centre = point + normal * radius * (1 - sunk)
                apart = np.linalg.norm(centres[:placed] - centre, axis=1) - radii[:placed] - radius
                if (apart >= -overlap * np.minimum(radii[:placed], radius)).all():
                    centres[placed], radii[placed] = centre, radius
                    placement.add(k, centre, turn=rng.uniform(0, 2 * np.pi), grounded=False)
                    break
        return placement


def _surface(ground: Ground, uneven: float, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return the triangles (T, 3, 3) in and near the field, and the sums (T,) of the chances to lie on each."""
    triangles = [one.mesh.vertices[one.mesh.triangles] + one.centre_nm for one in ground.placed]
    favour = np.exp(uneven * rng.standard_normal(len(triangles)))
    weights = np.repeat(favour, [len(one) for one in triangles])
    corners = np.concatenate(triangles)
    middle = corners.mean(axis=1)[:, :2]
    inside = ((middle > 0) & (middle < ground.field_nm)).all(axis=1)
    corners, weights = (corners[inside], weights[inside]) if inside.any() else (corners, weights)
    edges = corners[:, 1:] - corners[:, :1]
    chances = np.cumsum(weights * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1))
    return corners, np.asarray(chances / chances[-1])


def _point(triangle: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return a random point of a triangle (3, 3), and its unit normal."""
    u, v = rng.random(2)
    u, v = (1 - u, 1 - v) if u + v > 1 else (u, v)
    a, b, c = triangle
    normal = np.cross(b - a, c - a)
    return a + u * (b - a) + v * (c - a), normal / max(np.linalg.norm(normal), 1e-12)
