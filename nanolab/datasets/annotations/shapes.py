"""Drawn shapes, and the label map of particles drawn with them.

Coordinates are (x, y) in pixels from the upper left corner of the upper left pixel, whose centre is (0.5, 0.5). A pixel
belongs to a shape if its centre lies in it; so the area of many shapes is right on average, and outlines that run along
the edges of pixels give back exactly the pixels they enclose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.draw import ellipse
from skimage.measure import points_in_poly

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray, LabelMap, Mask
from nanolab.images.labels import check_shape, relabel
from nanolab.images.rle import decode_columns

__all__ = ["Bitmap", "Ellipse", "Polygon", "Shape", "Stamp", "closed", "draw_particles", "with_holes"]

_CLOSED_PX = 2.0  # between the ends of a line that is meant to be closed


@dataclass(frozen=True)
class Polygon:
    """Rings of corners, each of shape (corners, 2); what lies in an odd number of rings is inside."""

    rings: tuple[FloatArray, ...]

    def draw(self, labels: LabelMap, number: int) -> None:
        """Give the pixels inside this number."""
        corners = np.concatenate(self.rings)
        box = _box(corners.min(axis=0), corners.max(axis=0), labels.shape)
        rows, cols = (side.stop - side.start for side in box)
        toggles = np.zeros((rows, cols + 1), dtype=np.int32)
        for ring in self.rings:
            np.add.at(toggles, _crossings(ring - (box[1].start, box[0].start), rows, cols), 1)
        labels[box][np.cumsum(toggles[:, :-1], axis=1) % 2 == 1] = number


@dataclass(frozen=True)
class Ellipse:
    """An ellipse of given centre (x, y) and half axes; the first is turned from the x axis towards the y axis."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle_rad: float = 0.0

    def draw(self, labels: LabelMap, number: int) -> None:
        """Give the pixels inside this number."""
        (x, y), (first, second) = self.centre, (max(radius, 1e-9) for radius in self.radii)
        labels[ellipse(y - 0.5, x - 0.5, second, first, labels.shape, rotation=-self.angle_rad)] = number


@dataclass(frozen=True)
class Bitmap:
    """A mask in COCO's run lengths `runs`, for an image of height and width `size`."""

    runs: list[int]
    size: tuple[int, int]
    where: str

    def draw(self, labels: LabelMap, number: int) -> None:
        """Give the pixels of the mask this number."""
        height, width = labels.shape
        check_shape(self.size, (height, width), self.where)
        cols, mask = decode_columns(self.runs, self.size, self.where)
        labels[:, cols][mask] = number


@dataclass(frozen=True)
class Stamp:
    """A mask, shape (rows, columns), whose first pixel is the one in row and column `corner` of the image."""

    corner: tuple[int, int]
    mask: Mask

    def draw(self, labels: LabelMap, number: int) -> None:
        """Give the pixels of the mask this number."""
        low, high = np.array(self.corner), np.add(self.corner, self.mask.shape)
        box = _box(low[::-1], high[::-1], labels.shape)
        rows, cols = (
            slice(side.start - first, side.stop - first) for side, first in zip(box, self.corner, strict=True)
        )
        labels[box][self.mask[rows, cols]] = number


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
            one.draw(labels, number)
    return relabel(labels)


def _box(low: FloatArray, high: FloatArray, shape: tuple[int, ...]) -> tuple[slice, slice]:
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
