"""Four U-Nets: the fast default, the one of Mill et al., and those that PaddleSeg and StarDist come with."""

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.blocks import Convolution
from monai.networks.nets import BasicUNet, UNet
from monai.networks.nets.basic_unet import UpCat
from torch import Tensor, nn

from nanolab.models.networks.blocks import conv_norm_relu, stacked

__all__ = ["PaddleUNet", "StarDistUNet", "mill_unet", "residual_unet"]

_LAST_FEATURES = 8
_FIRST_LOGIT = -2.0


def residual_unet(
    out_channels: int, channels: Sequence[int] = (16, 32, 64, 128, 256), units: int = 2, norm: str = "batch"
) -> nn.Module:
    """Make MONAI's residual U-Net: convolutions of stride 2 down, transposed ones up, and a skip at each level.

    Two things differ from MONAI's. Activations are leaky ReLUs computed in place, with which a training step on a CPU
    takes a quarter less time than with PReLU. And it ends in a few features at full resolution and a convolution, where
    MONAI has only as many features as there are logits, normalised and rectified: through these the logits of the
    background come down by about a learning rate a step, and a short training ends before they are down. They begin
    low, because most pixels are background (Lin et al.).

    Parameters
    ----------
    out_channels
        Channels of the logits.
    channels
        Features of each level; the first is already at half the resolution of the image.
    units
        Convolutions in each residual unit.
    norm
        `batch`, or `instance`, which depends on the size of the tile that the network sees.

    References
    ----------
    Kerfoot et al., Left-ventricle quantification using residual U-Net, 10.1007/978-3-030-12029-0_40; Lin et al., Focal
    loss for dense object detection, 10.1109/ICCV.2017.324.
    """
    activation = ("leakyrelu", {"negative_slope": 0.1, "inplace": True})
    network = UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=out_channels,
        channels=channels,
        strides=[2] * (len(channels) - 1),
        num_res_units=units,
        norm=norm,
        act=activation,
    )
    # from the finest level and its skip; with 4 x 4 all pixels have as many inputs, so that there is no grid
    finest = Convolution(
        2,
        2 * channels[0],
        _LAST_FEATURES,
        2,
        4,
        act=activation,
        norm=norm,
        bias=False,
        is_transposed=True,
        padding=1,
        output_padding=0,
    )
    logits = nn.Conv2d(_LAST_FEATURES, out_channels, 3, padding=1)
    nn.init.normal_(logits.weight, std=0.01)
    nn.init.constant_(logits.get_parameter("bias"), _FIRST_LOGIT)
    network.set_submodule("model.2", nn.Sequential(finest, logits))
    return network


def mill_unet(out_channels: int, channels: Sequence[int] = (64, 128, 256, 512, 1024)) -> nn.Module:
    """Make the U-Net of Mill et al.: the original one, padded instead of cropped, with batch normalisation.

    Two 3x3 convolutions a level, each followed by batch normalisation and ReLU; max pooling down, transposed
    convolutions up. Weights are drawn as He et al. do. It is MONAI's BasicUNet with these settings, but for its last
    step up, which does not halve the features as all others do; convolutions have no bias where the normalisation would
    take it away again.

    Parameters
    ----------
    out_channels
        Channels of the logits; 1 in the paper.
    channels
        Features of the five levels, the first at full resolution.

    References
    ----------
    Mill et al. 2021, 10.1002/smtd.202100223; Ronneberger et al. 2015, 10.1007/978-3-319-24574-4_28; He et al. 2015,
    10.1109/ICCV.2015.123.
    """
    finest, second = channels[:2]
    activation = ("relu", {"inplace": True})
    network = BasicUNet(2, 1, out_channels, (*channels, finest), activation, "batch", bias=False)
    network.upcat_1 = UpCat(2, second, finest, finest, activation, "batch", bias=False, dropout=0.0, halves=True)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class PaddleUNet(nn.Module):
    """The U-Net of PaddleSeg, the toolkit that 10.1371/journal.pone.0311228 trained with.

    Two 3x3 convolutions a level, each with batch normalisation and ReLU; the lowest level has no more features than the
    one above it, and the way up is interpolated, not learned. Convolutions have no bias where the normalisation would
    take it away again.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    channels
        Features of each level, the first at full resolution.

    References
    ----------
    Liu et al. 2021, PaddleSeg, arXiv:2101.06175; Ronneberger et al. 2015, 10.1007/978-3-319-24574-4_28.
    """

    def __init__(self, out_channels: int, channels: Sequence[int] = (64, 128, 256, 512, 512)) -> None:
        super().__init__()
        inputs = (1, *channels)
        self.down = nn.ModuleList(_twice(*each) for each in pairwise(inputs))
        above = [channels[max(level - 1, 0)] for level in range(len(channels) - 1)]  # 64, 64, 128, 256
        self.up = nn.ModuleList(
            _twice(2 * channels[level], above[level]) for level in reversed(range(len(channels) - 1))
        )
        self.logits = nn.Conv2d(above[0], out_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, C, height, width), of images of shape (batch, 1, height, width)."""
        levels = [self.down[0](images)]
        for convolutions in self.down[1:]:
            levels.append(convolutions(nn.functional.max_pool2d(levels[-1], 2)))
        features = levels.pop()
        for convolutions in self.up:
            features = convolutions(stacked(levels.pop(), features))
        logits: Tensor = self.logits(features)
        return logits


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_norm_relu(inputs, outputs), conv_norm_relu(outputs, outputs))


class StarDistUNet(nn.Module):
    """The U-Net that StarDist comes with, at full resolution, which UTILE-Gen trained.

    Two 3x3 convolutions a level with ReLU and without normalisation, max pooling down, nearest neighbours up, half of
    the features at the second convolution on the way up, and a last convolution of many features for all outputs.

    Parameters
    ----------
    out_channels
        Channels of the logits.
    depth, features, last_features
        Poolings, features at full resolution, and of the last convolution; StarDist's defaults.

    References
    ----------
    Schmidt et al. 2018, 10.1007/978-3-030-00934-2_30; UTILE-Gen 2023, 10.1021/acsnanoscienceau.3c00020.
    """

    def __init__(self, out_channels: int, depth: int = 3, features: int = 32, last_features: int = 128) -> None:
        super().__init__()
        wide = [features * 2**level for level in range(depth + 1)]
        narrow = [features * 2 ** max(level - 1, 0) for level in range(depth + 1)]
        self.down = nn.ModuleList(_plain(*each) for each in pairwise((1, *wide[:-1])))
        self.middle = _plain(wide[-2], wide[-1], narrow[-1])
        self.up = nn.ModuleList(_plain(2 * wide[n], wide[n], narrow[n]) for n in reversed(range(depth)))
        self.last = nn.Sequential(nn.Conv2d(features, last_features, 3, padding=1), nn.ReLU(inplace=True))
        self.logits = nn.Conv2d(last_features, out_channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as Keras draws
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.get_parameter("bias"))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, shape (batch, C, height, width), of images of shape (batch, 1, height, width)."""
        features, skips = images, []
        for convolutions in self.down:
            skips.append(convolutions(features))
            features = nn.functional.max_pool2d(skips[-1], 2)
        features = self.middle(features)
        for convolutions in self.up:
            larger = nn.functional.interpolate(features, scale_factor=2, mode="nearest")
            features = convolutions(stacked(larger, skips.pop()))
        logits: Tensor = self.logits(self.last(features))
        return logits


def _plain(inputs: int, first: int, second: int | None = None) -> nn.Sequential:
    """Make two 3x3 convolutions with ReLU."""
    convolutions = [nn.Conv2d(inputs, first, 3, padding=1), nn.Conv2d(first, second or first, 3, padding=1)]
    return nn.Sequential(*(layer for each in convolutions for layer in (each, nn.ReLU(inplace=True))))
