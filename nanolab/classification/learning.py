"""Fine-tuning: how a classifier learns from a few micrographs of each class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import cos, pi
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn import functional
from tqdm.auto import tqdm

from nanolab.classification.backbones import load_backbone
from nanolab.classification.classifier import ClassifierNetwork, ImageClassifier
from nanolab.classification.views import Augmentation, Levels, draw_view, mix_up, shrink, squares
from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.models.device import choose_device

__all__ = ["ClassifierSettings", "Learned", "fine_tune"]

_VIEWS_KEY = 8  # keeps the views apart from other draws of the same seed

Amount = Annotated[int, Field(ge=1, le=100_000)]


class ClassifierSettings(BaseModel):
    """Everything that decides a fine-tuning but its images.

    Attributes
    ----------
    backbone, weights
        See `nanolab.classification.backbones.load_backbone`.
    augmentation
        See `nanolab.classification.views.AUGMENTATIONS`.
    epochs, steps_per_epoch, batch_size
        An epoch is a number of steps, not a pass through the images: so few images and many are learned from equally
        long. Each class has its turn; of its images one is drawn.
    side_px
        Side of the squares that the network sees.
    learning_rate
        The highest; it rises to that in the first fifth of the steps and falls to nothing then.
    weight_decay
        Of AdamW.
    mixup_alpha
        See `nanolab.classification.views.mix_up`; with the augmentation "standard" nothing is mixed.
    seed
        Decides which image is drawn when, and how it is varied.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backbone: str = "efficientnet-lite0"
    weights: Path | None = None
    augmentation: Augmentation = "standard"
    epochs: Amount = 8
    steps_per_epoch: Amount = 8
    batch_size: Amount = 15
    side_px: Annotated[int, Field(ge=71, le=4096)] = 224
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-2
    mixup_alpha: Annotated[float, Field(gt=0, le=10)] = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


@dataclass(frozen=True)
class Learned:
    """A classifier and how it came to be.

    Attributes
    ----------
    classifier
        After the last epoch.
    log
        One row per epoch: epoch, loss and accuracy on the views learned from (mixed ones count for the class that they
        have more of), and, where images were watched, test_loss and test_accuracy, means over the classes.
    """

    classifier: ImageClassifier
    log: pd.DataFrame


def fine_tune(
    images: Mapping[str, Iterable[AnnotatedImage]],
    settings: ClassifierSettings,
    *,
    watched: Mapping[str, Iterable[AnnotatedImage]] | None = None,
    progress: bool = True,
) -> Learned:
    """Tune a pretrained network to images of some classes.

    Parameters
    ----------
    images
        Micrographs to learn from by the name of their class; at least one of each of two classes.
    watched
        Others, on which loss and accuracy are computed after each epoch; they decide nothing.

    Raises
    ------
    InputError
        If there are fewer than two classes, or a class has no image.
    """
    learned_from = _levels(images, settings.side_px)
    if len(learned_from) < 2:
        raise InputError(f"classes: at least two are needed to learn, got {', '.join(learned_from) or 'none'}")
    backbone = load_backbone(settings.backbone, settings.weights)
    network = ClassifierNetwork(backbone, len(learned_from)).to(choose_device("auto"))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's gap
    watch = None if watched is None else _Watch(network, _levels(watched, settings.side_px), settings.side_px)
    teacher = _Teacher(network, list(learned_from.values()), settings)
    rows = []
    for epoch in tqdm(range(1, settings.epochs + 1), desc="fine-tune", unit="epoch", disable=not progress):
        rows.append({"epoch": epoch, **teacher.epoch(epoch), **({} if watch is None else watch.scores())})
    classifier = ImageClassifier(network, tuple(images), backbone=settings.backbone, side_px=settings.side_px)
    return Learned(classifier, pd.DataFrame(rows))


def _levels(images: Mapping[str, Iterable[AnnotatedImage]], side_px: int) -> dict[str, list[Levels]]:
    levels = {name: [shrink(each.image, side_px, str(each.path)) for each in those] for name, those in images.items()}
    if empty := [name for name, those in levels.items() if not those]:
        raise InputError(f"classes: each needs an image, {empty[0]} has none")
    return levels


def _learning_rate(step: int, steps: int) -> float:
    """Return the learning rate of a step as a part of the highest: a straight rise, then half a period of a cosine."""
    rise = max(1, steps // 5)
    return (step + 1) / rise if step < rise else (1 + cos(pi * (step + 1 - rise) / (steps + 1 - rise))) / 2


class _Teacher:
    """Takes one step after another."""

    def __init__(self, network: ClassifierNetwork, images: list[list[Levels]], settings: ClassifierSettings) -> None:
        self._network, self._images, self._settings = network, images, settings
        learning = [each for each in network.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(learning, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        steps = settings.epochs * settings.steps_per_epoch
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, partial(_learning_rate, steps=steps))

    def epoch(self, epoch: int) -> dict[str, float]:
        """Take the steps of an epoch; return the mean loss and accuracy on the way."""
        first = (epoch - 1) * self._settings.steps_per_epoch
        taken = [self._step(first + k) for k in range(self._settings.steps_per_epoch)]
        loss, accuracy = np.mean(taken, axis=0).tolist()
        return {"loss": loss, "accuracy": accuracy}

    def _step(self, step: int) -> tuple[float, float]:
        views, targets = self._batch(step)
        wanted = torch.from_numpy(targets).to(self._network.head.weight.device)
        scores = self._network(self._network.fixed_features(views))
        loss = functional.cross_entropy(scores, wanted)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        right = scores.argmax(dim=1) == wanted.argmax(dim=1)
        return float(loss.detach()), float(right.float().mean())

    def _batch(self, step: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        settings = self._settings
        rng = generator(settings.seed, _VIEWS_KEY, step)
        numbers = (step * settings.batch_size + np.arange(settings.batch_size)) % len(self._images)
        drawn = [self._images[number][rng.integers(len(self._images[number]))] for number in numbers]
        views = np.stack([draw_view(each, settings.side_px, settings.augmentation, rng) for each in drawn])
        targets = np.eye(len(self._images), dtype=np.float32)[numbers]
        if settings.augmentation == "standard":
            return views, targets
        return mix_up(views, targets, settings.mixup_alpha, rng)


class _Watch:
    """Loss and accuracy on images that are only watched; what the frozen layers make of them is computed once."""

    def __init__(self, network: ClassifierNetwork, images: Mapping[str, list[Levels]], side_px: int) -> None:
        self._network = network
        self._fixed = [[network.fixed_features(squares(each, side_px)) for each in those] for those in images.values()]

    @torch.inference_mode()
    def scores(self) -> dict[str, float]:
        losses, rights = [], []
        for number, those in enumerate(self._fixed):
            likely = torch.stack([torch.softmax(self._network(fixed), dim=1).mean(dim=0) for fixed in those])
            losses.append(float(-likely[:, number].clamp_min(1e-12).log().mean()))
            rights.append(float((likely.argmax(dim=1) == number).float().mean()))
        return {"test_loss": float(np.mean(losses)), "test_accuracy": float(np.mean(rights))}
