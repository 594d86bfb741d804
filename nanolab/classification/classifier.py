"""A trained classifier of micrographs: what it says of an image, and how it is kept in a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nanolab.classification.backbones import Backbone, make_backbone
from nanolab.classification.views import shrink, squares
from nanolab.core.checks import InputError
from nanolab.models.checkpoint import load_checkpoint, save_checkpoint
from nanolab.models.device import choose_device

__all__ = ["ClassifierNetwork", "ImageClassifier"]

_BATCH = 32


class ClassifierNetwork(nn.Module):
    """A backbone with a linear layer on its features, for grey images.

    Batch normalisation keeps the statistics of ImageNet, also in training: batches of few images have none to speak
    of. The linear layer begins with zeros, so that all classes are equally likely at first and nothing is random.

    Parameters
    ----------
    backbone
        See `nanolab.classification.backbones`.
    classes
        Scores per image.
    """

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.frozen = backbone.frozen.requires_grad_(requires_grad=False)
        self.tuned = backbone.tuned
        self.head = nn.Linear(backbone.features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self._mean = torch.tensor(backbone.mean).view(1, 3, 1, 1)
        self._sd = torch.tensor(backbone.sd).view(1, 3, 1, 1)
        self.eval()

    @torch.no_grad()
    def fixed_features(self, views: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return what the frozen layers make of views, shape (views, side, side) in [0, 1]."""
        device = self.head.weight.device
        colours = ((torch.from_numpy(views)[:, None] - self._mean) / self._sd).to(device)
        return self.frozen(colours.contiguous(memory_format=torch.channels_last))

    def forward(self, fixed: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (views, classes), of what `fixed_features` returns."""
        return self.head(self.tuned(fixed))


class ImageClassifier:
    """Says how likely a micrograph is of each class.

    Parameters
    ----------
    network
        A trained network.
    classes
        Names of its classes.
    backbone
        Name of the network's backbone.
    side_px
        Side of the squares that it sees.
    """

    def __init__(self, network: ClassifierNetwork, classes: Sequence[str], *, backbone: str, side_px: int) -> None:
        self.network = network.eval()
        self.classes = tuple(classes)
        self.backbone = backbone
        self.side_px = side_px

    def probabilities(self, image: npt.NDArray[np.floating], where: str = "image") -> dict[str, float]:
        """Return the probability of each class for an image, shape (height, width): the mean over its squares.

        Parameters
        ----------
        where
            What to call the image in an error.
        """
        views = squares(shrink(image, self.side_px, where), self.side_px)
        batches = [views[start : start + _BATCH] for start in range(0, len(views), _BATCH)]
        with torch.inference_mode():
            likely = [torch.softmax(self.network(self.network.fixed_features(each)), dim=1) for each in batches]
        mean = torch.cat(likely).mean(dim=0).tolist()
        return dict(zip(self.classes, mean, strict=True))

    def classify(self, image: npt.NDArray[np.floating], where: str = "image") -> str:
        """Return the most likely class of an image, shape (height, width)."""
        likely = self.probabilities(image, where)
        return max(likely, key=lambda name: likely[name])

    def save(self, path: Path | str) -> None:
        """Write the classifier into a file, from which `load` makes it again."""
        record = {"classes": list(self.classes), "backbone": self.backbone, "side_px": self.side_px}
        save_checkpoint(path, self.network.state_dict(), {"classifier": record})

    @classmethod
    def load(cls, path: Path | str) -> "ImageClassifier":
        """Read a classifier that `save` wrote; no code in the file is run.

        Raises
        ------
        InputError
            If the file is missing, damaged, or holds no classifier.
        """
        tensors, record = load_checkpoint(path)
        try:
            about = record["classifier"]
            classes, backbone, side_px = list(map(str, about["classes"])), str(about["backbone"]), int(about["side_px"])
            network = ClassifierNetwork(make_backbone(backbone), len(classes))
            network.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path}: holds no classifier that this nanolab can build ({error}); train one") from error
        return cls(network.to(choose_device("auto")), classes, backbone=backbone, side_px=side_px)
