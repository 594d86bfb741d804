"""Shapes: closed, outward, of the volume asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from nanolab.synth.particles import Mesh, Polyhedron, Sphere, icosphere, make_mesh, random_rotation

SPHERE = Sphere(diameter_nm=100)


def polyhedron(**changes: object) -> Polyhedron:
    values = {"diameter_nm": 100, "sharpness": 6, "deformation": 0.2, "aspect_ratio": 1.0, **changes}
    return Polyhedron.model_validate(values)


def is_closed_and_outward(mesh: Mesh) -> bool:
    """Each edge is walked once in each direction, and the volume is positive."""
    sides = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
    there = {tuple(side) for side in sides.tolist()}
    return len(there) == len(sides) and all((b, a) in there for a, b in there) and mesh.volume_nm3 > 0


def test_icosphere_counts_and_radius() -> None:
    vertices, triangles = icosphere(2)
    assert (len(vertices), len(triangles)) == (10 * 4**2 + 2, 20 * 4**2)
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(1)


def test_cube_has_its_volume_and_outline() -> None:
    corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T * 1.0
    hull = ConvexHull(corners)
    triangles = hull.simplices.copy()
    a, b, c = np.moveaxis(corners[triangles], 1, 0)
    inward = np.einsum("ij,ij->i", a, np.cross(b, c)) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    cube = Mesh(corners, triangles.astype(np.int64))
    assert cube.volume_nm3 == pytest.approx(8)
    assert ConvexHull(cube.outline()).volume == pytest.approx(4)  # a hull's volume is its area in 2D


@given(seed=st.integers(0, 2**32 - 1), diameter=st.floats(5, 300), sharpness=st.floats(2, 100))
def test_every_polyhedron_is_closed_centred_and_of_its_volume(seed: int, diameter: float, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    mesh = make_mesh(polyhedron(sharpness=sharpness, aspect_ratio=[1, 2]), diameter, 5.0, rng)
    assert is_closed_and_outward(mesh)
    assert mesh.volume_nm3 == pytest.approx(np.pi / 6 * diameter**3)
    assert ConvexHull(mesh.vertices).volume >= mesh.volume_nm3 * (1 - 1e-9)


def test_no_two_polyhedra_are_alike(rng: np.random.Generator) -> None:
    first, second = (make_mesh(polyhedron(), 100, 5, rng).vertices for _ in range(2))
    assert np.abs(first - second).max() > 1


def test_aspect_ratio_stretches(rng: np.random.Generator) -> None:
    long = make_mesh(polyhedron(forms=["dodecahedron"], deformation=0, sharpness=4, aspect_ratio=2), 100, 5, rng)
    spreads = np.linalg.svd(long.vertices, compute_uv=False)
    # The dodecahedron has three equal second moments, so the stretch shows in full in the longest; its corners are
    # not sampled evenly, which costs some per cent.
    assert spreads[0] / spreads[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("pixel_size", [0.5, 2.0, 7.0, 30.0])
def test_sphere_is_fine_enough_for_its_pixels(pixel_size: float, rng: np.random.Generator) -> None:
    mesh = make_mesh(SPHERE, 100, pixel_size, rng)
    distance = np.linalg.norm(mesh.vertices[mesh.triangles].mean(axis=1), axis=1)
    # Faces of a mesh that has the sphere's volume lie on both sides of the sphere, a tenth of a pixel off or less.
    assert np.abs(distance - 50).max() <= 0.1 * pixel_size


def test_rotations_are_rotations(rng: np.random.Generator) -> None:
    rotation = random_rotation(rng)
    assert rotation @ rotation.T == pytest.approx(np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    turned = make_mesh(polyhedron(), 100, 5, rng).rotated(rotation)
    assert turned.volume_nm3 == pytest.approx(np.pi / 6 * 100**3)
