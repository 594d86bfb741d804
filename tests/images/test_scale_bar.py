"""Scale bars are measured below a pixel, paired with their labels, and left unknown where they are not sure."""

import socket
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanolab.images import scale_bar
from nanolab.images.formats.bars import find_bars
from nanolab.images.formats.image_file import read_grey
from nanolab.images.formats.ocr import Text, read_text
from nanolab.images.pixel_size import PixelSize
from nanolab.images.scale_bar import _rejoined, read_scale_bar, weigh

HEIGHT, WIDTH = 512, 640


def canvas(rng, level=110.0, spread=8.0):
    """A noisy substrate, shape (512, 640), 0 to 255."""
    return rng.normal(level, spread, (HEIGHT, WIDTH)).clip(0, 255).astype(np.float32)


def drawn(image):
    return (image.clip(0, 255) / 255).astype(np.float32)


def rectangle(image, top, bottom, left, right, ink):
    """Fill columns from `left` to `right`, which may be fractions, as an instrument's enlarged picture has them."""
    columns = np.arange(image.shape[1])
    share = np.clip(np.minimum(columns + 1, right) - np.maximum(columns, left), 0, 1)
    image[top:bottom] += share * (ink - image[top:bottom])


def label(content, top=455.0, left=280.0, bottom=480.0, right=360.0, score=0.98):
    return Text(content, top, left, bottom, right, score)


class TestShapes:
    """Known bars come back; half a pixel is what noise and the halves at both ends may cost."""

    @settings(max_examples=25)
    @given(
        seed=st.integers(0, 2**32 - 1),
        left=st.floats(20, 300),
        length=st.floats(20, 300),
        thickness=st.integers(1, 6),
        ink=st.sampled_from([0, 255]),
    )
    def test_solid_bars(self, seed, left, length, thickness, ink):
        image = canvas(np.random.default_rng(seed))
        rectangle(image, 490, 490 + thickness, left, left + length, ink)
        best = max(find_bars(drawn(image), 470, 505), key=lambda bar: bar.contrast)
        assert best.length_px == pytest.approx(length, abs=0.7)
        assert best.left == pytest.approx(left, abs=0.5)
        assert best.sign == (1 if ink else -1)

    @pytest.mark.parametrize("tick_px", [1, 2, 3])
    @pytest.mark.parametrize("ground", [0, 40, 255])
    def test_lines_with_ticks_are_measured_from_middle_to_middle(self, tick_px, ground):
        image = np.full((HEIGHT, WIDTH), ground, np.float32)
        ink = 255 if ground < 128 else 0
        image[490:492, 100:241] = ink
        for column in (100, 241 - tick_px):
            image[483:499, column : column + tick_px] = ink
        best = max(find_bars(drawn(image), 475, 505), key=lambda bar: bar.length_px)
        assert best.length_px == pytest.approx(141 - tick_px, abs=0.2)

    @pytest.mark.parametrize("step", [5, 14.2, 22.7])
    def test_eleven_ticks(self, rng, step):
        image = canvas(rng)
        for number in range(11):
            column = round(300 + number * step)
            image[486 : 498 if number % 5 == 0 else 492, column : column + 2] = 255
        ticks = [bar for bar in find_bars(drawn(image), 475, 505) if bar.is_tick_row]
        assert len(ticks) == 1
        assert ticks[0].length_px == pytest.approx(10 * step, abs=1)  # columns are whole numbers here

    @pytest.mark.parametrize("count", [10, 12])
    def test_other_counts_of_ticks_are_no_scale_bar(self, rng, count):
        image = canvas(rng)
        for number in range(count):
            image[486:496, 300 + 14 * number : 302 + 14 * number] = 255
        assert not any(bar.is_tick_row for bar in find_bars(drawn(image), 475, 505))

    def test_arrows_are_not_measured(self):
        image = np.full((HEIGHT, WIDTH), 255, np.float32)
        image[490:492, 100:240] = 0
        for size in range(12):
            image[491 - size // 2 : 491 + size // 2 + 1, [100 + size, 239 - size]] = 0
        assert all(bar.length_px < 100 or bar.length_px > 139 for bar in find_bars(drawn(image), 475, 505))

    def test_bars_that_run_into_a_particle_are_not_measured(self, rng):
        image = canvas(rng)
        cv2.circle(image, (300, 480), 60, 255, -1)
        rectangle(image, 486, 492, 300, 420, 255)
        assert not [bar for bar in find_bars(drawn(image), 470, 505) if 50 < bar.length_px < 200]

    def test_noise_has_no_bars(self, rng):
        assert find_bars(drawn(canvas(rng, spread=40)), 400, 500) == []


class TestPairs:
    """A label and a bar make a pixel size; the text is given, so that only the pairing is tested."""

    def found(self, image, *texts):
        return weigh(list(texts), drawn(image))

    @pytest.mark.parametrize(
        ("place", "box"),
        [
            ("below", (490, 496, 250, 390)),
            ("above", (444, 450, 250, 390)),
            ("left", (464, 470, 120, 260)),
            ("right", (464, 470, 375, 515)),
        ],
    )
    def test_places(self, rng, place, box):
        image = canvas(rng)
        top, bottom, left, right = box
        rectangle(image, top, bottom, left, right, 255)
        image[460:475, 290:350:4] = 255  # strokes of letters, so that the label has a colour
        found = self.found(image, label("200 nm"))
        assert found.source == "scale bar"
        assert found.nm == pytest.approx(200 / 140, rel=0.01)  # half a pixel at each end of 140
        assert found.detail.startswith("200 nm over 1")
        assert 0.55 <= found.confidence <= 1

    def test_line_interrupted_by_its_label(self):
        image = np.full((HEIGHT, WIDTH), 40, np.float32)
        for first, last in ((150, 276), (364, 490)):
            image[467:469, first:last] = 255
        for column in (150, 489):
            image[460:476, column] = 255
        image[460:475, 290:350:4] = 255
        assert self.found(image, label("5 µm")).nm == pytest.approx(5000 / 339, rel=0.005)

    @pytest.mark.parametrize(
        ("content", "nm"),
        [
            ("200 nm", 200), ("200nm", 200), ("-200 nm-", 200), ("0.5 µm", 500), ("0,5 μm", 500), ("1um", 1000),
            ("1.00um", 1000), ("2.5 µm.", 2500), ("300 nm", 300), ("100 µm", 1e5), ("1 mm", 1e6),
        ],
    )  # fmt: skip
    def test_labels(self, rng, content, nm):
        image = canvas(rng)
        rectangle(image, 490, 496, 250, 390, 255)
        image[460:475, 290:350:4] = 255
        assert self.found(image, label(content)).nm == pytest.approx(nm / 140, rel=0.01)

    @pytest.mark.parametrize(
        "content",
        [
            "WD = 2.9 mm", "EHT = 20.00 kV", "592 nm TLD", "108 nm", "50 mm", "0.5 pm", "2000 nm", "0 nm", "200", "nm",
            "200 nm 100 nm", "x 200 nm", "(b)", "",
        ],
    )  # fmt: skip
    def test_what_is_no_label(self, rng, content):
        image = canvas(rng)
        rectangle(image, 490, 496, 250, 390, 255)
        found = self.found(image, label(content))
        assert found == PixelSize.unknown("no scale bar label was read in the picture")

    def test_number_and_unit_read_apart(self, rng):
        image = canvas(rng)
        rectangle(image, 490, 496, 250, 390, 255)
        image[460:475, 290:350:4] = 255
        apart = [label("20", right=305.0), label("nm", left=318.0)]
        assert self.found(image, *_rejoined(apart)).nm == pytest.approx(20 / 140, rel=0.01)

    def test_no_bar(self, rng):
        found = self.found(canvas(rng), label("200 nm"))
        assert found == PixelSize.unknown("no bar was found next to the label '200 nm'")

    def test_bars_far_away_do_not_count(self, rng):
        image = canvas(rng)
        rectangle(image, 300, 306, 250, 390, 255)
        rectangle(image, 490, 496, 20, 160, 255)
        assert self.found(image, label("200 nm")).nm is None

    def test_two_bars_that_contradict_leave_it_unknown(self, rng):
        image = canvas(rng)
        rectangle(image, 490, 496, 250, 390, 255)
        rectangle(image, 438, 444, 270, 370, 255)
        image[460:475, 290:350:4] = 255
        found = self.found(image, label("200 nm"))
        assert found.nm is None
        assert "unsure" in found.detail

    def test_unsure_reading_leaves_it_unknown(self, rng):
        image = canvas(rng)
        rectangle(image, 490, 496, 250, 390, 255)
        image[460:475, 290:350:4] = 255
        assert self.found(image, label("200 nm", score=0.98)).nm is not None
        assert self.found(image, label("200 nm", score=0.5)).nm is None

    def test_no_microscope_has_such_pixels(self, rng):
        image = canvas(rng)
        rectangle(image, 490, 496, 250, 390, 255)
        assert self.found(image, label("5 mm")).nm is None  # 36 um a pixel: a working distance


def written(image, content, at, scale, ink):
    cv2.putText(image, content, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 2, cv2.LINE_AA)


@pytest.mark.parametrize(("content", "nm", "level", "ink"), [("100 nm", 100, 60, 255), ("2 um", 2000, 200, 0)])
def test_drawn_scale_bars_are_read(rng, content, nm, level, ink):
    image = canvas(rng, level)
    rectangle(image, 485, 491, 440.3, 596.8, ink)
    written(image, content, (465, 470), 0.9, ink)
    found = read_scale_bar(drawn(image))
    assert found.nm == pytest.approx(nm / 156.5, rel=0.006)  # 0.5 px at each end
    assert found.confidence > 0.8


def test_an_image_without_text(rng):
    assert read_scale_bar(drawn(canvas(rng))) == PixelSize.unknown("no scale bar label was read in the picture")


def test_bam_scale_bar_agrees_with_the_metadata(bam_folder):
    path = bam_folder / "Datasets/Electron Microscopy Images/SEM/1908248.tif"
    found = read_scale_bar(read_grey(path)[0])
    # 200 nm are 27.2 px at 7.34375 nm; the instrument draws them over 27 whole pixels
    assert found.nm == pytest.approx(7.34375, rel=0.01)
    assert found.detail == "200 nm over 27.0 px"


def test_large_images_are_read_at_a_lower_resolution(rng):
    image = np.full((1000, 4000), 60, np.float32)
    written(image, "200 nm", (3000, 800), 4, 255)
    text = next(text for text in read_text(drawn(image)) if "nm" in text.content)
    # the middle of where it was drawn, in pixels of the large image, within a fifth of its height
    (width, height), _ = cv2.getTextSize("200 nm", cv2.FONT_HERSHEY_SIMPLEX, 4, 2)
    assert (text.left + text.right) / 2 == pytest.approx(3000 + width / 2, abs=height / 5)
    assert (text.top + text.bottom) / 2 == pytest.approx(800 - height / 2, abs=height / 5)


# Label in nm and length of its bar in pixels, read by eye (to a pixel at each end) from enlarged pictures of 20 of
# the 257 EMPS images whose label can be read, drawn at random. None: the bar is cut off, or too faint to see its end.
EMPS = {
    "1b3c6536a3": (10000, 65.7), "1d67fb3321": (1000, 94), "22c776b059": (500, 143.7), "245e1a4826": (1000, 104),
    "2897b777fe": None, "2b9ccd5679": (200, 97), "3027f9ffe7": (10000, 120), "31f17306c8": (200, 245.5),
    "3430b20071": (100, 82.5), "42750053e0": (200, 112), "513158cf83": None, "73e0a09cd2": (200, 74.7),
    "7701ac03c1": (300, 109), "7e0c56c44b": (300, 53), "a8851978de": (500, 42), "bf901d32a3": (1000, 32),
    "cf6823322f": (20, 85.5), "de1d3f1409": (50, 198.5), "e071eefebb": (200, 64.5), "e4065c11e4": (1000, 115),
}  # fmt: skip
# Figures without a label: nothing may be made up.
EMPS_UNLABELLED = ("0144266d21", "0ca41ed5b8", "1e011bd992", "226dc58f03", "23d581d8a9", "2daa27a6df")


def agrees(found, truth):
    nm, length_px = truth
    return found.nm == pytest.approx(nm / length_px, rel=1.5 / length_px)


def test_one_emps_image(emps_folder):
    assert agrees(read_scale_bar(read_grey(emps_folder / "images" / "31f17306c8.png")[0]), EMPS["31f17306c8"])


@pytest.mark.slow
def test_emps_images(emps_folder):
    found = {stem: read_scale_bar(read_grey(emps_folder / "images" / f"{stem}.png")[0]) for stem in EMPS}
    known = {stem for stem in found if found[stem].nm is not None}
    assert [stem for stem in known if EMPS[stem] is None or not agrees(found[stem], EMPS[stem])] == []
    assert len(known) >= 17  # of 18 that can be read


@pytest.mark.slow
def test_unlabelled_emps_images(emps_folder):
    for stem in EMPS_UNLABELLED:
        assert read_scale_bar(read_grey(emps_folder / "images" / f"{stem}.png")[0]).nm is None, stem


def test_the_reader_is_quiet_and_offline(monkeypatch, capfd, caplog, rng):
    from nanolab.images.formats import ocr

    def refused(*_args, **_options):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    ocr._reader.cache_clear()
    image = canvas(rng, 60)
    written(image, "100 nm", (465, 470), 0.9, 255)
    assert [text.content.replace(" ", "") for text in read_text(drawn(image))] == ["100nm"]
    assert ocr._reader() is ocr._reader()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_the_reader_is_loaded_only_when_used():
    code = "import sys, nanolab.images.scale_bar; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert {"rapidocr", "onnxruntime", "cv2"}.isdisjoint(shown.split())


def grains(seed: int) -> np.ndarray:
    """Grey grains of 110 to 180 on black, as in a powder, and a white bar of exactly 66 px straight onto them."""
    rng = np.random.default_rng(seed)
    grey = np.full((240, 320), 20.0)
    rows, columns = np.mgrid[:240, :320]
    for _ in range(1400):
        row, column, radius, level = rng.uniform(0, 240), rng.uniform(0, 320), rng.uniform(4, 7), rng.uniform(110, 180)
        grey[(rows - row) ** 2 + (columns - column) ** 2 < radius * radius] = level
    grey = (grey + rng.normal(0, 6, grey.shape)).clip(0, 255)
    grey[190:209, 170:236] = 255
    return (np.rint(grey) / 255).astype(np.float32)


@pytest.mark.parametrize("seed", range(30))
def test_a_bar_on_grains_is_as_long_as_it_is_or_not_found(seed: int) -> None:
    bars = [bar for bar in find_bars(grains(seed), 180, 220) if bar.bottom > 192 and bar.top < 206 and bar.width > 40]
    # 0.7 px: half a pixel from the blur-free ends, and the noise of the grains beyond them
    assert [bar.length_px for bar in bars] == pytest.approx([66] * len(bars), abs=0.7)


def test_gaps_between_grains_are_no_line_around_a_label() -> None:
    image = grains(1)
    text = Text("200 nm", 140.0, 140.0, 192.0, 268.0, 0.98)  # as it is read, of letters half as high
    assert scale_bar.weigh([text], image).nm == pytest.approx(200 / 66, rel=0.01)  # half a pixel of 66


def test_a_line_read_across_its_bar_is_read_again_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.full((HEIGHT, WIDTH), 40, np.float32)
    image[458:462, 106:150] = 255
    for left in (104, 147):
        image[450:470, left : left + 4] = 255
    image[448:473, [165, 171, 178, 190, 196, 207, 213, 222]] = 255  # strokes of letters
    read = Text("15 um", 445.0, 102.0, 476.0, 228.0, 0.98)  # the right tick as a 1
    monkeypatch.setattr(scale_bar, "read_text", lambda pixels: [read])
    seen = []
    monkeypatch.setattr(scale_bar, "read_line", lambda pixels: (seen.append(pixels.shape), ("5 um", 0.97))[1])
    found = read_scale_bar(drawn(image))
    assert found.nm == pytest.approx(5000 / 43, rel=0.01)  # between the middles of the ticks, half a pixel at most
    assert seen[0][1] < 228 - 150  # without bar and ticks
    monkeypatch.setattr(scale_bar, "read_line", lambda pixels: ("", 0.0))
    assert read_scale_bar(drawn(image)).nm is None


@pytest.mark.parametrize(("content", "known"), [("100nm OCPN", True), ("1.00 um HFW", False), ("100 nm 5", False)])
def test_a_word_after_the_length_may_be_the_laboratory_but_no_other_length(content: str, known: bool) -> None:
    image = np.full((HEIGHT, WIDTH), 40, np.float32)
    rectangle(image, 490, 496, 280, 340, 255)
    image[460:475, 285:335:4] = 255
    found = weigh([Text(content, 455.0, 280.0, 480.0, 420.0, 0.98)], drawn(image))
    assert (found.nm is not None) == known
