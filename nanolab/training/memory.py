"""What a training takes, said before it starts; too little memory, in words when it happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

from nanolab.core.checks import InputError
from nanolab.training.keep import in_words
from nanolab.training.settings import TrainingSettings

__all__ = ["check_memory", "memory_explained", "needed_bytes", "step_seconds"]

_PROBE_PX = 128
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_cpu")


def needed_bytes(network: nn.Module, settings: TrainingSettings, batch_size: int) -> int:
    """Return roughly how much memory a step takes: what the backward pass looks at, and four times the weights.

    It is measured on a small patch and grows with the area; attention over all pairs of pixels needs more than that.
    """
    own = {parameter.data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = list(network.parameters())
    device, was_training = weights[0].device, network.training
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = network.eval()(torch.zeros(1, 1, _PROBE_PX, _PROBE_PX, device=device))
    network.train(was_training)
    del output
    share = 0.6 if settings.precision == "bfloat16" else 1.0  # not all layers compute in half the bytes
    scale = share * _probes(settings, batch_size)
    return round(sum(kept.values()) * scale) + 4 * sum(each.numel() * each.element_size() for each in weights)


def _probes(settings: TrainingSettings, batch_size: int) -> float:
    return batch_size * (settings.patch_px / _PROBE_PX) ** 2


def step_seconds(network: nn.Module, settings: TrainingSettings, batch_size: int) -> float:
    """Return roughly how long a step takes, from one look at a small patch: the way back takes twice as long.

    On a GPU, which many patches at once fill better, it takes less.
    """
    probe = torch.zeros(1, 1, _PROBE_PX, _PROBE_PX, device=next(network.parameters()).device)
    was_training = network.training
    with torch.inference_mode():
        network.eval()(probe)  # the first look makes ready
        began = perf_counter()
        float(network(probe).sum())  # which waits for a GPU
    network.train(was_training)
    return 3 * (perf_counter() - began) * _probes(settings, batch_size)


def check_memory(network: nn.Module, settings: TrainingSettings, batch_size: int) -> None:
    """Check that a step of so many patches fits into the memory that is free.

    Raises
    ------
    InputError
        If it does not.
    """
    need = needed_bytes(network, settings, batch_size)
    device = next(network.parameters()).device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if need > free:
        raise InputError(
            f"a step needs about {in_words(need)} of memory and {in_words(free)} are free; lower batch_size "
            f"({settings.batch_size}) or patch_px ({settings.patch_px})"
        )


@contextmanager
def memory_explained(settings: TrainingSettings) -> Iterator[None]:
    """Turn what Python and torch say when memory runs out into what to do about it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's own OutOfMemoryError is a RuntimeError
        if not isinstance(error, MemoryError) and not any(sign in str(error).lower() for sign in _SIGNS):
            raise
        raise InputError(
            "the memory ran out; finished epochs are kept. Train again, in another folder, with a lower batch_size "
            f"than {settings.batch_size} or a lower patch_px than {settings.patch_px}"
        ) from error
