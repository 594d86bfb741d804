"""Silhouettes, areas and thicknesses of bodies whose projection is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from nanolab.synthesis.mesh import Mesh, icosphere
from nanolab.synthesis.particles import random_rotation
from nanolab.synthesis.projection import layers, projected_area, silhouette

BALL = Mesh(icosphere(4)[0] * 50, icosphere(4)[1], convex=True)
# How far the flats of the mesh lie below the sphere: 0.05 nm.
SAG_NM = 50 - np.linalg.norm(BALL.vertices[BALL.triangles].mean(axis=1), axis=1).min()


def cube(half: float = 10.0) -> Mesh:
    corners = half * np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    triangles = ConvexHull(corners).simplices.astype(np.int64)
    a, b, c = np.moveaxis(corners[triangles], 1, 0)
    inward = np.einsum("ij,ij->i", a, np.cross(b, c)) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    return Mesh(corners, triangles, convex=True)


def joined(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(triangles))


def inverted(mesh: Mesh) -> Mesh:
    return Mesh(mesh.vertices, mesh.triangles[:, ::-1])


def distances(row: int, column: int, values: np.ndarray, centre: np.ndarray, pixel: float) -> np.ndarray:
    """Distance in nm of each pixel's centre from a centre."""
    y, x = np.mgrid[row : row + values.shape[0], column : column + values.shape[1]]
    return np.hypot((x + 0.5) * pixel - centre[0], (y + 0.5) * pixel - centre[1])


def thickness(mesh: Mesh, centre: np.ndarray, shape: tuple[int, int], pixel: float) -> np.ndarray:
    """Thickness in nm of one mesh as an image."""
    met = layers([mesh], [centre], shape, pixel)
    assert not met.mesh.any()
    assert met.thickness_nm.dtype == np.float32
    return np.bincount(met.pixel, met.thickness_nm, minlength=shape[0] * shape[1]).reshape(shape)


@given(x=st.floats(-40, 300), y=st.floats(-40, 200), pixel=st.floats(0.8, 12))
def test_ball_covers_the_pixels_whose_centre_lies_in_the_disc(x: float, y: float, pixel: float) -> None:
    centre, shape = np.array([x, y, 50.0]), (90, 120)
    row, column, mask = silhouette(BALL, centre, shape, pixel)
    away = distances(0, 0, np.zeros(shape), centre, pixel)
    whole = np.zeros(shape, dtype=bool)
    whole[row : row + mask.shape[0], column : column + mask.shape[1]] = mask
    assert whole[away < 50 - 2 * SAG_NM].all()
    assert not whole[away > 50].any()


def test_window_is_tight_and_empty_outside() -> None:
    window = silhouette(BALL, np.array([100.0, 80.0, 0.0]), (200, 300), 2.0)
    assert (window.row, window.column, window.values.shape) == (15, 25, (50, 50))
    assert window.values.any(axis=0).all()
    assert window.values.any(axis=1).all()
    for centre in ([-200.0, 80.0], [100.0, -200.0], [900.0, 80.0], [100.0, 900.0]):
        assert silhouette(BALL, np.array(centre), (200, 300), 2.0).values.size == 0
        assert not thickness(BALL, np.array(centre), (200, 300), 2.0).any()


def test_thickness_of_a_ball() -> None:
    centre = np.array([120.3, 95.9, 50.0])
    values = thickness(BALL, centre, (120, 150), 2.0)
    away = distances(0, 0, values, centre, 2.0)
    inner = away < 45
    expected = 2 * np.sqrt(50**2 - away[inner] ** 2)
    # Each of two surfaces lies at most the sagitta inside, seen at a slope of up to 1 / cos(asin(0.9)) = 2.3.
    assert (expected - values[inner]).max() <= 2 * 2.3 * SAG_NM
    assert (expected - values[inner]).min() >= -1e-4  # float32


def test_thickness_of_a_shell_has_its_hollow() -> None:
    shell = joined(BALL, inverted(Mesh(BALL.vertices * 0.8, BALL.triangles)))
    assert shell.volume_nm3 == pytest.approx(4 / 3 * np.pi * (50**3 - 40**3), rel=0.005)  # two polyhedra for balls
    centre = np.array([100.0, 100.0, 50.0])
    values = thickness(shell, centre, (100, 100), 2.0)
    away = distances(0, 0, values, centre, 2.0)
    inner = away < 36
    expected = 2 * (np.sqrt(50**2 - away[inner] ** 2) - np.sqrt(40**2 - away[inner] ** 2))
    assert values[inner] == pytest.approx(expected, abs=2 * 2.3 * SAG_NM)


def test_thickness_of_a_cube_face_on_and_standing_on_an_edge() -> None:
    flat = thickness(cube(), np.array([32.0, 32.0, 0.0]), (64, 64), 1.0)
    assert flat == pytest.approx(np.pad(np.full((20, 20), 20.0), 22))
    half = np.sqrt(0.5)
    turned = cube().rotated(np.array([[1, 0, 0], [0, half, -half], [0, half, half]]))
    edge = thickness(turned, np.array([32.0, 32.0, 0.0]), (64, 64), 1.0)
    rows = np.arange(-14, 14) + 0.5
    assert edge[18:46, 22:42] == pytest.approx(np.repeat(2 * (200**0.5 - np.abs(rows))[:, None], 20, axis=1), abs=1e-4)


@given(seed=st.integers(0, 2**32 - 1))
def test_thickness_adds_up_to_the_volume(seed: int) -> None:
    rng = np.random.default_rng(seed)
    body = joined(cube(14).rotated(random_rotation(rng)), cube(6).moved(np.array([30.0, 5, 0])))
    image = thickness(body, np.array([40.0, 40.0]), (160, 180), 0.5)
    assert image.min() >= 0
    # The midpoint rule over some thousand pixels on a piecewise linear function.
    assert image.sum() * 0.25 == pytest.approx(body.volume_nm3, rel=0.01)


def test_meshes_that_overlap_keep_apart() -> None:
    centres = [np.array([100.0, 100.0]), np.array([130.0, 100.0])]
    met = layers([BALL, BALL], centres, (100, 100), 2.0)
    for number, centre in enumerate(centres):
        own = np.zeros(100 * 100)
        own[met.pixel[met.mesh == number]] = met.thickness_nm[met.mesh == number]
        assert own.reshape(100, 100) == pytest.approx(thickness(BALL, centre, (100, 100), 2.0))
    assert len(layers([], [], (3, 4), 1.0).pixel) == 0


@given(seed=st.integers(0, 2**32 - 1))
def test_area_of_a_convex_body_is_that_of_its_outline(seed: int) -> None:
    body = cube(25).rotated(random_rotation(np.random.default_rng(seed)))
    # Lines across a convex polygon: the error is that of the trapezium rule at its corners.
    assert projected_area(body) == pytest.approx(ConvexHull(body.outline()).volume, rel=1e-3)


def test_area_counts_what_lies_over_another_once_and_leaves_holes_out() -> None:
    over = joined(cube(10), cube(10).moved(np.array([5.0, 0, 30])), cube(10).moved(np.array([100.0, 3, 0])))
    assert projected_area(over) == pytest.approx(20 * 25 + 20 * 20, rel=0.002)  # lines end at the level sides
    frame = _frame(30, 20, 5)
    assert projected_area(frame) == pytest.approx(60 * 60 - 40 * 40, rel=0.005)
    _, _, mask = silhouette(frame, np.array([40.0, 40.0]), (80, 80), 1.0)
    assert mask.sum() == 60 * 60 - 40 * 40


def _frame(outer: float, inner: float, height: float) -> Mesh:
    """A square ring: four rings of corners, joined all round."""
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    rings = [(outer, -height), (outer, height), (inner, height), (inner, -height)]
    vertices = np.concatenate([np.column_stack([square * size, np.full(4, z)]) for size, z in rings])
    quads = [
        [4 * ring + k, 4 * ring + (k + 1) % 4, 4 * (ring + 1) % 16 + (k + 1) % 4, 4 * (ring + 1) % 16 + k]
        for ring in range(4)
        for k in range(4)
    ]
    triangles = np.array([half for a, b, c, d in quads for half in ((a, b, c), (a, c, d))])
    mesh = Mesh(vertices, triangles)
    assert mesh.volume_nm3 == pytest.approx(((2 * outer) ** 2 - (2 * inner) ** 2) * 2 * height)
    return mesh
