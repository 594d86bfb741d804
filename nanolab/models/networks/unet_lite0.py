"""A U-Net whose encoder has seen ImageNet: much for little training on a CPU."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanolab.models.networks.blocks import conv_norm_relu
from nanolab.models.networks.encoder import CHANNELS, Encoder

__all__ = ["UNetLite0"]


class UNetLite0(nn.Module):
    """A U-Net decoder on the encoder EfficientNet-Lite0.

    Five times the features are enlarged (nearest neighbour), joined with the encoder's at that size (with the image
    itself at full size, so that the finest outlines are not lost) and convolved twice.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    widths
        Features of the decoder at 1/16, 1/8, 1/4, 1/2 and the full size of the image.

    References
    ----------
    Ronneberger et al. 2015, 10.1007/978-3-319-24574-4_28, with the encoder of Tan & Le 2019, arXiv:1905.11946.
    """

    def __init__(
        self, out_channels: int, *, pretrained: bool = True, widths: Sequence[int] = (128, 64, 48, 32, 16)
    ) -> None:
        super().__init__()
        self.encoder = Encoder(pretrained=pretrained)
        below = pairwise((CHANNELS[-1], *widths))
        self.stages = nn.ModuleList(
            nn.Sequential(conv_norm_relu(deep + skip, width), conv_norm_relu(width, width))
            for (deep, width), skip in zip(below, (*CHANNELS[-2::-1], 1), strict=True)
        )
        self.logits = nn.Conv2d(widths[-1], out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, C, height, width), of images of shape (batch, 1, height, width)."""
        levels = [images, *self.encoder(images)]
        features = levels.pop()
        for stage, skip in zip(self.stages, reversed(levels), strict=True):
            features = stage(torch.cat([functional.interpolate(features, scale_factor=2), skip], dim=1))
        return self.logits(features)
