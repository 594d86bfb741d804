"""Closed triangle meshes in nm: volume, surface, scaling, turning, outline."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from nanolab.core.typing import FloatArray

__all__ = ["Mesh"]


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
