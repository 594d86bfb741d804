"""A network while it learns: weights, their running average, optimizer, and all of it as tensors."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.models.checkpoint import load_network
from nanolab.models.device import Precision, autocast
from nanolab.models.epochs import checkpoint_of
from nanolab.models.readouts.base import Readout
from nanolab.models.readouts.losses import class_dice_loss, soft_dice_loss
from nanolab.models.registry import SIZE_MULTIPLE_PX, build
from nanolab.models.settings import NetworkSettings
from nanolab.training.processes import Processes
from nanolab.training.settings import TrainingSettings

__all__ = ["Learner", "learning_rate", "loss_function", "new_network", "plateau_factor", "predicted_logits"]

_POWER = 0.9  # of PaddleSeg and its kin
_PATIENCE_EPOCHS = 40
_STEP_KEY = 2  # keeps what torch draws apart from other draws of the same seed


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step, counted from 0; with a plateau it is yet to be multiplied by its factor."""
    if settings.schedule in ("constant", "plateau"):
        return settings.learning_rate
    if settings.schedule == "polynomial":
        return settings.learning_rate * float((1 - step / settings.steps) ** _POWER)
    rise = settings.steps / 5 if settings.schedule == "one-cycle" else 0
    if step < rise:
        return settings.learning_rate * (step + 1) / (rise + 1)
    return settings.learning_rate * (1 + math.cos(math.pi * (step - rise) / (settings.steps - rise))) / 2


def plateau_factor(losses: Sequence[float]) -> float:
    """Return by what to multiply the learning rate after epochs of these losses: a half for each 40 without a record.

    As Keras does with StarDist's settings.
    """
    follower = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    plateau = ReduceLROnPlateau(follower, factor=0.5, patience=_PATIENCE_EPOCHS - 1, threshold=0)
    for loss in losses:
        plateau.step(loss)
    return float(follower.param_groups[0]["lr"])


def loss_function(settings: TrainingSettings, readout: Readout) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of logits and targets that the settings ask for.

    Pixels whose first target is NaN are unknown: the loss is that of the other pixels alone, as if there were no more,
    so that it must be one that pools pixels. Read-outs with outlines have none of that kind.
    """
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "bce": functional.binary_cross_entropy_with_logits,
        "dice": soft_dice_loss,
        "class dice": class_dice_loss,
        "readout": readout.loss,
    }
    loss = losses[settings.loss]

    def of_known(logits: Tensor, targets: Tensor) -> Tensor:
        known = ~targets[:, 0].isnan()
        if known.all():
            return loss(logits, targets)
        if not known.any():
            return 0 * logits.sum()
        row = (each.movedim(1, 0)[None, :, None, known] for each in (logits, targets))
        return loss(*row)

    return of_known


def predicted_logits(network: nn.Module, images: Tensor, precision: Precision) -> Tensor:
    """Return logits in float32 of images (batch, 1, height, width) of any size.

    Where the network needs a larger multiple, images are mirrored at their bottom and right edge, as they are in
    segmentation, and the logits cut back.
    """
    height, width = images.shape[-2:]
    missing = (0, -width % SIZE_MULTIPLE_PX, 0, -height % SIZE_MULTIPLE_PX)
    whole = functional.pad(images, missing, mode="reflect") if any(missing) else images
    with autocast(images.device, precision):
        logits: Tensor = network(whole.contiguous(memory_format=torch.channels_last))
    return logits[..., :height, :width].float()


def _optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    weights, decay = network.parameters(), settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(weights, settings.learning_rate, momentum=settings.momentum, weight_decay=decay)
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(weights, settings.learning_rate, weight_decay=decay)


def new_network(settings: TrainingSettings, readout: Readout) -> nn.Module:
    """Return the network that a training begins with: of random weights, or of those that it starts from.

    Raises
    ------
    InputError
        If it starts from a network of another kind.
    """
    torch.manual_seed(settings.seed)
    network = build(settings.network, readout.channels, **settings.network_options)
    if settings.start_from is not None:
        _take_weights(network, settings)
    return network


def _take_weights(network: nn.Module, settings: TrainingSettings) -> None:
    """Give a network the weights of `settings.start_from`, which must be of the same kind."""
    path = checkpoint_of(str(settings.start_from))
    taken, _, record = load_network(path)
    theirs = NetworkSettings.of(record["settings"])
    for key in ("network", "network_options", "readout"):
        if getattr(theirs, key) != getattr(settings, key):
            raise InputError(
                f"start_from: {path} has {key} {getattr(theirs, key)!r}, and the training asks for "
                f"{getattr(settings, key)!r}; set {key} as it is there"
            )
    try:
        network.load_state_dict(taken.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"start_from: {path} has other readout_options ({error}); set them as they are there"
        ) from error


class Learner:
    """A network, the running average of its weights, and its optimizer.

    Attributes
    ----------
    network
        What learns.
    factor
        The learning rate is multiplied by this, 1 unless set.

    Parameters
    ----------
    settings
        With `device` and `precision` resolved.
    readout
        Gives the loss.
    processes
        Those that train together; this one alone if None.
    """

    def __init__(self, settings: TrainingSettings, readout: Readout, processes: Processes | None = None) -> None:
        self._settings, self._processes = settings, processes or Processes(settings.device)
        self._loss = loss_function(settings, readout)
        self._device = self._processes.device
        self.factor = 1.0
        network = new_network(settings, readout)
        # channels last: convolutions on CPUs are a tenth faster so
        self.network: nn.Module = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = AveragedModel(self.network, multi_avg_fn=self._follow, use_buffers=True)
        self._average.eval().requires_grad_(requires_grad=False)
        self._optimizer = _optimizer(self.network, settings)
        held = settings.anchor > 0 or settings.blend < 1
        self._start = [weights.detach().clone() for weights in self.network.parameters()] if held else []
        self._parallel = self._processes.parallel(self.network)

    def step(self, step: int, images: npt.NDArray[np.float32], targets: npt.NDArray[np.float32]) -> float:
        """Learn from one batch, or this process's part of it, and return the loss of all of it.

        Parameters
        ----------
        step
            Number of the step, from 0; decides the learning rate and whatever the network draws.
        images, targets
            Shape (batch, 1, height, width) and (batch, C, height, width).

        Raises
        ------
        InputError
            If the loss is NaN or infinite; nothing is learned from it.
        """
        key = (step, self._processes.rank) if self._processes.rank else (step,)
        torch.manual_seed(int(generator(self._settings.seed, _STEP_KEY, *key).integers(2**63)))
        self.network.train()
        inputs, wanted = (torch.from_numpy(each).to(self._device) for each in (images, targets))
        loss = self._loss(predicted_logits(self._parallel, inputs, self._settings.precision), wanted)
        value = self._processes.mean(loss)
        if not math.isfinite(value):
            raise InputError(
                f"step {step}: the loss became {value}; the epochs before it are kept. Train again with a lower "
                f"learning_rate than {self._settings.learning_rate:g} or with precision float32"
            )
        self._optimizer.zero_grad()
        loss.backward()
        if self._settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.gradient_clip)
        rate = self._optimizer.param_groups[0]["lr"] = self.factor * learning_rate(step, self._settings)
        self._optimizer.step()
        with torch.no_grad():
            for weights, start in zip(self.network.parameters(), self._start, strict=False):  # none without an anchor
                weights.lerp_(start, rate * self._settings.anchor)
        self._average.n_averaged.fill_(step + 1)  # decided by the step alone, so that a resumed training need not know
        self._average.update_parameters(self.network)
        return value

    def _follow(self, means: Any, weights: Any, steps: Tensor | int) -> None:
        """Move the average towards the weights, faster in the first steps, when they change most."""
        decay = min(self._settings.ema_decay, int(steps) / (int(steps) + 9))
        get_ema_multi_avg_fn(decay)(means, weights, steps)

    @property
    def average(self) -> nn.Module:
        """The same network with exponentially averaged weights and buffers, in eval mode."""
        return self._average.module

    def predictor(self) -> nn.Module:
        """Return what predicts: the average, or what lies between it and the start, as far as `blend` says."""
        if self._settings.blend == 1:
            return self.average
        between = deepcopy(self.average)
        with torch.no_grad():
            for weights, start in zip(between.parameters(), self._start, strict=True):
                weights.lerp_(start, 1 - self._settings.blend)
        return between

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        slots = self._optimizer.state_dict()["state"]
        return {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"average.{name}": value for name, value in self.average.state_dict().items()},
            **{f"optimizer.{index}.{name}": value for index in slots for name, value in slots[index].items()},
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` returned.

        Raises
        ------
        InputError
            If it is from another network.
        """
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        slots: dict[int, dict[str, Tensor]] = {}
        try:
            for name, value in tensors.items():
                part, rest = name.split(".", 1)
                parts[part][rest] = value
            for name, value in parts["optimizer"].items():
                index, slot = name.split(".", 1)
                slots.setdefault(int(index), {})[slot] = value
            self.network.load_state_dict(parts["network"])
            self.average.load_state_dict(parts["average"])
            groups = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(f"the saved state of the training fits another network ({error}); train anew") from error
