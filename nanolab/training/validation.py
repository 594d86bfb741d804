"""The validation image: what each epoch predicts for it, and how good that is. Nothing is learned of it."""

from collections.abc import Iterator
from itertools import pairwise, product
from math import ceil

import numpy as np
import torch
from torch import nn

from nanolab.core.checks import InputError, check_image, check_same_shape
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.models.normalisation import normalise
from nanolab.models.registry import SIZE_MULTIPLE_PX
from nanolab.models.tiling import TILE_PX, predict
from nanolab.training.learner import loss_function, predicted_logits
from nanolab.training.run import TrainingRun
from nanolab.training.selection import score_epoch
from nanolab.training.settings import TrainingSettings

__all__ = ["ValidationImage"]


class ValidationImage:
    """A validation image, as the network sees it.

    Attributes
    ----------
    image
        Normalised grey values, shape (height, width).
    foreground
        What the last epoch judged makes of it: the probability that a pixel is particle, same shape.

    Raises
    ------
    InputError
        If there is nothing to see in the image, only a part of it was looked at, or its label map has another size.
    """

    def __init__(self, sample: AnnotatedImage, settings: TrainingSettings) -> None:
        check_image(sample.image, sample.name)
        if sample.labels is not None:
            check_same_shape(sample.image, sample.labels, sample.name)
        if sample.looked_at is not None and not sample.looked_at.all():
            raise InputError(
                f"{sample.path}: only a part of it was looked at, so it cannot validate a training; choose an image "
                "that was looked at as a whole"
            )
        self.name, self._labels = sample.name, sample.labels
        self.image = normalise(sample.image, sample.name, clahe=settings.clahe, stretch=settings.stretch)
        self.foreground = np.zeros_like(self.image)

    @property
    def annotated(self) -> bool:
        """Whether there is a label map to compare with."""
        return self._labels is not None

    def judge(self, run: TrainingRun, epoch: int, network: nn.Module) -> dict[str, float]:
        """Keep what the network after an epoch predicts, and return its scores if the image is annotated."""
        probabilities = predict(network, run.readout, self.image, precision=run.settings.precision)
        run.keep_validation_prediction(epoch, probabilities)
        self.foreground = run.readout.foreground(probabilities)
        if self._labels is None:
            return {}
        return {"validation_loss": self._loss(run, network), **score_epoch(run, epoch, self._labels)}

    def _loss(self, run: TrainingRun, network: nn.Module) -> float:
        """Return the loss that training lowers, of the whole image; of parts and their mean if it is large."""
        loss_of, total = loss_function(run.settings, run.readout), 0.0
        device = next(network.parameters()).device
        assert self._labels is not None  # noqa: S101  # for the type checker
        targets = run.readout.targets(self._labels)
        for part in _parts(self.image.shape):
            height, width = self.image[part].shape
            padded = np.pad(
                self.image[part], [(0, -side % SIZE_MULTIPLE_PX) for side in (height, width)], mode="reflect"
            )
            wanted = torch.from_numpy(targets[:, *part].copy())[None].to(device)
            with torch.no_grad():
                seen = torch.from_numpy(padded)[None, None].to(device)
                logits = predicted_logits(network, seen, run.settings.precision)[..., :height, :width]
                total += loss_of(logits, wanted).item() * height * width
        return total / self.image.size


def _parts(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Divide an image into equal parts no larger than a tile."""
    cuts = [np.linspace(0, length, ceil(length / TILE_PX) + 1).astype(int).tolist() for length in shape]
    rows, cols = ([slice(*ends) for ends in pairwise(cut)] for cut in cuts)
    yield from product(rows, cols)
