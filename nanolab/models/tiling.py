"""Prediction for images of any size, tile by tile, overlaps blended."""

from itertools import product
from math import ceil

import numpy as np
import torch
from torch import Tensor, nn

from nanolab.core.typing import Image
from nanolab.models.device import Precision, autocast
from nanolab.models.readouts.base import Readout
from nanolab.models.registry import SIZE_MULTIPLE_PX
from nanolab.models.views import VIEWS, View

__all__ = ["OVERLAP_PX", "TILE_PX", "predict", "spans"]

#: Longest side of a tile: 1152 px let a 2048 px image pass in 2 by 2 tiles, within 1 GB of memory.
TILE_PX = 1152

#: Least overlap of neighbouring tiles.
OVERLAP_PX = 128


def spans(length: int, tile: int, overlap: int) -> list[tuple[slice, Image]]:
    """Cut an axis into as few equal, overlapping tiles as possible.

    All starts and sizes are multiples of `SIZE_MULTIPLE_PX`, so that the strides of the network fall on the same pixels
    in every tile and tiles differ only by what they cannot see beyond their edges.

    Parameters
    ----------
    length, tile, overlap
        Pixels of the axis, at most of a tile, and at least shared by neighbours; multiples of `SIZE_MULTIPLE_PX`.

    Returns
    -------
    spans
        Where each tile lies, and the weight of each of its pixels: it falls towards the neighbours, and the weights
        of all tiles sum to 1 at every pixel.
    """
    count = max(1, ceil((length - overlap) / (tile - overlap)))
    size = ceil((length + (count - 1) * overlap) / count / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX
    starts = np.linspace(0, length - size, count).astype(int) // SIZE_MULTIPLE_PX * SIZE_MULTIPLE_PX
    places = [slice(start, start + size) for start in starts.tolist()]
    to_edge = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).clip(max=overlap)
    ramp = (to_edge / overlap) ** 2  # squared: next to its edge, where it knows least, a tile counts for very little
    total = np.zeros(length)
    for place in places:
        total[place] += ramp
    return [(place, (ramp / total[place]).astype(np.float32)) for place in places]


def predict(
    network: nn.Module,
    readout: Readout,
    image: Image,
    *,
    precision: Precision = "float32",
    tile_px: int = TILE_PX,
    overlap_px: int = OVERLAP_PX,
    flips: bool = False,
) -> Image:
    """Return the probabilities, shape (C, height, width), that a network in eval mode gives for an image.

    Parameters
    ----------
    image
        Shape (height, width), any size; normalised by `nanolab.models.normalisation.normalise`.
    precision
        float32 or bfloat16.
    tile_px, overlap_px
        Longest side of a tile and least overlap of two; multiples of `SIZE_MULTIPLE_PX`.
    flips
        Show each tile to the network mirrored and turned by quarter turns, all eight ways, and take the mean. It takes
        eight times as long.
    """
    device = next(network.parameters()).device
    padded = _padded(image)
    rows, cols = (spans(length, tile_px, overlap_px) for length in padded.shape)
    total = np.zeros((readout.channels, *padded.shape), dtype=np.float32)
    for (row, row_weight), (col, col_weight) in product(rows, cols):
        tile = torch.from_numpy(padded[row, col].copy())[None, None].to(device)
        with torch.inference_mode(), autocast(device, precision):
            seen = [_seen(network, readout, tile, view) for view in (VIEWS if flips else VIEWS[:1])]
        probabilities = torch.stack(seen).mean(dim=0) if flips else seen[0]
        total[:, row, col] += probabilities.cpu().numpy() * (row_weight[:, None] * col_weight)
    return total[:, : image.shape[0], : image.shape[1]]


def _seen(network: nn.Module, readout: Readout, tile: Tensor, view: View) -> Tensor:
    """Return the probabilities (C, height, width) of a tile that the network sees in a view."""
    probabilities = readout.probabilities(network(view.apply(tile)).float())[0]
    return readout.realigned(view.undo(probabilities), view)


def _padded(image: Image) -> Image:
    """Mirror the image at its bottom and right edge up to the next multiple of `SIZE_MULTIPLE_PX`."""
    missing = [(0, -length % SIZE_MULTIPLE_PX) for length in image.shape]
    return np.pad(image, missing, mode="reflect")
