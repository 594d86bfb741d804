"""Corrections by hand: what a person does to particles, as it is kept in files, and which pixels a stroke covers."""

from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field
from skimage.draw import polygon

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray, Mask

__all__ = [
    "MOST_POINTS",
    "Action",
    "Edit",
    "Points",
    "Window",
    "line_mask",
    "polygon_mask",
    "simplified",
    "stroke_mask",
]

Action = Literal["drop", "merge", "draw", "split", "paint", "erase", "background", "look"]
Window = tuple[slice, slice]

#: Corners of one stroke at most.
MOST_POINTS = 5000
_FURTHEST_PX = 2**17
_WIDEST_PX = 2000
_FEWEST = {"draw": 3, "background": 3, "split": 2, "paint": 1, "erase": 1}  # points that an action needs
_TOLERANCE_PX = 0.2  # that a simplified stroke may deviate: not to be seen
_Coordinate = Annotated[float, Field(ge=-_FURTHEST_PX, le=_FURTHEST_PX, allow_inf_nan=False)]
Points = tuple[tuple[_Coordinate, _Coordinate], ...]


@dataclass(frozen=True)
class Edit:
    """One correction.

    Attributes
    ----------
    action
        `drop` particles; `merge` two, which then have the first one's label; `draw` a particle within an outline;
        `split` what a line crosses; `paint` with a brush: the particle where the stroke begins grows, also over its
        neighbours, and a stroke that begins outside of all becomes a new one; `erase` with a brush; `background`: there
        is nothing within an outline; `look`: what lies within an outline has been looked at, without one all of it.
    labels
        The particles, for `drop` and `merge`.
    points
        Row and column in px from the top left of the image, for the others.
    width_px
        Of the brush.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # for what a file brings

    action: Action
    labels: Annotated[tuple[int, ...], Field(max_length=100_000)] = ()
    points: Annotated[Points, Field(max_length=MOST_POINTS)] = ()
    width_px: Annotated[float, Field(ge=0, le=_WIDEST_PX, allow_inf_nan=False)] = 0

    def __post_init__(self) -> None:
        if len(self.points) < (fewest := _FEWEST.get(self.action, 0)):
            raise InputError(f"{self.action}: needs at least {fewest} points, got {len(self.points)}; draw further")
        if self.action in ("paint", "erase") and self.width_px < 1:
            raise InputError(f"{self.action}: the brush must be at least 1 px wide, got {self.width_px:g}")


def simplified(points: npt.ArrayLike, *, closed: bool) -> Points:
    """Return a stroke, shape (points, 2), with as few of its points as it can be drawn with.

    Raises
    ------
    InputError
        If that are more than `MOST_POINTS`.
    """
    there = np.asarray(points, dtype=np.float32).reshape(-1, 1, 2)
    fewer = cv2.approxPolyDP(there, _TOLERANCE_PX, closed)[:, 0] if len(there) > 3 else there[:, 0]
    if len(fewer) > MOST_POINTS:
        raise InputError(f"a stroke has at most {MOST_POINTS} points, got {len(fewer)}; draw it in pieces")
    return tuple((round(float(row), 2), round(float(col), 2)) for row, col in fewer)


def polygon_mask(points: Points, shape: tuple[int, ...]) -> tuple[Window, Mask]:
    """Return the pixels whose middles lie within an outline, in a window of an image of that shape.

    Raises
    ------
    InputError
        If it lies outside of the image.
    """
    at = np.array(points)
    window = _window(at, 0, shape)
    inside = np.zeros([each.stop - each.start for each in window], dtype=bool)
    rows, cols = (_from(at, window) - 0.5).T
    inside[polygon(rows, cols, inside.shape)] = True
    return window, inside


def stroke_mask(points: Points, width_px: float, shape: tuple[int, ...]) -> tuple[Window, Mask]:
    """Return the pixels below a round brush that is drawn along the points; see `polygon_mask`."""
    at = np.array(points)
    window = _window(at, width_px / 2, shape)
    covered = np.zeros([each.stop - each.start for each in window], dtype=bool)
    along = _from(at, window) - 0.5
    for start, end in zip(along, along[1:] if len(along) > 1 else along, strict=False):
        _cover(covered, start, end, width_px / 2)
    return window, covered


def _cover(covered: Mask, start: FloatArray, end: FloatArray, radius: float) -> None:
    """Cover the pixels whose middles lie within `radius` of a straight line."""
    low = np.maximum(np.ceil(np.minimum(start, end) - radius), 0).astype(int)
    high = np.minimum(np.floor(np.maximum(start, end) + radius) + 1, covered.shape).astype(int)
    row, col = np.ogrid[low[0] : max(high[0], low[0]), low[1] : max(high[1], low[1])]
    step = end - start
    part = ((row - start[0]) * step[0] + (col - start[1]) * step[1]) / max(float(step @ step), 1e-9)
    part = np.clip(part, 0, 1)
    near = np.hypot(row - start[0] - part * step[0], col - start[1] - part * step[1]) <= radius
    covered[low[0] : low[0] + len(near), low[1] : low[1] + near.shape[1]] |= near


def line_mask(points: Points, shape: tuple[int, ...]) -> tuple[Window, Mask]:
    """Return the pixels of a line that no particle gets across, even by a corner; see `polygon_mask`."""
    at = np.array(points)
    window = _window(at, 1, shape)
    covered = np.zeros([each.stop - each.start for each in window], dtype=np.uint8)
    along = np.floor(_from(at, window)[:, ::-1]).astype(np.int32)
    cv2.polylines(covered, [along], False, (1,), lineType=cv2.LINE_4)
    return window, covered > 0


def _from(at: FloatArray, window: Window) -> FloatArray:
    return at - [each.start for each in window]


def _window(at: FloatArray, margin: float, shape: tuple[int, ...]) -> Window:
    low = np.maximum(np.floor(at.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(at.max(axis=0) + margin), shape).astype(int)
    if (low >= high).any():
        raise InputError("a stroke must lie in the image and not on one line; draw it over the particles")
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
