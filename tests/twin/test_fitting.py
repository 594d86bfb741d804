import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap
from nanolab.images.labels import labels_from_mask, remove_small
from nanolab.synthesis.generate import Preview
from nanolab.synthesis.recipe import Recipe, load_recipe
from nanolab.twin.fitting import KNOBS, Simulated, fit_recipe, rescaled, turned
from nanolab.twin.fitting import _geometry as geometry
from nanolab.twin.fitting import _with_looks as with_looks
from nanolab.twin.resemblance import FOUND

GENERIC = ["generic_sem", "generic_him", "generic_tem", "generic_haadf"]
NOTHING = dict.fromkeys(KNOBS, 1.0)


class Touching:
    """Finds what is bright; particles that touch are one."""

    def segment(self, image: np.ndarray, *, pixel_size_nm: float | None = None) -> LabelMap:
        return remove_small(labels_from_mask(ndimage.gaussian_filter(image, 1) > 0.3), 30)


@pytest.mark.parametrize("name", GENERIC)
def test_a_recipe_at_another_scale_and_back_is_the_same(name: str) -> None:
    recipe = load_recipe(name)
    larger = rescaled(recipe, 4.0)
    assert larger.image.pixel_size_nm == pytest.approx(4 * recipe.image.pixel_size_nm)
    assert larger.particles[0].size.median == pytest.approx(4 * recipe.particles[0].size.median)
    assert larger.particles[0].size.gsd == recipe.particles[0].size.gsd
    assert rescaled(larger, 0.25) == recipe


def test_what_is_told_for_an_area_changes_with_the_square_of_the_scale() -> None:
    recipe = load_recipe("generic_sem")
    blobs, larger = recipe.substrate[5], rescaled(recipe, 2.0).substrate[5]
    assert larger.size_nm.max == pytest.approx(2 * blobs.size_nm.max)
    assert larger.per_um2.max == pytest.approx(blobs.per_um2.max / 4)
    assert larger.amplitude == blobs.amplitude


@pytest.mark.parametrize("name", GENERIC)
def test_a_picture_at_another_scale_is_the_same_picture(name: str) -> None:
    recipe = load_recipe(name).within(96)
    recipe = recipe.model_copy(update={"substrate": [], "occlusion_samples": 1})
    with Preview(seed=1) as preview:
        one, other = (preview.image(each) for each in (recipe, rescaled(recipe, 3.0)))
    assert (one.labels == other.labels).mean() > 0.99
    assert other.pixel_size_nm == pytest.approx(3 * one.pixel_size_nm)
    # where the mean changes by a rounding error, counted electrons are others
    smooth, too = (ndimage.gaussian_filter(each.image, 4) for each in (one, other))
    assert np.abs(smooth - too).mean() < 0.02


@pytest.mark.parametrize("name", [*GENERIC, "tio2_sem", "spheres_sem", "rods_sem"])
def test_knobs_of_one_change_nothing(name: str) -> None:
    recipe = load_recipe(name)
    there, same = recipe.particles[0].size, turned(recipe, NOTHING).particles[0].size
    assert same.model_dump() == pytest.approx(there.model_dump())
    assert turned(recipe, NOTHING).arrangement == recipe.arrangement


def test_each_knob_turns_what_it_is_named_for() -> None:
    recipe = load_recipe("generic_sem")
    sizes = recipe.particles[0].size
    assert turned(recipe, {**NOTHING, "size": 2.0}).particles[0].size.median == 2 * sizes.median
    wider = turned(recipe, {**NOTHING, "spread": 2.0}).particles[0].size
    assert (wider.median, wider.gsd) == (sizes.median, pytest.approx(sizes.gsd**2))
    assert turned(recipe, {**NOTHING, "count": 3.0}).arrangement.count.median == 3 * recipe.arrangement.count.median
    assert turned(recipe, {**NOTHING, "cluster": 0.5}).arrangement.cluster_size.median == 2.5
    assert turned(recipe, {**NOTHING, "elongation": 2.0}).particles[0].aspect_ratio.median == pytest.approx(1.4)


def simulated(count: int = 300) -> Simulated:
    """Return renders in a world where what is found depends on the knobs, and the ground's level on `ground` alone."""
    rng = np.random.default_rng(1)
    knobs = pd.DataFrame({name: rng.uniform(*np.log(ends), count) for name, ends in KNOBS.items()})
    mixing = np.eye(5) + 0.3 * rng.standard_normal((5, 5))
    found = pd.DataFrame(knobs.to_numpy() @ mixing, columns=list(FOUND))
    found["elongation"] = knobs["elongation"] + 0.1 * found["density"]
    detector = load_recipe("generic_sem").detector
    drawn = pd.DataFrame(
        {f"detector.{name}": getattr(detector, name).draw(rng, count) for name in ("substrate_level", "rim", "side")}
    )
    drawn["substrate.0"] = (rng.random(count) < 0.6).astype(float)
    found["hollow"] = 0.02 * rng.standard_normal(count)
    looks = pd.DataFrame({"look_ground": drawn["detector.substrate_level"] + 0.01 * rng.standard_normal(count)})
    looks["look_fine"] = drawn["substrate.0"] + 0.1 * rng.standard_normal(count)
    return Simulated([], knobs, drawn, found.join(looks))


def test_the_geometry_of_which_as_much_would_be_found_is_found_again() -> None:
    made = simulated()
    wanted = made.seen.iloc[[7]]
    knobs = geometry(made, wanted, KNOBS)
    assert {name: np.log(each) for name, each in knobs.items()} == pytest.approx(made.knobs.iloc[7].to_dict(), abs=0.1)


def test_looks_narrow_what_they_show_and_nothing_else() -> None:
    made, recipe = simulated(), load_recipe("generic_sem")
    wanted = pd.DataFrame(made.seen.mean().to_frame().T).assign(look_ground=0.2, look_fine=1.0)
    fitted = with_looks(recipe, made, wanted)
    low, high = fitted.detector.substrate_level.support
    assert 0.05 < low < 0.2 < high < 0.35
    assert fitted.detector.rim == recipe.detector.rim
    assert fitted.detector.side == recipe.detector.side
    assert fitted.substrate[0].probability > 0.9


def small(size_nm: float) -> Recipe:
    """Return a recipe of few particles that are found with the same error whatever the picture looks like."""
    recipe = load_recipe("generic_sem").within(160)
    content = recipe.model_dump() | {"substrate": []}
    content["detector"] |= {"substrate_level": [0.05, 0.15], "particle_level": [0.6, 0.8], "electrons": 2000}
    content["detector"] |= dict.fromkeys(("stretch", "halo", "charging", "rim", "illumination", "side"), 0)
    content["detector"] |= {"gamma": 1, "blur_px": [0.4, 0.8]}
    content["particles"][0]["diameter_nm"] = {"kind": "lognormal", "median": size_nm, "gsd": 1.2}
    content["arrangement"] |= {"count": [8, 14], "cluster_size": 1, "overlap": 0}
    return Recipe.model_validate(content)


def test_sizes_of_renders_are_fitted_without_their_annotation() -> None:
    with Preview(seed=5) as preview:
        images = [preview.image(small(90.0), scene).image for scene in range(8)]
    fit = fit_recipe(images, small(150.0), Touching(), pixel_size_nm=20.0, scenes=12, progress=False)
    # the images are said to have pixels of 20 nm in place of 5
    assert fit.recipe.particles[0].size.median == pytest.approx(4 * 90.0, rel=0.15)
    assert fit.recipe.image.pixel_size_nm == 20
    off = fit.after.set_index("property").loc["median_size", "off"]
    assert abs(off) < 1.5
    assert fit.table.set_index("parameter").loc["particles.0.diameter_nm", "fitted"]


def test_images_without_particles_are_told() -> None:
    blank = np.random.default_rng(0).normal(0.2, 0.01, (64, 64)).astype(np.float32)
    with pytest.raises(InputError, match="fewer than three particles"):
        fit_recipe([blank], small(100.0), Touching(), pixel_size_nm=1.0, progress=False)


def test_a_parent_of_which_nothing_is_found_is_told() -> None:
    image = np.zeros((96, 96), np.float32)
    for row in (20, 50, 80):
        image[row - 6 : row + 6, 40:52] = 0.8
    content = small(100.0).model_dump()
    content["detector"]["particle_level"] = content["detector"]["substrate_level"]
    with pytest.raises(InputError, match="begin with another recipe"):
        fit_recipe([image], Recipe.model_validate(content), Touching(), pixel_size_nm=1.0, scenes=8, progress=False)
