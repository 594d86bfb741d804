"""PSPNet: what fields of four sizes show on average, next to every pixel."""

from torch import Tensor, nn

from nanolab.models.networks.blocks import Pooled, classifier, conv_norm_relu, stacked
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["PSPHead", "pspnet"]

_BINS = (1, 2, 3, 6)


def pspnet(out_channels: int, *, pretrained: bool = True, output_stride: int = 8, width: int = 512) -> nn.Module:
    """Make PSPNet on the encoder EfficientNet-Lite0.

    The paper's auxiliary loss inside the encoder is left out: it is there for deep encoders that are hard to train.

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

    References
    ----------
    Zhao et al. 2017, Pyramid Scene Parsing Network, 10.1109/CVPR.2017.660, arXiv:1612.01105.
    """
    head = PSPHead(CHANNELS[-1], out_channels, width)
    return OnEncoder(head, pretrained=pretrained, output_stride=output_stride)


class PSPHead(nn.Module):
    """Pyramid pooling: the features and their means over 1, 2x2, 3x3 and 6x6 fields of the image, joined."""

    def __init__(self, inputs: int, out_channels: int, width: int) -> None:
        super().__init__()
        each = inputs // len(_BINS)
        self.pyramid = nn.ModuleList(Pooled(inputs, each, bins) for bins in _BINS)
        self.join = conv_norm_relu(inputs + len(_BINS) * each, width)
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        deepest = levels[-1]
        return self.logits(self.join(stacked(deepest, *(pool(deepest) for pool in self.pyramid))))
