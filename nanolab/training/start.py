"""Before the first step: settle what is left to the machine, and claim the folder or find that it may be resumed."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nanolab.core.checks import InputError
from nanolab.core.files import write_json
from nanolab.models.checkpoint import load_checkpoint
from nanolab.models.device import choose_device, choose_precision
from nanolab.training.keep import Keep, check_room
from nanolab.training.learner import Learner
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings
from nanolab.training.validation import ValidationImage

__all__ = ["claim_folder", "disk_need", "reproducible", "resolve_settings", "restore_state"]

_PACKAGES = ("nanolab", "torch", "monai", "numpy", "opencv-python")
_MACHINE = ("device", "precision", "threads")


def resolve_settings(settings: TrainingSettings, before: TrainingSettings | None) -> TrainingSettings:
    """Settle what is left to the machine: as it was when the training started, or as it is best here."""
    if before is not None:
        left_open = {key: getattr(before, key) for key in _MACHINE if getattr(settings, key) in ("auto", None)}
        settings = settings.model_copy(update=left_open)
        given, had = settings.model_dump(mode="json"), before.model_dump(mode="json")
        if changed := [f"{key} {had[key]!r}, now {given[key]!r}" for key in had if had[key] != given[key]]:
            raise InputError(f"a resumed training must keep its settings; it had {'; '.join(changed)}")
        return settings
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    threads = settings.threads or torch.get_num_threads()
    return settings.model_copy(update={"device": device.type, "precision": precision, "threads": threads})


def claim_folder(folder: Path, settings: TrainingSettings, data: dict[str, Any], *, writes: bool) -> TrainingRun:
    """Write what the training is, or check that a resumed one still is that.

    Parameters
    ----------
    data
        What it learns of.
    writes
        Whether it is this process that writes.
    """
    if (folder / "run.json").exists():
        run = TrainingRun(folder)
        if run.record.get("data") != data:
            raise InputError(
                f"{folder}: a resumed training must keep its images; had {run.record.get('data')}, now {data}"
            )
    elif writes:
        versions = {package: version(package) for package in _PACKAGES}
        record = {"settings": settings.model_dump(mode="json"), "data": data, "versions": versions}
        write_json(folder / "run.json", record)
    return TrainingRun(folder)


def disk_need(
    folder: Path, settings: TrainingSettings, learner: Learner, planes: int, watched: ValidationImage | None
) -> int:
    """Return roughly how many bytes the training will take on the disk, after checking that they are free.

    Raises
    ------
    InputError
        If they are not, or epochs are to be kept by a score that there will not be.
    """
    keep = Keep.parse(settings.keep)
    if keep.by not in ("", "loss") and not (watched and watched.annotated):
        raise InputError(f"keep: {settings.keep!r} needs an annotated validation image; give one, or keep by loss")
    weights = sum(each.numel() * each.element_size() for each in learner.network.state_dict().values())
    state = weights * (3 if settings.optimizer == "sgd" else 4)  # network, average, and the optimizer's moments
    validation = 0 if watched is None else watched.image.size * planes
    return check_room(folder, weights=weights, state=state, validation=validation, epochs=settings.epochs, keep=keep)


@contextmanager
def reproducible(settings: TrainingSettings) -> Iterator[None]:
    """Set torch up so that the same steps give the same weights, and leave it as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads or threads)
    try:
        with torch.random.fork_rng(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(threads)


def restore_state(run: TrainingRun, learner: Learner) -> list[dict[str, Any]]:
    """Put the learner where the last finished epoch left it, and return the log of the epochs so far."""
    path = run.folder / "state.safetensors"
    if not path.exists():
        return []
    tensors, record = load_checkpoint(path)
    rows = record.get("log")
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and row.get("epoch") == epoch and "loss" in row for epoch, row in enumerate(rows, 1)
    ):
        raise InputError(f"{path}: is not the state of a training; train anew in another folder")
    learner.restore(tensors)
    return rows
