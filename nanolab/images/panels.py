"""Figures with several panels, such as a screenshot of a paper: where their panels are."""

from collections.abc import Iterator

import numpy as np

from nanolab.core.typing import AnyImage, FloatArray

__all__ = ["Box", "find_panels", "panel_name"]

#: First row, first column, row and column after the last.
Box = tuple[int, int, int, int]

_LEVELS = (1.0, 0.0)  # white and black gutters
_NEAR = 0.06  # of grey values that count as such a level: JPEG leaves waves
_GUTTER = 0.8  # part of a row that is at the level in a gutter, between which there may be letters
_BARE = 0.995  # the same at the gutter's edges
_STEP = 0.12  # by which a panel differs from the gutter next to it
_SHARP = 0.6  # part of a gutter's length on both sides of which it does
_SHARP_UNEVEN = 0.25  # the same on one side, where a row may have fewer panels than the next
_LEAST_PX, _LEAST_PART = 48, 1 / 16  # sides of a panel
_THICK_PX = 3  # of a gutter
_PLAIN = 0.5  # part of a picture that may be white or black; more are drawings and text
_LOOKED_AT_PX = 4096


def panel_name(name: str, number: int) -> str:
    """Return what results of a panel are called, counted from 0: figure_p2."""
    return f"{name}_p{number}"


def find_panels(image: AnyImage) -> list[Box]:
    """Find the panels of a figure: pictures apart by straight white or black gutters, row by row.

    It is made to leave single micrographs alone: along most of both its sides a gutter must end sharply,
    and what it separates must be two or more pictures, neither text nor a data bar. What is doubtful is not split.

    Parameters
    ----------
    image
        Shape (height, width) in [0, 1].

    Returns
    -------
    boxes
        Of the panels from top left to bottom right; empty where the image is one picture.

    Examples
    --------
    >>> figure = np.ones((100, 210))
    >>> figure[:, :100], figure[:, 110:] = np.random.default_rng(0).uniform(0.2, 0.8, (2, 100, 100))
    >>> find_panels(figure)
    [(0, 0, 100, 100), (0, 110, 100, 210)]
    """
    step = -(-max(image.shape) // _LOOKED_AT_PX)
    seen = image[::step, ::step]
    least = max(_LEAST_PX, round(_LEAST_PART * max(seen.shape)))
    whole = (0, 0, seen.shape[0], seen.shape[1])
    boxes = [box for level in _LEVELS for box in _split(seen, _trimmed(seen, whole, level), level, least)]
    panels = sorted({box for box in boxes if _is_picture(seen, box, least)})
    if len(panels) < 2:
        return []
    ends = np.array([*image.shape, *image.shape])
    return [(int(box[0]), int(box[1]), int(box[2]), int(box[3])) for box in np.minimum(np.array(panels) * step, ends)]


def _split(image: AnyImage, box: Box, level: float, least: int) -> Iterator[Box]:
    """Give the parts between a box's gutters, or nothing where it has none; of parts their parts."""
    top, left, low, right = box
    part = image[top:low, left:right]
    for axis in (0, 1):
        lines = part if axis == 0 else part.T
        spans = _spans(lines, level, least)
        if len(spans) < 2:
            continue
        for start, stop in spans:
            inner = (top + start, left, top + stop, right) if axis == 0 else (top, left + start, low, left + stop)
            inner = _trimmed(image, inner, level)
            yield from list(_split(image, inner, level, least)) or [inner]
        return


def _spans(lines: AnyImage, level: float, least: int) -> list[tuple[int, int]]:
    """Return first and last rows of the parts between gutters that run along rows."""
    share = _share(lines, level)
    starts, stops = _runs(share >= _GUTTER)
    gutters = [
        (start, stop)
        for start, stop in zip(starts, stops, strict=True)
        if start > 0 and stop < len(lines) and _is_gutter(lines, share, start, stop, level)
    ]
    edges = [0, *(edge for gutter in gutters for edge in gutter), len(lines)]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    return spans if sum(stop - start >= least for start, stop in spans) > 1 else []


def _share(lines: AnyImage, level: float) -> FloatArray:
    return (np.abs(lines - level) <= _NEAR).mean(axis=1)


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where runs of True begin, and where they have ended."""
    change = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1)


def _is_gutter(lines: AnyImage, share: FloatArray, start: int, stop: int, level: float) -> bool:
    """Tell a gutter: bare at both edges, and the pictures begin sharply on both sides."""
    if stop - start < _THICK_PX or share[start + 1] < _BARE or share[stop - 2] < _BARE:
        return False
    # one row may be half picture, half gutter
    before, after = lines[max(start - 2, 0)], lines[min(stop + 1, len(lines) - 1)]
    sharp = sorted(float((np.abs(side - level) >= _STEP).mean()) for side in (before, after))
    return sharp[1] >= _SHARP and sharp[0] >= _SHARP_UNEVEN


def _trimmed(image: AnyImage, box: Box, level: float) -> Box:
    """Cut off the margins of a panel that are as a gutter is, with the letters in them."""
    top, left, low, right = box
    for _ in range(2):  # rows seen without the margins of columns, and the other way round
        first, last = _inside(_share(image[top:low, left:right], level))
        top, low = top + first, top + last
        first, last = _inside(_share(image[top:low, left:right].T, level))
        left, right = left + first, left + last
    return top, left, low, right


def _inside(share: FloatArray) -> tuple[int, int]:
    """Return the first row behind the upper margin and the row after the last above the lower one."""
    pictures, ends = _runs(share < _GUTTER)
    if not len(pictures):
        return 0, len(share)
    first, last = int(pictures[0]), int(ends[-1])
    bare = share >= _BARE
    return (first if bare[max(first - 2, 0)] else 0), (last if bare[min(last + 1, len(share) - 1)] else len(share))


def _is_picture(image: AnyImage, box: Box, least: int) -> bool:
    top, left, low, right = box
    part = image[top:low, left:right]
    plain = sum(float((np.abs(part - level) <= _NEAR / 2).mean()) for level in _LEVELS)
    return min(part.shape) >= least and plain <= _PLAIN
