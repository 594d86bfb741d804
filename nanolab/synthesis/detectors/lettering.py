"""Text on an image, in the kinds of letters that microscopes and figures have."""

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from nanolab.core.typing import Image

__all__ = ["FONTS", "Font", "extent_px", "text_mask"]

Font = Literal["sans", "plain", "bold", "serif"]
FONTS: tuple[Font, ...] = ("sans", "plain", "bold", "serif")

# OpenCV's stroked letters: font, and stroke width over the height of capitals.
_STROKED = {
    "plain": (cv2.FONT_HERSHEY_SIMPLEX, 0.09),
    "bold": (cv2.FONT_HERSHEY_SIMPLEX, 0.2),
    "serif": (cv2.FONT_HERSHEY_COMPLEX, 0.09),
}
_CAPITALS_PX = 21.0  # height of OpenCV's capitals at scale 1
_CAPITALS = 0.72  # height of Pillow's capitals over the size of its font


@lru_cache(maxsize=64)
def _sans(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def extent_px(text: str, height_px: float, font: Font) -> tuple[int, int]:
    """Return the height and width in pixels that a line of text takes, with `height_px` for its capitals."""
    height, width = text_mask(text, height_px, font).shape
    return height, width


@lru_cache(maxsize=256)
def text_mask(text: str, height_px: float, font: Font) -> Image:
    """Return a line of text, capitals `height_px` high, as its opacity in a box that it just fills, (height, width)."""
    mask = _drawn(text, height_px) if font == "sans" else _stroked(text, height_px, font)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((1, 1), dtype=np.float32)
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255


def _drawn(text: str, height_px: float) -> npt.NDArray[np.uint8]:
    font = _sans(height_px / _CAPITALS)
    left, top, right, bottom = font.getbbox(text)
    picture = Picture.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), text, fill=255, font=font)
    return np.asarray(picture)


def _stroked(text: str, height_px: float, font: Font) -> npt.NDArray[np.uint8]:
    face, stroke = _STROKED[font]
    scale, thickness = height_px / _CAPITALS_PX, max(1, round(stroke * height_px))
    (width, height), below = cv2.getTextSize(text, face, scale, thickness)
    mask = np.zeros((height + below + 2 * thickness + 4, width + 2 * thickness + 4), dtype=np.uint8)
    cv2.putText(mask, text, (thickness + 2, thickness + height + 2), face, scale, (255,), thickness, cv2.LINE_AA)
    return mask
