"""Closed triangle meshes in nm: volume, surface, scaling, turning, outline; and spheres of nearly equal triangles."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from nanolab.core.typing import FloatArray

__all__ = ["Mesh", "hull_triangles", "icosphere", "split", "subdivisions_for"]


@dataclass(frozen=True)
class Mesh:
    """A closed surface: vertices (V, 3) in nm about the centroid, triangles (T, 3) counted outwards.

    It may have several parts. `core` is another material within, or a hollow: a mesh in the same frame that this one
    encloses. `convex` is true only where the whole mesh is known to be so.
    """

    vertices: FloatArray
    triangles: npt.NDArray[np.int64]
    convex: bool = False
    core: "Mesh | None" = None

    @property
    def volume_nm3(self) -> float:
        """Enclosed volume in nm^3, by the divergence theorem: exact for the mesh."""
        a, b, c = np.moveaxis(self.vertices[self.triangles], 1, 0)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @property
    def surface_nm2(self) -> float:
        """Area of the surface in nm^2, that of hollows included."""
        a, b, c = np.moveaxis(self.vertices[self.triangles], 1, 0)
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @property
    def centroid(self) -> FloatArray:
        """Centre of the enclosed volume, (x, y, z) in nm."""
        corners = self.vertices[self.triangles]
        volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
        return np.asarray((corners.sum(axis=1) * volumes[:, None]).sum(axis=0) / 4 / volumes.sum())

    def moved(self, shift_nm: FloatArray) -> "Mesh":
        """Return the mesh moved by (x, y, z) nm."""
        return replace(self, vertices=self.vertices + shift_nm, core=self.core and self.core.moved(shift_nm))

    def scaled(self, factor: float) -> "Mesh":
        """Return the mesh scaled about its origin."""
        return replace(self, vertices=self.vertices * factor, core=self.core and self.core.scaled(factor))

    def scaled_to(self, diameter_nm: float) -> "Mesh":
        """Return the mesh scaled so that its volume is that of a sphere of `diameter_nm`."""
        return self.scaled(diameter_nm * (np.pi / 6 / self.volume_nm3) ** (1 / 3))

    def rotated(self, rotation: FloatArray) -> "Mesh":
        """Return the mesh turned by a rotation matrix, shape (3, 3)."""
        return replace(self, vertices=self.vertices @ rotation.T, core=self.core and self.core.rotated(rotation))

    def outline(self) -> FloatArray:
        """Corners of the convex outline seen along the beam, shape (n, 2) as (x, y) in nm, in order."""
        flat = self.vertices[:, :2]
        return np.asarray(flat[ConvexHull(flat).vertices])


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
