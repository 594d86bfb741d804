"""All templates of particles, and one particle of any of them, smooth or with a rough and porous surface."""

from dataclasses import replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nanolab.core.typing import FloatArray
from nanolab.synthesis.mesh import Mesh, split
from nanolab.synthesis.particles.faceted import Cube, Octahedron
from nanolab.synthesis.particles.files import MeshFile
from nanolab.synthesis.particles.kind import Kind, SurfaceTexture
from nanolab.synthesis.particles.lofted import Platelet, Rod, Spindle
from nanolab.synthesis.particles.odd import Star, Turned
from nanolab.synthesis.particles.polyhedra import Polyhedron, Sphere
from nanolab.synthesis.particles.wires import Wire

__all__ = [
    "ParticleKind",
    "make_mesh",
]


# Plane waves in a noise field, and vertices of a mesh at most.
WAVES = 48
VERTICES = 12_000
# The surface is moved by this part of the mean half-thickness at most, so that it does not pass through itself.
DEEPEST = 0.6


def roughened(mesh: Mesh, surface: SurfaceTexture, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
    """Return the mesh with a rough surface, of the same volume; features below the tolerance are left out."""
    roughness, scale, pores, depth = surface.drawn(rng, "roughness_nm", "scale_nm", "pores", "pore_depth_nm").values()
    scale = max(scale, 4 * tolerance_nm)
    vertices, triangles = _fine_enough(mesh, scale / 3)
    fine = Mesh(vertices, triangles)
    moves = roughness * _noise(vertices, scale, rng)
    if pores > 0:
        moves -= depth * _pits(_noise(vertices, scale, rng), pores)
    limit = DEEPEST * 1.5 * mesh.volume_nm3 / mesh.surface_nm2
    moved = Mesh(vertices + np.clip(moves, -limit, limit)[:, None] * _normals(fine), triangles)
    return moved.moved(-moved.centroid).scaled((mesh.volume_nm3 / moved.volume_nm3) ** (1 / 3))


def _fine_enough(mesh: Mesh, edge_nm: float) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Split all triangles until their mean edge is short enough or there are too many."""
    vertices, triangles = mesh.vertices, mesh.triangles
    while 4 * len(vertices) <= VERTICES:
        corners = vertices[triangles]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        if longest.mean() <= edge_nm:
            break
        vertices, triangles = split(vertices, triangles)
    return vertices, triangles


def _noise(points: FloatArray, scale: float, rng: np.random.Generator) -> FloatArray:
    """Return smooth noise of mean 0 and SD 1 at points (N, 3): plane waves of wavelengths around 2 `scale`."""
    directions = rng.normal(size=(WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    waves = directions * (np.pi / scale * rng.uniform(0.6, 1.4, (WAVES, 1)))
    phases = rng.uniform(0, 2 * np.pi, WAVES)
    return np.asarray(np.cos(points @ waves.T + phases).sum(axis=1) * np.sqrt(2 / WAVES))


def _pits(noise: FloatArray, share: float) -> FloatArray:
    """Return pits of depth 0 to 1 that cover the given share of the surface."""
    level = np.quantile(noise, 1 - share)
    return np.asarray(np.clip((noise - level) / (0.5 * noise.std()), 0, 1))


def _normals(mesh: Mesh) -> FloatArray:
    """Unit normals at the vertices, (V, 3): means of the triangles' around, weighted by area."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    faces = np.cross(b - a, c - a)
    normals = np.stack(
        [np.bincount(mesh.triangles.ravel(), np.repeat(faces[:, k], 3), len(mesh.vertices)) for k in range(3)], axis=1
    )
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


ParticleKind = Annotated[
    Sphere | Polyhedron | Cube | Octahedron | Rod | Spindle | Platelet | Star | Turned | Wire | MeshFile,
    Field(discriminator="template"),
]


def make_mesh(kind: Kind, size_nm: float, pixel_size_nm: float, rng: np.random.Generator) -> Mesh:
    """Return one particle of a kind, centred at its centroid, lying flat, not yet turned.

    The mesh is as fine as the pixels need: the flats of its surface leave the true one by about a tenth of a pixel.

    Parameters
    ----------
    size_nm
        The length that scales the kind: its diameter, edge or width (`Kind.SIZE`).
    """
    tolerance_nm = 0.1 * pixel_size_nm
    mesh = kind.shape(size_nm, tolerance_nm, rng)
    if kind.surface is not None:
        mesh = roughened(mesh, kind.surface, tolerance_nm, rng)
    if kind.core is not None:
        mesh = replace(mesh, core=kind.core.within(mesh, rng))
    return mesh
