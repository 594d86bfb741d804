"""The outlines of particles as polygons, which a browser can draw, light up and take clicks on."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import find_contours

__all__ = ["outline_polygons"]

Polygon = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

_TOLERANCE_PX = 0.3  # how far a simplified outline may lie from the whole one: not to be seen


def outline_polygons(labels: npt.NDArray[np.int32], wanted: Sequence[int]) -> list[Polygon]:
    """Return the outer outline of each particle as x and y of its corners, in pixels from the top left of the image.

    Outlines pass through the middles of the edges of the outermost pixels: that of a single pixel at row 2, column 5
    goes through (5.5, 2), (6, 2.5), (5.5, 3) and (5, 2.5).

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    wanted
        Labels of the particles, each of them in the map. Of a particle in several pieces the largest is drawn.
    """
    boxes = ndimage.find_objects(labels)
    return [_outline(labels[boxes[label - 1]] == label, boxes[label - 1]) for label in wanted]


def _outline(mask: npt.NDArray[np.bool_], box: tuple[slice, slice]) -> Polygon:
    contours = find_contours(np.pad(mask, 1).astype(np.float32), 0.5, fully_connected="high")
    points = max(contours, key=len).astype(np.float32)
    corners = cv2.approxPolyDP(points[:-1, None], _TOLERANCE_PX, closed=True)[:, 0].astype(np.float64) - 0.5
    return corners[:, 1] + box[1].start, corners[:, 0] + box[0].start
