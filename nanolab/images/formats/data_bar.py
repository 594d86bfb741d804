"""Where the data bar of an instrument begins: the strip of flat colour with text that it burns in below an image."""

import numpy as np
import numpy.typing as npt

__all__ = ["find_data_bar"]

_LEVELS = 256
_TOLERANCES = 8, 1  # levels a flat colour spreads over: after lossy compression, and as the instrument wrote it
_TALLEST, _BELOW = 0.3, 0.03  # of the image height: the bar, and what may follow it (a frame, a few image rows)
_SHORTEST_PX = 8
_GAP = 0.02  # of the image height: a frame or dividing line inside the bar
_EDGE_PX = 4  # a line or a blurred edge above it
_FLAT_EDGE, _FLAT_BAR, _FLAT_ROW = 0.6, 0.5, 0.25  # share of a row in the bar's colour: first row, median, least
_JUMP, _JUMP_PX = 0.35, 8  # by how much that share rises at the first row, over so many rows above it
_TEXT_CONTRAST = 64  # levels off the bar's colour
_FREE_EDGE, _TEXT_EDGES = 0.9, (12, 40)  # changes along the busiest row if the first row is free of text, and if not


def find_data_bar(pixels: npt.NDArray[np.float32]) -> int | None:
    """Return the first row of the data bar at the bottom of an image, or None if there is none.

    A bar is a strip over the full width, ending within 3 % of the bottom, in one flat colour that carries text, and it
    begins abruptly: the rows above have much less of that colour. Text written over the image itself is no bar, and a
    black strip below a black image is not told from it.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1].
    """
    height = len(pixels)
    first = int(height * (1 - _TALLEST))
    levels = (pixels[first:] * (_LEVELS - 1) + 0.5).astype(np.int16)
    tail, gap = max(_SHORTEST_PX, int(height * 2 * _BELOW)), int(height * _GAP)
    for tolerance in _TOLERANCES:
        top = _find(levels, tail, gap, tolerance)
        if top is not None:
            return first + top
    return None


def _find(levels: npt.NDArray[np.int16], tail: int, gap: int, tolerance: int) -> int | None:
    """First row of the strip within `levels`, whose colour is the commonest of the last `tail` rows."""
    counts = np.bincount(levels[-tail:].ravel(), minlength=_LEVELS)
    colour = int(np.convolve(counts, np.ones(2 * tolerance + 1), "same").argmax())
    flat = (np.abs(levels - colour) <= tolerance).mean(axis=1)
    end = len(flat) - tail // 2 + int(np.flatnonzero(flat[-(tail // 2) :] >= _FLAT_ROW).max(initial=-tail))
    for top in range(_JUMP_PX, end - _SHORTEST_PX + 2):
        above = flat[top - _JUMP_PX : top - 1].max()
        if flat[top] >= _FLAT_EDGE and flat[top] - above >= _JUMP and _is_strip(flat[top : end + 1], gap):
            enough = _TEXT_EDGES[0] if flat[top] >= _FREE_EDGE else _TEXT_EDGES[1]
            found = _text_edges(levels[top : end + 1], colour) >= enough
            return _upper_edge(levels, flat, top, above) if found else None
    return None


def _is_strip(flat: npt.NDArray[np.float64], gap: int) -> bool:
    """Tell whether rows are flat throughout but for text and dividing lines."""
    low = np.flatnonzero(np.concatenate([[True], flat >= _FLAT_ROW, [True]]))
    return bool(np.median(flat) >= _FLAT_BAR and np.diff(low).max() <= gap + 1)


def _upper_edge(levels: npt.NDArray[np.int16], flat: npt.NDArray[np.float64], top: int, above: float) -> int:
    """Move `top` up over a blurred edge, and over a line that divides the bar from the image."""
    if flat[top - 1] > above + 0.1:
        top -= 1
    middle = np.median(levels, axis=1)
    image = middle[top - _JUMP_PX : top - _EDGE_PX]
    for row in range(top - 1, top - 1 - _EDGE_PX, -1):
        is_line = (np.abs(levels[row] - middle[row]) <= _TOLERANCES[0]).mean() > 0.9
        if is_line and np.abs(image - middle[row]).min(initial=_LEVELS) > _TEXT_CONTRAST:
            top = row
    return top


def _text_edges(strip: npt.NDArray[np.int16], colour: int) -> int:
    """How often the busiest row of a strip changes between ink and the strip's colour: text does so often."""
    ink = np.abs(strip - colour) > _TEXT_CONTRAST
    return int(np.diff(ink, axis=1).sum(axis=1).max())
