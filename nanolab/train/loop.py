"""Training: epochs of steps, with everything on disk after each epoch."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from nanolab.checks import InputError, check_image
from nanolab.files import atomic, output_folder, write_json
from nanolab.models.device import choose_device, choose_precision
from nanolab.models.normalisation import normalise
from nanolab.models.readouts import make_readout
from nanolab.models.tiling import predict
from nanolab.samples import Sample
from nanolab.train.checkpoint import load_checkpoint, save_checkpoint
from nanolab.train.learner import Learner, learning_rate
from nanolab.train.patches import Patches, prefetch
from nanolab.train.run import TrainingRun
from nanolab.train.selection import score_epoch
from nanolab.train.settings import TrainingSettings

__all__ = ["train"]

_PACKAGES = ("nanolab", "torch", "monai", "numpy", "opencv-python")
_MACHINE = ("device", "precision", "threads")


def train(
    datasets: Sequence[Iterable[Sample]],
    folder: Path | str,
    settings: TrainingSettings,
    *,
    validation: Sample | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Train a network on annotated images.

    After every epoch weights, log and the prediction of the validation image are on disk (`nanolab.train.run` has the
    layout), so that an interruption loses at most the epoch under way. On a CPU, a training that was interrupted and
    resumed ends with exactly the weights of one that was not, on the same machine; on a GPU nearly so.

    Parameters
    ----------
    datasets
        Datasets or other sequences of annotated samples; a patch comes from any image with equal probability.
    folder
        Where the training is kept.
    settings
        What is trained, how long and how.
    validation
        An image whose prediction is kept after each epoch, and scored if it has a label map; nothing is learned of it.
    resume
        Continue the training in `folder`, if there is one, from its last finished epoch.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        If a sample cannot be used, the folder cannot be written, it holds a training that is not to be resumed or
        differs in data or settings, or the loss is no longer finite. Finished epochs stay.
    """
    folder = output_folder(folder)
    started = (folder / "run.json").exists()
    if started and not resume:
        raise InputError(f"{folder}: already holds a training; resume it, or choose another folder")
    settings = _resolved(settings, TrainingRun(folder).settings if started else None)
    readout = make_readout(settings.readout, **settings.readout_options)
    patches = Patches(chain.from_iterable(datasets), readout, settings)
    run = _claimed(folder, settings, patches, validation)
    with _reproducible(settings):
        learner = Learner(settings, readout)
        rows = _restored(run, learner)
        todo = range(len(rows) * settings.steps_per_epoch, settings.steps)
        bar = tqdm(total=settings.steps, initial=todo.start, unit="step", disable=not progress)
        with bar, closing(prefetch(patches.batch, todo)) as batches:
            for epoch in range(len(rows) + 1, settings.epochs + 1):
                start = time.perf_counter()
                row = _steps(epoch, learner, batches, settings, bar)
                row |= _kept(run, epoch, learner, validation)
                rows.append(row | {"seconds": round(time.perf_counter() - start, 3)})
                _finish(run, learner, rows)
    return run


def _resolved(settings: TrainingSettings, before: TrainingSettings | None) -> TrainingSettings:
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


def _claimed(folder: Path, settings: TrainingSettings, patches: Patches, validation: Sample | None) -> TrainingRun:
    """Write what the training is, or check that a resumed one still is that."""
    data = {"images": len(patches), "sha256": patches.fingerprint, "validation": validation and validation.name}
    if (folder / "run.json").exists():
        run = TrainingRun(folder)
        if run.record.get("data") != data:
            raise InputError(
                f"{folder}: a resumed training must keep its images; had {run.record.get('data')}, now {data}"
            )
        return run
    if validation is not None:
        check_image(validation.image, validation.name)
    versions = {package: version(package) for package in _PACKAGES}
    write_json(folder / "run.json", {"settings": settings.model_dump(mode="json"), "data": data, "versions": versions})
    return TrainingRun(folder)


@contextmanager
def _reproducible(settings: TrainingSettings) -> Iterator[None]:
    """Set torch up so that the same steps give the same weights, and leave it as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads or threads)
    try:
        with torch.random.fork_rng(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(threads)


def _restored(run: TrainingRun, learner: Learner) -> list[dict[str, Any]]:
    """Put the learner where the last finished epoch left it, and return the log of the epochs so far."""
    path = run.folder / "state.safetensors"
    if not path.exists():
        return []
    tensors, record = load_checkpoint(path)
    if not isinstance(record.get("log"), list):
        raise InputError(f"{path}: is not the state of a training; train anew in another folder")
    learner.restore(tensors)
    return list(record["log"])


def _steps(
    epoch: int, learner: Learner, batches: Iterator[Any], settings: TrainingSettings, bar: "tqdm[Any]"
) -> dict[str, Any]:
    """Take the steps of an epoch and return what the log says of them."""
    bar.set_description(f"epoch {epoch} of {settings.epochs}")
    first = (epoch - 1) * settings.steps_per_epoch
    losses = []
    for step in range(first, first + settings.steps_per_epoch):
        losses.append(learner.step(step, *next(batches)))
        bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        bar.update()
    return {"epoch": epoch, "loss": sum(losses) / len(losses), "learning_rate": learning_rate(step, settings)}


def _kept(run: TrainingRun, epoch: int, learner: Learner, validation: Sample | None) -> dict[str, float]:
    """Write weights and validation prediction of an epoch, and return its scores."""
    scores: dict[str, float] = {}
    if validation is not None:
        image = normalise(validation.image, validation.name)
        probabilities = predict(learner.average, run.readout, image, precision=run.settings.precision)
        run.keep_validation_prediction(epoch, probabilities)
        if validation.labels is not None:
            scores = score_epoch(run, epoch, validation.labels)
    record = {"epoch": epoch, "settings": run.settings.model_dump(mode="json"), "validation": scores}
    save_checkpoint(run.checkpoint(epoch), learner.average.state_dict(), record)
    return scores


def _finish(run: TrainingRun, learner: Learner, rows: list[dict[str, Any]]) -> None:
    """Write the log and, last of all, the state from which the next epoch starts."""
    with atomic(run.folder / "log.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    save_checkpoint(run.folder / "state.safetensors", learner.tensors(), {"log": rows})
