"""The outline of a mask along the edges of its pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import find_contours

__all__ = ["outlines"]


def outlines(mask: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the rings that enclose the pixels of a mask: outer ones of its 4-connected pieces, and of its holes.

    Parameters
    ----------
    mask
        Shape (height, width).

    Returns
    -------
    rings
        Corners (x, y) of each, shape (corners, 2), whole numbers from the upper left corner of the mask; rings of holes
        run the other way. The area they enclose is the number of pixels.

    Examples
    --------
    >>> sorted(outlines(np.ones((1, 2)))[0].tolist())
    [[0, 0], [0, 1], [2, 0], [2, 1]]
    """
    padded = np.pad(np.asarray(mask, dtype=np.float64), 1)
    return [_along_edges(ring) for ring in find_contours(padded, 0.5, fully_connected="low")]


def _along_edges(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Turn a contour through the middles of pixel edges into one along the edges, by the corner between each two."""
    middles = ring[:-1] - 0.5  # rows and columns of the mask, without the padding, from the pixels' edges
    after = np.roll(middles, -1, axis=0)
    whole, whole_after = (np.isclose(each, np.rint(each), atol=0.1) for each in (middles, after))
    corners = np.where(whole, middles, np.where(whole_after, after, (middles + after) / 2))
    corners = np.rint(corners).astype(np.int64)[:, ::-1]
    before, beyond = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * beyond[:, 1] != before[:, 1] * beyond[:, 0]
    return np.asarray(corners[turns])
