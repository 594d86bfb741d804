"""Measured again where a label map has changed, and only there: as quick as a person corrects."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.typing import AnyImage, AnyLabelMap
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.hidden import REACH_PX
from nanolab.measurement.particles import measure, nearest_distances

__all__ = ["remeasure"]

_Boxes = npt.NDArray[np.integer]


def remeasure(
    before: pd.DataFrame,
    labels: AnyLabelMap,
    boxes: _Boxes,
    window: tuple[slice, slice],
    *,
    pixel_size: PixelSize,
    image: AnyImage | None = None,
    name: str = "",
) -> pd.DataFrame:
    """Return what `nanolab.measurement.particles.measure` gives for a label map that has changed within a window.

    Parameters
    ----------
    before
        What it gave before the change; columns that it does not make are left out.
    labels
        Shape (height, width), as it is now.
    boxes
        Top, left, bottom and right of each label, shape (labels + 1, 4), zeros where there is no such particle.
    window
        Outside of it nothing has changed.
    pixel_size, image, name
        As given to `measure`.
    """
    there = boxes[:, 2] > 0
    reach = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) + REACH_PX  # what `hidden` looks at
    seen = boxes + reach[:, None] * [-1, -1, 1, 1]
    anew = there & _meets(seen, (window[0].start, window[1].start, window[0].stop, window[1].stop))
    kept = before[before["label"].isin(np.flatnonzero(there & ~anew))]
    table = pd.concat([kept, _measured(labels, boxes, seen, anew, image, pixel_size, name)], ignore_index=True)
    table = table[kept.columns if len(kept) else table.columns].sort_values("label", ignore_index=True)
    table["nearest_neighbour_px"] = nearest_distances(table["centroid_row_px"], table["centroid_col_px"])
    if pixel_size.nm is not None:
        table["nearest_neighbour_nm"] = table["nearest_neighbour_px"] * pixel_size.nm
    return table


def _meets(boxes: _Boxes, other: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    top, left, bottom, right = boxes.T
    return np.asarray((top < other[2]) & (bottom > other[0]) & (left < other[3]) & (right > other[1]))


def _measured(
    labels: AnyLabelMap,
    boxes: _Boxes,
    seen: _Boxes,
    anew: npt.NDArray[np.bool_],
    image: AnyImage | None,
    pixel_size: PixelSize,
    name: str,
) -> pd.DataFrame:
    """Return the rows of the particles to be measured anew, from a crop that holds all that they look at."""
    crop = _around(seen[anew], labels.shape)
    crop = _around(boxes[(boxes[:, 2] > 0) & _meets(boxes, crop)], labels.shape)
    rows, cols = slice(crop[0], crop[2]), slice(crop[1], crop[3])
    within = None if image is None else image[rows, cols]
    table = measure(labels[rows, cols], within, pixel_size=pixel_size, name=name)
    table = table[anew[table["label"]]].copy()
    table["centroid_row_px"] += crop[0]
    table["centroid_col_px"] += crop[1]
    top, left, bottom, right = boxes[table["label"]].T
    height, width = labels.shape
    table["touches_border"] = (top == 0) | (left == 0) | (bottom == height) | (right == width)
    return table.assign(image_height_px=height, image_width_px=width)


def _around(boxes: _Boxes, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return top, left, bottom and right of all boxes together, within an image of that shape."""
    if not len(boxes):
        return 0, 0, 1, 1
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return *np.maximum(low, 0).tolist(), *np.minimum(high, shape).tolist()
