"""Xception, with parameters named as Cadene's port to PyTorch, which timm has too, so that a file of those fits."""

from itertools import pairwise

import torch
from torch import nn

__all__ = ["Xception"]

_MIDDLE = 728


class Xception(nn.Module):
    """Xception (Chollet 2017, 10.1109/CVPR.2017.195): ImageNet class scores of a colour image.

    Weights: `xception-43020ad28.pth` of Cadene's pretrained-models, in timm `legacy_xception` (1000 classes). They were
    trained at 299 px on values from -1 to 1.

    Parameters
    ----------
    classes
        Scores per image.
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, stride=2, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64)
        self.block1 = _Block((64, 128, 128), stride=2, relu_first=False)
        self.block2 = _Block((128, 256, 256), stride=2)
        self.block3 = _Block((256, _MIDDLE, _MIDDLE), stride=2)
        for number in range(4, 12):
            self.add_module(f"block{number}", _Block((_MIDDLE,) * 4))
        self.block12 = _Block((_MIDDLE, _MIDDLE, 1024), stride=2)
        self.conv3, self.bn3 = _Separable(1024, 1536), nn.BatchNorm2d(1536)
        self.conv4, self.bn4 = _Separable(1536, 2048), nn.BatchNorm2d(2048)
        self.fc = nn.Linear(2048, classes)

    def stages(self) -> list[nn.Module]:
        """Return what an image goes through, one after the other, up to its features: 2048 channels at 1/32."""
        entry = nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.conv2, self.bn2, nn.ReLU())
        blocks = [self.get_submodule(f"block{number}") for number in range(1, 13)]
        leaving = nn.Sequential(self.conv3, self.bn3, nn.ReLU(), self.conv4, self.bn4, nn.ReLU())
        return [entry, *blocks, leaving]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (images, classes), of images of shape (images, 3, height, width), at least 71 px."""
        features = images
        for stage in self.stages():
            features = stage(features)
        return self.fc(features.mean(dim=(2, 3)))


class _Separable(nn.Module):
    """A convolution of each channel alone, then one of each pixel alone."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.conv1(features))


class _Block(nn.Module):
    """Separable convolutions from each of `widths` to the next, and a way around them."""

    def __init__(self, widths: tuple[int, ...], stride: int = 1, *, relu_first: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, out in pairwise(widths):
            layers += [nn.ReLU(), _Separable(channels, out), nn.BatchNorm2d(out)]
        if stride > 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
            self.skip = nn.Conv2d(widths[0], widths[-1], 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(widths[-1])
        self.shrinks = stride > 1
        self.rep = nn.Sequential(*layers[0 if relu_first else 1 :])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        around = self.skipbn(self.skip(features)) if self.shrinks else features
        return self.rep(features) + around
