"""Figures of several panels, composed of real micrographs; single micrographs stay whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nanolab.images.formats.image_file import read_grey
from nanolab.images.micrograph import read, read_panels
from nanolab.images.panels import Box, find_panels
from nanolab.images.pixel_size import PixelSize

WIDTH, HEIGHT = 300, 220  # px of a panel


def compose(pictures: list[np.ndarray], columns: int, level: int, gutter: int) -> tuple[Image.Image, list[Box]]:
    """Put pictures into a figure, each with a letter in its corner and a caption below."""
    rows = -(-len(pictures) // columns)
    step_y, step_x = HEIGHT + 30 + gutter, WIDTH + gutter
    figure = Image.new("L", (columns * step_x + gutter, rows * step_y + gutter), level)
    draw, boxes = ImageDraw.Draw(figure), []
    for number, picture in enumerate(pictures):
        top, left = gutter + number // columns * step_y, gutter + number % columns * step_x
        figure.paste(Image.fromarray(np.uint8(255 * picture)).resize((WIDTH, HEIGHT)), (left, top))
        draw.text((left + 8, top + 8), "abcdef"[number], fill=255)
        draw.text((left + WIDTH // 2, top + HEIGHT + 8), f"({'abcdef'[number]}) as made", fill=255 - level)
        boxes.append((top, left, top + HEIGHT, left + WIDTH))
    return figure, boxes


def overlap(first: Box, second: Box) -> float:
    def area(box: Box) -> int:
        return max(0, box[2] - box[0]) * max(0, box[3] - box[1])

    low = [*map(max, first[:2], second[:2]), *map(min, first[2:], second[2:])]
    common = area((low[0], low[1], low[2], low[3]))
    return common / (area(first) + area(second) - common)


@pytest.mark.parametrize(("level", "least"), [(255, 0.75), (0, 0.6)])
def test_most_panels_of_composed_figures_are_found(level: int, least: float, emps_folder: Path) -> None:
    files = sorted((emps_folder / "images").glob("*.png"))[::12]
    pictures = [read_grey(path)[0] for path in files[:32]]
    found = []
    for number in range(8):
        four = pictures[4 * number : 4 * number + 4]
        figure, boxes = compose(four, columns=(2, 4, 1, 3)[number % 4], level=level, gutter=10)
        panels = find_panels(np.asarray(figure, np.float32) / 255)
        found += [any(overlap(box, panel) > 0.95 for panel in panels) for box in boxes]
    # grounds as white or black as the gutter hide it; then the figure stays whole
    assert np.mean(found) >= least


@pytest.mark.slow
@pytest.mark.parametrize("where", ["emps_folder", "bam_folder"])
def test_no_micrograph_is_taken_apart(where: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(where)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".png", ".tif", ".jpg")]
    images = [path for path in files if not any("mask" in part.lower() or "segmap" in part for part in path.parts)]
    assert images
    assert [path.name for path in images if find_panels(read_grey(path)[0])] == []


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.8, shape)


def lines(shape: tuple[int, int], level: float) -> np.ndarray:
    """Return a dark picture with a bright line through it, as at the top of a data bar."""
    shown = noise(*shape)
    shown[150:153] = level
    shown[153:] = 1 - level
    return shown


def particles_on_black() -> np.ndarray:
    rows, cols = np.ogrid[:200, :200]
    shown = np.zeros((200, 200))
    for row in (40, 150):
        for col in (30, 90, 160):
            shown[(rows - row) ** 2 + (cols - col) ** 2 < 20**2] = 0.8
    return shown


@pytest.mark.parametrize(
    "image",
    [
        lambda: noise(100, 100),
        lambda: lines((200, 200), 1.0),
        particles_on_black,
        lambda: 1 - particles_on_black(),
        lambda: np.ones((100, 100)),
        lambda: np.zeros((2, 2)),
        lambda: np.pad(noise(100, 100), 30, constant_values=1.0),  # margins alone
    ],
)
def test_what_is_no_figure_stays_whole(image: Callable[[], np.ndarray]) -> None:
    assert find_panels(image()) == []


def test_panels_within_panels_and_large_figures() -> None:
    figure = np.ones((5000, 8200), np.float32)
    boxes = [(0, 0, 5000, 4000), (0, 4200, 2400, 8200), (2600, 4200, 5000, 8200)]
    for top, left, low, right in boxes:
        figure[top:low, left:right] = noise(low - top, right - left)
    found = find_panels(figure)
    # seen every third pixel
    np.testing.assert_allclose(found, boxes, atol=3)


def test_each_panel_has_its_own_scale_bar_and_grey_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = np.full((100, 210), 60_000, np.uint16)
    figure[:, :100] = 20_000 * noise(100, 100)
    figure[:, 110:] = 50_000 * noise(100, 100)

    def bar(pixels: np.ndarray) -> tuple[PixelSize, tuple[()]]:
        assert (pixels.min(), pixels.max()) == (0, 1)
        return PixelSize(float(pixels.shape[1]), "scale bar", "as wide as the panel"), ()

    monkeypatch.setattr("nanolab.images.lettering.read_lettering", bar)
    Image.fromarray(figure).save(tmp_path / "figure.png")
    panels = read_panels(tmp_path / "figure.png", find_scale_bar=True)
    assert [(panel.name, panel.pixel_size_nm) for panel in panels] == [("figure_p0", 100.0), ("figure_p1", 100.0)]
    single = read_panels(tmp_path / "figure.png", pixel_size_nm=2.0)
    assert [panel.pixel_size_nm for panel in single] == [2.0, 2.0]
    assert read(tmp_path / "figure.png").name == "figure"
