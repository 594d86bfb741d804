"""Text in an image, read with RapidOCR: offline, quiet, loaded once. The only module that imports it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Text", "read_corners", "read_line", "read_text"]

_LONGEST_SIDE = 2000  # pixels; the reader would shrink a larger image itself, after copying it
MARGIN_PX = 40


@dataclass(frozen=True)
class Text:
    """A line of text, its upright box in pixels (ends exclusive), and how sure the reader is of it (0 to 1)."""

    content: str
    top: float
    left: float
    bottom: float
    right: float
    score: float

    @property
    def height(self) -> float:
        """Height of the box in pixels."""
        return self.bottom - self.top


def read_text(pixels: npt.NDArray[np.float32], *, margin_px: int = MARGIN_PX) -> list[Text]:
    """Read the lines of text in a grey image.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1].
    margin_px
        Grey all around. Letters at the very edge are not found without it, and some others only without.
    """
    import cv2

    shrink = max(1.0, max(pixels.shape) / _LONGEST_SIDE)
    if shrink > 1:
        size = round(pixels.shape[1] / shrink), round(pixels.shape[0] / shrink)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    found = _read(np.pad(pixels, margin_px, constant_values=0.5), find_lines=True)
    if found.txts is None:
        return []
    return [
        Text(content, *_upright(((np.asarray(corners) - margin_px) * shrink).clip(0)), float(score))
        for content, corners, score in zip(found.txts, found.boxes, found.scores, strict=True)
    ]


def read_corners(pixels: npt.NDArray[np.float32]) -> list[Text]:
    """Read the lower corners again, which are enlarged as the whole was not: small letters, and faint ones."""
    height, width = pixels.shape
    top, overlap = height * 5 // 8, width // 16
    parts = [(0, width // 2 + overlap), (width // 2 - overlap, width)]
    return [
        replace(text, top=text.top + top, left=text.left + left, bottom=text.bottom + top, right=text.right + left)
        for left, right in parts
        for text in read_text(pixels[top:, left:right])
    ]


def read_line(pixels: npt.NDArray[np.float32]) -> tuple[str, float]:
    """Return the text of a picture of a single line, and how sure the reader is of it (0 to 1)."""
    found = _read(pixels, find_lines=False)
    return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)


def _read(pixels: npt.NDArray[np.float32], *, find_lines: bool) -> Any:
    levels = np.rint(pixels * 255).astype(np.uint8)
    return _reader()(np.stack([levels] * 3, axis=-1), use_det=find_lines, use_cls=False, use_rec=True)


def _upright(corners: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(top), float(left), float(bottom), float(right)


@functools.cache
def _reader() -> Callable[..., Any]:
    """Load the reader; its models lie in its package. Text is upright, so its turning of lines is left out."""
    import onnxruntime
    from rapidocr import RapidOCR

    onnxruntime.disable_telemetry_events()
    reader: Callable[..., Any] = RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False})
    return reader
