"""Large images in blocks, so that memory stays bounded: where they lie, and how their particles come together."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from skimage.segmentation import relabel_sequential

from nanolab.core.typing import FloatArray, Image, LabelMap

if TYPE_CHECKING:
    from nanolab.models.readouts.outlines import Outlines

__all__ = ["BLOCK_PX", "Block", "Canvas", "blocks", "count_owned", "own_outlines"]


#: Longest side of a block.
BLOCK_PX = 4096

#: How far a block is seen beyond its own pixels: a particle comes out whole as long as it is smaller.
_MARGIN_PX = 512


@dataclass(frozen=True)
class Block:
    """A part of an image: `own` are the pixels whose particles it gives, `seen` those plus a margin, in the image."""

    own: tuple[slice, slice]
    seen: tuple[slice, slice]


def blocks(shape: tuple[int, ...], side_px: int = BLOCK_PX) -> Iterator[Block]:
    """Cut an image of shape (height, width) into blocks of at most this side."""
    starts = (range(0, length, side_px) for length in shape)
    for corner in product(*starts):
        ends = [min(start + side_px, length) for start, length in zip(corner, shape, strict=True)]
        own = tuple(slice(start, end) for start, end in zip(corner, ends, strict=True))
        seen = tuple(
            slice(max(0, each.start - _MARGIN_PX), min(each.stop + _MARGIN_PX, length))
            for each, length in zip(own, shape, strict=True)
        )
        yield Block((own[0], own[1]), (seen[0], seen[1]))


class Canvas:
    """Where the particles of all blocks of an image come together.

    Parameters
    ----------
    shape
        Of the image, (height, width).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._labels = np.zeros(shape, dtype=np.int32)
        # of the probabilities in each particle; the background is the first
        self._sums: list[npt.NDArray[np.generic]] = [np.zeros(1)]
        self._likelihoods: list[FloatArray] = []
        self._count = 0

    def paste(self, found: LabelMap, probability: Image, block: Block, likelihoods: FloatArray) -> None:
        """Take over the particles whose middle lies in the block's own pixels.

        Parameters
        ----------
        found
            Label map of what is seen of the block, numbered 1 to N.
        probability
            Of the same shape; `particles` gives its mean in each particle.
        likelihoods
            Of the particles, shape (N,).
        """
        numbers = np.where(_owned(found, block), self._count + np.arange(int(found.max(initial=0)) + 1), 0)
        view = self._labels[block.seen]
        fresh = numbers.astype(np.int32)[found]
        fresh[view > 0] = 0
        view += fresh
        kept = fresh > 0
        sums = np.bincount(found[kept], probability[kept], minlength=len(numbers))
        self._sums.append(sums[1:])
        self._likelihoods.append(likelihoods)
        self._count += len(numbers) - 1

    def particles(self) -> tuple[LabelMap, Image, FloatArray]:
        """Return the label map, numbered 1 to N, and mean probability and likelihood of each particle, both (N,)."""
        areas = np.bincount(self._labels.ravel(), minlength=self._count + 1)
        sums = np.concatenate(self._sums).astype(np.float64, copy=False)
        there = areas > 0
        there[0] = False
        labels = self._labels if there[1:].all() else relabel_sequential(self._labels)[0]
        scores = (sums[there] / areas[there]).astype(np.float32)
        return labels.astype(np.int32, copy=False), scores, np.concatenate(self._likelihoods)[there[1:]]


def count_owned(found: LabelMap, block: Block) -> int:
    """Return how many particles in what is seen of a block, in any size, have their middle in its own pixels."""
    return int(np.count_nonzero(_owned(found, block)))


def _owned(found: LabelMap, block: Block) -> npt.NDArray[np.bool_]:
    """Tell for each number whether that particle has its middle in the block's own pixels, shape (N + 1,)."""
    if block.seen == block.own:  # the block is the image
        return np.arange(int(found.max(initial=0)) + 1) > 0
    rows, cols = np.nonzero(found)
    each = found[rows, cols]
    area = np.bincount(each, minlength=1)  # there may be no particle
    own = area > 0
    for axis, at in enumerate((rows, cols)):
        seen = block.seen[axis]
        scale = (seen.stop - seen.start) / found.shape[axis]
        middle = scale * np.bincount(each, weights=at, minlength=1) / np.maximum(area, 1) + seen.start
        own &= (middle >= block.own[axis].start) & (middle < block.own[axis].stop)
    return own


def own_outlines(outlines: "Outlines", block: Block) -> "Outlines":
    """Return the outlines, in coordinates of the image, whose centre lies in the block's own pixels."""
    moved = outlines.moved(block.seen[0].start, block.seen[1].start)
    first, end = ([getattr(side, edge) for side in block.own] for edge in ("start", "stop"))
    return moved.take(((moved.centres >= first) & (moved.centres < end)).all(axis=1))
