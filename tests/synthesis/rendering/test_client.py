"""Blender itself: geometry comes back where it was put, and its process may die."""

import os
import signal

import numpy as np
import pytest
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.synthesis.particles import Polyhedron, Sphere, make_mesh
from nanolab.synthesis.passes import Passes
from nanolab.synthesis.recipe import load_recipe
from nanolab.synthesis.rendering.client import CHECKED, GOLDEN, Renderer, RenderError, _mended
from nanolab.synthesis.scene.scene import Particle, Scene, draw_scene

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")


@pytest.fixture(scope="module")
def renderer():
    with Renderer(threads=2, device="cpu") as blender:
        yield blender


def ball(x_nm: float, y_nm: float, z_nm: float, diameter_nm: float = 100.0) -> Particle:
    mesh = make_mesh(Sphere(diameter_nm=diameter_nm), diameter_nm, 2.0, generator(0))
    return Particle("sphere", diameter_nm, mesh, np.array([x_nm, y_nm, z_nm]), np.eye(3))


def rendered(renderer: Renderer, *particles: Particle, shape: tuple[int, int] = (96, 128)) -> Passes:
    scene = Scene(shape, 2.0, particles, len(particles))
    return renderer.render(scene, seed=0, occlusion_distance_nm=50, samples=4)


def test_sphere_of_100_nm_at_2_nm_a_pixel(renderer: Renderer) -> None:
    passes = rendered(renderer, ball(160, 80, 50))
    disc = passes.labels == 1
    # Pixels whose centre lies within the disc count; for a radius of 25 px that is the area to about 1 %.
    assert np.sqrt(4 * disc.sum() / np.pi) == pytest.approx(50, rel=0.005)
    # Pixel (r, c) has its centre at (c + 0.5, r + 0.5) pixels from the corner.
    assert np.add(ndimage.center_of_mass(disc), 0.5) == pytest.approx([40, 80], abs=0.1)
    rows, columns = np.nonzero(disc)
    away = np.hypot((columns + 0.5) * 2 - 160, (rows + 0.5) * 2 - 80)
    inner = away < 40
    expected = 50 + np.sqrt(50**2 - away**2, where=inner, out=np.zeros_like(away))
    # The mesh leaves the sphere by 0.1 px = 0.2 nm; seen at a slope of up to 1.3 that is 0.4 nm of height.
    assert passes.height_nm[disc][inner] == pytest.approx(expected[inner], abs=0.5)
    assert passes.height_nm[~disc] == pytest.approx(0, abs=0.01)


def test_normals_point_right_and_down(renderer: Renderer) -> None:
    passes = rendered(renderer, ball(128, 96, 50))
    expected = {(48, 74): (0.42, 0.02), (48, 54): (-0.38, 0.02), (58, 64): (0.02, 0.42), (38, 64): (0.02, -0.38)}
    for (row, column), (x, y) in expected.items():
        assert passes.normals[row, column, :2] == pytest.approx([x, y], abs=0.03)  # facets, smoothly shaded
    assert np.linalg.norm(passes.normals, axis=-1) == pytest.approx(1, abs=1e-3)
    assert passes.normals[0, 0] == pytest.approx([0, 0, 1], abs=1e-6)


def test_the_higher_particle_hides_the_lower(renderer: Renderer) -> None:
    passes = rendered(renderer, ball(128, 96, 50), ball(150, 96, 140))
    assert passes.labels[48, 70] == 2
    both = passes.labels > 0
    alone = rendered(renderer, ball(150, 96, 140)).labels == 1
    assert np.array_equal(passes.labels == 2, alone)
    assert both.sum() > alone.sum()


def test_openness_is_low_in_the_gap_and_high_outside(renderer: Renderer) -> None:
    passes = rendered(renderer, ball(80, 96, 50), ball(184, 96, 50))
    assert passes.openness[48, 66] < 0.75
    assert 0.95 < passes.openness[5, 5] <= 1


def test_polyhedra_cover_their_outline(renderer: Renderer) -> None:
    kind = Polyhedron(diameter_nm=100, sharpness=10, deformation=0.2, aspect_ratio=1.5)
    mesh = make_mesh(kind, 100, 2.0, generator(4))
    particle = Particle("polyhedron", 100, mesh, np.array([128.0, 96.0, 80.0]), np.eye(3))
    area = Scene((96, 128), 2.0, (particle,), 1).truth()["projected_area_nm2"].item()
    assert (rendered(renderer, particle).labels == 1).sum() * 4 == pytest.approx(area, rel=0.01)


def test_empty_scene_is_substrate(renderer: Renderer) -> None:
    passes = rendered(renderer)
    assert passes.labels.max() == 0
    assert passes.openness.min() > 0.99


def test_image_may_be_higher_than_wide(renderer: Renderer) -> None:
    passes = rendered(renderer, ball(64, 150, 50), shape=(128, 64))
    assert passes.shape == (128, 64)
    assert np.add(ndimage.center_of_mass(passes.labels == 1), 0.5) == pytest.approx([75, 32], abs=0.1)


def test_same_seed_same_passes_and_a_dead_blender_is_replaced() -> None:
    scene = draw_scene(load_recipe("tio2_sem"), generator(0, 0))
    small = Scene((64, 64), scene.pixel_size_nm, scene.particles[:20], 20)
    with Renderer(threads=2, device="cpu") as blender:
        first = blender.render(small, seed=1, occlusion_distance_nm=100, samples=2)
        os.kill(blender._process.pid, signal.SIGKILL)
        second = blender.render(small, seed=1, occlusion_distance_nm=100, samples=2)
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.openness, second.openness)


def test_missing_blender_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("NANOLAB_BLENDER_PYTHON", str(tmp_path / "no-python"))
    with Renderer(threads=1) as blender, pytest.raises(InputError, match=r"NANOLAB_BLENDER_PYTHON=.*cannot be started"):
        rendered(blender)
    bare = tmp_path / "bare"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'bpy'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setenv("NANOLAB_BLENDER_PYTHON", str(bare))
    with Renderer(threads=1) as blender, pytest.raises(InputError, match="has no bpy"):
        rendered(blender)


def test_no_mean_of_two_particles_passes_for_a_third() -> None:
    label = np.arange(1, 400, dtype=np.float64)
    check = label**2 * GOLDEN % 1
    first, second = np.triu_indices(len(label), 1)
    for weight in (0.25, 0.5, 0.75):  # samples of one pixel, most often two or four
        mean, mixed = (weight * one[first] + (1 - weight) * one[second] for one in (label, check))
        passes = np.abs(np.rint(mean) ** 2 * GOLDEN % 1 - mixed) < CHECKED
        # A number between 0 and 1 comes so near by chance: 2 in 100,000.
        assert passes.mean() < 1e-4


def test_mixed_pixels_take_a_neighbour() -> None:
    planes = np.zeros((3, 4, 3), dtype=np.float32)
    planes[:, 2:] = 14, 14**2 * GOLDEN % 1, 50
    planes[1, 1] = planes[1, 1:3].mean(axis=0)  # would be particle 7
    mended = _mended(planes)
    assert set(np.unique(mended[..., 0])) == {0, 14}
    assert mended[1, 1].tolist() in (planes[1, 0].tolist(), planes[1, 2].tolist())
    others = np.arange(12) != 5
    assert np.array_equal(mended.reshape(12, 3)[others], planes.reshape(12, 3)[others])
    others = np.arange(12) != 5
    assert np.array_equal(mended.reshape(12, 3)[others], planes.reshape(12, 3)[others])
    lonely = np.full((2, 2, 3), 0.5, dtype=np.float32)
    with pytest.raises(RenderError, match="4 pixels lie on no particle"):
        _mended(lonely)
