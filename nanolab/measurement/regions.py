"""What the pixels of each particle of a label map give: moments, outlines, hulls; for all particles at once, in px."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.typing import FloatArray

__all__ = ["Hulls", "Regions", "find_regions"]


_HALVES = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])  # the corners of a pixel, in half pixels from its centre


@dataclass(frozen=True, eq=False)
class Regions:
    """Properties of N particles in the order of their labels; each array has shape (N,), `hulls` as said there.

    Attributes
    ----------
    label, area
        Number in the label map, and number of pixels.
    row, col
        Centroid.
    major, minor, orientation_deg
        Axes of the ellipse of the same second moments, and the angle of the major one from the horizontal,
        counter-clockwise as seen, 0 <= angle < 180. To the moments each pixel adds 1/12: it is a square, not a point.
    perimeter
        Length of the outline; see `nanolab.measurement.particles.DESCRIPTORS`.
    crofton
        The same by Crofton's formula with four directions, as that of the hulls.
    top, left, height, width
        Bounding box.
    mean
        Mean grey value; None without an image.
    """

    label: npt.NDArray[np.int32]
    area: FloatArray
    row: FloatArray
    col: FloatArray
    major: FloatArray
    minor: FloatArray
    orientation_deg: FloatArray
    perimeter: FloatArray
    crofton: FloatArray
    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    height: npt.NDArray[np.int64]
    width: npt.NDArray[np.int64]
    mean: FloatArray | None
    hulls: "Hulls"


@dataclass(frozen=True, eq=False)
class Hulls:
    """Properties of the convex hulls of N particles; each array has shape (N,).

    Attributes
    ----------
    pixels
        Pixels whose centres lie in the hull of the particle's pixel centres (by Pick's theorem): the smallest convex
        label that holds the particle. A disc or rectangle of pixels is its own.
    perimeter
        Of that label, by the same formula as the particle's.
    feret_max, feret_min
        Longest and shortest distance of two parallel lines that touch the hull of the pixels' corners.
    box
        Area of the smallest rectangle, in any orientation, around that hull.
    """

    pixels: FloatArray
    perimeter: FloatArray
    feret_max: FloatArray
    feret_min: FloatArray
    box: FloatArray


def find_regions(labels: npt.NDArray[np.integer], image: npt.NDArray[np.floating] | None = None) -> Regions:
    """Measure each particle of a label map, shape (height, width), 0 = background, and its grey values."""
    flat = np.flatnonzero(labels)
    index, label = pd.factorize(labels.ravel()[flat], sort=True)
    row, col = (each.astype(np.float64) for each in np.divmod(flat, labels.shape[1]))
    count = len(label)
    area = np.bincount(index, minlength=count).astype(np.float64)
    numbered = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2), dtype=np.int32)
    inside = numbered[1:-1, 1:-1]
    inside[labels != 0] = index + 1
    middle_row, middle_col = (np.bincount(index, each, count) / area for each in (row, col))
    major, minor, angle = _moments(index, row - middle_row[index], col - middle_col[index], area)
    grey = None if image is None else np.bincount(index, image.ravel()[flat].astype(np.float64), count) / area
    starts, ends, runs = _runs(numbered, count)
    top, bottom = starts[runs[:-1], 0], starts[runs[1:] - 1, 0]  # runs are in the order of their rows
    left = np.minimum.reduceat(starts[:, 1], runs[:-1]) if count else np.zeros(0, dtype=np.int64)
    right = np.maximum.reduceat(ends[:, 1], runs[:-1]) if count else np.zeros(0, dtype=np.int64)
    height, width = bottom - top + 1, right - left + 1
    return Regions(
        label.astype(np.int32),
        area,
        middle_row,
        middle_col,
        major,
        minor,
        angle,
        _perimeters(inside, top, left, height, width),
        _crofton(numbered, count),
        top,
        left,
        height,
        width,
        grey,
        _hulls(starts, ends, runs),
    )


def _moments(
    index: npt.NDArray[np.int64], row: FloatArray, col: FloatArray, area: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return axes and angle, from rows and columns about the centroid."""
    rows, cols, mixed = (np.bincount(index, each, len(area)) / area for each in (row * row, col * col, row * col))
    middle, half = (rows + cols) / 2, np.hypot((rows - cols) / 2, mixed)
    angle = np.rad2deg(np.arctan2(-2 * mixed, cols - rows) / 2) % 180  # rows count downwards
    long, short = (4 * np.sqrt(np.maximum(each, 0) + 1 / 12) for each in (middle + half, middle - half))
    return long, short, np.where(angle == 180, 0, angle)


def _perimeters(inside: npt.NDArray[np.int32], *boxes: npt.NDArray[np.int64]) -> FloatArray:
    return np.array(
        [
            _perimeter((inside[top : top + height, left : left + width] == number).astype(np.uint8))
            for number, (top, left, height, width) in enumerate(zip(*boxes, strict=True), start=1)
        ]
    )


def _perimeter(mask: npt.NDArray[np.uint8]) -> float:
    """Return the length of all outlines from their straight and aslant steps and their corners (Vossepoel & Smeulders).

    Steps lead through pixels' centres: the outline lies half a pixel beyond, which adds pi to an outer one and takes it
    from that of a hole.
    """
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    length = 0.0
    for outline, (_, _, _, parent) in zip(outlines, tree[0], strict=True):
        steps = np.diff(outline[:, 0], axis=0, append=outline[:1, 0])
        aslant = np.count_nonzero(steps.all(axis=1))
        corners = np.count_nonzero((steps != np.roll(steps, 1, axis=0)).any(axis=1))
        length += 0.98 * (len(steps) - aslant) + 1.406 * aslant - 0.091 * corners + (np.pi if parent < 0 else -np.pi)
    return length


def _crofton(numbered: npt.NDArray[np.int32], count: int) -> FloatArray:
    """Count where lines in four directions enter and leave each particle; lines aslant lie 1/sqrt(2) apart."""
    crossings = np.zeros((2, count + 1))
    height, width = numbered.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first = numbered[: height - down, max(0, -right) : width - max(0, right)]
        second = numbered[down:, max(0, right) : width + min(0, right)]
        differ = first != second
        for side in (first, second):
            crossings[abs(down * right)] += np.bincount(side[differ], minlength=count + 1)
    straight, aslant = crossings[:, 1:]
    return np.asarray(np.pi / 8 * (straight + aslant / np.sqrt(2)))


def _runs(
    numbered: npt.NDArray[np.int32], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return first and last pixels (row, col) of all horizontal runs, by particle, and where each particle's begin."""
    inside = numbered[1:-1, 1:-1]
    begins = (inside != numbered[1:-1, :-2]) & (inside > 0)
    stops = (inside != numbered[1:-1, 2:]) & (inside > 0)
    starts, ends = (np.argwhere(each) for each in (begins, stops))
    owner = inside[begins]
    order = np.argsort(owner, kind="stable")
    return starts[order], ends[order], np.searchsorted(owner[order], np.arange(1, count + 2))


def _hulls(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], runs: npt.NDArray[np.int64]) -> Hulls:
    points = np.stack([starts, ends], axis=1).astype(np.int32)
    rows = [_hull(points[begin:end].reshape(-1, 2)) for begin, end in pairwise(runs)]
    return Hulls(*np.array(rows, dtype=np.float64).reshape(-1, 5).T)


def _hull(points: npt.NDArray[np.int32]) -> tuple[float, float, float, float, float]:
    """Return the properties of the hull of these pixels, shape (points, 2), in the order of `Hulls`."""
    centres = np.asarray(cv2.convexHull(points), dtype=np.int32)[:, 0]
    corners = cv2.convexHull((2 * centres[:, None] + _HALVES).reshape(-1, 2).astype(np.int32))[:, 0] / 2
    edges = np.roll(corners, -1, axis=0) - corners
    along = edges / np.hypot(*edges.T)[:, None]
    widths = _extent(corners, along @ np.array([[0.0, -1.0], [1.0, 0.0]]))
    longest = np.sqrt(((corners[:, None] - corners) ** 2).sum(axis=2).max())
    boxes = widths * _extent(corners, along)
    return _pixels_within(centres), _hull_perimeter(centres), float(longest), float(widths.min()), float(boxes.min())


def _extent(corners: FloatArray, directions: FloatArray) -> FloatArray:
    return np.asarray(np.ptp(directions @ corners.T, axis=1))


def _pixels_within(hull: npt.NDArray[np.int32]) -> float:
    """Count the grid points in and on a polygon with corners on the grid: Pick's theorem, also for lines and points."""
    steps = np.roll(hull, -1, axis=0) - hull
    twice_area = abs(int((hull[:, 0].astype(np.int64) * steps[:, 1] - hull[:, 1].astype(np.int64) * steps[:, 0]).sum()))
    return (twice_area + int(np.gcd(*steps.T).sum())) / 2 + 1


def _hull_perimeter(hull: npt.NDArray[np.int32]) -> float:
    """Return Crofton's perimeter of a convex label: each line that meets it enters and leaves it once."""
    row, col = hull.T
    straight, aslant = (sum(int(np.ptp(each)) + 1 for each in pair) for pair in ((row, col), (row + col, row - col)))
    return float(np.pi / 4 * (straight + aslant / np.sqrt(2)))
