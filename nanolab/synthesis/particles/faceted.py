"""Cubes and octahedra with rounded edges."""

from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Fraction, Positive, between, default
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles.kind import Kind, Orientation
from nanolab.synthesis.particles.loft import arc_steps
from nanolab.synthesis.particles.rounded import rounded_polyhedron

__all__ = ["Cube", "Octahedron"]


# Rounder than this, balls at the corners would meet; the corners' polyhedron needs some size.
FULL = 0.98
# An edge is rounded in so many steps at most: an octahedron then has some 5000 points.
MOST_STEPS = 12


class Cube(Kind):
    """A cube with rounded edges, or a cuboid: `edge_nm` wide and high and `aspect_ratio` times as long.

    `rounding` is the radius of the edges over half the width: 0 is sharp, 1 a ball.
    """

    SIZE: ClassVar[str] = "edge_nm"

    template: Literal["cube"] = "cube"
    edge_nm: Positive
    rounding: Fraction = default([0.1, 0.3])
    aspect_ratio: Annotated[Distribution, between(1, 10)] = default(1)
    orientation: Orientation = "flat"

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the cube, its faces across the axes."""
        rounding, aspect_ratio = self.drawn(rng, "rounding", "aspect_ratio").values()
        half = size_nm / 2 * np.array([aspect_ratio, 1, 1])
        radius = min(rounding, FULL) * size_nm / 2
        return _rounded(CUBE, np.array(CUBE) * (half - radius), radius, tolerance_nm)


class Octahedron(Kind):
    """An octahedron on one of its faces, of edges `edge_nm` long before its corners and edges are worn.

    `rounding` is the radius of the edges over the distance of the faces from the centre; `truncation` cuts the
    corners off at that part of the edges: 0 leaves them, 0.5 makes a cuboctahedron; `aspect_ratio` stretches it
    along a line through two corners.
    """

    SIZE: ClassVar[str] = "edge_nm"

    template: Literal["octahedron"] = "octahedron"
    edge_nm: Positive
    rounding: Fraction = default([0.02, 0.1])
    truncation: Annotated[Distribution, between(0, 0.5)] = default([0.0, 0.1])
    aspect_ratio: Annotated[Distribution, between(1, 5)] = default(1)
    orientation: Orientation = "flat"

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the octahedron, a face up and a face down."""
        rounding, truncation, aspect_ratio = self.drawn(rng, "rounding", "truncation", "aspect_ratio").values()
        face = size_nm / np.sqrt(6)  # distance of the faces from the centre
        radius = min(rounding, FULL) * face
        corners = _truncated(float(np.clip(truncation, 0.01, 0.49))) * size_nm / np.sqrt(2) * (1 - radius / face)
        mesh = _rounded(TRUNCATED, corners, radius, tolerance_nm)
        stretched = Mesh(mesh.vertices * np.array([aspect_ratio, 1, 1]), mesh.triangles, convex=True)
        return stretched.rotated(_to_z(np.array([1 / aspect_ratio, 1, 1])))


def _truncated(part: float) -> FloatArray:
    """Corners (24, 3) of the octahedron of corners at distance 1, cut off at that part of its edges."""
    tips = np.concatenate([np.eye(3), -np.eye(3)])
    return np.array([a + part * (b - a) for a in tips for b in tips if abs(a @ b) < 0.5])


def _rounded(template: tuple[tuple[float, ...], ...], corners: FloatArray, radius: float, tolerance_nm: float) -> Mesh:
    steps = min(arc_steps(radius, np.pi / 2, tolerance_nm), MOST_STEPS) - 1
    shape = rounded_polyhedron(template, steps)
    mesh = Mesh(shape.vertices(corners, radius), shape.triangles, convex=True)
    return mesh.moved(-mesh.centroid)  # the points of a rounding are not quite symmetrical


def _to_z(direction: FloatArray) -> FloatArray:
    """Return a rotation, shape (3, 3), that turns a direction upright."""
    z = direction / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


CUBE = tuple(product((-1.0, 1.0), repeat=3))
TRUNCATED = tuple(map(tuple, _truncated(0.25).tolist()))
