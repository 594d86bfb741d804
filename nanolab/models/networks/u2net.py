"""U2-Net: a U-Net whose every stage is a small U-Net."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanolab.models.networks.blocks import conv_norm_relu, resize

__all__ = ["ResidualU", "U2Net"]


class _Stage(NamedTuple):
    """Of `ResidualU`, for the large and for the small network."""

    depth: int
    dilated: bool
    inner: int
    outputs: int


_ENCODER = (
    _Stage(7, False, 32, 64),
    _Stage(6, False, 32, 128),
    _Stage(5, False, 64, 256),
    _Stage(4, False, 128, 512),
    _Stage(4, True, 256, 512),
    _Stage(4, True, 256, 512),
)
_DECODER = (
    _Stage(4, True, 256, 512),
    _Stage(4, False, 128, 256),
    _Stage(5, False, 64, 128),
    _Stage(6, False, 32, 64),
    _Stage(7, False, 16, 64),
)


class U2Net(nn.Module):
    """U2-Net, which has no encoder of another and learns from nothing.

    The logits are the paper's fused ones, a weighted sum of those of six stages. In the paper each of the six has a
    loss of its own besides; here they learn through the sum.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    small
        The paper's small version, with 1.1 instead of 44 million parameters.

    References
    ----------
    Qin et al. 2020, U2-Net: Going deeper with nested U-structure for salient object detection,
    10.1016/j.patcog.2020.107404, arXiv:2005.09007.
    """

    def __init__(self, out_channels: int, *, small: bool = False) -> None:
        super().__init__()
        encoder, decoder = (
            [stage._replace(inner=16, outputs=64) if small else stage for stage in stages]
            for stages in (_ENCODER, _DECODER)
        )
        widths = [stage.outputs for stage in encoder]
        self.down = nn.ModuleList(
            ResidualU(inputs, *stage) for inputs, stage in zip((1, *widths), encoder, strict=False)
        )
        deeper = (widths[-1], *(stage.outputs for stage in decoder))
        self.up = nn.ModuleList(
            ResidualU(below + skip, *stage)
            for below, skip, stage in zip(deeper, reversed(widths[:-1]), decoder, strict=False)
        )
        self.sides = nn.ModuleList(nn.Conv2d(width, out_channels, 3, padding=1) for width in deeper)
        self.fuse = nn.Conv2d(len(deeper) * out_channels, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, C, height, width), of images of shape (batch, 1, height, width)."""
        levels: list[Tensor] = []
        for stage in self.down:
            levels.append(stage(functional.max_pool2d(levels[-1], 2) if levels else images))
        found = levels[-1:]
        for stage, level in zip(self.up, reversed(levels[:-1]), strict=True):
            found.append(stage(torch.cat([resize(found[-1], level), level], dim=1)))
        sides = [resize(side(features), images) for side, features in zip(self.sides, found, strict=True)]
        return self.fuse(torch.cat(sides, dim=1))


class ResidualU(nn.Module):
    """A residual unit whose inside is a U-Net, `depth` convolutions deep.

    Parameters
    ----------
    inputs
        Channels that come in.
    depth
        Convolutions on the way down; the last one is dilated twice as much as the one before it.
    dilated
        Whether dilation grows instead of the size shrinking from convolution to convolution.
    inner, outputs
        Channels inside, and channels that go out.
    """

    def __init__(self, inputs: int, depth: int, dilated: bool, inner: int, outputs: int) -> None:
        super().__init__()
        dilations = [2**step if dilated else 1 for step in range(depth - 1)]
        self.dilated = dilated
        self.first = conv_norm_relu(inputs, outputs)
        self.down = nn.ModuleList(
            conv_norm_relu(inner if step else outputs, inner, dilation=dilation)
            for step, dilation in enumerate(dilations)
        )
        self.deepest = conv_norm_relu(inner, inner, dilation=2 * dilations[-1] if dilated else 2)
        self.up = nn.ModuleList(
            conv_norm_relu(2 * inner, inner if step else outputs, dilation=dilation)
            for step, dilation in reversed(list(enumerate(dilations)))
        )

    def forward(self, features: Tensor) -> Tensor:
        features = self.first(features)
        levels: list[Tensor] = []
        for step, conv in enumerate(self.down):
            coming = levels[-1] if levels else features
            shrinks = step > 0 and not self.dilated
            levels.append(conv(functional.max_pool2d(coming, 2, ceil_mode=True) if shrinks else coming))
        found = self.deepest(levels[-1])
        for conv, level in zip(self.up, reversed(levels), strict=True):
            found = conv(torch.cat([resize(found, level), level], dim=1))
        return found + features
