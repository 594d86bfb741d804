"""Networks and other parts by name, imported only when asked for, because torch and MONAI take seconds."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nanolab.core.checks import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORKS", "SIZE_MULTIPLE_PX", "build", "look_up"]

#: Where each network is made: a function or class `(out_channels, **options)`, whose nn.Module takes a tensor of shape
#: (batch, 1, height, width) and returns logits of shape (batch, out_channels, height, width).
NETWORKS = {
    "unet": "nanolab.models.networks.unet:residual_unet",
    "unet_lite0": "nanolab.models.networks.unet_lite0:UNetLite0",
    "unet_mill": "nanolab.models.networks.unet:mill_unet",
    "unet_paddle": "nanolab.models.networks.unet:PaddleUNet",
    "unet_stardist": "nanolab.models.networks.unet:StarDistUNet",
    "bisenet": "nanolab.models.networks.bisenet:BiSeNet",
    "ccnet": "nanolab.models.networks.ccnet:ccnet",
    "danet": "nanolab.models.networks.danet:danet",
    "deeplabv3": "nanolab.models.networks.deeplabv3:deeplabv3",
    "encnet": "nanolab.models.networks.encnet:encnet",
    "fastfcn": "nanolab.models.networks.fastfcn:fastfcn",
    "ginet": "nanolab.models.networks.ginet:ginet",
    "pfpnnet": "nanolab.models.networks.pfpnnet:pfpnnet",
    "pspnet": "nanolab.models.networks.pspnet:pspnet",
    "u2net": "nanolab.models.networks.u2net:U2Net",
}

#: Height and width that every network accepts are multiples of this, its largest total stride.
SIZE_MULTIPLE_PX = 32


# What torch and other libraries raise for options that make no sense; these come from people and from files.
_NONSENSE = (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, AttributeError, AssertionError)


def look_up(registry: Mapping[str, str], name: str, what: str) -> Callable[..., Any]:
    """Return the maker that `registry` holds as "module:function" under `name`; it checks its options when called.

    Raises
    ------
    InputError
        If `name` is not in the registry, or, when the maker is called, if it has no such option or cannot be made so.
    """
    if name not in registry:
        raise InputError(f"{what}: must be one of {', '.join(registry)}, got {name!r}; choose one of these")
    module, function = registry[name].split(":")
    maker = getattr(import_module(module), function)

    def make(*args: Any, **options: Any) -> Any:
        try:
            inspect.signature(maker).bind(*args, **options)
        except TypeError as error:
            known = ", ".join(inspect.signature(maker).parameters)
            raise InputError(f"{what} {name}: {error}; it takes {known}") from error
        try:
            return maker(*args, **options)
        except InputError:
            raise
        except _NONSENSE as error:
            raise InputError(f"{what} {name}: cannot be made with {options} ({error}); check these options") from error

    return make


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
    return look_up(NETWORKS, name, "network")(out_channels, **options)
