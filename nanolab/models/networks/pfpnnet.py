"""PFPNNet: the panoptic feature pyramid."""

from torch import Tensor, nn
from torch.nn import functional

from nanolab.models.networks.blocks import classifier, conv_norm_relu
from nanolab.models.networks.encoder import CHANNELS, OnEncoder

__all__ = ["PFPNHead", "pfpnnet"]


def pfpnnet(out_channels: int, *, pretrained: bool = True, pyramid_width: int = 256, width: int = 128) -> nn.Module:
    """Make the semantic branch of the panoptic feature pyramid network on the encoder EfficientNet-Lite0.

    PaddleSeg, which the comparison in 10.1371/journal.pone.0311228 was made with, calls it PFPNNet; the paper that is
    cited there (Kim et al. 2018, 10.1007/978-3-030-01228-1_15) detects boxes and has no segmentation. Batch
    normalisation takes the place of group normalisation, which depends on the size of the tile that the network sees.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    pretrained
        Whether the encoder starts from what it learned on ImageNet.
    pyramid_width, width
        Features of the pyramid and of the branches.

    References
    ----------
    Kirillov et al. 2019, Panoptic Feature Pyramid Networks, 10.1109/CVPR.2019.00656, arXiv:1901.02446.
    """
    head = PFPNHead(CHANNELS[1:], out_channels, pyramid_width, width)
    return OnEncoder(head, pretrained=pretrained, output_stride=32)


class PFPNHead(nn.Module):
    """A feature pyramid, finest level first; each level is enlarged step by step to the finest, and all are summed."""

    def __init__(self, inputs: tuple[int, ...], out_channels: int, pyramid_width: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, pyramid_width, 1) for channels in inputs)
        self.smooth = nn.ModuleList(nn.Conv2d(pyramid_width, pyramid_width, 3, padding=1) for _ in inputs)
        self.branches = nn.ModuleList(_branch(pyramid_width, width, doublings) for doublings in range(len(inputs)))
        self.logits = classifier(width, out_channels)

    def forward(self, levels: list[Tensor]) -> Tensor:
        lateral = [conv(level) for conv, level in zip(self.lateral, levels[-len(self.lateral) :], strict=True)]
        pyramid = lateral[-1:]
        for finer in reversed(lateral[:-1]):
            pyramid.insert(0, finer + functional.interpolate(pyramid[0], scale_factor=2))
        branches = zip(self.branches, self.smooth, pyramid, strict=True)
        return self.logits(sum(branch(smooth(level)) for branch, smooth, level in branches))


def _branch(inputs: int, width: int, doublings: int) -> nn.Sequential:
    """Convolve once and, where there is something to double, once before each doubling."""
    layers: list[nn.Module] = []
    for step in range(max(1, doublings)):
        layers.append(conv_norm_relu(width if step else inputs, width))
        if doublings:
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return nn.Sequential(*layers)
