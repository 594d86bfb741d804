"""Scale bars drawn in many styles onto real micrographs, grains and plain ground, with the length that is right."""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from nanolab.images.formats.image_file import read_grey
from nanolab.images.formats.ocr import Text, read_text

__all__ = ["DrawnBar", "draw_scale_bar"]

_FONTS = ("DejaVu Sans", "DejaVu Sans:bold", "DejaVu Serif", "DejaVu Sans Mono")
_FONTS += ("STIXGeneral", "STIXGeneral:bold", "cmss10", "cmr10", "Aileron")
_WITHOUT_GREEK = ("cmss10", "cmr10", "Aileron")
_LENGTHS = {
    "nm": (5, 10, 20, 25, 50, 100, 200, 250, 300, 400, 500),
    "µm": (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50),
}
_SIDE_PX = 384


@dataclass(frozen=True)
class DrawnBar:
    """A picture, shape (height, width), uint8; what was drawn into it, and the pixel size that this makes."""

    pixels: np.ndarray
    style: str
    label: str
    length_px: float
    nm_per_px: float


def draw_scale_bar(rng: np.random.Generator, backgrounds: Sequence[Path]) -> DrawnBar:
    """Draw a bar of 25 to 220 px and its label onto a background without text, then blur, resize or compress the whole.

    One background in four is drawn: grains, or a slope with noise; the others are parts of micrographs.
    """
    ground = _drawn_ground(rng) if rng.random() < 0.25 else _part(rng, backgrounds)
    picture = Image.fromarray(_relit(rng, ground))
    length, size = int(rng.integers(25, 221)), int(rng.integers(14, 45))
    style = str(rng.choice(["solid", "line", "ticks"], p=[0.5, 0.2, 0.3]))
    place = str(rng.choice(["above", "below", "right", "left"], p=[0.5, 0.25, 0.15, 0.1]))
    ink, name = int(rng.choice([255, 235, 0, 20])), str(rng.choice(_FONTS))
    label, nm = _label(rng, name)
    thickness = int(rng.integers(2, max(3, min(24, length // 4)))) if style == "solid" else int(rng.integers(1, 5))
    tick, gap = int(rng.integers(8, 26)) if style == "ticks" else 0, int(rng.integers(3, 18))
    frame = str(rng.choice(["bare", "outlined", "box"], p=[0.5, 0.2, 0.3]))
    draw, font = ImageDraw.Draw(picture), _font(name, size)
    if frame == "bare" and abs(ink - np.asarray(picture).mean()) < 70:
        ink = 255 - ink  # nobody would see it
    outline = int(rng.integers(1, 3)) if frame == "outlined" else 0
    width, height = (int(side) for side in draw.textbbox((0, 0), label, font=font)[2:])
    tall, aside = max(thickness, tick), place in ("right", "left")
    if aside:
        length = min(length, _SIDE_PX - 24 - width - gap)
    whole = (length + gap + width, max(height, tall)) if aside else (max(length, width), height + gap + tall)
    left = int(rng.integers(8, max(9, picture.width - whole[0] - 8)))
    top = int(rng.integers(8, max(9, picture.height - whole[1] - 8)))
    if frame == "box":
        draw.rectangle((left - 6, top - 6, left + whole[0] + 6, top + whole[1] + 6), fill=255 - ink)
    written = {"fill": ink, "font": font, "stroke_width": outline, "stroke_fill": 255 - ink}
    if aside:
        bar_left, middle = (left if place == "right" else left + width + gap), top + whole[1] // 2
        draw.text((bar_left + length + gap if place == "right" else left, middle), label, anchor="lm", **written)
    else:
        bar_left = left + int(rng.choice([0, (whole[0] - length) // 2, whole[0] - length], p=[0.15, 0.7, 0.15]))
        middle = top + (height + gap + tall // 2 if place == "above" else tall // 2)
        text_top = top if place == "above" else top + tall + gap
        draw.text((left + whole[0] // 2, text_top), label, anchor="ma", **written)
    first = middle - thickness // 2
    pieces = [(bar_left, first, bar_left + length - 1, first + thickness - 1)]
    wide = min(thickness, 3) if style == "ticks" else 0
    if style == "ticks":
        ends = bar_left, bar_left + length - wide
        pieces += [(column, middle - tick // 2, column + wide - 1, middle + tick // 2) for column in ends]
    for left, top, right, bottom in pieces if outline else ():
        draw.rectangle((left - outline, top - outline, right + outline, bottom + outline), fill=255 - ink)
    for piece in pieces:
        draw.rectangle(piece, fill=ink)
    picture, scale = _worn(rng, picture)
    true = (length - wide) * scale
    return DrawnBar(np.asarray(picture), f"{style} {place} {frame} {ink} {name}", label, true, nm / true)


def _drawn_ground(rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:_SIDE_PX, :_SIDE_PX]
    if rng.random() < 0.4:
        steep = rng.uniform(-0.4, 0.4, 2)
        return (steep[0] * (rows - 192) + steep[1] * (columns - 192) + rng.normal(128, 12, rows.shape)).clip(0, 255)
    grey, radius = np.full(rows.shape, rng.uniform(0, 60)), rng.uniform(3, 14)
    low, high = np.sort(rng.uniform(60, 230, 2))
    for _ in range(int(_SIDE_PX**2 / radius**2 / 4)):
        row, column, size = rng.uniform(0, _SIDE_PX), rng.uniform(0, _SIDE_PX), radius * rng.uniform(0.7, 1.3)
        near = (
            slice(max(0, int(row - size)), int(row + size) + 2),
            slice(max(0, int(column - size)), int(column + size) + 2),
        )
        inside = (rows[near] - row) ** 2 + (columns[near] - column) ** 2 < size**2
        grey[near][inside] = rng.uniform(low, high)
    return (grey + rng.normal(0, rng.uniform(0, 12), grey.shape)).clip(0, 255)


@functools.cache
def _read(background: Path) -> tuple[np.ndarray, list[Text]]:
    """A micrograph as levels, and the lines of text in it."""
    grey = read_grey(background)[0]
    return grey * 255, read_text(grey)


def _part(rng: np.random.Generator, backgrounds: Sequence[Path]) -> np.ndarray:
    """A part of a micrograph that has no text in it."""
    while True:
        pixels, texts = _read(backgrounds[int(rng.integers(len(backgrounds)))])
        height, width = (min(_SIDE_PX, side) for side in pixels.shape)
        for _ in range(10):
            top, left = (
                int(rng.integers(0, side - part + 1)) for side, part in zip(pixels.shape, (height, width), strict=True)
            )
            if not any(
                t.bottom > top and t.top < top + height and t.right > left and t.left < left + width for t in texts
            ):
                return pixels[top : top + height, left : left + width]


def _relit(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Make half of the backgrounds darker, brighter or of other contrast."""
    if rng.random() < 0.5:
        ground = (ground - 128) * rng.uniform(0.4, 1.6) + rng.uniform(50, 205)
    return np.rint(ground.clip(0, 255)).astype(np.uint8)


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    if name == "Aileron":
        return ImageFont.load_default(size)
    return ImageFont.truetype(font_manager.findfont(name), size)


def _label(rng: np.random.Generator, font: str) -> tuple[str, float]:
    unit = str(rng.choice(["nm", "µm"], p=[0.6, 0.4]))
    value = float(rng.choice(_LENGTHS[unit]))
    number = f"{value:.1f}" if unit == "µm" and rng.random() < 0.2 else f"{value:g}"
    shown = "um" if unit == "µm" and (font in _WITHOUT_GREEK or rng.random() < 0.2) else unit
    return f"{number}{' ' if rng.random() < 0.7 else ''}{shown}", value * {"nm": 1.0, "µm": 1e3}[unit]


def _worn(rng: np.random.Generator, picture: Image.Image) -> tuple[Image.Image, float]:
    scale = 1.0
    if rng.random() < 0.3:
        width = round(picture.width * rng.uniform(0.7, 1.5))
        scale = width / picture.width
        picture = picture.resize((width, round(picture.height * scale)), Image.Resampling.BICUBIC)
    elif rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.0))))
    if rng.random() < 0.4:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=int(rng.integers(60, 96)))
        picture = Image.open(stream)
    return picture, scale
