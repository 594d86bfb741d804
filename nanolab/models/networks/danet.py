"""DANet: every pixel looks at all others, every channel at all others."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanolab.models.networks.blocks import Attention, classifier, conv_norm_relu
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["ChannelAttention", "DAHead", "PositionAttention", "danet"]


def danet(out_channels: int, *, pretrained: bool = True, output_stride: int = 8, width: int = 512) -> nn.Module:
    """Make DANet on the encoder EfficientNet-Lite0.

    This is the segmentation network that PaddleSeg, and with it the comparison in 10.1371/journal.pone.0311228, calls
    DANet; the paper cited there (Xue et al. 2019, 10.1109/ICCV.2019.00669) shares only the name. The logits are those
    of both attentions together; the paper's further losses on each alone are left out.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    output_stride
        8 as in the paper; 16 and 32 are coarser and faster.
    width
        Features of each branch of the head.

    References
    ----------
    Fu et al. 2019, Dual Attention Network for Scene Segmentation, 10.1109/CVPR.2019.00326, arXiv:1809.02983.
    """
    head = DAHead(CHANNELS[-1], out_channels, width)
    return OnEncoder(head, pretrained=pretrained, output_stride=output_stride)


class DAHead(nn.Module):
    """Attention among positions and among channels, side by side, summed."""

    def __init__(self, inputs: int, out_channels: int, width: int) -> None:
        super().__init__()
        self.position = nn.Sequential(
            conv_norm_relu(inputs, width), PositionAttention(width), conv_norm_relu(width, width)
        )
        self.channel = nn.Sequential(conv_norm_relu(inputs, width), ChannelAttention(), conv_norm_relu(width, width))
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        return self.logits(self.position(levels[-1]) + self.channel(levels[-1]))


class PositionAttention(Attention):
    """Adds to each pixel what all pixels say, weighted by likeness; keeps the shape."""

    def forward(self, features: Tensor) -> Tensor:
        query, key, value = (conv(features).flatten(2).mT for conv in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return features + self.share * seen.mT.unflatten(2, features.shape[-2:])


class ChannelAttention(nn.Module):
    """Adds to each channel the others, weighted by unlikeness; keeps the shape.

    The authors' program subtracts likeness from its largest value, which keeps channels from only repeating themselves;
    so does this.
    """

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        channels = features.flatten(2)
        with torch.autocast(features.device.type, enabled=False):  # sums over all pixels, which softmax then sharpens
            weights = (-channels.float() @ channels.float().mT).softmax(dim=-1)
        return features + self.share * (weights.to(channels.dtype) @ channels).unflatten(2, features.shape[-2:])
