"""Recipes: what ships is valid, what is wrong is named."""

import re
from pathlib import Path

import pytest

from nanolab.core.checks import InputError
from nanolab.synthesis.detectors.degrade import Mill2021
from nanolab.synthesis.generate import scene_of
from nanolab.synthesis.recipe import dump_recipe, load_recipe, parse_recipe, shipped_recipes

MINIMAL = """
name: test
image: {width_px: 64, height_px: 48, pixel_size_nm: 2}
particles: [{template: sphere, diameter_nm: 20}]
arrangement: {kind: scattered, count: 3}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5}
occlusion_distance_nm: 50
"""


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipe_is_valid_and_survives_its_dump(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(dump_recipe(recipe), "dump") == recipe


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.endswith("_paper")])
def test_a_paper_recipe_differs_by_how_the_paper_made_its_images_alone(name: str) -> None:
    recipe, usual = load_recipe(name), load_recipe(name.removesuffix("_paper"))
    assert recipe.degradation == Mill2021(erosion_px=0)
    assert (recipe.image.width_px, recipe.image.height_px, recipe.appearances_per_scene) == (507, 507, 1)
    same = {"name", "description", "image", "degradation", "appearances_per_scene"}
    assert recipe.model_dump(exclude=same) == usual.model_dump(exclude=same)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("diameter_nm: 20", "diameter_um: 20", r"sphere.diameter_um: unknown key \(did you mean diameter_nm"),
        ("diameter_nm: 20", "diameter_nm: 20 nm", r"diameter_nm: expected a number.*got '20 nm'"),
        ("diameter_nm: 20", "diameter_nm: [30, 20]", "diameter_nm.uniform: the range is empty: min 30"),
        ("diameter_nm: 20", "diameter_nm: [-3, 20]", "diameter_nm: values must be above 0, these go down to -3"),
        ("pixel_size_nm: 2", "pixel_size_nm: 0", "image.pixel_size_nm: .*greater than or equal to 0.0001, got 0"),
        ("pixel_size_nm: 2", "pixel_size_nm: 1e+308", "image.pixel_size_nm: .*less than or equal to 100000"),
        ("pixel_size_nm: 2", "pixel_size_nm: 1e-308", "image.pixel_size_nm: .*greater than or equal to 0.0001"),
        ("diameter_nm: 20", "diameter_nm: 1e-300", "diameter_nm: values must lie between 1e-09 and 1e\\+15"),
        ("diameter_nm: 20", "diameter_nm: [1, 1e+300]", "diameter_nm: values must lie between 1e-09 and 1e\\+15"),
        ("count: 3", "count: 100000", "count: at most 20,000 particles a scene are possible, these go up to 100,000"),
        ("count: 3", "count: [1, 1000000000]", "count: at most 20,000 .*up to 1,000,000,000"),
        ("count: 3", "count: 3, count: 4", "the key 'count' is given twice"),
        ("name: test", "name: 2024-99-99", "not valid YAML"),
        ("name: test", "name: " + "[" * 2000, "not valid YAML"),
        ("template: sphere", "template: spheroid", "particles.0: .*'spheroid'.*'sphere'"),
        ("kind: se,", "kind: sem,", "detector: .*'sem'.*'se', 'him', 'bf-tem', 'haadf-stem'"),
        ("name: test", "name: ../escape", "name: String should match pattern"),
        ("particle_level: 0.5", "", "detector.se.particle_level: Field required"),
        ("name: test", "name: [", "not valid YAML"),
    ],
)
def test_wrong_recipe_names_key_value_and_rule(old: str, new: str, message: str) -> None:
    text = MINIMAL.replace(old, new)
    assert text != MINIMAL
    with pytest.raises(InputError, match=message) as caught:
        parse_recipe(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")


def test_yaml_tags_do_not_run() -> None:
    with pytest.raises(InputError, match="not valid YAML"):
        parse_recipe("name: !!python/object/apply:os.getcwd []", "mine.yaml")


def test_unknown_recipe_lists_what_ships() -> None:
    with pytest.raises(InputError, match=re.escape("tio2_sem")):
        load_recipe("tio2_semm")


def test_images_of_at_most_a_side_keep_their_pixels() -> None:
    smaller = parse_recipe(MINIMAL, "test").within(50)
    assert (smaller.image.width_px, smaller.image.height_px, smaller.image.pixel_size_nm) == (50, 48, 2)
    assert smaller.particles == parse_recipe(MINIMAL, "test").particles


def test_a_recipe_that_is_not_in_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(MINIMAL.replace("test", "t\u00e9st").encode("latin-1"))
    with pytest.raises(InputError, match=r"mine\.yaml: not valid YAML"):
        load_recipe(tmp_path / "mine.yaml")


def test_more_particles_than_a_scene_can_hold_are_refused_when_drawn() -> None:
    text = MINIMAL.replace("count: 3", "count: {kind: lognormal, median: 1e9, gsd: 1.01}")
    with pytest.raises(InputError, match="at most 20,000 particles a scene are possible, got"):
        scene_of(parse_recipe(text, "test"), 0, 0)


def test_seeds_are_whole_numbers_from_0() -> None:
    with pytest.raises(InputError, match="seed must be a whole number from 0, got -1"):
        scene_of(parse_recipe(MINIMAL, "test"), -1, 0)
