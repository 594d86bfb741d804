"""Meshes seen along the beam: which pixels they cover and how thick they are there, without Blender.

Triangles and outlines are cut by the lines of pixel centres. Where an edge crosses a line is computed in one way,
whichever triangle it belongs to, and spans are half-open, so those of a closed mesh fit together without gap or
overlap: every pixel centre enters and leaves the body equally often.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nanolab.core.typing import FloatArray, Image, Mask
from nanolab.synthesis.mesh import Mesh

__all__ = ["Layers", "Window", "layers", "polygon_mask", "projected_area", "silhouette", "underside_and_top"]

Index = npt.NDArray[np.int64]

# Lines across a body from which its projected area is computed: at least, and at most.
LINES = 256, 4096


class Window(NamedTuple):
    """A part of an image: `values` (height, width) begin at (`row`, `column`) of it; it may be empty."""

    row: int
    column: int
    values: npt.NDArray[Any]


class Layers(NamedTuple):
    """Meshes that the beam meets, as arrays of one length: which `mesh`, at which `pixel` (row by row), how thick."""

    mesh: Index
    pixel: Index
    thickness_nm: Image


def silhouette(mesh: Mesh, centre_nm: FloatArray, shape: tuple[int, int], pixel_size_nm: float) -> Window:
    """Return which pixels of an image of `shape` have their centre inside the projection of a closed mesh.

    Parameters
    ----------
    mesh
        The mesh, turned as it lies.
    centre_nm
        Where its centre lies, (x, y, ...) in nm: x right of the image's left edge, y below its upper edge.

    Returns
    -------
    Window
        The smallest window of the image that holds the particle, and the mask (bool) in it.
    """
    return _filled(*_contour(_in_pixels(mesh, centre_nm, pixel_size_nm), mesh.triangles), shape)


def polygon_mask(polygons: Sequence[FloatArray], shape: tuple[int, int], pixel_size_nm: float) -> Window:
    """Return which pixels have their centre inside closed lines, (n, 2) each as (x, y) in nm; see `silhouette`.

    A hole is a line that runs the other way round than the one around it.
    """
    points = [np.asarray(polygon) / pixel_size_nm - 0.5 for polygon in polygons]
    return _filled(np.concatenate(points), np.concatenate([np.roll(p, -1, axis=0) for p in points]), shape)


def _filled(start: FloatArray, end: FloatArray, shape: tuple[int, int]) -> Window:
    """Return the pixels around which edges run, from `start` to `end` (E, 2), more often one way than the other."""
    step, line, x = _crossings(start, end, shape[0])
    column = np.clip(np.ceil(x), 0, shape[1]).astype(np.int64)
    (top, bottom), (left, right) = _extent(line), _extent(column)
    steps = np.zeros((bottom - top + 1, right - left + 1), dtype=np.int32)
    np.add.at(steps, (line - top, column - left), step)
    return Window(top, left, steps.cumsum(axis=1)[:, :-1] != 0)


def layers(
    meshes: Sequence[Mesh], centres_nm: Sequence[FloatArray], shape: tuple[int, int], pixel_size_nm: float
) -> Layers:
    """Return how thick closed meshes are along the beam at the pixels' centres; see `silhouette`.

    It is exact for each mesh: folds and separate parts count as the beam meets them.
    """
    if not meshes:
        return Layers(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    moved = [_in_pixels(mesh, centre, pixel_size_nm) for mesh, centre in zip(meshes, centres_nm, strict=True)]
    corners = np.concatenate([points[mesh.triangles] for points, mesh in zip(moved, meshes, strict=True)])
    owner = np.repeat(np.arange(len(meshes)), [len(mesh.triangles) for mesh in meshes])
    triangle, pixel, height, side = _surface(corners, shape)
    place, entry = np.unique(owner[triangle] * (shape[0] * shape[1]) + pixel, return_inverse=True)
    mesh, pixel = np.divmod(place, shape[0] * shape[1])
    thickness = np.bincount(entry, height * side * pixel_size_nm, minlength=len(place))
    return Layers(mesh, pixel, thickness.astype(np.float32))


def underside_and_top(
    mesh: Mesh, centre_nm: FloatArray, shape: tuple[int, int], pixel_size_nm: float
) -> tuple[Window, Window]:
    """Return the lowest and the highest point of a mesh at the pixels' centres, in nm from its centre.

    See `silhouette`. Both are NaN where it does not cover the centre.
    """
    row, column, mask = silhouette(mesh, centre_nm, shape, pixel_size_nm)
    corners = _in_pixels(mesh, np.asarray(centre_nm)[:2] - np.array([column, row]) * pixel_size_nm, pixel_size_nm)
    _, pixel, height, _ = _surface(corners[mesh.triangles], (mask.shape[0], mask.shape[1]))
    low, high = np.full(mask.size, np.inf), np.full(mask.size, -np.inf)
    np.minimum.at(low, pixel, height)
    np.maximum.at(high, pixel, height)
    low, high = (np.where(np.isfinite(v), v * pixel_size_nm, np.nan).reshape(mask.shape) for v in (low, high))
    return Window(row, column, low), Window(row, column, high)


def projected_area(mesh: Mesh) -> float:
    """Return the area in nm^2 of the projection of a closed mesh along the beam, whatever its shape.

    The lengths covered on parallel lines are exact; the lines are close enough to meet the body where it is thin.
    """
    bottom, top = float(mesh.vertices[:, 1].min()), float(mesh.vertices[:, 1].max())
    # The volume over the surface is a third of a ball's radius, half of a rod's, half of a sheet's thickness.
    lines = int(np.clip((top - bottom) / (mesh.volume_nm3 / mesh.surface_nm2), *LINES))
    pitch = (top - bottom) / lines
    scaled = mesh.vertices * np.array([1, 1 / pitch, 1]) - np.array([0, bottom / pitch + 0.5, 0])
    step, line, x = _crossings(*_contour(scaled, mesh.triangles), lines)
    order = np.lexsort([x, line])
    # On each line the steps add up to 0, so one running sum over all lines counts the layers of each.
    covered = np.cumsum(step[order])[:-1] > 0
    return float(np.diff(x[order])[covered].sum() * pitch)


def _in_pixels(mesh: Mesh, centre_nm: FloatArray, pixel_size_nm: float) -> FloatArray:
    """Vertices in pixels, (V, 3); the centre of the image's first pixel lies at (0, 0)."""
    points = mesh.vertices / pixel_size_nm
    points[:, :2] += np.asarray(centre_nm)[:2] / pixel_size_nm - 0.5
    return np.asarray(points)


def _extent(values: Index) -> tuple[int, int]:
    """Smallest and largest value; of none, an empty extent."""
    return (int(values.min()), int(values.max())) if len(values) else (0, -1)


def _contour(points: FloatArray, triangles: Index) -> tuple[FloatArray, FloatArray]:
    """Return the ends, (E, 2) each as (x, y), of the edges between triangles that look up and others.

    The edges run round the upward side as its triangles are counted; those between two of these cancel.
    """
    a, b, c = (points[triangles[:, k], :2] for k in range(3))
    upward = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) > (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    up = triangles[upward]
    start, end = up.ravel(), up[:, [1, 2, 0]].ravel()
    alone = ~np.isin(start * len(points) + end, end * len(points) + start)
    return points[start[alone], :2], points[end[alone], :2]


def _crossings(start: FloatArray, end: FloatArray, lines: int) -> tuple[Index, Index, FloatArray]:
    """Where edges cross the lines y = 0, 1, ..., `lines` - 1: step, line and x.

    The step is 1 where the body begins to the right of the edge, for a mesh counted outwards, and -1 where it ends.
    """
    falls = end[:, 1] < start[:, 1]
    low, high = np.where(falls[:, None], end, start), np.where(falls[:, None], start, end)
    edge, line = _lines(low[:, 1], high[:, 1], lines)
    low, high = low[edge], high[edge]
    x = low[:, 0] + (line - low[:, 1]) * ((high[:, 0] - low[:, 0]) / (high[:, 1] - low[:, 1]))
    return np.where(falls[edge], 1, -1), line, x


def _lines(low: FloatArray, high: FloatArray, lines: int) -> tuple[Index, Index]:
    """Pairs of the number of an extent [low, high) and a whole number in it, from 0 up to `lines` - 1."""
    first, after = (np.clip(np.ceil(y), 0, lines).astype(np.int64) for y in (low, high))
    return _runs(first, after)


def _runs(first: Index, after: Index) -> tuple[Index, Index]:
    """Pairs of the number of a run and each whole number in it, from `first` up to, not including, `after`."""
    count = np.maximum(after - first, 0)
    run = np.repeat(np.arange(len(count)), count)
    return run, np.arange(len(run)) + (first - np.cumsum(count) + count)[run]


def _surface(corners: FloatArray, shape: tuple[int, int]) -> tuple[Index, Index, FloatArray, Index]:
    """Return each meeting of the beam with triangles (T, 3, 3): the triangle, the pixel, the height and the side.

    Pixels are counted row by row; the side is 1 where the triangle looks up to the beam and -1 where it looks down.
    """
    (low, middle, high), turned = _sorted(corners)
    owner, line = _lines(low[:, 1], high[:, 1], shape[0])
    # Each line crosses the long side and one of the two short ones.
    far, far_height = _on_edge(low, high, owner, line)
    short = owner + len(corners) * (line >= middle[owner, 1])
    near, near_height = _on_edge(np.concatenate([low, middle]), np.concatenate([middle, high]), short, line)
    swapped = near < far
    left, right = np.where(swapped, (near, far), (far, near))
    first, after = (np.clip(np.ceil(x), 0, shape[1]).astype(np.int64) for x in (left, right))
    span, column = _runs(first, after)
    side = np.where(swapped ^ turned[owner], -1, 1)
    part = (column - far[span]) / (near - far)[span]
    heights = far_height[span] + part * (near_height - far_height)[span]
    return owner[span], line[span] * shape[1] + column, heights, side[span]


def _sorted(corners: FloatArray) -> tuple[FloatArray, Mask]:
    """Return the corners by rising y, shape (3, T, 3), and where that turned the count round (T,)."""
    ordered = np.moveaxis(corners, 1, 0).copy()
    turned = np.zeros(len(corners), dtype=bool)
    for one, other in ((0, 1), (1, 2), (0, 1)):
        wrong = ordered[one, :, 1] > ordered[other, :, 1]
        ordered[one, wrong], ordered[other, wrong] = ordered[other, wrong], ordered[one, wrong]
        turned ^= wrong
    return ordered, turned


def _on_edge(low: FloatArray, high: FloatArray, edge: Index, line: Index) -> tuple[FloatArray, FloatArray]:
    """Return x and z where edges, numbered, cross lines. A level edge crosses none and is never asked for."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (high - low) / (high - low)[:, 1:2]
    up = line - low[edge, 1]
    return low[edge, 0] + up * slope[edge, 0], low[edge, 2] + up * slope[edge, 2]
