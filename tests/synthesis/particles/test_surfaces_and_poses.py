"""Rough surfaces, cores, and how particles lie."""

import numpy as np
import pytest
from helpers.particle_kinds import CONVEX, CUBE, KIND, KINDS, ROD, SIZE, is_closed_and_outward, made
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from nanolab.synthesis.particles import (
    random_rotation,
)


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
