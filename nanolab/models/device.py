"""Where a network runs, and in which precision."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import torch

from nanolab.core.checks import InputError

__all__ = ["Device", "Precision", "autocast", "choose_device", "choose_precision"]

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16"]


def choose_device(device: Device) -> torch.device:
    """Return the device asked for; `auto` is a GPU where there is one.

    Raises
    ------
    InputError
        If the device asked for is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, available in there.items() if available))
    if not there[device]:
        raise InputError(f"device: {device} is not available to torch {torch.__version__}; use device auto or cpu")
    return torch.device(device)


def choose_precision(precision: Precision, device: torch.device) -> Precision:
    """Resolve `auto`: bfloat16 where the processor multiplies matrices of it, float32 elsewhere.

    A CPU does so with AMX (a training step takes a third of the time); without it, bfloat16 is slower than float32
    even where AVX-512 knows the format.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and _cpu_has_amx() else "float32"


def _cpu_has_amx() -> bool:
    processor = Path("/proc/cpuinfo")  # Linux; elsewhere float32 is always right, if not always fastest
    return processor.exists() and " amx_bf16" in processor.read_text(encoding="utf-8")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Return the context in which a network runs forwards in a resolved `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
