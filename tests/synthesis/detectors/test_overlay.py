"""Scale bars and data bars: of the length they say, where the record says, and readable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nanolab.images.lengths import length_text, nice_length_nm
from nanolab.images.scale_bar import read_scale_bar
from nanolab.synthesis.detectors.databar import DataBar, draw_over, drawn_over
from nanolab.synthesis.detectors.detect import shown_labels
from nanolab.synthesis.detectors.layouts import LAYOUTS
from nanolab.synthesis.detectors.lettering import FONTS, Font, extent_px, text_mask

SHAPE = (512, 640)
STYLES = sorted(LAYOUTS)


def bar(style: str, seed: int = 0, pixel_size_nm: float = 2.0, shape: tuple[int, int] = SHAPE) -> dict:
    record = DataBar.model_validate({"styles": [style]}).draw(shape, pixel_size_nm, np.random.default_rng(seed))
    assert record is not None
    return record


@given(st.floats(0.5, 1e6))
def test_a_nice_length_is_the_largest_below(most_nm: float) -> None:
    length = nice_length_nm(most_nm)
    assert length <= most_nm * (1 + 1e-9)
    assert length > most_nm / 2.6  # from 2 to 5 is the widest gap
    digit = float(f"{length:.6e}".split("e")[0])
    assert digit in (1, 2, 5)


def test_lengths_are_written_in_their_unit() -> None:
    assert [length_text(nm) for nm in (0.5, 50, 500, 1000, 20000)] == ["0.5 nm", "50 nm", "500 nm", "1 um", "20 um"]


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("height_px", [8.0, 20.0, 50.0])
def test_letters_have_the_height_asked_for(font: Font, height_px: float) -> None:
    mask = text_mask("EHT", height_px, font)
    # Bold strokes stand out by half their width, 0.1 of the height, at top and bottom; and whole pixels, soft ones.
    assert mask.shape[0] == pytest.approx(height_px, abs=0.25 * height_px + 3)
    assert extent_px("EHT", height_px, font) == mask.shape
    assert mask.max() == pytest.approx(1, abs=0.15)
    assert extent_px("EHT EHT", height_px, font)[1] > 2 * mask.shape[1]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pixel_size_nm", [0.31, 2.0, 47.0])
def test_the_bar_has_the_length_it_says(style: str, seed: int, pixel_size_nm: float) -> None:
    record = bar(style, seed, pixel_size_nm)
    scale = record["scale_bar"]
    assert scale["length_px"] == pytest.approx(scale["length_nm"] / pixel_size_nm, abs=0.51)  # whole pixels
    assert 0.05 * SHAPE[1] < scale["length_px"] < 0.4 * SHAPE[1]
    top, left, bottom, right, _ = record["boxes"][-1]
    assert 0 <= top < bottom <= SHAPE[0]
    assert 0 <= left < right <= SHAPE[1]
    assert any(length_text(scale["length_nm"]).replace(" ", "") == text[0].replace(" ", "") for text in record["texts"])
    image = draw_over(np.full(SHAPE, 0.4, dtype=np.float32), record)
    assert len(np.unique(image[top:bottom, left:right])) == 1
    assert abs(image[top, left] - 0.4) > 0.3


@pytest.mark.parametrize("style", STYLES)
def test_labels_are_0_where_something_is_drawn_and_only_there(style: str) -> None:
    record = bar(style, 3)
    hidden = drawn_over(SHAPE, record)
    images = [draw_over(np.full(SHAPE, grey, dtype=np.float32), record) for grey in (0.3, 0.4)]
    shines_through = (images[1] - images[0]) / 0.1
    # Letters have soft rims: half hidden is hidden.
    assert shines_through[hidden].max() < 0.501
    assert shines_through[~hidden].min() > 0.499
    assert shines_through[~hidden].mean() > 0.98
    labels = shown_labels(np.ones(SHAPE, dtype=np.int32), {"data_bar": record})
    assert np.array_equal(labels == 0, hidden)
    assert labels.dtype == np.int32


def test_strips_hide_whole_rows() -> None:
    for style in ("zeiss", "thermo", "hitachi"):
        hidden = drawn_over(SHAPE, bar(style))
        rows = hidden.all(axis=1)
        assert rows[-1]
        assert 0.03 < rows.mean() < 0.12
        assert not hidden[~rows].any()


def test_letters_stand_out_from_the_image() -> None:
    record = bar("jeol") | {"boxes": [[5, 5, 8, 50, None]], "texts": []}
    for ground, ink in ((0.2, 1.0), (0.8, 0.0)):
        assert draw_over(np.full(SHAPE, ground, dtype=np.float32), record)[6, 20] == ink


def test_what_reaches_beyond_the_image_is_cut() -> None:
    texts = [["HFW 12", -4, -6, 12.0, "plain", 1.0], ["W", 510, 636, 9.0, "sans", 1.0]]
    hidden = drawn_over(SHAPE, {"boxes": [[-5, -5, 3, 3, 1.0]], "texts": texts})
    assert hidden[:3, :3].all()
    assert hidden.sum() > 9


def test_the_share_of_images_with_a_bar() -> None:
    rng = np.random.default_rng(0)
    drawn = [DataBar(probability=0.25).draw(SHAPE, 1.0, rng) for _ in range(400)]
    assert np.mean([record is not None for record in drawn]) == pytest.approx(0.25, abs=0.09)  # four SD of 2.2 %
    assert {record["style"] for record in drawn if record} == set(STYLES)
    with pytest.raises(ValidationError, match="'zeiss', 'thermo'"):
        DataBar.model_validate({"styles": ["leica"]})


@pytest.mark.parametrize(("style", "seed"), [("zeiss", 1), ("thermo", 2), ("figure", 8)])
def test_the_scale_bar_reader_reads_it(style: str, seed: int) -> None:
    grey = np.random.default_rng(0).normal(0.3, 0.02, SHAPE).astype(np.float32)
    found = read_scale_bar(draw_over(np.clip(grey, 0, 1), bar(style, seed, 3.0)))
    assert found.nm == pytest.approx(3.0, rel=0.05)  # a bar of some hundred pixels, read to a few
