"""Drawn shapes, and the label map of particles drawn with them.

Coordinates are (x, y) in pixels from the upper left corner of the upper left pixel, whose centre is (0.5, 0.5). A pixel
belongs to a shape if its centre lies in it; so the area of many shapes is right on average, and outlines that run along
the edges of pixels give back exactly the pixels they enclose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.measure import points_in_poly

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray, LabelMap, Mask
from nanolab.images.labels import relabel
from nanolab.images.rle import decode_columns

__all__ = ["Bitmap", "Ellipse", "Polygon", "Shape", "Stamp", "closed", "draw_particles", "with_holes"]

Box = tuple[slice, slice]

_CLOSED_PX = 2.0  # between the ends of a line that is meant to be closed


@dataclass(frozen=True)
class Polygon:
    """Rings of corners, each of shape (corners, 2); what lies in an odd number of rings is inside."""

    rings: tuple[FloatArray, ...]

    def fill(self, shape: tuple[int, int]) -> tuple[Box, Mask]:
        """Return a box in an image of this height and width, and the mask of the polygon in it."""
        corners = np.concatenate(self.rings)
        box = _box(corners.min(axis=0), corners.max(axis=0), shape)
        rows, cols = (side.stop - side.start for side in box)
        toggles = np.zeros((rows, cols + 1), dtype=np.int32)
        for ring in self.rings:
            np.add.at(toggles, _crossings(ring - (box[1].start, box[0].start), rows, cols), 1)
        return box, np.cumsum(toggles[:, :-1], axis=1) % 2 == 1


@dataclass(frozen=True)
class Ellipse:
    """An ellipse of given centre (x, y) and half axes; the first is turned from the x axis towards the y axis."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle_rad: float = 0.0

    def fill(self, shape: tuple[int, int]) -> tuple[Box, Mask]:
        """Return a box in an image of this height and width, and the mask of the ellipse in it."""
        reach = max(self.radii)
        middle = np.array(self.centre)
        box = _box(middle - reach, middle + reach, shape)
        down, right = np.ogrid[box]
        x, y = right + 0.5 - middle[0], down + 0.5 - middle[1]
        along = x * np.cos(self.angle_rad) + y * np.sin(self.angle_rad)
        across = y * np.cos(self.angle_rad) - x * np.sin(self.angle_rad)
        first, second = (max(radius, 1e-9) for radius in self.radii)
        return box, np.asarray((along / first) ** 2 + (across / second) ** 2 < 1)


@dataclass(frozen=True)
class Bitmap:
    """A mask in COCO's run lengths `runs`, for an image of height and width `size`."""

    runs: list[int]
    size: tuple[int, int]
    where: str

    def fill(self, shape: tuple[int, int]) -> tuple[Box, Mask]:
        """Return a box in an image of this height and width, and the mask in it."""
        if self.size != shape:
            raise InputError(
                f"{self.where}: the mask is for an image of {self.size[1]} x {self.size[0]} pixels, "
                f"the image has {shape[1]} x {shape[0]}; take the image that was annotated"
            )
        cols, mask = decode_columns(self.runs, shape, self.where)
        return (slice(0, shape[0]), cols), mask


@dataclass(frozen=True)
class Stamp:
    """A mask, shape (rows, columns), whose first pixel is the one in row and column `corner` of the image."""

    corner: tuple[int, int]
    mask: Mask

    def fill(self, shape: tuple[int, int]) -> tuple[Box, Mask]:
        """Return a box in an image of this height and width, and the mask in it."""
        low, high = np.array(self.corner), np.add(self.corner, self.mask.shape)
        box = _box(low[::-1], high[::-1], shape)
        rows, cols = (
            slice(side.start - first, side.stop - first) for side, first in zip(box, self.corner, strict=True)
        )
        return box, self.mask[rows, cols]


Shape = Polygon | Ellipse | Bitmap | Stamp


def closed(line: FloatArray, where: str) -> FloatArray:
    """Return the corners of a line whose ends meet, as they do within 2 px where they were set by hand.

    Raises
    ------
    InputError
        If they do not.
    """
    gap = float(np.hypot(*(line[0] - line[-1]))) if len(line) else np.inf
    if len(line) < 4 or gap > _CLOSED_PX:
        raise InputError(f"{where}: must enclose a particle, got a line whose ends are {gap:.3g} px apart; close it")
    return line


def with_holes(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes of one particle; polygons that lie within another one of them become its holes."""
    rings = [ring for each in shapes if isinstance(each, Polygon) for ring in each.rings]
    within = [[points_in_poly(ring, other).all() for other in rings if other is not ring] for ring in rings]
    whole: list[Shape] = [each for each in shapes if not isinstance(each, Polygon)]
    for ring in (ring for ring, inside in zip(rings, within, strict=True) if not any(inside)):
        holes = [other for other in rings if other is not ring and points_in_poly(other, ring).all()]
        whole.append(Polygon((ring, *holes)))
    return whole


def draw_particles(particles: Sequence[Sequence[Shape]], shape: tuple[int, int]) -> LabelMap:
    """Return the label map of particles, each drawn with one shape or several; later ones lie on top.

    Labels are 1..N in the order of the particles that are to be seen.
    """
    labels = np.zeros(shape, dtype=np.int32)
    for number, shapes in enumerate(particles, start=1):
        for one in shapes:
            box, mask = one.fill(shape)
            labels[box][mask] = number
    return relabel(labels)


def _box(low: FloatArray, high: FloatArray, shape: tuple[int, int]) -> Box:
    """Return the rows and columns between two corners (x, y), as far as they lie in the image."""
    sides = []
    for first, last, length in zip(low[::-1], high[::-1], shape, strict=True):
        start = int(np.clip(np.floor(first), 0, length))
        sides.append(slice(start, int(np.clip(np.ceil(last), start, length))))
    return sides[0], sides[1]


def _crossings(ring: FloatArray, rows: int, cols: int) -> tuple[npt.NDArray, npt.NDArray]:
    """Return where a ring crosses the lines through the pixels' centres: the row, and the first column beyond."""
    x, y = ring.T
    x_next, y_next = np.roll(ring, -1, axis=0).T
    first = np.clip(np.ceil(np.minimum(y, y_next) - 0.5), 0, rows).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y, y_next) - 0.5), 0, rows).astype(np.int64)
    counts = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(ring)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x_next - x)[edge] / (y_next - y)[edge]
    crossing = x[edge] + (row + 0.5 - y[edge]) * slope
    return row, np.clip(np.ceil(crossing - 0.5), 0, cols).astype(np.int64)
