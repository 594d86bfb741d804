"""As many trainings as there are images, each without one of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from nanolab.core.checks import InputError
from nanolab.core.files import output_folder
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.training.keep import SCORES, Keep, best_first
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.selection import select
from nanolab.training.settings import TrainingSettings

__all__ = ["leave_one_out", "select_best"]


def leave_one_out(
    samples: Sequence[AnnotatedImage],
    folder: Path | str,
    settings: TrainingSettings,
    *,
    by: str = "validation_loss",
    validate_on: Literal["next", "left out"] = "next",
    resume: bool = True,
    progress: bool = True,
) -> list[TrainingRun]:
    """Train once for each image, without it, and select each training's best epoch.

    Parameters
    ----------
    samples
        Annotated images, at least 3.
    folder
        The training without image number k is kept in its folder `<k>`, two digits or more.
    settings
        Of all trainings; those of the preset `mill2021_real` are the paper's. A `keep` by which the best epoch may lose
        its weights is replaced by `best 1 by <by>`.
    by
        The score, one of `nanolab.training.keep.SCORES`, by which the best epoch is selected.
    validate_on
        The image that this score is of. `next`: the one after the image left out, which is then not trained on either,
        so that the one left out decides nothing and an honest test remains; `left out`: that one itself, which
        flatters.
        Mill et al. do not say which they took.
    resume
        Continue where there are trainings; finished ones stay as they are.
    progress
        Show a progress bar for each.

    Returns
    -------
    runs
        One for each image, in their order.

    Raises
    ------
    InputError
        If there are too few images, there is no such score, or as `train` says.

    References
    ----------
    Mill et al. 2021, 10.1002/smtd.202100223.
    """
    if len(samples) < 3:
        raise InputError(f"leaving one out: at least 3 annotated images are needed, got {len(samples)}")
    if by not in SCORES or validate_on not in ("next", "left out"):
        raise InputError(
            f"leaving one out: by must be one of {', '.join(SCORES)} and validate_on 'next' or 'left out', "
            f"got {by!r} and {validate_on!r}"
        )
    folder = output_folder(folder)
    settings = settings.model_copy(update={"keep": Keep.holding_best(settings.keep, by)})
    runs = []
    for index in range(len(samples)):
        at = (index + (validate_on == "next")) % len(samples)
        rest = [samples[other] for other in range(len(samples)) if other not in (index, at)]
        place = folder / f"{index:02d}"
        run = train([rest], place, settings, validation=samples[at], resume=resume, progress=progress)
        runs.append(select_best(run, by, samples[at].name))
    return runs


def select_best(run: TrainingRun, by: str, image: str) -> TrainingRun:
    """Select the epoch with the best score `by` of the log, among those that have weights, and return the run.

    Parameters
    ----------
    by
        One of `nanolab.training.keep.SCORES`.
    image
        The validation image, for the record.
    """
    log = run.log()
    there = log[log["epoch"].isin(run.epochs)]
    best = best_first(there.to_dict("records"), by)[0]
    select(run, [best], f"{'highest' if SCORES[by] else 'lowest'} {by} on {image}", log)
    return run
