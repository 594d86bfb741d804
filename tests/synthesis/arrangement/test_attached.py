"""Particles on what bears them, and matter that is no particle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nanolab.synthesis.generate import make_image, render_scene, scene_of
from nanolab.synthesis.recipe import Recipe, dump_recipe, parse_recipe
from nanolab.synthesis.rendering.client import Renderer
from nanolab.synthesis.rendering.passes_folder import scene_text
from nanolab.synthesis.scene.matter import matter

BALL = {"template": "sphere", "diameter_nm": 200}
CARRIERS = {
    "particles": [BALL | {"contrast": 0.1}],
    "arrangement": {"kind": "scattered", "count": 3},
    "role": "carrier",
}
BASE: dict[str, Any] = {
    "name": "small",
    "image": {"width_px": 120, "height_px": 90, "pixel_size_nm": 5},
    "particles": [{"template": "sphere", "diameter_nm": [20, 40]}],
    "arrangement": {"kind": "attached", "count": 30, "sunk": 0.5, "overlap": 0},
    "background": [CARRIERS],
    "detector": {"kind": "bf-tem", "mean_free_path_nm": 20, "defocus_nm": 0, "blur_px": 0, "electrons": 1e6},
    "occlusion_distance_nm": 50,
}
SURFACE = {"kind": "se", "substrate_level": 0.1, "particle_level": 0.5}


def recipe(**changes: Any) -> Recipe:
    return parse_recipe(yaml.safe_dump(BASE | changes), "test")


def test_particles_lie_on_the_surface_as_deep_as_asked_and_apart() -> None:
    scene = scene_of(recipe(), 0, 0)
    assert len(scene.background) == 3
    assert len(scene.particles) > 15
    carriers = np.array([one.centre_nm for one in scene.background])
    centres = np.array([one.centre_nm for one in scene.particles])
    radii = np.array([one.diameter_nm for one in scene.particles]) / 2
    away = np.linalg.norm(centres[:, None] - carriers, axis=2).min(axis=1)
    # Half sunk: the centre lies half a radius above the sphere; its mesh lies below the true one by a tenth of a pixel.
    lying = centres[:, 2] > radii * 1.2  # those at the substrate were lifted out of it
    assert away[lying] == pytest.approx(100 + radii[lying] / 2, abs=1)
    gaps = np.linalg.norm(centres[:, None] - centres, axis=2) - radii[:, None] - radii
    apart = gaps[np.triu_indices(len(radii), 1)]
    assert np.quantile(apart, 0.02) >= -1e-6


def test_nothing_is_attached_where_nothing_is() -> None:
    scene = scene_of(recipe(background=None), 0, 0)
    assert scene.particles == ()
    assert scene.requested == 30


def test_background_is_no_part_of_the_truth_and_recipes_without_it_do_not_name_it() -> None:
    scene = scene_of(recipe(), 0, 0)
    assert len(scene.truth()) == len(scene.particles)
    assert scene.requested == 30
    assert scene.geometry()["labels"].max() == len(scene.bodies)
    assert "background:" not in dump_recipe(recipe(background=None))
    assert parse_recipe(dump_recipe(recipe()), "dump") == recipe()


def test_background_scatters_as_its_contrast_says() -> None:
    scene = scene_of(recipe(arrangement={"kind": "attached", "count": 0.1}), 0, 0)
    through = matter(scene)
    assert through.thickness_nm.max() == pytest.approx(200, rel=0.02)  # through the middle, to the pixel
    assert through.scattering_nm == pytest.approx(0.1 * through.thickness_nm, rel=1e-5)


def test_passes_are_kept_apart_where_the_detector_sees_through_background() -> None:
    assert scene_text(recipe()) != scene_text(recipe(detector=SURFACE))
    plain = recipe(background=None, arrangement={"kind": "scattered", "count": 5})
    assert scene_text(plain) == scene_text(plain.model_copy(update={"detector": recipe(detector=SURFACE).detector}))


def test_background_hides_from_above_and_is_seen_through_in_transmission(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    shown = {}
    with Renderer(threads=1, device="cpu") as renderer:
        for name, detector in (("se", SURFACE), ("bf-tem", BASE["detector"])):
            one = recipe(detector=detector, background=[CARRIERS | {"particles": [BALL]}])
            scene = scene_of(one, 0, 0)
            passes = render_scene(renderer, one, scene, 0)
            shown[name] = made = make_image(one, scene, passes, one.draw_appearance(np.random.default_rng(0)))
            assert made.labels.max() == (made.particles["label"] > 0).sum() <= len(scene.particles)
            carrier = passes.labels > len(scene.particles)
            assert carrier.any() == (name == "se")
            assert not made.labels[carrier].any()
            if name == "se":
                bare = passes.labels == 0
                assert made.image[carrier].mean() > made.image[bare].mean() + 0.1  # it is seen, as matter
    assert (shown["se"].labels > 0).sum() < (shown["bf-tem"].labels > 0).sum()


def test_middles_lie_in_the_part_of_the_field_asked_for() -> None:
    scattered = {"kind": "scattered", "count": 6, "middle": 0.5}
    scene = scene_of(recipe(background=None, arrangement=scattered), 0, 0)
    centres = np.array([one.centre_nm[:2] for one in scene.particles])
    assert len(centres) == 6
    assert (np.abs(centres - [300, 225]) <= [150, 112.5]).all()
