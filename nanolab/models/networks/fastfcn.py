"""FastFCN: fine features put together from coarse ones, so that the encoder need not be dilated."""

import torch
from torch import Tensor, nn

from nanolab.models.networks.blocks import classifier, conv_norm_relu, stacked
from nanolab.models.networks.encnet import ContextEncoding
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["FastFCNHead", "JointPyramidUpsampling", "fastfcn"]

_DILATIONS = (1, 2, 4, 8)


def fastfcn(out_channels: int, *, pretrained: bool = True, width: int = 512, codes: int = 32) -> nn.Module:
    """Make FastFCN on the encoder EfficientNet-Lite0: joint pyramid upsampling, then the context encoding of EncNet.

    Of the heads that the paper puts behind the upsampling, this is its best. Auxiliary losses are left out.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    width
        Features of the head.
    codes
        Words of the dictionary of the context encoding.

    References
    ----------
    Wu et al. 2019, FastFCN: Rethinking Dilated Convolution in the Backbone for Semantic Segmentation, arXiv:1903.11816.
    """
    head = FastFCNHead(CHANNELS[-3:], out_channels, width, codes)
    return OnEncoder(head, pretrained=pretrained, output_stride=32)


class FastFCNHead(nn.Module):
    """Joint pyramid upsampling of the last three levels, context encoding and the classifier, at 1/8 of the image."""

    def __init__(self, inputs: tuple[int, ...], out_channels: int, width: int, codes: int) -> None:
        super().__init__()
        self.upsample = JointPyramidUpsampling(inputs, width)
        self.reduce = conv_norm_relu(len(_DILATIONS) * width, width, 1)
        self.context = ContextEncoding(width, codes)
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        return self.logits(self.context(self.reduce(self.upsample(levels[-3:]))))


class JointPyramidUpsampling(nn.Module):
    """Levels at the size of the finest, seen by separable convolutions of four dilations: 4 `width` channels."""

    def __init__(self, inputs: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm_relu(channels, width) for channels in inputs)
        self.dilated = nn.ModuleList(_separable(len(inputs) * width, width, dilation) for dilation in _DILATIONS)

    def forward(self, levels: list[Tensor]) -> Tensor:
        joined = stacked(*(conv(level) for conv, level in zip(self.lateral, levels, strict=True)))
        return torch.cat([conv(joined) for conv in self.dilated], dim=1)


def _separable(inputs: int, outputs: int, dilation: int) -> nn.Sequential:
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(inputs), conv_norm_relu(inputs, outputs, 1))
