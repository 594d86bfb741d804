"""ConvNeXt-Base, with parameters named as torchvision's, so that a file of those fits."""

import torch
from torch import nn
from torch.nn import functional

__all__ = ["ConvNeXtBase"]

_DEPTHS = (3, 3, 27, 3)
_WIDTHS = (128, 256, 512, 1024)
_EPSILON = 1e-6


class ConvNeXtBase(nn.Module):
    """ConvNeXt-Base (Liu et al. 2022, 10.1109/CVPR52688.2022.01167): ImageNet class scores of a colour image.

    Stochastic depth, which only acts in training from scratch, is left out. Weights: torchvision's
    `convnext_base-6075fbad.pth` (1000 classes, IMAGENET1K_V1).

    Parameters
    ----------
    classes
        Scores per image.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, _WIDTHS[0], 4, stride=4), _LayerNorm2d(_WIDTHS[0]))]
        for stage, (depth, width) in enumerate(zip(_DEPTHS, _WIDTHS, strict=True)):
            if stage > 0:
                before = _WIDTHS[stage - 1]
                layers.append(nn.Sequential(_LayerNorm2d(before), nn.Conv2d(before, width, 2, stride=2)))
            layers.append(nn.Sequential(*(_Block(width) for _ in range(depth))))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(_LayerNorm2d(_WIDTHS[-1]), nn.Flatten(1), nn.Linear(_WIDTHS[-1], classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (images, classes), of images of shape (images, 3, height, width), at least 32 px."""
        return self.classifier(self.avgpool(self.features(images)))


class _LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel of (images, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPSILON)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        last = features.permute(0, 2, 3, 1)
        return functional.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class _Permute(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.permute(self.order)


class _Block(nn.Module):
    """A wide depthwise convolution, then two layers for each pixel alone, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            _Permute(0, 2, 3, 1),
            nn.LayerNorm(width, eps=_EPSILON),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            _Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.layer_scale * self.block(features)
