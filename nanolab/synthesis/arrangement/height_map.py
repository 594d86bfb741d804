"""The heights of what lies on the substrate, as a map: bodies of any shape are let down onto it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.core.typing import FloatArray, Mask
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.projection import underside_and_top

__all__ = ["Relief", "Stamp"]


# The map has at most so many points a side; coarser than a pixel it is still fine against a particle.
POINTS = 2048


@dataclass(frozen=True)
class Stamp:
    """A body as the map sees it: its underside and top (h, w) in nm from its centre, NaN next to it.

    `row` and `column` are where they begin, in points from the centre; `half_nm` is half its height.
    """

    row: int
    column: int
    underside: FloatArray
    top: FloatArray
    half_nm: float
    lowest: float


class Relief:
    """A map of heights in nm over the field and a margin around it; outside, the substrate is bare.

    Parameters
    ----------
    field_nm
        Width and height of the field.
    margin_nm
        How far the map goes beyond it.
    pitch_nm
        Distance of its points.
    """

    def __init__(self, field_nm: tuple[float, float], margin_nm: float, pitch_nm: float) -> None:
        width, height = (side + 2 * margin_nm for side in field_nm)
        self.pitch_nm = max(pitch_nm, width / POINTS, height / POINTS)
        self.margin_nm = margin_nm
        self._top = np.zeros((int(np.ceil(height / self.pitch_nm)), int(np.ceil(width / self.pitch_nm))))
        self._half = np.zeros_like(self._top)

    def stamp(self, mesh: Mesh) -> Stamp:
        """Return a mesh as the map sees it."""
        reach = int(np.ceil(np.abs(mesh.vertices[:, :2]).max() / self.pitch_nm)) + 1
        centre = np.full(2, (reach + 0.5) * self.pitch_nm)
        low, high = underside_and_top(mesh, centre, (2 * reach + 1, 2 * reach + 1), self.pitch_nm)
        z = mesh.vertices[:, 2]
        return Stamp(low.row - reach, low.column - reach, low.values, high.values, float(np.ptp(z)) / 2, float(z.min()))

    def rest(self, stamp: Stamp, point: FloatArray, overlap: float) -> float:
        """Return the height of the centre of a body let down at `point`, (x, y) in nm, until it meets something.

        `overlap` is the fraction of the smaller one's half height by which it may sink into another body.
        """
        here, part = self._window(stamp, point)
        sunk = overlap * np.minimum(self._half[here], stamp.half_nm)
        contact = self._top[here] - sunk - stamp.underside[part]
        contact = contact[self._top[here] > 0]
        return float(np.nanmax(contact, initial=-stamp.lowest)) if contact.size else -stamp.lowest

    def add(self, stamp: Stamp, centre: FloatArray) -> None:
        """Lay a body down with its centre at (x, y, z) in nm."""
        here, part = self._window(stamp, centre)
        top = stamp.top[part] + centre[2]
        higher = top > self._top[here]
        self._top[here][higher] = top[higher]
        self._half[here][higher] = stamp.half_nm

    def heights(self, points: FloatArray) -> FloatArray:
        """Return the heights in nm at points (..., 2); 0 outside the map."""
        inside, row, column = self._cells(points)
        return np.where(inside, self._top[row, column], 0.0)

    def raise_to(self, points: FloatArray, heights: FloatArray, half_nm: float) -> None:
        """Raise the map to heights in nm at points (..., 2), by a body of half the height `half_nm`."""
        inside, row, column = self._cells(points)
        row, column, heights = row[inside], column[inside], heights[inside]
        higher = heights > self._top[row, column]
        self._half[row[higher], column[higher]] = half_nm
        np.maximum.at(self._top, (row, column), heights)

    def _window(self, stamp: Stamp, point: FloatArray) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the part of the map under a stamp, and the part of the stamp on the map."""
        column, row = (np.floor((np.asarray(point)[:2] + self.margin_nm) / self.pitch_nm)).astype(int)
        here, part = [], []
        for first, length, size in zip(
            (row + stamp.row, column + stamp.column), stamp.top.shape, self._top.shape, strict=True
        ):
            start, stop = min(max(first, 0), size), max(min(first + length, size), 0)
            here.append(slice(start, max(stop, start)))
            part.append(slice(start - first, max(stop, start) - first))
        return (here[0], here[1]), (part[0], part[1])

    def _cells(self, points: FloatArray) -> tuple[Mask, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        cells = np.floor((points + self.margin_nm) / self.pitch_nm).astype(np.int64)
        column, row = cells[..., 0], cells[..., 1]
        height, width = self._top.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return inside, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
