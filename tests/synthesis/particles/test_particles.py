"""Shapes: closed, outward, of the volume asked for."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.spatial import ConvexHull

from nanolab.core.checks import InputError
from nanolab.synthesis.particles import (
    Kind,
    Mesh,
    ParticleKind,
    Polyhedron,
    Sphere,
    Wire,
    icosphere,
    make_mesh,
    random_rotation,
)
from nanolab.synthesis.particles.files import read_mesh
from nanolab.synthesis.recipe import dump_recipe, parse_recipe

Array = npt.NDArray[np.float64]
KIND = TypeAdapter[Any](ParticleKind)
SPHERE = Sphere(diameter_nm=100)
SIZE = 100.0
PIXEL = 4.0

# Each template, and each of its forms, as a recipe has it; all are 100 nm big.
POLYHEDRON = {"template": "polyhedron", "diameter_nm": SIZE, "sharpness": 8, "deformation": 0.2, "aspect_ratio": [1, 2]}
CUBE = {"template": "cube", "edge_nm": SIZE}
OCTAHEDRON = {"template": "octahedron", "edge_nm": SIZE}
ROD = {"template": "rod", "width_nm": SIZE, "aspect_ratio": 4}
SPINDLE = {"template": "spindle", "width_nm": SIZE, "aspect_ratio": 3}
PLATELET = {"template": "platelet", "width_nm": SIZE, "thickness_ratio": 0.2}
WIRE = {"template": "wire", "width_nm": SIZE, "length_nm": 3000, "persistence_nm": 2000}
KINDS: dict[str, dict[str, Any]] = {
    "sphere": {"template": "sphere", "diameter_nm": SIZE},
    **{
        f"polyhedron-{form}": {**POLYHEDRON, "forms": [form]}
        for form in ("cube", "octahedron", "cuboctahedron", "dodecahedron", "irregular")
    },
    "cube": CUBE,
    "cube-sharp": {**CUBE, "rounding": 0},
    "cube-round": {**CUBE, "rounding": 1},
    "cuboid": {**CUBE, "aspect_ratio": 2.5},
    "octahedron": OCTAHEDRON,
    "octahedron-sharp": {**OCTAHEDRON, "rounding": 0, "truncation": 0},
    "cuboctahedron": {**OCTAHEDRON, "truncation": 0.5},
    "octahedron-long": {**OCTAHEDRON, "aspect_ratio": 3},
    "rod": ROD,
    "rod-flat-ends": {**ROD, "end_rounding": 0},
    "rod-ball": {**ROD, "aspect_ratio": 1},
    "rod-bent": {**ROD, "bend_deg": 90},
    **{f"rod-{sides}-sides": {**ROD, "sides": sides, "end_rounding": 0.2} for sides in (3, 5, 6)},
    "spindle": SPINDLE,
    "bipyramid": {**SPINDLE, "roundness": 0, "sides": 5, "truncation": 0.2},
    "ellipsoid": {**SPINDLE, "roundness": 1},
    **{
        f"platelet-{outline}": {**PLATELET, "outlines": [outline], "deformation": 0.3}
        for outline in ("triangle", "square", "hexagon", "round")
    },
    "wire": WIRE,
    "wire-prism": {**WIRE, "sides": 5, "end_rounding": 0},
}
CONVEX = [name for name in KINDS if not name.startswith("wire") and name != "rod-bent"]


def made(values: dict[str, Any], *, pixel_size: float = PIXEL, seed: int = 0, **changes: object) -> Mesh:
    """One particle of 100 nm of the kind that a recipe describes."""
    return make_mesh(KIND.validate_python({**values, **changes}), SIZE, pixel_size, np.random.default_rng(seed))


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


def from_capsule(points: Array) -> Array:
    """Distance (n,) from the rod of hemispherical ends, 400 nm long."""
    axis = np.column_stack([np.clip(points[:, 0], -150, 150), np.zeros((len(points), 2))])
    return np.asarray(np.linalg.norm(points - axis, axis=1) - 50)


def from_cube(radius: float) -> Callable[[Array], Array]:
    """Distance (n,) from the cube of edges of that radius."""

    def distance(points: Array) -> Array:
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
    template: str, changes: dict[str, Any], distance: Callable[[Array], Array], pixel_size: float
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


@pytest.mark.parametrize("name", ["sphere", "cube", "rod-flat-ends", "platelet-hexagon", "spindle", "wire"])
def test_rough_and_porous_surfaces_are_closed_and_keep_the_volume(name: str) -> None:
    surface = {"roughness_nm": 2, "scale_nm": 30, "pores": 0.3, "pore_depth_nm": 4}
    smooth, rough = made(KINDS[name]), made(KINDS[name], surface=surface)
    assert is_closed_and_outward(rough)
    assert not rough.convex
    assert rough.volume_nm3 == pytest.approx(smooth.volume_nm3)
    assert np.abs(rough.centroid).max() < 1e-6 * SIZE
    assert np.isfinite(rough.vertices).all()


def test_roughness_is_the_one_asked_for() -> None:
    surface = {"roughness_nm": 2, "scale_nm": 30}
    radii = [np.linalg.norm(made(KINDS["sphere"], seed=s, surface=surface).vertices, axis=1) for s in range(8)]
    # A sphere of 100 nm has some 30 features of 30 nm, 8 spheres 250, so the SD is off by 1 / sqrt(2 * 250), 5 %.
    assert np.mean([r.std() for r in radii]) == pytest.approx(2, rel=0.15)
    assert np.mean([r.mean() for r in radii]) == pytest.approx(50, abs=0.2)  # its volume holds its mean radius


def test_pores_are_pits_of_their_depth_and_share() -> None:
    points = made(KINDS["sphere"], surface={"scale_nm": 10, "pores": 0.3, "pore_depth_nm": 6}).vertices
    radii = np.linalg.norm(points, axis=1)
    # The ground between the pits is a sphere (fitted by least squares: |p|^2 = 2 p . c + R^2 - |c|^2) about a centre
    # that is not quite the centroid; keeping the volume scales it, and the pits with it.
    ground = points[radii > np.median(radii)]
    unknowns = np.column_stack([2 * ground, np.ones(len(ground))])
    *centre, rest = np.linalg.lstsq(unknowns, (ground**2).sum(axis=1), rcond=None)[0]
    radius = np.sqrt(rest + np.dot(centre, centre))
    depths = radius - np.linalg.norm(points - centre, axis=1)
    assert radius > SIZE / 2
    # Flats of 0.1 pixel, 0.4 nm, bear the points between the icosphere's.
    assert depths.max() == pytest.approx(6 * radius / 50, abs=0.4)
    # The icosphere's triangles are alike within 20 %, so a share of its points is that of its surface, nearly.
    assert (depths > 0.4).mean() == pytest.approx(0.3, abs=0.03)


def test_pits_deeper_than_the_particle_do_not_turn_it_inside_out() -> None:
    mesh = made(KINDS["sphere"], surface={"scale_nm": 20, "pores": 0.5, "pore_depth_nm": 500})
    assert is_closed_and_outward(mesh)
    assert np.linalg.norm(mesh.vertices, axis=1).min() > 0.2 * SIZE / 2  # 0.6 of the radius deep at most


@given(
    name=st.sampled_from(CONVEX),
    ratio=st.floats(0.05, 0.98),
    offset=st.floats(0, 0.98),
    seed=st.integers(0, 100),
)
def test_core_lies_within_and_has_its_part_of_the_volume(name: str, ratio: float, offset: float, seed: int) -> None:
    mesh = made(KINDS[name], seed=seed, core={"ratio": ratio, "contrast": 0, "offset": offset})
    assert mesh.core is not None
    assert mesh.core.volume_nm3 == pytest.approx(ratio**3 * mesh.volume_nm3)
    hull = ConvexHull(mesh.vertices).equations
    # The core lies in the hull of the shell; sums of some thousand corners round.
    assert (mesh.core.vertices @ hull[:, :3].T + hull[:, 3]).max() < 1e-6 * SIZE
    if offset == 0:
        assert np.abs(mesh.core.centroid).max() < 1e-6 * SIZE


def test_core_goes_where_its_shell_goes() -> None:
    mesh = made(CUBE, core={"ratio": 0.5, "contrast": 2, "offset": 0.5})
    rotation = random_rotation(np.random.default_rng(1))
    moved = mesh.scaled(2).rotated(rotation).moved(np.array([10.0, 20, 30]))
    assert mesh.core is not None
    assert moved.core is not None
    assert moved.core.vertices == pytest.approx(2 * mesh.core.vertices @ rotation.T + [10, 20, 30])


def test_core_takes_the_surface_of_its_shell() -> None:
    mesh = made(KINDS["sphere"], surface={"roughness_nm": 1, "scale_nm": 30}, core={"ratio": 0.6, "contrast": 0})
    assert mesh.core is not None
    assert mesh.core.vertices == pytest.approx(0.6 * mesh.vertices)


@pytest.mark.parametrize(("orientation", "long_axis"), [("flat", (1, 0, 0)), ("upright", (0, 0, 1))])
def test_lying_and_standing(orientation: str, long_axis: tuple[float, ...], rng: np.random.Generator) -> None:
    kind = KIND.validate_python({**ROD, "orientation": orientation})
    pose = kind.pose(rng)
    assert np.linalg.det(pose) == pytest.approx(1)
    assert pose @ [1, 0, 0] == pytest.approx(long_axis)
    extents = np.ptp(made(ROD).rotated(pose).vertices, axis=0)
    assert np.argmax(extents) == np.argmax(long_axis)


def test_random_orientation_has_no_favourite(rng: np.random.Generator) -> None:
    kind = KIND.validate_python({**ROD, "orientation": "random"})
    axes = np.array([kind.pose(rng)[:, 0] for _ in range(3000)])
    # Each coordinate of a random unit vector has mean 0 and mean square 1/3, SDs 0.58 and 0.30: 4 standard errors.
    assert axes.mean(axis=0) == pytest.approx(0, abs=4 * 0.58 / 3000**0.5)
    assert (axes**2).mean(axis=0) == pytest.approx(1 / 3, abs=4 * 0.30 / 3000**0.5)


@pytest.mark.parametrize("orientation", ["flat", "upright"])
def test_tilt_is_the_angle_from_how_it_would_lie(orientation: str, rng: np.random.Generator) -> None:
    lying = KIND.validate_python({**ROD, "orientation": orientation}).pose(rng)
    kind = KIND.validate_python({**ROD, "orientation": orientation, "tilt_deg": 20})
    tilted = np.array([kind.pose(rng) @ lying.T for _ in range(400)])
    assert tilted @ np.swapaxes(tilted, 1, 2) == pytest.approx(np.broadcast_to(np.eye(3), tilted.shape))
    up = tilted[:, :, 2]  # where the upright goes
    assert np.rad2deg(np.arccos(up[:, 2])) == pytest.approx(20)
    # Towards any side: the mean of 400 unit vectors in the plane is 0 with the standard error 0.71 / 20.
    assert up[:, :2].mean(axis=0) / np.sin(np.deg2rad(20)) == pytest.approx(0, abs=4 * 0.71 / 20)


# A tetrahedron over the unit corner, 1 x 2 x 0.5 wide, its triangles counted outwards.
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 0.5]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
WRITERS = ("stl-text", "stl-binary", "obj", "ply")


def written(folder: Path, sort: str, corners: Array = CORNERS, faces: npt.NDArray[np.int64] = FACES) -> Path:
    """Write a mesh file by hand, not by the library that reads it."""
    path = folder / f"body.{sort.partition('-')[0]}"
    if sort == "stl-binary":
        record = np.zeros(len(faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("extra", "<u2")])
        record["corners"] = corners[faces]
        path.write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + record.tobytes())
    elif sort == "stl-text":
        points = [" ".join(f"vertex {x} {y} {z}" for x, y, z in corners[face]) for face in faces]
        body = "\n".join(f"facet normal 0 0 0 outer loop {three} endloop endfacet" for three in points)
        path.write_text("solid body\n" + body.replace(" vertex", "\nvertex").replace(" end", "\nend").replace(
            " outer", "\nouter") + "\nendsolid body\n")  # fmt: skip
    elif sort == "obj":
        lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"f {a} {b} {c}" for a, b, c in faces + 1]
        path.write_text("\n".join(lines) + "\n")
    else:
        head = f"ply\nformat ascii 1.0\nelement vertex {len(corners)}\nproperty float x\nproperty float y\n"
        head += f"property float z\nelement face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
        lines = [f"{x} {y} {z}" for x, y, z in corners] + [f"3 {a} {b} {c}" for a, b, c in faces]
        path.write_text(head + "\n".join(lines) + "\n")
    return path


def mesh_kind(path: Path | str, **more: object) -> Kind:
    return KIND.validate_python({"template": "mesh", "diameter_nm": SIZE, "file": str(path), **more})


@pytest.mark.parametrize("turned_inside_out", [False, True])
@pytest.mark.parametrize("sort", WRITERS)
def test_mesh_file_of_each_format(sort: str, turned_inside_out: bool, tmp_path: Path) -> None:
    path = written(tmp_path, sort, faces=FACES[:, ::-1] if turned_inside_out else FACES)
    raw = read_mesh(path)
    assert raw.volume_nm3 == pytest.approx(1 / 6)  # |det| of the corner's edges 1, 2, 0.5 over 6
    assert np.ptp(raw.vertices, axis=0) == pytest.approx([2, 1, 0.5])  # its longer side lies along x, z stays up
    mesh = make_mesh(mesh_kind(path), SIZE, PIXEL, np.random.default_rng(0))
    assert is_closed_and_outward(mesh)
    assert np.abs(mesh.centroid).max() < 1e-6 * SIZE
    assert mesh.volume_nm3 == pytest.approx(np.pi / 6 * SIZE**3)
    assert (len(mesh.vertices), len(mesh.triangles)) == (4, 4)


def test_mesh_file_takes_surface_and_core(tmp_path: Path) -> None:
    more = {"surface": {"roughness_nm": 1, "scale_nm": 30}, "core": {"ratio": 0.4, "contrast": 0}}
    mesh = make_mesh(mesh_kind(written(tmp_path, "ply"), **more), SIZE, PIXEL, np.random.default_rng(0))
    assert is_closed_and_outward(mesh)
    assert mesh.core is not None
    assert mesh.core.volume_nm3 == pytest.approx(0.4**3 * mesh.volume_nm3)


@pytest.mark.parametrize(
    ("corners", "faces", "message"),
    [
        (CORNERS, FACES[:3], "holds no solid"),
        (CORNERS, np.concatenate([FACES[:3], FACES[:1]]), "surface is not closed"),
        (CORNERS, np.concatenate([FACES[:3], FACES[3:, ::-1]]), "surface is not closed"),
        (CORNERS * [1, 1, 0] + [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 2, 0]], FACES, "encloses no volume"),
        (CORNERS * np.nan, FACES, "holds no solid|not a readable mesh"),
    ],
)
def test_mesh_that_is_no_solid_is_refused(
    corners: Array, faces: npt.NDArray[np.int64], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "obj", corners, faces)
    with pytest.raises(InputError, match=message) as caught:
        read_mesh(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["body.stl", "body.obj", "body.ply"])
def test_damaged_mesh_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(InputError, match=r"not a readable mesh|holds no solid"):
        read_mesh(tmp_path / name)


@pytest.mark.parametrize("sort", ["stl-binary", "ply"])
def test_cut_off_mesh_file_is_refused(sort: str, tmp_path: Path) -> None:
    path = written(tmp_path, sort)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"not a readable mesh|holds no solid|not closed"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.stl", None, "mesh file not found"),
        ("empty.ply", b"", "empty"),
        ("body.fbx", b"something", "one of .stl, .obj, .ply or .blend"),
    ],
)
def test_wrong_mesh_files_say_so(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / name)
    with pytest.raises(ValidationError, match=message):
        mesh_kind(tmp_path / name)


@pytest.mark.parametrize("name", ["body.blend", "body.BLEND"])
def test_blend_needs_the_name_of_an_object(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"BLENDER")
    with pytest.raises(ValidationError, match="name one by `object`"):
        mesh_kind(tmp_path / name)


RECIPE = """
name: test
image: {width_px: 64, height_px: 48, pixel_size_nm: 2}
particles: [{template: mesh, diameter_nm: 20, file: shapes/body.ply}]
arrangement: {kind: scattered, count: 3}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5}
occlusion_distance_nm: 50
"""


def test_recipe_keeps_path_and_hash_of_its_mesh(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    path = written(tmp_path / "shapes", "ply")
    recipe = parse_recipe(RECIPE, "mine.yaml", folder=tmp_path)
    text = dump_recipe(recipe)
    assert str(path) in text
    assert parse_recipe(text, "dump") == recipe  # from any folder
    written(tmp_path / "shapes", "ply", CORNERS * 2.5)
    with pytest.raises(InputError, match="has changed since the recipe was written"):
        parse_recipe(text, "dump")
    assert parse_recipe(RECIPE, "mine.yaml", folder=tmp_path) != recipe


MAKE_BLEND = """
import sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_cube_add(size=1)
bpy.context.object.name = "brick"
bpy.context.object.scale = (1, 2, 3)
bpy.ops.mesh.primitive_plane_add()
bpy.context.object.name = "sheet"
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1])
"""


def test_object_of_a_blend(tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    path = tmp_path / "bodies.blend"
    subprocess.run([sys.executable, "-c", MAKE_BLEND, str(path)], check=True, capture_output=True, timeout=120)
    brick = read_mesh(path, "brick")
    assert brick.volume_nm3 == pytest.approx(6, rel=1e-6)  # a .blend holds single precision
    assert np.ptp(brick.vertices, axis=0) == pytest.approx([2, 1, 3])  # lying along x, as scaled in Blender
    assert is_closed_and_outward(brick)
    with pytest.raises(InputError, match="no object 'brock'; it has 'brick', 'sheet'"):
        read_mesh(path, "brock")
    with pytest.raises(InputError, match="holds no solid"):
        read_mesh(path, "sheet")
