"""Networks by name, made by `build`. Each module here holds one network, one read-out or one job around them."""

from typing import TYPE_CHECKING, Any

from nanolab.models.registry import look_up

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORKS", "SIZE_MULTIPLE_PX", "build"]

#: Where each network is made: a function `(out_channels, **options) -> nn.Module` that takes a tensor of shape
#: (batch, 1, height, width) and returns logits of shape (batch, out_channels, height, width).
NETWORKS = {
    "unet": "nanolab.models.networks.unet:residual_unet",
    "unet_lite0": "nanolab.models.networks.unet_lite0:unet_lite0",
    "unet_mill": "nanolab.models.networks.unet:mill_unet",
    "bisenet": "nanolab.models.networks.bisenet:bisenet",
    "ccnet": "nanolab.models.networks.ccnet:ccnet",
    "danet": "nanolab.models.networks.danet:danet",
    "deeplabv3": "nanolab.models.networks.deeplabv3:deeplabv3",
    "encnet": "nanolab.models.networks.encnet:encnet",
    "fastfcn": "nanolab.models.networks.fastfcn:fastfcn",
    "ginet": "nanolab.models.networks.ginet:ginet",
    "pfpnnet": "nanolab.models.networks.pfpnnet:pfpnnet",
    "pspnet": "nanolab.models.networks.pspnet:pspnet",
    "u2net": "nanolab.models.networks.u2net:u2net",
}

#: Height and width that every network accepts are multiples of this, its largest total stride.
SIZE_MULTIPLE_PX = 32


def build(name: str, out_channels: int, **options: Any) -> "nn.Module":
    """Make the network `name` with freshly drawn weights.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    out_channels
        Channels that the read-out needs, `Readout.channels`.
    **options
        Further parameters of that network.

    Raises
    ------
    InputError
        If there is no such network or it has no such option.
    """
    network: nn.Module = look_up(NETWORKS, name, "network")(out_channels, **options)
    return network
