"""Networks by name, made by `build`. Each module here holds one network, one read-out or one job around them."""

from typing import TYPE_CHECKING, Any

from nanolab.models.registry import look_up

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORKS", "SIZE_MULTIPLE_PX", "build"]

#: Where each network is made: a function `(out_channels, **options) -> nn.Module` that takes a tensor of shape
#: (batch, 1, height, width) and returns logits of shape (batch, out_channels, height, width).
NETWORKS = {"unet": "nanolab.models.unet:residual_unet"}

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
