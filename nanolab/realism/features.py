"""Feature vectors of patches, from networks that learned on ImageNet."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm.auto import tqdm

from nanolab.core.checks import InputError, check_file
from nanolab.models.device import autocast, choose_device, choose_precision
from nanolab.models.networks.pretrained import (
    IMAGENET_MEAN,
    IMAGENET_SD,
    efficientnet_lite0,
    load_weights,
    published_weights,
)
from nanolab.realism.presets import Extractor

__all__ = ["VGG16", "extract_features", "load_extractor"]

_BATCH = 32


class VGG16(nn.Module):
    """VGG16 (Simonyan & Zisserman 2015, arXiv:1409.1556, configuration D): 1000 ImageNet class scores.

    Its parameters have the names and shapes of torchvision's, so that a file of those fits.
    """

    _WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0 is a pooling

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in self._WIDTHS:
            if width == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        hidden = [nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*hidden, nn.Linear(4096, 1000))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (images, 1000), of images of shape (images, 3, height, width), at least 32 px."""
        scores: torch.Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return scores


class _EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to its pooled features, 1280 an image, with the weights that its package brings."""

    def __init__(self) -> None:
        super().__init__()
        self.network = efficientnet_lite0()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network.extract_features(images)
        return features.mean(dim=(2, 3))


def load_extractor(extractor: Extractor, weights: Path | str | None = None) -> nn.Module:
    """Return a network that makes feature vectors of patches, ready to use.

    Parameters
    ----------
    extractor
        "efficientnet-lite0": 1280 pooled features, its ImageNet weights come with a package that nanolab needs;
        "vgg16": the 1000 ImageNet class scores.
    weights
        For VGG16: torchvision's file of weights; if not given, the one in the torch cache, where
        `nanolab data weights vgg16` puts it.

    Raises
    ------
    InputError
        If the weights are not there or belong to another network.
    """
    if extractor == "vgg16":
        with torch.device("meta"):  # 138 million random values would be drawn for nothing
            network: nn.Module = VGG16()
        load_weights(network, check_file(weights, "file of VGG16 weights") if weights else published_weights("vgg16"))
    elif weights is not None:
        raise InputError(f"{weights}: a file of weights goes with vgg16; {extractor} brings its own")
    else:
        network = _EfficientNetLite0()
    return network.eval().requires_grad_(requires_grad=False)


def extract_features(
    pixels: npt.NDArray[np.float32], network: nn.Module, *, progress: bool = True
) -> npt.NDArray[np.float32]:
    """Return one feature vector a patch, shape (patches, features).

    Parameters
    ----------
    pixels
        Grey values, shape (patches, size, size), in [0, 1], of at least 32 px; all three channels get them, at their
        own size: to enlarge them would smooth the noise.
    network
        Of `load_extractor`.
    """
    device = choose_device("auto")
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's gap
    batches = [pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)]
    # Side by side, one core each: a batch that two cores share waits for the slower one at every layer and takes thirty
    # times as long where another program has it.
    workers = torch.get_num_threads() if device.type == "cpu" else 1
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = pool.map(partial(_features_of_batch, network=network, device=device), batches)
        return np.concatenate(
            list(tqdm(found, total=len(batches), desc="features", unit="batch", disable=not progress))
        )


def _features_of_batch(
    pixels: npt.NDArray[np.float32], *, network: nn.Module, device: torch.device
) -> npt.NDArray[np.float32]:
    mean, sd = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_SD))
    with torch.inference_mode(), autocast(device, choose_precision("auto", device)):
        images = ((torch.from_numpy(pixels)[:, None] - mean) / sd).to(device, memory_format=torch.channels_last)
        return np.asarray(network(images).float().cpu().numpy())
