"""Text on an image, in the kinds of letters that microscopes and figures have."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from nanolab.core.typing import Image

__all__ = ["FACES", "FONTS", "Font", "extent_px", "text_mask"]

Font = Literal[
    "sans", "plain", "bold", "serif", "heavy", "times", "times-bold", "times-italic", "wide", "wide-bold",
    "wide-italic", "book", "book-bold", "mono", "roman"
]  # fmt: skip
#: The letters of microscopes, and all.
FONTS: tuple[Font, ...] = ("sans", "plain", "bold", "serif")
FACES: tuple[Font, ...] = get_args(Font)

# Files of matplotlib's fonts, and the height of capitals over their size.
_FILES = {
    "times": ("STIXGeneral", 0.66),
    "times-bold": ("STIXGeneralBol", 0.66),
    "times-italic": ("STIXGeneralItalic", 0.66),
    "wide": ("DejaVuSans", 0.73),
    "wide-bold": ("DejaVuSans-Bold", 0.73),
    "wide-italic": ("DejaVuSans-Oblique", 0.73),
    "book": ("DejaVuSerif", 0.73),
    "book-bold": ("DejaVuSerif-Bold", 0.73),
    "mono": ("DejaVuSansMono", 0.73),
    "roman": ("cmr10", 0.68),
}

# OpenCV's stroked letters: font, and stroke width over the height of capitals.
_STROKED = {
    "plain": (cv2.FONT_HERSHEY_SIMPLEX, 0.09),
    "bold": (cv2.FONT_HERSHEY_SIMPLEX, 0.2),
    "serif": (cv2.FONT_HERSHEY_COMPLEX, 0.09),
}
_CAPITALS_PX = 21.0  # height of OpenCV's capitals at scale 1
_CAPITALS = 0.72  # height of Pillow's capitals over the size of its font
_HEAVY = 0.08  # by how much of the capitals' height the strokes of heavy letters are thickened all around


@lru_cache(maxsize=64)
def _face(font: Font, height_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if font not in _FILES:
        return ImageFont.load_default(height_px / _CAPITALS)
    import matplotlib as mpl  # late: only its files are wanted

    name, capitals = _FILES[font]
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", height_px / capitals)


def extent_px(text: str, height_px: float, font: Font) -> tuple[int, int]:
    """Return the height and width in pixels that a line of text takes, with `height_px` for its capitals."""
    height, width = text_mask(text, height_px, font).shape
    return height, width


@lru_cache(maxsize=256)
def text_mask(text: str, height_px: float, font: Font) -> Image:
    """Return a line of text, capitals `height_px` high, as its opacity in a box that it just fills, (height, width)."""
    mask = _stroked(text, height_px, font) if font in _STROKED else _drawn(text, height_px, font)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((1, 1), dtype=np.float32)
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255


def _drawn(text: str, height_px: float, font: Font) -> npt.NDArray[np.uint8]:
    face, stroke = _face(font, height_px), round(_HEAVY * height_px) if font == "heavy" else 0
    left, top, right, bottom = face.getbbox(text)
    rim = 2 + stroke
    picture = Picture.new("L", (int(right - left) + 2 * rim, int(bottom - top) + 2 * rim))
    ImageDraw.Draw(picture).text((rim - left, rim - top), text, fill=255, font=face, stroke_width=stroke)
    return np.asarray(picture)


def _stroked(text: str, height_px: float, font: Font) -> npt.NDArray[np.uint8]:
    face, stroke = _STROKED[font]
    scale, thickness = height_px / _CAPITALS_PX, max(1, round(stroke * height_px))
    (width, height), below = cv2.getTextSize(text, face, scale, thickness)
    mask = np.zeros((height + below + 2 * thickness + 4, width + 2 * thickness + 4), dtype=np.uint8)
    cv2.putText(mask, text, (thickness + 2, thickness + height + 2), face, scale, (255,), thickness, cv2.LINE_AA)
    return mask
