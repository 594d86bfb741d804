"""Spheres as meshes of nearly equal triangles."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from nanolab.core.typing import FloatArray

__all__ = ["hull_triangles", "icosphere", "split", "subdivisions_for"]

Triangles = npt.NDArray[np.int64]


def subdivisions_for(radius: float, tolerance: float) -> int:
    """Return how often to split an icosahedron so that its flats leave the sphere by `tolerance` at most."""
    # An icosphere of n subdivisions has edges of about 1.1 / 2^n radii; their sagitta is edge^2 / 8 radii.
    return int(np.clip(np.ceil(np.log2(1.1 * np.sqrt(max(radius / tolerance, 1e-9) / 8))), 2, 5))


@lru_cache
def icosphere(subdivisions: int) -> tuple[FloatArray, Triangles]:
    """Return an icosahedron whose triangles were split `subdivisions` times, its vertices on the unit sphere."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, s, t * golden] for s in (-1, 1) for t in (-1, 1)])
    vertices = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    triangles = hull_triangles(vertices)
    for _ in range(subdivisions):
        old = len(vertices)
        vertices, triangles = split(vertices, triangles)
        vertices[old:] /= np.linalg.norm(vertices[old:], axis=1, keepdims=True)
    vertices.flags.writeable = triangles.flags.writeable = False
    return vertices, triangles


def hull_triangles(vertices: FloatArray) -> Triangles:
    """Return the triangles (T, 3) of the convex hull of points around the origin, counted outwards."""
    triangles = ConvexHull(vertices).simplices.astype(np.int64)
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    inward = np.einsum("ij,ij->i", a, np.cross(b, c)) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return triangles


def split(vertices: FloatArray, triangles: Triangles) -> tuple[FloatArray, Triangles]:
    """Split each triangle of a closed mesh into four at the middles of its sides."""
    sides = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    keys, index = np.unique(sides[:, 0] * len(vertices) + sides[:, 1], return_inverse=True)
    edges = np.column_stack(np.divmod(keys, len(vertices)))
    ab, bc, ca = index.reshape(3, -1) + len(vertices)
    a, b, c = triangles.T
    quarters = [np.stack(corners, axis=1) for corners in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    return np.concatenate([vertices, vertices[edges].mean(axis=1)]), np.concatenate(quarters)
