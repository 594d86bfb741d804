"""Cubes and octahedra with rounded edges: balls at the corners of a smaller polyhedron, and their convex hull."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Fraction, Positive, between, default
from nanolab.synthesis.mesh import Mesh, hull_triangles
from nanolab.synthesis.particles.kind import Kind, Orientation
from nanolab.synthesis.particles.lofted import arc_steps

__all__ = [
    "Cube",
    "Octahedron",
]


# Flat faces have a second ring of points so far inside their rim: their shading then ends where the rounding begins.
RIM = 0.03


@dataclass(frozen=True)
class RoundedPolyhedron:
    """How the points of a mesh follow from corners (C, 3) and a radius: `weights` @ corners + radius * `directions`.

    The faces must keep their directions; then the triangles stay the same whatever the corners and the radius are.
    """

    weights: FloatArray
    directions: FloatArray
    triangles: npt.NDArray[np.int64]

    def vertices(self, corners: FloatArray, radius: float) -> FloatArray:
        """Return the mesh's vertices (V, 3) for the corners that the balls are centred at."""
        return np.asarray(self.weights @ corners + radius * self.directions)


@lru_cache
def rounded_polyhedron(corners: tuple[tuple[float, ...], ...], steps: int) -> RoundedPolyhedron:
    """Return the template of a convex polyhedron around the origin, its edges rounded in `steps` + 1 steps."""
    points = np.array(corners)
    faces = _faces(points)
    weights, directions, lift = [], [], []
    for corner in range(len(points)):
        own = np.eye(len(points))[corner]
        around = _around(points[corner], [normal for normal, members in faces if corner in members])
        for direction in _patch(around, steps):
            weights.append(own)
            directions.append(direction)
            lift.append(0.0)
        for normal, members in faces:
            if corner in members:
                middle = np.isin(np.arange(len(points)), members) / len(members)
                weights.append((1 - RIM) * own + RIM * middle)
                directions.append(normal)
                lift.append(1e-3)  # a hull only has points that stand out; flat faces need theirs inside the rim
    w, d = np.array(weights), np.array(directions)
    size = np.linalg.norm(points, axis=1).min()
    hull = hull_triangles(w @ points + 0.3 * size * (1 + np.array(lift))[:, None] * d)
    return RoundedPolyhedron(w, d, hull)


def _faces(points: FloatArray) -> list[tuple[FloatArray, list[int]]]:
    """Return the outward normal and the corners of each face of a convex hull."""
    planes = np.unique(np.round(ConvexHull(points).equations, 9), axis=0)
    size = np.abs(points).max()
    return [
        (plane[:3], np.flatnonzero(np.abs(points @ plane[:3] + plane[3]) < 1e-6 * size).tolist()) for plane in planes
    ]


def _around(corner: FloatArray, normals: list[FloatArray]) -> FloatArray:
    """Return the normals of the faces at a corner in their order around it."""
    axis = corner / np.linalg.norm(corner)
    first = normals[0] - axis * (normals[0] @ axis)
    second = np.cross(axis, first)
    return np.array(sorted(normals, key=lambda n: float(np.arctan2(n @ second, n @ first))))


def _patch(normals: FloatArray, steps: int) -> FloatArray:
    """Return directions that fill the cone of a corner: along its rim, then ring by ring to the middle."""
    after = np.roll(normals, -1, axis=0)
    part = np.arange(steps + 1)[:, None, None] / (steps + 1)
    rim = np.swapaxes(_slerp(normals, after, part), 0, 1).reshape(-1, 3)
    middle = rim.mean(axis=0) / np.linalg.norm(rim.mean(axis=0))
    rings = []
    for t in np.arange(steps + 1) / (steps + 1):
        spread = np.linspace(0, len(rim), max(round(len(rim) * (1 - t)), 3), endpoint=False)
        kept = rim[np.round(spread).astype(int)]  # fewer towards the middle, as far apart as on the rim
        rings.append(_slerp(kept, np.broadcast_to(middle, kept.shape), t))
    return np.concatenate([*rings, middle[None]])


def _slerp(start: FloatArray, end: FloatArray, part: FloatArray | float) -> FloatArray:
    """Interpolate between unit vectors along great circles."""
    angle = np.arccos(np.clip((start * end).sum(axis=-1, keepdims=True), -1, 1))
    angle = np.maximum(angle, 1e-9)
    return np.asarray((np.sin((1 - part) * angle) * start + np.sin(part * angle) * end) / np.sin(angle))


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
