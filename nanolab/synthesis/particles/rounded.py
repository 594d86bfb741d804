"""Convex polyhedra with rounded edges: balls at the corners of a smaller polyhedron, and their convex hull."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from nanolab.core.typing import FloatArray
from nanolab.synthesis.particles.icosphere import hull_triangles

__all__ = ["RoundedPolyhedron", "rounded_polyhedron"]


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
