"""Training: epochs of steps, with everything on disk after each epoch."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import atomic, locked, output_folder, sha256
from nanolab.core.processes import worker_count, worker_pool
from nanolab.core.words import seconds_words
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.epochs import checkpoint_of
from nanolab.models.readouts.base import make_readout
from nanolab.training.keep import SCORES, Keep, in_words
from nanolab.training.learner import Learner, learning_rate, new_network, plateau_factor
from nanolab.training.memory import check_memory, memory_explained, step_seconds
from nanolab.training.patches import Patches, prefetch
from nanolab.training.processes import Processes
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source, draw_sources, source_records, weights
from nanolab.training.start import claim_folder, disk_need, reproducible, resolve_settings, restore_state
from nanolab.training.tensorboard import TensorBoardLog
from nanolab.training.validation import ValidationImage

__all__ = ["train"]


def train(
    datasets: Sequence[Iterable[AnnotatedImage] | Source],
    folder: Path | str,
    settings: TrainingSettings,
    *,
    validation: AnnotatedImage | None = None,
    resume: bool = False,
    progress: bool = True,
    tensorboard: bool = True,
    workers: int | None = None,
) -> TrainingRun:
    """Train a network on annotated images.

    After every epoch weights, log and the prediction of the validation image are on disk (`nanolab.training.run` has
    the layout), so that an interruption loses at most the epoch under way. On a CPU, a training that was interrupted
    and resumed ends with exactly the weights of one that was not, on the same machine; on a GPU nearly so.

    Started by `torchrun` or `accelerate launch`, several processes share every batch. All of them end with the same
    weights: those of one process but for rounding, where the loss is a mean over patches (`bce`) and the network has
    neither batch normalisation nor dropout; else each process normalises its own part of the batch.

    Parameters
    ----------
    datasets
        Datasets or other sequences of annotated samples, or `Source` to say how many images of it are taken and how
        often they are shown; otherwise a patch comes from any image with equal probability.
    folder
        Where the training is kept.
    settings
        What is trained, how long and how.
    validation
        An image whose prediction is kept after each epoch, and scored if it has a label map; nothing is learned of it.
    resume
        Continue the training in `folder`, if there is one, from its last finished epoch.
    progress
        Say about how long it will take and how much room on the disk, and show a progress bar.
    tensorboard
        Write what TensorBoard shows.
    workers
        Threads that make patches, and processes next to them where the read-out's targets keep Python's lock; patches
        do not depend on it. One for a CPU, up to eight for a GPU if None.

    Raises
    ------
    InputError
        If a sample cannot be used, the folder cannot be written, is removed meanwhile, is one in which another process
        trains, or holds a training that is not to be resumed or differs in data or settings, memory or disk are too
        small, a script trains with the read-out StarDist outside `if __name__ == "__main__":`, or the loss is no longer
        finite. Finished epochs stay.

    Examples
    --------
    >>> from nanolab.datasets.dataset import Dataset
    >>> run = train([Dataset("data/synthetic/spheres")], "training", TrainingSettings(epochs=4))  # doctest: +SKIP
    >>> run.selected_epoch  # doctest: +SKIP
    4
    """
    taken = {}
    if settings.start_from is not None:
        taken["started_from"] = sha256(check_file(checkpoint_of(settings.start_from), "checkpoint"))
        new_network(settings, make_readout(settings.readout, **settings.readout_options))  # or say now that it cannot
    folder = output_folder(folder)
    started = (folder / "run.json").exists()
    if started and not resume:
        raise InputError(f"{folder}: already holds a training; resume it, or choose another folder")
    settings = resolve_settings(settings, TrainingRun(folder).settings if started else None)
    processes = Processes(settings.device)
    workers = _threads(processes) if workers is None else worker_count(workers)
    part = processes.share(settings.batch_size)
    readout = make_readout(settings.readout, **settings.readout_options)
    sources = [each if isinstance(each, Source) else Source(each) for each in datasets]
    chosen = draw_sources(sources, settings.seed)
    odds = weights(sources, chosen)
    patches = Patches(chain.from_iterable(chosen), readout, settings, weights=odds)
    watched = None if validation is None else ValidationImage(validation, settings)
    data = {
        "images": len(patches),
        "sha256": patches.fingerprint,
        "validation": validation and validation.name,
        "sources": source_records(sources, chosen),
        **taken,
    }
    with reproducible(settings), memory_explained(settings), ExitStack() as stack:
        learner = Learner(settings, readout, processes)
        need = disk_need(folder, settings, learner, len(readout.kept), watched)
        check_memory(learner.network, settings, len(part))
        if processes.first:
            stack.enter_context(locked(folder, "trains"))
        processes.wait()  # until all have looked whether there is a training
        run = processes.in_turn(lambda: claim_folder(folder, settings, data, writes=processes.first))
        rows = restore_state(run, learner)
        progress = progress and processes.first
        if progress and not rows:
            _tell(folder, settings, step_seconds(learner.network, settings, len(part)), need)
        todo = range(len(rows) * settings.steps_per_epoch, settings.steps)
        bar = stack.enter_context(tqdm(total=settings.steps, initial=todo.start, unit="step", disable=not progress))
        pool = stack.enter_context(worker_pool(workers)) if readout.holds_lock and todo else None
        made = prefetch(lambda step: patches.batch(step, part, pool=pool), todo, workers=workers)
        batches = stack.enter_context(closing(made))
        board = (
            stack.enter_context(TensorBoardLog(folder, todo.start))
            if tensorboard and processes.first and todo
            else None
        )
        for epoch in range(len(rows) + 1, settings.epochs + 1):
            start = time.perf_counter()
            if settings.schedule == "plateau":
                learner.factor = plateau_factor([row.get("validation_loss", row["loss"]) for row in rows])
            row, losses = _steps(epoch, learner, batches, settings, bar)
            if processes.first:
                row |= {} if watched is None else watched.judge(run, epoch, learner.predictor())
                row |= {"seconds": round(time.perf_counter() - start, 3)}
                _finish(run, learner, [*rows, row])
                if board is not None:
                    picture = None if watched is None else (watched.image, watched.foreground)
                    board.epoch(row, losses, epoch * settings.steps_per_epoch - 1, picture)
            rows.append(processes.same(row))
    return run


def _tell(folder: Path, settings: TrainingSettings, step_s: float, disk: int) -> None:
    """Say what the training will take."""
    duration = seconds_words(settings.steps * step_s)
    tqdm.write(
        f"{folder}: the training will take roughly {duration} for {settings.steps:,} steps, and up to about "
        f"{in_words(disk)} on the disk",
        file=sys.stderr,
    )


def _threads(processes: Processes) -> int:
    return 1 if processes.device.type == "cpu" else max(1, min(8, (os.cpu_count() or 2) - 1))


def _steps(
    epoch: int, learner: Learner, batches: Iterator[Any], settings: TrainingSettings, bar: "tqdm[Any]"
) -> tuple[dict[str, Any], list[float]]:
    """Take the steps of an epoch, and return what the log says of them and the loss of each."""
    bar.set_description(f"epoch {epoch} of {settings.epochs}")
    first = (epoch - 1) * settings.steps_per_epoch
    losses = []
    for step in range(first, first + settings.steps_per_epoch):
        losses.append(learner.step(step, *next(batches)))
        bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        bar.update()
    rate = learner.factor * learning_rate(step, settings)
    return {"epoch": epoch, "loss": sum(losses) / len(losses), "learning_rate": rate}, losses


def _finish(run: TrainingRun, learner: Learner, rows: list[dict[str, Any]]) -> None:
    """Write the weights, if they are to be kept, the log, and last the state from which the next epoch starts.

    Only then are weights deleted that are not to be kept any more.
    """
    epoch = rows[-1]["epoch"]
    if not (run.folder / "run.json").exists():
        raise InputError(
            f"{run.folder}: was removed while the training wrote to it; train again, in a folder that stays"
        )
    kept = Keep.parse(run.settings.keep).epochs(rows, run.settings.epochs)
    if epoch in kept:
        scores = {name: rows[-1][name] for name in SCORES if name != "loss" and name in rows[-1]}
        record = {"epoch": epoch, "settings": run.settings.model_dump(mode="json"), "validation": scores}
        save_checkpoint(run.checkpoint(epoch), learner.predictor().state_dict(), record)
    with atomic(run.folder / "log.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    save_checkpoint(run.folder / "state.safetensors", learner.tensors(), {"log": rows})
    for other in run.epochs:
        if other not in kept:
            run.checkpoint(other).unlink()
