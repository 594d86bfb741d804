"""Spheres and rounded polyhedra: one point along each direction of an icosphere."""

from typing import Annotated, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Positive, between
from nanolab.synthesis.mesh import Mesh, icosphere, subdivisions_for
from nanolab.synthesis.particles.kind import Kind, random_rotation

__all__ = ["Polyhedron", "Sphere"]

Form = Literal["cube", "octahedron", "cuboctahedron", "dodecahedron", "irregular"]


class Sphere(Kind):
    """A sphere of diameter `diameter_nm`."""

    BALL: ClassVar[bool] = True

    template: Literal["sphere"] = "sphere"
    diameter_nm: Positive

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:  # noqa: ARG002
        """Return an icosphere of the sphere's volume."""
        vertices, triangles = icosphere(subdivisions_for(size_nm / 2, tolerance_nm))
        return _sized(vertices, triangles, size_nm)


class Polyhedron(Kind):
    """A rounded convex polyhedron, randomly deformed, with the volume of a sphere of `diameter_nm`.

    `forms` are the templates, one of which is drawn for each particle; `sharpness` rounds its edges (4 is nearly
    a ball, 40 nearly sharp); `deformation` moves its faces by up to that fraction; `aspect_ratio` stretches it
    along a random axis.
    """

    BALL: ClassVar[bool] = True

    template: Literal["polyhedron"] = "polyhedron"
    diameter_nm: Positive
    forms: Annotated[list[Form], Field(min_length=1)] = list(get_args(Form))
    sharpness: Annotated[Distribution, between(2, 100)]
    deformation: Annotated[Distribution, between(0, 0.5)]
    aspect_ratio: Annotated[Distribution, between(1, 5)]

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return points of a convex body with rounded edges, one along each direction.

        A polyhedron is the unit ball of the gauge max_i(u . n_i / d_i) over its faces' normals n_i and distances
        d_i; a p-norm in place of the maximum rounds edges and corners and keeps the body convex.
        """
        directions, triangles = icosphere(subdivisions_for(size_nm / 2, tolerance_nm))
        normals = _face_normals(self.forms[rng.integers(len(self.forms))], rng)
        sharpness, deformation, aspect_ratio = self.drawn(rng, "sharpness", "deformation", "aspect_ratio").values()
        distances = rng.uniform(1 - deformation, 1 + deformation, len(normals))
        gauge = np.maximum(directions @ normals.T, 0) / distances
        vertices = directions / (gauge**sharpness).sum(axis=1, keepdims=True) ** (1 / sharpness)
        axis = random_rotation(rng)[0]
        stretch = np.eye(3) + (aspect_ratio - 1) * np.outer(axis, axis)
        return _sized(vertices @ stretch, triangles, size_nm)


def _sized(vertices: FloatArray, triangles: npt.NDArray[np.int64], diameter_nm: float) -> Mesh:
    mesh = Mesh(vertices, triangles, convex=True)
    return mesh.moved(-mesh.centroid).scaled_to(diameter_nm)


def _face_normals(form: Form, rng: np.random.Generator) -> FloatArray:
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
