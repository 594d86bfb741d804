"""The recipe's editor: every knob is a number of the recipe, and turning one gives the dataset's own image."""

import base64
import io
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.images.micrograph import Micrograph
from nanolab.images.pixel_size import PixelSize
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import Recipe, load_recipe, parse_recipe, shipped_recipes
from nanolab.widgets.knobs import changed, knobs
from nanolab.widgets.synthesis import RecipeEditor

RECIPE = """
name: small
image: {width_px: 96, height_px: 64, pixel_size_nm: 4}
particles: [{template: sphere, diameter_nm: {kind: lognormal, median: 60, gsd: 1.2}}]
arrangement: {kind: scattered, count: 8, min_gap_nm: 10}
substrate: [{kind: grain, amplitude: [0.0, 0.1], scale_nm: 40}]
detector: {kind: se, substrate_level: 0.1, particle_level: [0.4, 0.5], blur_px: 0.5, electrons: 5000}
appearances_per_scene: 2
occlusion_distance_nm: 50
"""


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_knobs_of_shipped_recipes_go_as_far_as_the_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    content = recipe.model_dump(mode="json")
    found = knobs(recipe)
    assert len({(knob.place, knob.keys) for knob in found}) == len(found) > 10
    for knob in found:
        assert knob.low <= min(knob.value) <= max(knob.value) <= knob.high
        assert changed(content, knob.place, knob.keys, knob.value) == content
        if knob.low < knob.high:
            ends = (knob.low, knob.high) if len(knob.keys) == 2 else (knob.high,)
            Recipe.model_validate(changed(content, knob.place, knob.keys, ends))


def test_knobs_are_named_for_people() -> None:
    names = {(knob.section, knob.name): knob for knob in knobs(parse_recipe(RECIPE, "test"))}
    assert names["particles 1: sphere", "diameter_nm median"].value == (60,)
    assert names["substrate 1: grain", "amplitude"].value == (0, 0.1)
    assert names["detector", "particle_level"].keys == ("min", "max")
    assert names["image", "pixel_size_nm"].value == (4,)
    assert ("image", "width_px") not in names


def test_sections_come_in_the_order_a_person_thinks_in() -> None:
    sections = list(dict.fromkeys(knob.section.split()[0] for knob in knobs(load_recipe("au_rods_tem"))))
    assert sections == ["image", "particles", "arrangement", "substrate", "detector", "data_bar", "renderer"]


def test_a_micrograph_is_shown_next_to_the_image_and_as_large_a_field() -> None:
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    own = Micrograph(np.eye(300, 400, dtype=np.float32), PixelSize.typed(2.0), Path("own.tif"))
    with closing(RecipeEditor(parse_recipe(RECIPE, "test"), own, device="cpu")) as editor:
        # 96 x 64 px of 4 nm are 192 x 128 px of 2 nm
        assert Image.open(io.BytesIO(editor._real.value)).size == (192, 128)
        assert [type(each).__name__ for each in editor.children] == ["VBox", "VBox", "Accordion"]


def test_an_impossible_value_is_said_and_not_taken(editor: RecipeEditor) -> None:
    before = editor.recipe
    (knob,) = [knob for knob in editor.sliders if knob.name == "coverage"]
    editor._turn(knob, (1.5,))
    assert editor.recipe == before
    assert "coverage" in editor._message.value
    assert "between 0 and 1" in editor._message.value


@pytest.fixture
def editor():
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    widget = RecipeEditor(parse_recipe(RECIPE, "test"), seed=3, device="cpu")
    yield widget
    widget.close()


def slider(editor: RecipeEditor, name: str):
    (found,) = [slider for knob, slider in editor.sliders.items() if knob.name == name]
    return found


def test_editor_shows_the_images_of_the_dataset(editor: RecipeEditor, tmp_path: Path) -> None:
    dataset = render(parse_recipe(RECIPE, "test"), tmp_path / "set", 4, seed=3, workers=1, progress=False)
    editor.scene.value, editor.look.value = 1, 1
    shown = np.asarray(Image.open(io.BytesIO(editor._picture.value)))
    assert shown.shape == (64, 96, 3)
    assert np.array_equal(shown[..., 0], np.rint(dataset[3].image * 255))
    assert np.array_equal(editor.rendered.labels, dataset[3].labels)
    editor.outlines.value = True
    assert not np.array_equal(np.asarray(Image.open(io.BytesIO(editor._picture.value)))[..., 0], shown[..., 0])


def test_detector_needs_no_new_render_and_the_scene_does(editor: RecipeEditor) -> None:
    labels, image = editor.rendered.labels, editor.rendered.image
    editor._preview._renderer.close()  # a render now would have to start Blender again, which takes a second
    start = time.perf_counter()
    slider(editor, "particle_level").value = (0.2, 0.25)
    assert editor._preview._renderer._process is None
    assert time.perf_counter() - start < 1
    assert np.array_equal(editor.rendered.labels, labels)
    assert editor.rendered.image[labels > 0].mean() < 0.7 * image[labels > 0].mean()
    slider(editor, "diameter_nm median").value = 90
    assert editor._preview._renderer._process is not None
    assert (editor.rendered.labels > 0).sum() > 1.3 * (labels > 0).sum()


def test_saved_recipe_is_the_changed_one(editor: RecipeEditor, tmp_path: Path) -> None:
    slider(editor, "diameter_nm median").value = 90
    path = tmp_path / "mine.yaml"
    editor.path.value = str(path)
    editor.save_button.click()
    saved = load_recipe(path)
    assert saved.name == "mine"
    assert saved.model_copy(update={"name": "small"}) == editor.recipe
    assert saved.particles[0].size.median == 90
    editor.save(path)  # its own file it may replace
    (tmp_path / "other.yaml").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        editor.save(tmp_path / "other.yaml")
    with pytest.raises(InputError, match=r"is a \.yaml file"):
        editor.save(tmp_path / "mine.txt")
    with pytest.raises(InputError, match="name"):
        editor.save(tmp_path / "my recipe.yaml")


def test_a_notebook_without_widgets_shows_the_image(editor: RecipeEditor) -> None:
    data, _ = editor._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == editor._picture.value
    assert "application/vnd.jupyter.widget-view+json" in data
