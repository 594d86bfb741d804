"""EncNet: a dictionary of textures, learned, tells which features matter in this image."""

import torch
from torch import Tensor, nn

from nanolab.models.networks.blocks import classifier, conv_norm_relu
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["ContextEncoding", "EncHead", "Encoding", "encnet"]


def encnet(
    out_channels: int, *, pretrained: bool = True, output_stride: int = 8, width: int = 512, codes: int = 32
) -> nn.Module:
    """Make EncNet on the encoder EfficientNet-Lite0.

    The paper's semantic encoding loss, which asks what classes an image shows, is left out: here all show particles. So
    is PaddleSeg's auxiliary loss inside the encoder.

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
    codes
        Words of the dictionary.

    References
    ----------
    Zhang et al. 2018, Context Encoding for Semantic Segmentation, 10.1109/CVPR.2018.00747, arXiv:1803.08904.
    """
    head = EncHead(CHANNELS[-1], out_channels, width, codes)
    return OnEncoder(head, pretrained=pretrained, output_stride=output_stride)


class EncHead(nn.Module):
    """A convolution, the context encoding and the classifier."""

    def __init__(self, inputs: int, out_channels: int, width: int, codes: int) -> None:
        super().__init__()
        self.reduce = conv_norm_relu(inputs, width)
        self.context = ContextEncoding(width, codes)
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        return self.logits(self.context(self.reduce(levels[-1])))


class Encoding(nn.Module):
    """Residuals of all pixels to each word of a dictionary, weighted by nearness and summed: (batch, codes, channels).

    With squared distances written out as three products, no tensor of all pixels, words and channels is needed.

    References
    ----------
    Zhang et al. 2017, Deep TEN: Texture Encoding Network, arXiv:1612.02844.
    """

    def __init__(self, channels: int, codes: int) -> None:
        super().__init__()
        bound = (channels * codes) ** -0.5
        self.words = nn.Parameter(torch.empty(codes, channels).uniform_(-bound, bound))
        self.sharpness = nn.Parameter(torch.empty(codes).uniform_(0, 1))

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):  # differences of squares need their digits
            pixels = features.float().flatten(2).mT
            squares = pixels.square().sum(-1, keepdim=True) + self.words.square().sum(-1)
            weights = (-self.sharpness * (squares - 2 * pixels @ self.words.mT)).softmax(dim=-1)
            return weights.mT @ pixels - weights.sum(dim=1)[..., None] * self.words


class ContextEncoding(nn.Module):
    """Strengthens the features that the encoding of the whole image calls for; keeps the shape."""

    def __init__(self, width: int, codes: int) -> None:
        super().__init__()
        self.project = conv_norm_relu(width, width, 1)
        self.encoding = nn.Sequential(Encoding(width, codes), nn.BatchNorm1d(codes), nn.ReLU())
        self.weigh = nn.Sequential(nn.Linear(width, width), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        strength = self.weigh(self.encoding(self.project(features)).mean(dim=1))
        return torch.relu(features * (1 + strength[..., None, None]))
