"""Texture grown from patches of an image: image quilting.

Efros & Freeman, SIGGRAPH 2001, 10.1145/383259.383296: patches are laid side by side so that they agree where they
overlap, and are joined along the seam where they differ least.
"""

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.typing import Image, Mask

__all__ = ["patch_places", "quilt"]


# Sides of the patches tried, the largest first; a smaller one fits between more particles.
SIDES_PX = (64, 48, 32, 24, 16, 12, 8)
_PLACES = 60  # so many places for a patch are enough for variety
_CANDIDATES = 24
_CHOICES = 3  # one of the best few is taken; always the best would repeat itself


def quilt(source: Image, usable: Mask, shape: tuple[int, int], rng: np.random.Generator, where: str) -> Image:
    """Grow a texture of the given shape from the usable pixels of `source`, shape (height, width).

    Raises
    ------
    InputError
        If there is no room for a patch of 8 x 8 usable pixels.
    """
    side, places = patch_places(usable, where)
    overlap = max(side // 4, 2)
    step = side - overlap
    canvas = np.zeros((shape[0] + side, shape[1] + side), dtype=np.float32)
    for row in range(0, shape[0], step):
        for col in range(0, shape[1], step):
            block = canvas[row : row + side, col : col + side]
            patch = _fitting(source, places, side, block, overlap, (row > 0, col > 0), rng)
            block[:] = _joined(block, patch, overlap, (row > 0, col > 0))
    return canvas[: shape[0], : shape[1]].copy()


def patch_places(usable: Mask, where: str) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the side of the largest patches with enough places, and the places (row, col), shape (places, 2).

    Raises
    ------
    InputError
        If there is no room for a patch of 8 x 8 usable pixels.
    """
    total = cv2.integral((~usable).astype(np.uint8))
    places = np.empty((0, 2), dtype=np.int64)
    for side in SIDES_PX:
        if side > min(usable.shape):
            continue
        spoilt = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        places = np.argwhere(spoilt == 0)
        if len(places) >= _PLACES * side:
            return side, places
    if not len(places):
        raise InputError(f"{where}: no 8 x 8 pixels of background in one place; use an image that shows more of it")
    return SIDES_PX[-1], places


def _fitting(
    source: Image,
    places: npt.NDArray[np.int64],
    side: int,
    block: Image,
    overlap: int,
    has: tuple[bool, bool],
    rng: np.random.Generator,
) -> Image:
    """Return a patch that agrees well with what `block` holds above (`has[0]`) and to the left (`has[1]`)."""
    corners = places[rng.integers(len(places), size=_CANDIDATES)]
    patches = np.stack([source[row : row + side, col : col + side] for row, col in corners])
    misfit = np.zeros(_CANDIDATES, dtype=np.float32)
    if has[0]:
        misfit += ((patches[:, :overlap] - block[:overlap]) ** 2).sum(axis=(1, 2))
    if has[1]:
        misfit += ((patches[:, :, :overlap] - block[:, :overlap]) ** 2).sum(axis=(1, 2))
    best = np.argsort(misfit, kind="stable")[:_CHOICES]
    return np.asarray(patches[best[rng.integers(len(best))]])


def _joined(block: Image, patch: Image, overlap: int, has: tuple[bool, bool]) -> Image:
    """Lay a patch over a block along the seams of least difference."""
    keep = np.zeros(block.shape, dtype=bool)
    if has[0]:
        keep[:overlap] |= _before_seam(((patch - block)[:overlap] ** 2).T).T
    if has[1]:
        keep[:, :overlap] |= _before_seam((patch - block)[:, :overlap] ** 2)
    return np.where(keep, block, patch)


def _before_seam(cost: Image) -> Mask:
    """Return the pixels left of the cheapest path from the first row to the last, shape of `cost` (length, width)."""
    length, width = cost.shape
    padded = np.full(width + 2, np.inf, dtype=np.float32)
    total = np.empty_like(cost)
    total[0] = cost[0]
    for row in range(1, length):
        padded[1:-1] = total[row - 1]
        total[row] = cost[row] + np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    seam = np.empty(length, dtype=np.int64)
    seam[-1] = total[-1].argmin()
    for row in range(length - 2, -1, -1):
        first = max(seam[row + 1] - 1, 0)
        seam[row] = first + total[row, first : seam[row + 1] + 2].argmin()
    return np.arange(width) < seam[:, None]
