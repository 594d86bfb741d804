"""Several processes that train one network, on several GPUs or machines; or, most of the time, just this one.

A launcher starts them: `torchrun --nproc-per-node 2 -m nanolab train ...` or `accelerate launch -m nanolab train ...`.
They share the folder of the training; only the first writes to it.
"""

import os
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from nanolab.core.checks import InputError
from nanolab.core.extras import optional
from nanolab.models.device import Device, choose_device

__all__ = ["Processes"]

T = TypeVar("T")


class Processes:
    """What a process knows of those it trains with.

    Attributes
    ----------
    size, rank
        How many there are, and which this is; the first is 0.
    device
        Where this one computes.

    Parameters
    ----------
    device
        Kind of device; with several GPUs each process takes its own.
    """

    def __init__(self, device: Device) -> None:
        self.size, self.rank, self._accelerator = 1, 0, None
        self.device = choose_device(device)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # set by torchrun and by accelerate launch
            with optional():
                from accelerate import Accelerator

            self._accelerator = Accelerator(cpu=self.device.type == "cpu", mixed_precision="no")
            self.size, self.rank = self._accelerator.num_processes, self._accelerator.process_index
            self.device = self._accelerator.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """Return which patches of a step this process takes.

        Raises
        ------
        InputError
            If the batch cannot be divided among the processes.
        """
        if batch_size % self.size:
            raise InputError(
                f"batch_size: must be a multiple of the {self.size} processes that share a batch, got {batch_size}"
            )
        each = batch_size // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return the network such that its gradients become the mean over all processes."""
        if self._accelerator is None:
            return network
        return self._accelerator.prepare_model(network)

    def mean(self, value: torch.Tensor) -> float:
        """Return the mean over all processes of a scalar."""
        if self._accelerator is None:
            return value.item()
        return float(self._accelerator.reduce(value.detach().clone(), "mean").item())

    def same(self, value: T) -> T:
        """Return what the first process has."""
        if self._accelerator is None:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def in_turn(self, do: Callable[[], T]) -> T:
        """Return what `do` gives, done first by the process that writes."""
        if self._accelerator is None:
            return do()
        with self._accelerator.main_process_first():
            return do()

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()
