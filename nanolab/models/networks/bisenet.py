"""BiSeNet: a shallow path that keeps the place, a deep one that knows the context."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanolab.models.networks.blocks import Pooled, classifier, conv_norm_relu, resize
from nanolab.models.networks.encoder import CHANNELS, Encoder

__all__ = ["AttentionRefinement", "BiSeNet", "FeatureFusion"]


class BiSeNet(nn.Module):
    """BiSeNet, its context path the encoder EfficientNet-Lite0.

    The context path of the paper is a light network too (Xception39 or ResNet18). Its spatial path, of three
    convolutions, is what the paper has. Losses on the context path alone are left out.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    width
        Features of each path.

    References
    ----------
    Yu et al. 2018, BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation,
    10.1007/978-3-030-01261-8_20, arXiv:1808.00897.
    """

    def __init__(self, out_channels: int, *, pretrained: bool = True, width: int = 128) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            conv_norm_relu(1, width // 2, 7, stride=2),
            conv_norm_relu(width // 2, width // 2, stride=2),
            conv_norm_relu(width // 2, width, stride=2),
        )
        self.encoder = Encoder(pretrained=pretrained)
        self.context = Pooled(CHANNELS[-1], width)
        self.refine = nn.ModuleList(AttentionRefinement(channels, width) for channels in CHANNELS[:-3:-1])
        self.smooth = nn.ModuleList(conv_norm_relu(width, width) for _ in self.refine)
        self.fuse = FeatureFusion(2 * width)
        self.logits = nn.Sequential(conv_norm_relu(2 * width, width // 2), classifier(width // 2, out_channels))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, C, height, width), of images of shape (batch, 1, height, width)."""
        levels = self.encoder(images)
        context = self.context(levels[-1])
        for refine, smooth, level, finer in zip(
            self.refine, self.smooth, levels[:-3:-1], levels[-2:-4:-1], strict=True
        ):
            context = smooth(resize(refine(level) + context, finer))
        return resize(self.logits(self.fuse(torch.cat([self.spatial(images), context], dim=1))), images)


class AttentionRefinement(nn.Module):
    """Convolves features and weighs each channel by what the mean of the image says."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = conv_norm_relu(inputs, width)
        self.weigh = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv(features)
        return features * self.weigh(functional.adaptive_avg_pool2d(features, 1))


class FeatureFusion(nn.Module):
    """Mixes the features of both paths, joined beforehand, and adds those again that the mean of the image picks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = conv_norm_relu(width, width, 1)
        layers = (nn.Conv2d(width, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, width, 1), nn.Sigmoid())
        self.weigh = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        features = self.mix(features)
        return features * (1 + self.weigh(functional.adaptive_avg_pool2d(features, 1)))
