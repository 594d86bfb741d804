"""Particle shapes as closed triangle meshes: templates, their deformation, their volume and outline."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.spatial import ConvexHull

from nanolab.synth.draws import Distribution as AnyDistribution
from nanolab.synth.draws import Model, Positive, between

__all__ = ["Mesh", "ParticleKind", "Polyhedron", "Sphere", "icosphere", "make_mesh", "random_rotation"]

Array = npt.NDArray[np.float64]
Form = Literal["cube", "octahedron", "cuboctahedron", "dodecahedron", "irregular"]


@dataclass(frozen=True)
class Mesh:
    """A closed surface: vertices (V, 3) in nm about the centroid, triangles (T, 3) counted outwards."""

    vertices: Array
    triangles: npt.NDArray[np.int64]

    @property
    def volume_nm3(self) -> float:
        """Enclosed volume in nm^3, by the divergence theorem: exact for the mesh."""
        a, b, c = np.moveaxis(self.vertices[self.triangles], 1, 0)
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    def scaled_to(self, diameter_nm: float) -> "Mesh":
        """Return the mesh scaled so that its volume is that of a sphere of `diameter_nm`."""
        factor = diameter_nm * (np.pi / 6 / self.volume_nm3) ** (1 / 3)
        return Mesh(self.vertices * factor, self.triangles)

    def rotated(self, rotation: Array) -> "Mesh":
        """Return the mesh turned by a rotation matrix, shape (3, 3)."""
        return Mesh(self.vertices @ rotation.T, self.triangles)

    def outline(self) -> Array:
        """Corners of the convex outline seen along the beam, shape (n, 2) as (x, y) in nm, in order."""
        flat = self.vertices[:, :2]
        return np.asarray(flat[ConvexHull(flat).vertices])


class _Kind(Model):
    diameter_nm: Positive
    share: Annotated[float, Field(gt=0)] = 1.0


class Sphere(_Kind):
    """A sphere of the given diameter."""

    template: Literal["sphere"] = "sphere"


class Polyhedron(_Kind):
    """A rounded convex polyhedron, randomly deformed, with the volume of a sphere of `diameter_nm`.

    `forms` are the templates, one of which is drawn for each particle; `sharpness` rounds its edges (4 is nearly
    a ball, 40 nearly sharp); `deformation` moves its faces by up to that fraction; `aspect_ratio` stretches it
    along a random axis.
    """

    template: Literal["polyhedron"] = "polyhedron"
    forms: Annotated[list[Form], Field(min_length=1)] = list(get_args(Form))
    sharpness: Annotated[AnyDistribution, between(2, 100)]
    deformation: Annotated[AnyDistribution, between(0, 0.5)]
    aspect_ratio: Annotated[AnyDistribution, between(1, 5)]


ParticleKind = Annotated[Sphere | Polyhedron, Field(discriminator="template")]


def make_mesh(kind: Sphere | Polyhedron, diameter_nm: float, pixel_size_nm: float, rng: np.random.Generator) -> Mesh:
    """Return one particle of a kind, centred at its centroid, not yet turned.

    The mesh is as fine as the pixels need: the flats of its surface leave the true one by less than a tenth of a pixel.
    """
    radius_px = diameter_nm / pixel_size_nm / 2
    # An icosphere of n subdivisions has edges of about 1.1 / 2^n radii; their sagitta is edge^2 / 8 radii.
    subdivisions = int(np.clip(np.ceil(np.log2(1.1 * np.sqrt(max(radius_px, 1e-9) / 8 / 0.1))), 2, 5))
    directions, triangles = icosphere(subdivisions)
    vertices = directions
    if isinstance(kind, Polyhedron):
        vertices = _polyhedron(kind, directions, rng)
    mesh = Mesh(vertices, triangles)
    return Mesh(vertices - _centroid(mesh), triangles).scaled_to(diameter_nm)


def _polyhedron(kind: Polyhedron, directions: Array, rng: np.random.Generator) -> Array:
    """Points of a convex body with rounded edges, one along each direction.

    A polyhedron is the unit ball of the gauge max_i(u . n_i / d_i) over its faces' normals n_i and distances d_i;
    a p-norm in place of the maximum rounds edges and corners and keeps the body convex.
    """
    normals = _face_normals(kind.forms[rng.integers(len(kind.forms))], rng)
    (sharpness,), (deformation,), (aspect_ratio,) = (
        d.draw(rng, 1) for d in (kind.sharpness, kind.deformation, kind.aspect_ratio)
    )
    distances = rng.uniform(1 - deformation, 1 + deformation, len(normals))
    gauge = np.maximum(directions @ normals.T, 0) / distances
    vertices = directions / (gauge**sharpness).sum(axis=1, keepdims=True) ** (1 / sharpness)
    axis = random_rotation(rng)[0]
    stretch = np.eye(3) + (aspect_ratio - 1) * np.outer(axis, axis)
    return np.asarray(vertices @ stretch)


def _face_normals(form: Form, rng: np.random.Generator) -> Array:
    """Outward unit normals of a form's faces, shape (n, 3)."""
    cube = np.concatenate([np.eye(3), -np.eye(3)])
    octahedron = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T / np.sqrt(3)
    if form == "irregular":
        normals = rng.normal(size=(rng.integers(9, 16), 3))
        # A random set could leave a side open; the cube's faces, farther away, always close it.
        return np.concatenate([normals / np.linalg.norm(normals, axis=1, keepdims=True), cube])
    return {
        "cube": cube,
        "octahedron": octahedron,
        "cuboctahedron": np.concatenate([cube, octahedron]),
        "dodecahedron": icosphere(0)[0],
    }[form]


def _centroid(mesh: Mesh) -> Array:
    corners = mesh.vertices[mesh.triangles]
    volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return np.asarray((corners.sum(axis=1) * volumes[:, None]).sum(axis=0) / 4 / volumes.sum())


def random_rotation(rng: np.random.Generator) -> Array:
    """Return a uniformly random rotation matrix, shape (3, 3), from a random unit quaternion."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@lru_cache
def icosphere(subdivisions: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return an icosahedron whose triangles were split `subdivisions` times, its vertices on the unit sphere."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([[0, s, t * golden] for s in (-1, 1) for t in (-1, 1)])
    vertices = np.concatenate([np.roll(corners, k, axis=1) for k in range(3)]) / np.hypot(1, golden)
    triangles = ConvexHull(vertices).simplices.astype(np.int64)
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    inward = np.einsum("ij,ij->i", a, np.cross(b, c)) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    for _ in range(subdivisions):
        vertices, triangles = _split(vertices, triangles)
    vertices.flags.writeable = triangles.flags.writeable = False
    return vertices, triangles


def _split(vertices: Array, triangles: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Split each triangle into four and push the new vertices onto the unit sphere."""
    sides = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    edges, index = np.unique(sides, axis=0, return_inverse=True)
    middles = vertices[edges].mean(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    ab, bc, ca = index.reshape(3, -1) + len(vertices)
    a, b, c = triangles.T
    quarters = [np.stack(corners, axis=1) for corners in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    return np.concatenate([vertices, middles]), np.concatenate(quarters)
