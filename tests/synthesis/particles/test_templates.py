"""Shapes: closed, outward, of the volume asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.particle_kinds import (
    CONVEX,
    CUBE,
    KIND,
    KINDS,
    OCTAHEDRON,
    PIXEL,
    PLATELET,
    ROD,
    SIZE,
    SPHERE,
    SPINDLE,
    WIRE,
    is_closed_and_outward,
    made,
    polyhedron,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial import ConvexHull

from nanolab.core.typing import FloatArray
from nanolab.synthesis.mesh import Mesh, icosphere
from nanolab.synthesis.particles import Wire, make_mesh, random_rotation


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


@pytest.mark.parametrize("name", KINDS)
def test_every_template_is_closed_outward_and_about_its_centroid(name: str) -> None:
    mesh = made(KINDS[name])
    assert is_closed_and_outward(mesh)
    assert np.abs(mesh.centroid).max() < 1e-6 * SIZE  # rounding of sums over some thousand corners
    if name in CONVEX:
        # Flats of a rounded body lie within its hull by the tenth of a pixel that they leave the true surface.
        assert mesh.volume_nm3 >= ConvexHull(mesh.vertices).volume - 0.1 * PIXEL * mesh.surface_nm2
        assert mesh.convex


@pytest.mark.parametrize("name", KINDS)
def test_same_seed_same_particle(name: str) -> None:
    first, again = made(KINDS[name], seed=7), made(KINDS[name], seed=7)
    assert np.array_equal(first.vertices, again.vertices)
    assert np.array_equal(first.triangles, again.triangles)


@pytest.mark.parametrize("name", [name for name in KINDS if not name.startswith("wire")])  # their length is in nm
def test_twice_the_size_is_twice_as_big_at_pixels_twice_as_large(name: str) -> None:
    kind = KIND.validate_python(KINDS[name])
    assert kind.size.support == (SIZE, SIZE)  # each has its size under the key of its own
    small = make_mesh(kind, SIZE, PIXEL, np.random.default_rng(1))
    large = make_mesh(kind, 2 * SIZE, 2 * PIXEL, np.random.default_rng(1))
    assert large.vertices == pytest.approx(2 * small.vertices, abs=1e-6)


def prism(sides: int) -> float:
    """Area of a regular polygon about the unit circle whose corners have the radius 0.2 (Steiner's formula)."""
    inner = 0.8 * np.tan(np.pi / sides)  # half a side
    return float(sides * 0.8 * inner + 2 * sides * inner * 0.2 + np.pi * 0.2**2)


def rounded_cube(radius: float, length: float = SIZE) -> float:
    """Volume of a cuboid with rounded edges: Steiner's formula for the inner cuboid."""
    a, b = SIZE - 2 * radius, length - 2 * radius
    return float(a * a * b + (2 * a * a + 4 * a * b) * radius + np.pi * (2 * a + b) * radius**2 + BALL * radius**3)


BALL = 4 / 3 * np.pi
VOLUMES: list[tuple[str, dict[str, Any], float]] = [
    ("sphere", {}, BALL * 50**3),
    ("cube", {"rounding": 0}, 100**3),
    ("cube", {"rounding": 0.2}, rounded_cube(10)),
    ("cube", {"rounding": 0.8}, rounded_cube(40)),
    ("cube", {"rounding": 0.2, "aspect_ratio": 3}, rounded_cube(10, 300)),
    ("octahedron", {"rounding": 0, "truncation": 0}, np.sqrt(2) / 3 * 100**3),
    ("octahedron", {"rounding": 0, "truncation": 0.25}, np.sqrt(2) * (1 / 3 - 0.25**3) * 100**3),
    ("octahedron", {"rounding": 0, "truncation": 0, "aspect_ratio": 2}, 2 * np.sqrt(2) / 3 * 100**3),
    ("rod", {}, np.pi * 50**2 * 300 + BALL * 50**3),
    ("rod", {"aspect_ratio": 1}, BALL * 50**3),
    ("rod", {"end_rounding": 0}, np.pi * 50**2 * 400),
    ("rod", {"end_rounding": 0, "sides": 3}, prism(3) * 50**2 * 400),
    ("rod", {"end_rounding": 0, "sides": 6}, prism(6) * 50**2 * 400),
    # Pappus: what the section's centre travels through, however the axis bends.
    ("rod", {"end_rounding": 0, "bend_deg": 90}, np.pi * 50**2 * 400),
    ("spindle", {"roundness": 1}, BALL * 50**2 * 150),
    ("spindle", {"roundness": 0}, np.pi / 3 * 50**2 * 300),
    ("platelet-round", {"outlines": ["hexagon"], "edge_rounding": 0}, np.pi * 50**2 * 20),
    ("platelet-round", {"outlines": ["triangle"], "edge_rounding": 0}, np.pi * 50**2 * 20),
    ("platelet-round", {"outlines": ["round"], "edge_rounding": 0}, np.pi * 50**2 * 20),
    ("wire", {"end_rounding": 0}, np.pi * 50**2 * 3000),
    ("wire", {"persistence_nm": 1e9, "end_rounding": 1}, np.pi * 50**2 * 2900 + BALL * 50**3),
]


@pytest.mark.parametrize("pixel_size", [1.0, 4.0, 20.0])
@pytest.mark.parametrize(("template", "changes", "volume"), VOLUMES)
def test_volume_is_that_of_the_body(template: str, changes: dict[str, Any], volume: float, pixel_size: float) -> None:
    mesh = made(KINDS[template], pixel_size=pixel_size, **changes)
    # A surface that is off by a tenth of a pixel everywhere changes the volume by that times the surface.
    assert mesh.volume_nm3 == pytest.approx(volume, abs=0.1 * pixel_size * mesh.surface_nm2)
    # The least that an end or an edge is rounded, a corner cut (see their modules), is far below 1 % of the volume;
    # flats of a tenth of a 20 nm pixel are up to 8 % of a body of 100 nm, of a 1 nm one below 1 %.
    assert mesh.volume_nm3 == pytest.approx(volume, rel=0.01 if pixel_size == 1 else 0.08)


def from_capsule(points: FloatArray) -> FloatArray:
    """Distance (n,) from the rod of hemispherical ends, 400 nm long."""
    axis = np.column_stack([np.clip(points[:, 0], -150, 150), np.zeros((len(points), 2))])
    return np.asarray(np.linalg.norm(points - axis, axis=1) - 50)


def from_cube(radius: float) -> Callable[[FloatArray], FloatArray]:
    """Distance (n,) from the cube of edges of that radius."""

    def distance(points: FloatArray) -> FloatArray:
        beyond = np.abs(points) - (50 - radius)
        inside = np.minimum(beyond.max(axis=1), 0)
        return np.asarray(np.linalg.norm(np.maximum(beyond, 0), axis=1) + inside - radius)

    return distance


@pytest.mark.parametrize("pixel_size", [1.0, 2.0, 7.0, 20.0])
@pytest.mark.parametrize(
    ("template", "changes", "distance"),
    [
        ("rod", {}, from_capsule),
        ("cube", {"rounding": 0.1}, from_cube(5)),
        ("cube", {"rounding": 0.3}, from_cube(15)),
        ("cube", {"rounding": 0.6}, from_cube(30)),
    ],
)
def test_flats_leave_the_true_surface_by_about_a_tenth_of_a_pixel(
    template: str, changes: dict[str, Any], distance: Callable[[FloatArray], FloatArray], pixel_size: float
) -> None:
    mesh = made(KINDS[template], pixel_size=pixel_size, **changes)
    corners = mesh.vertices[mesh.triangles]
    middles = np.concatenate([corners.mean(axis=1), *((corners[:, k] + corners[:, k - 1]) / 2 for k in range(3))])
    # Where two directions curve, their sagittas add up in the diagonals: twice the tolerance at most.
    assert np.abs(distance(middles)).max() <= 0.2 * pixel_size
    assert np.abs(distance(mesh.vertices)).max() <= 0.1 * pixel_size + 1e-9


@pytest.mark.parametrize("rounding", [0.0, 0.25, 1.0])
def test_rounding_wears_a_cubes_corners_and_keeps_its_width(rounding: float) -> None:
    mesh = made(CUBE, rounding=rounding)
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(SIZE)
    radius = min(rounding, 0.98) * SIZE / 2  # the roundest cube is nearly a ball
    assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(
        np.sqrt(3) * (50 - radius) + radius,
        abs=0.01 * PIXEL,  # moved to the centroid of its flats
    )


@pytest.mark.parametrize(
    ("values", "widths"),
    [
        ({**CUBE, "aspect_ratio": 2}, (200, 100, 100)),
        (ROD, (400, 100, 100)),
        ({**ROD, "end_rounding": 0}, (400, 100, 100)),
        ({**ROD, "sides": 6}, (400, None, 100)),
        (SPINDLE, (300, 100, 100)),
        ({**SPINDLE, "aspect_ratio": 0.5}, (50, 100, 100)),
        ({**PLATELET, "outlines": ["round"]}, (100, 100, 20)),
        ({**WIRE, "persistence_nm": 1e15}, (3000, 100, 100)),
        ({**OCTAHEDRON, "rounding": 0, "truncation": 0}, (100, 200 / np.sqrt(3), 200 / np.sqrt(6))),
    ],
)
def test_widths_and_aspect_ratios(values: dict[str, Any], widths: tuple[float | None, ...]) -> None:
    extents = np.ptp(made(values, pixel_size=1).vertices, axis=0)
    for extent, width in zip(extents, widths, strict=True):
        # Both sides are off by a tenth of the 1 nm pixel at most; the octahedron's corners are cut at 1 % of its edges.
        assert width is None or extent == pytest.approx(width, abs=0.2 if "edge_nm" not in values else 1.5)


def test_truncation_shortens_a_spindle_by_its_part_in_shape_not_in_length() -> None:
    whole, cut = (made(SPINDLE, roundness=0, truncation=part) for part in (0, 0.5))
    assert np.ptp(cut.vertices[:, 0]) == pytest.approx(np.ptp(whole.vertices[:, 0]))
    tips = cut.vertices[np.isclose(cut.vertices[:, 0], 150)]
    # A double cone is half as wide halfway to its tip; the section of the true circle's area is a little wider.
    assert np.ptp(tips[:, 1]) == pytest.approx(50, abs=0.1 * PIXEL)


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("polyhedron")])
def test_no_two_polyhedra_of_a_form_are_alike(name: str) -> None:
    first, second = made(KINDS[name], seed=1), made(KINDS[name], seed=2)
    # Deformed by 20 % and stretched up to twice: some radius differs by far more than 1 %.
    radii = (np.sort(np.linalg.norm(mesh.vertices, axis=1)) for mesh in (first, second))
    assert np.abs(np.subtract(*radii)).max() > 0.01 * SIZE


def test_wire_is_as_long_as_asked_and_bends_as_a_worm_like_chain() -> None:
    wire = Wire.model_validate({**WIRE, "width_nm": 10, "persistence_nm": 1000})
    ends, lengths = [], []
    for seed in range(200):
        line = wire.centreline(10, np.random.default_rng(seed))
        steps = np.diff(line, axis=0)
        lengths.append(np.linalg.norm(steps, axis=1).sum())
        ends.append(((line[-1] - line[0]) ** 2).sum())
    assert np.array(lengths) == pytest.approx(3000)
    # <R^2> in a plane with <cos> = exp(-s / 2P): 4 P L (1 - 2 P / L (1 - exp(-L / 2P))) (Kratky & Porod 1949).
    expected = 4 * 1000 * 3000 * (1 - 2 / 3 * (1 - np.exp(-1.5)))
    # Three standard errors of the 200 values, and 2 % for the kinks that are smoothed over a few widths.
    assert np.mean(ends) == pytest.approx(expected, abs=3 * np.std(ends) / 200**0.5 + 0.02 * expected)


def test_tube_follows_its_line_in_space(rng: np.random.Generator) -> None:
    wire = Wire.model_validate({**WIRE, "end_rounding": 0})
    flat = wire.centreline(SIZE, rng)
    height = 200 * np.sin(np.linspace(0, np.pi, len(flat)))  # over an obstacle
    line = np.column_stack([flat, height])
    mesh = wire.tube(line, SIZE, 0.1 * PIXEL, rng)
    assert is_closed_and_outward(mesh)
    # Its section stands across the line, nearly: the points of a ring are a radius from the line, which has a point
    # each half width, so the nearest is up to a quarter width along it.
    nearest = np.linalg.norm(mesh.vertices[:-2, None] - line, axis=2).min(axis=1)
    assert nearest.max() < np.hypot(50, 25) + 1
    length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    assert mesh.volume_nm3 == pytest.approx(np.pi * 50**2 * length, abs=0.1 * PIXEL * mesh.surface_nm2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": {"ratio": 0.5, "contrast": 1}}, "a wire has no core"),
        ({"tilt_deg": 5}, "a wire lies on the substrate"),
        ({"length_nm": [50, 3000]}, "a wire is longer than wide"),
        ({"length_nm": 1e8, "persistence_nm": 1e8}, "at most 50000 times as long as wide"),
        ({"persistence_nm": 400}, "below 5 widths"),
    ],
)
def test_impossible_wires_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Wire.model_validate({**WIRE, **changes})


def test_bent_rod_has_no_core() -> None:
    with pytest.raises(ValidationError, match="a bent rod has no core"):
        KIND.validate_python({**ROD, "bend_deg": [0, 10], "core": {"ratio": 0.5, "contrast": 1}})
