"""DeepLabV3: convolutions of several dilations side by side."""

import torch
from torch import Tensor, nn

from nanolab.models.networks.blocks import Pooled, conv_norm_relu, resize
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["DeepLabV3Head", "deeplabv3"]

_RATES = (6, 12, 18)  # dilations at output stride 16


def deeplabv3(out_channels: int, *, pretrained: bool = True, output_stride: int = 16, width: int = 256) -> nn.Module:
    """Make DeepLabV3 on the encoder EfficientNet-Lite0.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    output_stride
        16, or 8, which sees finer details, takes longer and doubles the dilations.
    width
        Features of each branch of the head.

    References
    ----------
    Chen et al. 2017, Rethinking Atrous Convolution for Semantic Image Segmentation, arXiv:1706.05587.
    """
    rates = [rate * 16 // output_stride for rate in _RATES]
    head = DeepLabV3Head(CHANNELS[-1], out_channels, width, rates)
    return OnEncoder(head, pretrained=pretrained, output_stride=output_stride)


class DeepLabV3Head(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 convolution, three dilated ones and the mean of the image, joined."""

    def __init__(self, inputs: int, out_channels: int, width: int, rates: list[int]) -> None:
        super().__init__()
        dilated = (conv_norm_relu(inputs, width, dilation=rate) for rate in rates)
        self.branches = nn.ModuleList([conv_norm_relu(inputs, width, 1), *dilated])
        self.context = Pooled(inputs, width)
        self.join = conv_norm_relu((len(rates) + 2) * width, width, 1)
        self.logits = nn.Conv2d(width, out_channels, 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        deepest = levels[-1]
        branches = [branch(deepest) for branch in self.branches]
        context = resize(self.context(deepest), deepest)
        return self.logits(self.join(torch.cat([*branches, context], dim=1)))
