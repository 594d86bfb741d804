"""Marks of print: background wherever they are drawn, drawn with a stream of their own, in all kinds and fonts."""

import json

import numpy as np
import pytest

from nanolab.core.typing import Image
from nanolab.synthesis.detectors.detect import shown_labels
from nanolab.synthesis.detectors.lettering import FACES, Font, text_mask
from nanolab.synthesis.detectors.marks import Lettering, hidden_by, write_over
from nanolab.synthesis.recipe import parse_recipe

SHAPE = (200, 260)
KINDS = ["panel", "bar", "caption", "note", "arrow", "outline", "inset", "frame"]
RECIPE = """
name: test
image: {width_px: 260, height_px: 200, pixel_size_nm: 2}
particles: [{template: sphere, diameter_nm: 20}]
arrangement: {kind: scattered, count: 3}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5}
substrate: [{kind: grain, probability: 0.5, amplitude: [0, 0.2], scale_nm: 50}]
data_bar: {probability: 0.5}
occlusion_distance_nm: 50
"""


def flat(grey: float) -> Image:
    return np.full(SHAPE, grey, dtype=np.float32)


def drawn(kind: str, seed: int, **keys: object) -> dict:
    lettering = Lettering.model_validate({"marks": [kind], "count": 2, "jpeg_quality": 100, "blur_px": 0, **keys})
    record = lettering.draw(SHAPE, 2.0, np.random.default_rng(seed))
    assert record is not None
    return json.loads(json.dumps(record))  # as it stands in a manifest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_what_is_drawn_is_background_and_nothing_else_is(kind: str, seed: int) -> None:
    record = drawn(kind, seed)
    hidden, ones = hidden_by(SHAPE, record), np.ones(SHAPE, dtype=np.int32)
    images = [write_over(flat(grey), record) for grey in (0.6, 0.7)]
    shines_through = (images[1] - images[0]) / 0.1  # black on both, so that nothing but the ground differs
    assert (shines_through[~hidden] > 0.49).all()  # soft rims: half hidden is hidden
    assert (shines_through[hidden] < 0.51).all()
    assert np.array_equal(shown_labels(ones, {"lettering": record}), ~hidden)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_but_leaves_most_of_the_image(kind: str) -> None:
    shares = [hidden_by(SHAPE, drawn(kind, seed)).mean() for seed in range(20)]
    assert np.count_nonzero(shares) > 10  # a note or an arrow may fall off the edge, a frame may have no side
    assert max(shares) < 0.5
    assert np.mean(shares) < 0.25


def test_letters_stand_out_from_the_image() -> None:
    record = {**drawn("panel", 0), "boxes": [], "texts": [["H", 10, 10, 40.0, "wide", None]]}
    hidden = hidden_by(SHAPE, record)
    assert write_over(flat(0.2), record)[hidden].mean() > 0.8
    assert write_over(flat(0.9), record)[hidden].mean() < 0.2


@pytest.mark.parametrize("font", FACES)
def test_capitals_of_every_font_have_the_height_asked_for(font: Font) -> None:
    # The strokes of bold letters stand out by a tenth of the height at top and bottom; and soft, whole pixels.
    assert text_mask("HE", 40, font).shape[0] == pytest.approx(40, abs=12)


def test_an_image_without_lettering_stays_as_it_was_and_with_it_nothing_else_changes() -> None:
    plain, lettered = parse_recipe(RECIPE, "test"), parse_recipe(RECIPE + "lettering: {}\n", "test")
    for seed in range(5):
        without, with_it = (one.draw_appearance(np.random.default_rng(seed)) for one in (plain, lettered))
        assert with_it.pop("lettering")["texts"] is not None
        assert with_it == without


def test_the_share_of_images_that_have_marks() -> None:
    rng = np.random.default_rng(0)
    drawn_ones = [Lettering(probability=0.25).draw(SHAPE, 1.0, rng) for _ in range(400)]
    assert np.mean([record is not None for record in drawn_ones]) == pytest.approx(0.25, abs=0.09)  # four SD of 2.2 %


def test_jpeg_and_blur_leave_the_far_image_nearly_as_it_was() -> None:
    image = flat(0.4)
    record = {**drawn("bar", 1), "jpeg_quality": 60.0, "blur_px": 0.8}
    written = write_over(image, record)
    away = ~hidden_by(SHAPE, record)
    assert np.abs(written - image)[away].mean() < 0.03
    assert written.min() >= 0
    assert written.max() <= 1
