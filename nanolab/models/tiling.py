"""Prediction for images of any size, tile by tile, overlaps blended by MONAI's sliding window."""

from functools import partial
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nanolab.core.typing import Image
from nanolab.models.device import Precision, autocast
from nanolab.models.readouts.base import Readout
from nanolab.models.registry import SIZE_MULTIPLE_PX
from nanolab.models.views import VIEWS, View

__all__ = ["OVERLAP_PX", "TILE_PX", "predict", "tile_side"]

#: Longest side of a tile: 1152 px let a 2048 px image pass in 2 by 2 tiles, within 1 GB of memory.
TILE_PX = 1152

#: Least overlap of neighbouring tiles.
OVERLAP_PX = 128


def tile_side(length: int, tile: int, overlap: int) -> int:
    """Return the side of as few equal, overlapping tiles as cover an axis.

    Like their distance, it is a multiple of `SIZE_MULTIPLE_PX`, so that the strides of the network fall on the same
    pixels in every tile and tiles differ only by what they cannot see beyond their edges.

    Parameters
    ----------
    length, tile, overlap
        Pixels of the axis, at most of a tile, and at least shared by neighbours; multiples of `SIZE_MULTIPLE_PX`.
    """
    count = max(1, ceil((length - overlap) / (tile - overlap)))
    return ceil((length + (count - 1) * overlap) / count / SIZE_MULTIPLE_PX) * SIZE_MULTIPLE_PX


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
    from monai.inferers import sliding_window_inference  # takes seconds

    device = next(network.parameters()).device
    missing = [(0, -length % SIZE_MULTIPLE_PX) for length in image.shape]
    padded = np.pad(image, missing, mode="reflect")
    sides = [tile_side(length, tile_px, overlap_px) for length in padded.shape]
    with torch.inference_mode(), autocast(device, precision):
        found: Any = sliding_window_inference(
            torch.from_numpy(padded)[None, None],
            sides,
            1,
            partial(_seen, network, readout, VIEWS if flips else VIEWS[:1]),
            overlap=[max(0, min(overlap_px, side - 1) - 0.5) / side for side in sides],  # MONAI rounds down
            roi_weight_map=_weights(sides, overlap_px).to(device),
            sw_device=device,
            device="cpu",
        )
    return found[0, :, : image.shape[0], : image.shape[1]].numpy()


def _weights(sides: list[int], overlap: int) -> Tensor:
    """Return how much each pixel of a tile counts: next to its edge, where it knows least, very little."""
    rows, cols = (torch.arange(side) for side in sides)
    ramps = [(torch.minimum(at, at.flip(0)) + 1).clamp(max=overlap) / overlap for at in (rows, cols)]
    return torch.outer(*ramps) ** 2


def _seen(network: nn.Module, readout: Readout, views: tuple[View, ...], tile: Tensor) -> Tensor:
    """Return the mean probabilities (1, C, height, width) of a tile that the network sees in some views."""
    seen = [readout.probabilities(network(view.apply(tile)).float())[0] for view in views]
    turned = [readout.realigned(view.undo(each), view) for view, each in zip(views, seen, strict=True)]
    return torch.stack(turned).mean(dim=0, keepdim=True)
