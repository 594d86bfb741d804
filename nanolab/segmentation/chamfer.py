"""Chamfer distances: from pixel to pixel in steps of given lengths, in whole numbers."""

import numpy as np
import numpy.typing as npt

__all__ = ["BORGEFORS", "CHESSKNIGHT", "chamfer_distance"]

Distances = npt.NDArray[np.int32]

#: Steps to a neighbour in the row or column, and across a corner.
BORGEFORS = (3, 4)

#: The same, and a knight's move.
CHESSKNIGHT = (5, 7, 11)

_FAR = 2**30


def chamfer_distance(mask: npt.NDArray[np.bool_], weights: tuple[int, ...] = BORGEFORS) -> Distances:
    """Return the length of the shortest way from each pixel of `mask` to one outside, in units of the weights.

    Where the array ends is no outside. Divided by the first weight, these are distances in px.

    Parameters
    ----------
    mask
        Shape (height, width).
    weights
        Length of a step to an edge neighbour, to a corner neighbour and, if there are three, of a knight's move.

    References
    ----------
    Borgefors, Distance transformations in digital images, 10.1016/S0734-189X(86)80047-0.

    Examples
    --------
    >>> chamfer_distance(np.array([[0, 1, 1, 1], [1, 1, 1, 1]], dtype=bool))
    array([[ 0,  3,  6,  9],
           [ 3,  4,  7, 10]], dtype=int32)
    """
    distance = np.where(mask, _FAR, 0).astype(np.int32)
    _sweep(distance, weights)
    _sweep(distance[::-1, ::-1], weights)
    return distance


def _sweep(distance: Distances, weights: tuple[int, ...]) -> None:
    """Hand distances on to the right and downwards, in place."""
    edge, corner, *knight = weights
    moves = [(1, 0, edge), (1, 1, corner), (1, -1, corner)]
    for length in knight:
        moves += [(1, 2, length), (1, -2, length), (2, 1, length), (2, -1, length)]
    along = edge * np.arange(distance.shape[1], dtype=np.int32)
    for row, values in enumerate(distance):
        for down, right, length in moves:
            if row >= down and abs(right) < distance.shape[1]:
                to, of = _ends(right), _ends(-right)
                np.minimum(values[to], distance[row - down][of] + np.int32(length), out=values[to])
        # along the row all at once: the least of value + edge * (how far it is) over all pixels to the left
        values[:] = np.minimum.accumulate(values - along) + along


def _ends(right: int) -> slice:
    """Return the part of a row that has pixels so far to its left."""
    return slice(right, None) if right >= 0 else slice(None, right)
