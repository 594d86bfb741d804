"""What several networks are built from."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanolab.core.checks import InputError

__all__ = ["DROPOUT", "Attention", "Pooled", "classifier", "conv_norm_relu", "resize", "stacked"]

#: Share of the features that a head drops before its last convolution while it learns, as its papers do.
DROPOUT = 0.1


def conv_norm_relu(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Make a convolution, batch normalisation and ReLU that keep the size but for the stride; weights drawn as by He.

    References
    ----------
    He et al. 2015, 10.1109/ICCV.2015.123.
    """
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def classifier(inputs: int, out_channels: int) -> nn.Sequential:
    """Make the last layer of a head: dropout, then one logit a channel and pixel."""
    return nn.Sequential(nn.Dropout2d(DROPOUT), nn.Conv2d(inputs, out_channels, 1))


def resize(features: Tensor, like: Tensor) -> Tensor:
    """Interpolate features linearly to the height and width of another tensor."""
    return functional.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=False)


class Pooled(nn.Module):
    """Averages over `bins` x `bins` fields of the image, mixed by a 1x1 convolution: (batch, outputs, bins, bins)."""

    def __init__(self, inputs: int, outputs: int, bins: int = 1) -> None:
        super().__init__()
        self.bins = bins
        self.mix = conv_norm_relu(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        if self.training and len(features) * self.bins**2 == 1:
            raise InputError(
                "batch_size: this network averages over whole patches and normalises these averages over the batch, "
                "which needs at least 2 patches, got 1; take batch_size 2 or more, or the network unet"
            )
        return self.mix(functional.adaptive_avg_pool2d(features, self.bins))


class Attention(nn.Module):
    """What layers share that add to each pixel what others say, weighted by likeness: see their `forward`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, width // 8, 1)
        self.key = nn.Conv2d(width, width // 8, 1, bias=False)  # softmax would take a bias away again
        self.value = nn.Conv2d(width, width, 1)
        self.share = nn.Parameter(torch.zeros(1))


def stacked(*features: Tensor) -> Tensor:
    """Put features one after another along the channels, all at the size of the first."""
    return torch.cat([features[0], *(resize(each, features[0]) for each in features[1:])], dim=1)
