"""The encoder that networks share, and what turns a head on it into a network."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanolab.core.checks import InputError
from nanolab.models.networks.blocks import resize
from nanolab.models.networks.pretrained import IMAGENET_MEAN, IMAGENET_SD, efficientnet_lite0

__all__ = ["CHANNELS", "Encoder", "OnEncoder"]

#: Features of each level of the encoder, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image unless it is dilated.
CHANNELS = (16, 24, 40, 112, 320)

_LAST_BLOCKS = (0, 2, 4, 10, 15)  # of each level
_MEAN, _SD = fmean(IMAGENET_MEAN), fmean(IMAGENET_SD)  # of the colours, because a grey value stands for all three


class Encoder(nn.Module):
    """EfficientNet-Lite0 without its classifier, for images of one channel in [0, 1].

    The weights of the first convolution are summed over the three colours: a grey image gives what the same image in
    three equal channels would, scaled as the colours are on average. Stochastic depth is left out, and batch
    normalisation follows the images as fast as in any other network here (momentum 0.1 instead of 0.01), because
    trainings are short.

    Parameters
    ----------
    pretrained
        Whether it starts from what EfficientNet-Lite0 learned on ImageNet, or from weights drawn as He et al. do.
    output_stride
        8, 16 or 32: where the features stop shrinking; after that, convolutions are dilated instead (Yu & Koltun 2016,
        arXiv:1511.07122), with the same weights.

    Raises
    ------
    InputError
        If there is no such output stride.
    """

    def __init__(self, *, pretrained: bool = True, output_stride: int = 32) -> None:
        super().__init__()
        if output_stride not in {8, 16, 32}:
            raise InputError(f"output_stride: must be 8, 16 or 32, got {output_stride}; choose one of these")
        network = efficientnet_lite0(pretrained=pretrained)
        self.stem: nn.Conv2d = network._conv_stem
        self.stem.weight = nn.Parameter(self.stem.weight.detach().sum(dim=1, keepdim=True))
        self.norm: nn.BatchNorm2d = network._bn0
        self.blocks: nn.ModuleList = network._blocks
        _set_stride(self.blocks, output_stride)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1
            elif isinstance(module, nn.Conv2d | _Depthwise) and not pretrained:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of each level, finest first, of images of shape (batch, 1, height, width)."""
        features = functional.relu6(self.norm(self.stem((images - _MEAN) / _SD)))
        levels = []
        for index, block in enumerate(self.blocks):
            features = block(features)
            if index in _LAST_BLOCKS:
                levels.append(features)
        return levels


class _Depthwise(nn.Module):
    """A depthwise convolution of the package, in float32 always and with a dilation.

    On CPUs its gradient in bfloat16 takes up to seven times as long; autocast would have it so.
    """

    def __init__(self, conv: nn.Conv2d, *, shrinks: bool, dilation: int) -> None:
        super().__init__()
        self.weight, self.stride, self.dilation = conv.weight, 2 if shrinks else 1, dilation
        reach = dilation * (conv.kernel_size[0] // 2)
        # as it was trained: where it shrinks, one pixel less above and left than below and right
        self.padding = 0 if shrinks else reach
        self.padding_before = (reach - 1, reach, reach - 1, reach) if shrinks else None

    def forward(self, features: Tensor) -> Tensor:
        if self.padding_before:
            features = functional.pad(features, self.padding_before)
        with torch.autocast(features.device.type, enabled=False):
            return functional.conv2d(
                features.float(), self.weight, None, self.stride, self.padding, self.dilation, len(self.weight)
            )


def _set_stride(blocks: nn.ModuleList, output_stride: int) -> None:
    """Let the blocks dilate instead of shrink from this stride on, by what those before them left out."""
    stride, dilation = 2, 1
    for block in blocks:
        conv: Any = block._depthwise_conv
        steps = conv.stride[0]
        shrinks = steps == 2 and stride < output_stride
        block._depthwise_conv = _Depthwise(conv, shrinks=shrinks, dilation=dilation)
        if shrinks:
            stride *= steps
        else:
            dilation *= steps


class OnEncoder(nn.Module):
    """A network of an encoder and a head that turns its levels into logits, which are interpolated to full resolution.

    Parameters
    ----------
    head
        Takes the list of levels that `Encoder` returns.
    pretrained, output_stride
        Of `Encoder`.
    """

    def __init__(self, head: Callable[[list[Tensor]], Tensor], *, pretrained: bool, output_stride: int) -> None:
        super().__init__()
        self.encoder = Encoder(pretrained=pretrained, output_stride=output_stride)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, C, height, width), of images of shape (batch, 1, height, width)."""
        return resize(self.head(self.encoder(images)), images)
