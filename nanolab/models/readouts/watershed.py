"""Cutting touching particles apart along the valleys between their summits."""

import cv2
import numpy as np
import numpy.typing as npt
from skimage.measure import label
from skimage.segmentation import watershed

__all__ = ["split_touching"]

Heights = npt.NDArray[np.float32]
Basins = npt.NDArray[np.int32]

_ALL, _FRONT, _BACK = slice(None), slice(None, -1), slice(1, None)

#: For each of the four directions the two windows that lay every pixel on its neighbour.
_NEIGHBOURS = (
    ((_ALL, _FRONT), (_ALL, _BACK)),
    ((_FRONT, _ALL), (_BACK, _ALL)),
    ((_FRONT, _FRONT), (_BACK, _BACK)),
    ((_FRONT, _BACK), (_BACK, _FRONT)),
)


def split_touching(height: Heights, mask: npt.NDArray[np.bool_], dynamic: float) -> Basins:
    """Divide `mask` into one region for each summit of `height` that stands out by at least `dynamic`.

    A summit stands out by its height above the highest pass that leads to a higher one. The regions are those of a
    watershed from the h-maxima with h = `dynamic`, found faster: flood from all maxima, then join the regions
    whose lower summit does not stand out, highest passes first.

    Parameters
    ----------
    height
        Shape (height, width).
    mask
        Shape (height, width), True on particles.
    dynamic
        At least 0, in the units of `height`.

    Returns
    -------
    labels
        Shape (height, width), 0 outside `mask`, 1..N on it. Every 8-connected part of `mask` has at least one region.

    References
    ----------
    Grimaud, New measure of contrast: the dynamics, 10.1117/12.60650.
    """
    inside = np.where(mask, height, -np.inf).astype(np.float32)
    maxima = mask & (inside == cv2.dilate(inside, np.ones((3, 3), dtype=np.uint8)))
    markers = label(maxima, connectivity=2).astype(np.int32)
    basins = watershed(-height, markers, mask=mask, connectivity=2).astype(np.int32, copy=False)
    summits = np.full(int(basins.max()) + 1, -np.inf, dtype=np.float32)
    np.maximum.at(summits, markers.ravel(), inside.ravel())
    joined = _join(summits, *_passes(basins, inside), dynamic)
    return np.unique(joined, return_inverse=True)[1].astype(np.int32)[basins]


def _passes(basins: Basins, height: Heights) -> tuple[npt.NDArray[np.int64], Heights]:
    """Return the pairs of basins that touch, shape (N, 2), and the height of the pass between each, highest first."""
    pairs, heights = [], []
    for one, other in _NEIGHBOURS:
        touch = (basins[one] != basins[other]) & (basins[one] > 0) & (basins[other] > 0)
        pairs.append(np.stack([basins[one][touch], basins[other][touch]]))
        heights.append(np.minimum(height[one][touch], height[other][touch]))
    pair, pass_height = np.sort(np.concatenate(pairs, axis=1), axis=0).astype(np.int64), np.concatenate(heights)
    order = np.argsort(-pass_height, kind="stable")
    _, first = np.unique((pair[0] << 32 | pair[1])[order], return_index=True)  # the highest of each pair
    kept = order[np.sort(first)]
    return pair[:, kept].T, pass_height[kept]


def _join(summits: Heights, pairs: npt.NDArray[np.int64], passes: Heights, dynamic: float) -> npt.NDArray[np.int32]:
    """Return for each basin the number of the one it is joined to."""
    parent = list(range(len(summits)))

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    for (one, other), height in zip(pairs.tolist(), passes.tolist(), strict=True):
        low, high = sorted((root(one), root(other)), key=lambda basin: summits[basin])
        if low != high and summits[low] - height < dynamic:
            parent[low] = high
    return np.array([root(basin) for basin in parent], dtype=np.int32)
