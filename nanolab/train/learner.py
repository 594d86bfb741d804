"""A network while it learns: weights, their running average, optimiser, and all of it as tensors."""

import copy
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nanolab.checks import InputError
from nanolab.models import build
from nanolab.models.device import autocast
from nanolab.models.readouts import Readout
from nanolab.seeds import generator
from nanolab.train.settings import TrainingSettings

__all__ = ["Learner", "learning_rate"]

_STEP_KEY = 2  # keeps what torch draws apart from other draws of the same seed


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step, counted from 0."""
    if settings.schedule == "constant":
        return settings.learning_rate
    rise = settings.steps / 5 if settings.schedule == "one-cycle" else 0
    if step < rise:
        return settings.learning_rate * (step + 1) / (rise + 1)
    return settings.learning_rate * (1 + math.cos(math.pi * (step - rise) / (settings.steps - rise))) / 2


class Learner:
    """A network, the running average of its weights, and AdamW.

    Attributes
    ----------
    network
        What learns.
    average
        The same network with exponentially averaged weights and buffers, in eval mode: what predicts.

    Parameters
    ----------
    settings
        With `device` and `precision` resolved.
    readout
        Gives the loss.
    """

    def __init__(self, settings: TrainingSettings, readout: Readout) -> None:
        self._settings, self._readout = settings, readout
        self._device = torch.device(settings.device)
        torch.manual_seed(settings.seed)
        network = build(settings.network, readout.channels, **settings.network_options)
        # channels last: convolutions on CPUs are a tenth faster so
        self.network: nn.Module = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=settings.weight_decay)

    def step(self, step: int, images: npt.NDArray[np.float32], targets: npt.NDArray[np.float32]) -> float:
        """Learn from one batch and return its loss.

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
        torch.manual_seed(int(generator(self._settings.seed, _STEP_KEY, step).integers(2**63)))
        self.network.train()
        inputs = torch.from_numpy(images).to(self._device, memory_format=torch.channels_last)
        with autocast(self._device, self._settings.precision):
            logits = self.network(inputs)
        loss = self._readout.loss(logits.float(), torch.from_numpy(targets).to(self._device))
        value = loss.item()
        if not math.isfinite(value):
            raise InputError(
                f"step {step}: the loss became {value}; the epochs before it are kept. Train again with a lower "
                f"learning_rate than {self._settings.learning_rate:g} or with precision float32"
            )
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.gradient_clip)
        self._optimiser.param_groups[0]["lr"] = learning_rate(step, self._settings)
        self._optimiser.step()
        self._follow(step)
        return value

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average towards the weights, faster in the first steps, when they change most."""
        decay = min(self._settings.ema_decay, (1 + step) / (10 + step))
        for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on."""
        slots = self._optimiser.state_dict()["state"]
        return {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"average.{name}": value for name, value in self.average.state_dict().items()},
            **{f"optimiser.{index}.{name}": value for index in slots for name, value in slots[index].items()},
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` returned.

        Raises
        ------
        InputError
            If it is from another network.
        """
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimiser": {}}
        slots: dict[int, dict[str, Tensor]] = {}
        try:
            for name, value in tensors.items():
                part, rest = name.split(".", 1)
                parts[part][rest] = value
            for name, value in parts["optimiser"].items():
                index, slot = name.split(".", 1)
                slots.setdefault(int(index), {})[slot] = value
            self.network.load_state_dict(parts["network"])
            self.average.load_state_dict(parts["average"])
            groups = self._optimiser.state_dict()["param_groups"]
            self._optimiser.load_state_dict({"state": slots, "param_groups": groups})
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(f"the saved state of the training fits another network ({error}); train anew") from error
