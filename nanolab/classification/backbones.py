"""Networks that learned on ImageNet, cut in two: layers that stay as they are, and layers tuned to micrographs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nanolab.classification.convnext import ConvNeXtBase
from nanolab.classification.xception import Xception
from nanolab.core.checks import InputError, check_file
from nanolab.models.networks.pretrained import (
    IMAGENET_MEAN,
    IMAGENET_SD,
    efficientnet_lite0,
    load_weights,
    published_weights,
)

__all__ = ["BACKBONES", "Backbone", "load_backbone", "make_backbone"]

_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    Attributes
    ----------
    frozen
        Its first layers: (images, 3, height, width) to something that `tuned` takes.
    tuned
        Its last layers and the mean over all places: from there to (images, `features`).
    features
        Numbers that describe an image in the end.
    mean, sd
        What is taken off the red, green and blue of images in [0, 1], and what they are divided by then.
    """

    frozen: nn.Module
    tuned: nn.Module
    features: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    sd: tuple[float, float, float] = IMAGENET_SD


def _of_lite0(network: Any) -> Backbone:
    blocks = list(network._blocks)
    frozen = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6(), *blocks[:10])
    return Backbone(frozen, _pooled(*blocks[10:], network._conv_head, network._bn1, nn.ReLU6()), 1280)


def _of_convnext(network: Any) -> Backbone:
    tuned = nn.Sequential(*network.features[6:], network.avgpool, *network.classifier[:2])
    return Backbone(network.features[:6], tuned, 1024)


def _of_xception(network: Any) -> Backbone:
    stages = network.stages()
    return Backbone(nn.Sequential(*stages[:12]), _pooled(*stages[12:]), 2048, _HALF, _HALF)


def _pooled(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


@dataclass(frozen=True)
class _Kind:
    """How a network is made, how it is cut, and whether it brings its weights."""

    make: Callable[[], Any]
    cut: Callable[[Any], Backbone]
    brings_weights: bool = False


_KINDS = {
    "efficientnet-lite0": _Kind(partial(efficientnet_lite0, pretrained=False), _of_lite0, brings_weights=True),
    "convnext-base": _Kind(ConvNeXtBase, _of_convnext),
    "xception": _Kind(Xception, _of_xception),
}

#: Names of the networks there are.
BACKBONES = tuple(_KINDS)


def make_backbone(name: str) -> Backbone:
    """Return a backbone whose weights are drawn at random; those of a file shall take their place.

    Raises
    ------
    InputError
        If there is no such backbone.
    """
    kind = _kind(name)
    return kind.cut(kind.make())


def load_backbone(name: str, weights: Path | str | None = None) -> Backbone:
    """Return a backbone with what it learned on ImageNet.

    Parameters
    ----------
    name
        One of `BACKBONES`.
    weights
        The published file of weights (torchvision's, Cadene's or timm's); if not given, the one in the torch cache,
        where `nanolab data weights NAME` puts it. EfficientNet-Lite0 brings its own.

    Raises
    ------
    InputError
        If there is no such backbone, or the file is missing, not wanted, or another network's.
    """
    kind = _kind(name)
    if kind.brings_weights:
        if weights is not None:
            raise InputError(f"{weights}: {name} brings its own weights; give no file")
        return kind.cut(efficientnet_lite0())
    with torch.device("meta"):  # millions of random values would be drawn for nothing
        network = kind.make()
    load_weights(network, check_file(weights, f"file of weights of {name}") if weights else published_weights(name))
    return kind.cut(network)


def _kind(name: str) -> _Kind:
    if name not in _KINDS:
        raise InputError(f"backbone: must be one of {', '.join(BACKBONES)}, got {name!r}")
    return _KINDS[name]
