"""How much of each particle lies beneath its neighbours, estimated from how the particles of a label map touch."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.typing import FloatArray
from nanolab.measurement.regions import Regions

__all__ = ["REACH_PX", "SIGNS", "TREES", "fractions_of", "signs", "visible_fractions"]

#: What is looked at in each particle that touches another one. `contact`: share of its outline that does. `hull` and
#: `ellipse`: logarithm of 1 plus the area in neighbours, in areas of the particle, of its convex hull and of the
#: ellipse through the part of its outline that is free (Fitzgibbon et al., 10.1109/34.765658). `size`: logarithm of its
#: area in areas of its largest neighbour. `aspect`: logarithm of its aspect ratio. `solidity`: as in the table.
SIGNS = ("contact", "hull", "ellipse", "size", "aspect", "solidity")
#: Regression trees for the logarithm of whole area / visible area, one row per node; made from rendered images by
#: `tests/benchmarks/bench_hidden.py`. A node goes left where its sign is at most the threshold; leaves have no sign.
TREES = Path(__file__).with_suffix(".csv")

#: So close particles touch: they are often cut apart by a line one pixel wide.
REACH_PX = 2

_NEIGHBOURHOOD = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), dtype=np.uint8)
_FEWEST_POINTS = 8  # of a free outline to which an ellipse is fitted
_LONGEST = 6.0  # axis of such an ellipse in sides of the window; longer ones are no particle
_LEAST = 0.05  # below, nobody can tell

Mask = npt.NDArray[np.uint8]


def visible_fractions(labels: npt.NDArray[np.integer], found: Regions) -> FloatArray:
    """Return which part of each particle is seen, shape (N,): 1 for those that touch no other one.

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    found
        Of the same label map.
    """
    return fractions_of(signs(labels, found))


def fractions_of(looked: FloatArray) -> FloatArray:
    """Return the visible fractions, shape (N,), of signs of shape (N, 6)."""
    touching = ~np.isnan(looked[:, 0])
    seen = np.ones(len(looked))
    seen[touching] = np.exp(-_grown(looked[touching]))
    return np.clip(seen, _LEAST, 1)


def signs(labels: npt.NDArray[np.integer], found: Regions) -> FloatArray:
    """Return the `SIGNS` of each particle, shape (N, 6); NaN for those that touch no other one."""
    table = np.full((len(found.label), len(SIGNS)), np.nan)
    for at in np.flatnonzero(np.isin(found.label, _touching(labels))):
        top, left, height, width = (int(each[at]) for each in (found.top, found.left, found.height, found.width))
        margin = max(height, width) + REACH_PX
        rows = slice(max(top - margin, 0), top + height + margin)
        window = labels[rows, max(left - margin, 0) : left + width + margin]
        own = (window == found.label[at]).astype(np.uint8)
        others = ((window != 0) & (own == 0)).astype(np.uint8)
        near = window[(cv2.dilate(own, _NEIGHBOURHOOD) & others) > 0]
        largest = found.area[np.searchsorted(found.label, np.unique(near))].max()
        shape = np.log(found.area[at] / largest), np.log(found.major[at] / found.minor[at])
        table[at] = *_beneath(own, others, found.area[at]), *shape, found.area[at] / found.hulls.pixels[at]
    return table


def _touching(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return the labels that lie within reach of another one."""
    values = labels.astype(np.float64)  # OpenCV dilates no large whole numbers
    largest = cv2.dilate(values, _NEIGHBOURHOOD)
    smallest = cv2.erode(np.where(labels == 0, np.inf, values), _NEIGHBOURHOOD)
    return np.unique(labels[(labels != 0) & ((largest != values) | (smallest != values))])


def _beneath(own: Mask, others: Mask, area: float) -> tuple[float, float, float]:
    """Return contact, hull and ellipse of a particle."""
    outlines = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    outline = max(outlines, key=len)[:, 0]
    touches = cv2.dilate(others, _NEIGHBOURHOOD)[outline[:, 1], outline[:, 0]] > 0
    hull = np.zeros(own.shape, dtype=np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(outline), (1,))
    ellipse = _ellipse(outline[~touches], own.shape)
    inside = (np.log1p(np.count_nonzero(each & others) / area) for each in (hull, ellipse))
    return float(touches.mean()), *inside


def _ellipse(points: npt.NDArray[np.int32], shape: tuple[int, ...]) -> Mask:
    """Return the pixels within the ellipse through some points; none where there is no such ellipse."""
    mask = np.zeros(shape, dtype=np.uint8)
    if len(points) < _FEWEST_POINTS:
        return mask
    middle, axes, angle = cv2.fitEllipseDirect(points.astype(np.float32))
    if np.isfinite([*middle, *axes]).all() and max(axes) < _LONGEST * max(shape):
        cv2.ellipse(mask, (middle, axes, angle), (1,), -1)
    return mask


@cache
def _trees() -> list[pd.DataFrame]:
    return [tree.reset_index(drop=True) for _, tree in pd.read_csv(TREES).groupby("tree")]


def _grown(looked: FloatArray) -> FloatArray:
    """Return the sum of all trees, shape (N,), of signs of shape (N, 6)."""
    looked, total = looked.astype(np.float32), np.zeros(len(looked))  # as they were grown
    for tree in _trees():
        sign, threshold, left, right, value = (tree[each].to_numpy() for each in tree.columns[1:])
        node = np.zeros(len(looked), dtype=np.int64)
        while (inner := sign[node] >= 0).any():
            goes_left = looked[np.arange(len(looked)), sign[node]] <= threshold[node]
            node = np.where(inner, np.where(goes_left, left[node], right[node]), node)
        total += value[node]
    return total
