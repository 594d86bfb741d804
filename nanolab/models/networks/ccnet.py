"""CCNet: every pixel looks along its row and its column, twice."""

import torch
from torch import Tensor, nn

from nanolab.models.networks.blocks import Attention, classifier, conv_norm_relu
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["CCHead", "CrissCrossAttention", "ccnet"]


def ccnet(
    out_channels: int, *, pretrained: bool = True, output_stride: int = 8, width: int = 512, recurrence: int = 2
) -> nn.Module:
    """Make CCNet on the encoder EfficientNet-Lite0.

    The paper's auxiliary and category consistent losses are left out.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    output_stride
        8 as in the paper; 16 and 32 are coarser and faster.
    width
        Features of the head.
    recurrence
        How often a pixel looks along its row and column; after two times it has seen the whole image.

    References
    ----------
    Huang et al. 2019, CCNet: Criss-Cross Attention for Semantic Segmentation, 10.1109/ICCV.2019.00069,
    arXiv:1811.11721.
    """
    head = CCHead(CHANNELS[-1], out_channels, width, recurrence)
    return OnEncoder(head, pretrained=pretrained, output_stride=output_stride)


class CCHead(nn.Module):
    """Recurrent criss-cross attention, its result joined with the features of the encoder."""

    def __init__(self, inputs: int, out_channels: int, width: int, recurrence: int) -> None:
        super().__init__()
        self.recurrence = recurrence
        self.reduce = conv_norm_relu(inputs, width)
        self.attention = CrissCrossAttention(width)
        self.refine = conv_norm_relu(width, width)
        self.join = conv_norm_relu(inputs + width, width)
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        context = self.reduce(levels[-1])
        for _ in range(self.recurrence):
            context = self.attention(context)
        return self.logits(self.join(torch.cat([levels[-1], self.refine(context)], dim=1)))


class CrissCrossAttention(Attention):
    """Adds to each pixel what the pixels of its row and column say, weighted by likeness; keeps the shape."""

    def forward(self, features: Tensor) -> Tensor:
        query, key, value = self.query(features), self.key(features), self.value(features)
        height, width = features.shape[-2:]
        column = torch.einsum("bcyx,bcjx->byxj", query, key)
        itself = torch.eye(height, dtype=torch.bool, device=features.device)[:, None]
        column = column.masked_fill(itself, -torch.inf)  # a pixel is in its row already
        row = torch.einsum("bcyx,bcyj->byxj", query, key)
        weights = torch.cat([column, row], dim=-1).softmax(dim=-1).to(value.dtype)
        down, along = weights.split([height, width], dim=-1)
        seen = torch.einsum("byxj,bcjx->bcyx", down, value) + torch.einsum("byxj,bcyj->bcyx", along, value)
        return features + self.share * seen
