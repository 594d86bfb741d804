"""Scale bars drawn in several styles onto real micrographs, with the length that is right."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["DrawnBar", "draw_scale_bar"]

_FONTS = ("DejaVu Sans", "DejaVu Sans:bold", "DejaVu Serif", "DejaVu Sans Mono", "STIXGeneral")
_LENGTHS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 300, 400, 500)


@dataclass(frozen=True)
class DrawnBar:
    """A picture, shape (height, width), uint8; what was drawn into it, and the pixel size that this makes."""

    pixels: np.ndarray
    style: str
    label: str
    length_px: float
    nm_per_px: float


def draw_scale_bar(rng: np.random.Generator, background: Path) -> DrawnBar:
    """Draw a bar of 40 to 220 px and its label onto a part of a micrograph, then blur, resize or compress the whole."""
    picture = _part(rng, Image.open(background).convert("L"))
    length, thickness, size = int(rng.integers(40, 221)), int(rng.integers(2, 13)), int(rng.integers(16, 41))
    style = str(rng.choice(["solid", "line", "ticks"]))
    place = str(rng.choice(["above", "below", "right", "left"], p=[0.45, 0.3, 0.15, 0.1]))
    label, nm = _label(rng)
    font = ImageFont.truetype(font_manager.findfont(str(rng.choice(_FONTS))), size)
    ink, ground = (255, 0) if rng.random() < 0.7 else (0, 255)
    thickness = thickness if style == "solid" else min(thickness, 4)
    tick = int(rng.integers(8, 22))
    draw = ImageDraw.Draw(picture)
    width, height = (int(side) for side in draw.textbbox((0, 0), label, font=font)[2:])
    gap = int(rng.integers(4, 16))
    tall = max(thickness, tick if style == "ticks" else 0)
    beside = place in ("right", "left")
    whole = (length + gap + width, max(height, tall)) if beside else (max(length, width), height + gap + tall)
    left = int(rng.integers(12, max(13, picture.width - whole[0] - 12)))
    top = picture.height - whole[1] - int(rng.integers(12, 40))
    if rng.random() < 0.35:
        draw.rectangle((left - 10, top - 8, left + whole[0] + 10, top + whole[1] + 8), fill=ground)
    if beside:
        bar_left = left if place == "right" else left + width + gap
        middle = top + whole[1] // 2
        at = (bar_left + length + gap if place == "right" else left, middle)
        draw.text(at, label, fill=ink, font=font, anchor="lm")
    else:
        bar_left = left + (whole[0] - length) // 2
        middle = top + (height + gap + tall // 2 if place == "above" else tall // 2)
        draw.text(
            (left + whole[0] // 2, top if place == "above" else top + tall + gap),
            label,
            fill=ink,
            font=font,
            anchor="ma",
        )
    first = middle - thickness // 2
    if style == "ticks":
        wide = min(thickness, 3)
        for column in (bar_left, bar_left + length - wide):
            draw.rectangle((column, middle - tick // 2, column + wide - 1, middle + tick // 2), fill=ink)
        true = length - wide
    else:
        true = length
    draw.rectangle((bar_left, first, bar_left + length - 1, first + thickness - 1), fill=ink)
    picture, scale = _worn(rng, picture)
    return DrawnBar(np.asarray(picture), f"{style} {place}", label, true * scale, nm / (true * scale))


def _part(rng: np.random.Generator, picture: Image.Image) -> Image.Image:
    width, height = min(640, picture.width), min(480, int(0.8 * picture.height))
    left, top = (
        int(rng.integers(0, picture.width - width + 1)),
        int(rng.integers(0, int(0.8 * picture.height) - height + 1)),
    )
    return picture.crop((left, top, left + width, top + height))


def _label(rng: np.random.Generator) -> tuple[str, float]:
    value = int(rng.choice(_LENGTHS))
    unit, factor = (("nm", 1.0), ("µm", 1e3))[int(value <= 20 and rng.random() < 0.6)]
    return f"{value}{' ' if rng.random() < 0.7 else ''}{unit}", value * factor


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
        picture.save(stream, "JPEG", quality=int(rng.integers(70, 96)))
        picture = Image.open(stream)
    return picture, scale
