"""Errors that change the topology: splits, merges, holes, and particles too many or too few.

Particles are 4-connected and the background is 8-connected, as in `nanolab.images.labels.labels_from_mask`.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanolab.core.checks import check_label_map, check_same_shape
from nanolab.core.typing import Mask
from nanolab.metrics.pixel import Counts, ratio

__all__ = ["WarpingScores", "simple_points", "warp", "warping_scores"]

Indices = npt.NDArray[np.intp]

_EIGHT = np.ones((3, 3), dtype=bool)
_AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]  # bit 0 to 7 of a neighbourhood


@dataclass(frozen=True)
class WarpingScores(Counts):
    """Counts of what no warping can mend; a sum pools images.

    Attributes
    ----------
    wrong
        Pixels that still differ.
    places
        8-connected groups of them, about the number of topological errors.
    total
        Pixels of the image.
    """

    wrong: int = 0
    places: int = 0
    total: int = 0

    @property
    def error(self) -> float:
        """Warping error: share of pixels that still differ."""
        return ratio(self.wrong, self.total)


def warping_scores(truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer]) -> WarpingScores:
    """Warp the truth into the prediction as far as its topology allows, and count what then still differs.

    This is the warping error of Jain et al. (10.1109/CVPR.2010.5539950): a boundary that is merely shifted costs
    nothing. Of what costs, a merge costs the pixels of a cut through the bridge, a split those of the gap's narrowest
    link, a missed particle one pixel; a particle too many and a hole cost their area. As there, the truth is what is
    warped, pixels that agree already are never touched, and the greedy search ends in a local minimum, which depends
    a little on the order: the value is an upper bound of the true one.

    Parameters
    ----------
    truth, predicted
        Label maps, shape (height, width). Where particles touch, a line one pixel wide cuts them apart first.
    """
    check_same_shape(truth, predicted, "truth and prediction")
    target = _cut_apart(predicted, "prediction")
    left = warp(_cut_apart(truth, "truth"), target) != target
    return WarpingScores(int(left.sum()), ndimage.label(left, structure=_EIGHT)[1], left.size)


def warp(mask: Mask, target: Mask) -> Mask:
    """Return `mask`, shape (height, width), turned into `target` pixel by pixel as far as its topology stays.

    Only simple points are flipped: pixels whose change neither joins, splits, makes nor ends a particle, a hole or the
    background. Pixels of one parity of row and column are no neighbours of each other, so that a quarter of the image
    can be flipped at once; and a pixel is looked at again only after a neighbour has changed. Outside of the image is
    background.
    """
    warped, wanted = np.pad(mask, 1), np.pad(target, 1)
    flat, goal = warped.reshape(-1), wanted.reshape(-1)
    steps = np.array([row * warped.shape[1] + col for row, col in _AROUND])
    front = np.flatnonzero(flat != goal)
    while front.size:
        moved = []
        for quarter in _quarters(front, warped.shape[1]):
            codes = np.packbits(flat[quarter[:, None] + steps], axis=1, bitorder="little")[:, 0]
            flips = quarter[simple_points()[codes]]
            flat[flips] = ~flat[flips]
            moved.append(flips)
        near = np.unique(np.concatenate(moved)[:, None] + steps)
        near = near[(near >= 0) & (near < flat.size)]
        front = near[flat[near] != goal[near]]
    return warped[1:-1, 1:-1]


@cache
def simple_points() -> Mask:
    """Return for each of the 256 neighbourhoods whether the pixel in its middle is simple.

    It is if the 4-connected particles that touch it by an edge, and the 8-connected background that touches it, are
    one each within the 8 neighbours (Kong and Rosenfeld, 10.1016/0734-189X(89)90147-3). Bit k of the index stands for
    the k-th neighbour, row by row.
    """
    return np.array([_is_simple(code) for code in range(256)])


def _is_simple(code: int) -> bool:
    around = np.zeros((3, 3), dtype=bool)
    for bit, (row, col) in enumerate(_AROUND):
        around[1 + row, 1 + col] = code >> bit & 1
    particles, _ = ndimage.label(around)
    background = ~around
    background[1, 1] = False
    by_edge = {particles[at] for at in [(0, 1), (1, 0), (1, 2), (2, 1)]} - {0}
    return len(by_edge) == 1 and ndimage.label(background, structure=_EIGHT)[1] == 1


def _quarters(front: Indices, width: int) -> list[Indices]:
    rows, cols = np.divmod(front, width)
    parity = 2 * (rows % 2) + cols % 2
    return [front[parity == which] for which in range(4)]


def _cut_apart(labels: npt.NDArray[np.integer], where: str) -> Mask:
    """Return the mask of the particles, less the pixels whose right or lower neighbour is of another particle."""
    check_label_map(labels, where)
    mask = labels != 0
    cut = mask.copy()
    cut[:, :-1] &= ~mask[:, 1:] | (labels[:, :-1] == labels[:, 1:])
    cut[:-1] &= ~mask[1:] | (labels[:-1] == labels[1:])
    return cut
