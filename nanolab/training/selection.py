"""Scores of an epoch, and what is kept of the choice of epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from nanolab.core.checks import InputError, check_same_shape
from nanolab.core.files import read_record, write_json
from nanolab.metrics.instance import match
from nanolab.metrics.pixel import pixel_scores
from nanolab.models.readouts.base import MIN_AREA_PX, find_particles
from nanolab.training.run import TrainingRun

__all__ = ["BY_EYE", "Selection", "read_selection", "score_epoch", "score_particles", "select", "unselect"]


#: How a person chooses; an analytical choice says by what score and on which image.
BY_EYE = "by eye"


def score_epoch(
    run: TrainingRun, epoch: int, truth: npt.NDArray[np.integer], *, min_area_px: int = MIN_AREA_PX
) -> dict[str, float]:
    """Score what an epoch segments in the validation image, post-processing included.

    Parameters
    ----------
    truth
        Label map of the validation image, shape (height, width).
    min_area_px
        Smaller particles are dropped from the prediction.

    Returns
    -------
    scores
        dice (which is F1 over pixels), precision and recall of the particle area, and instance_f1_50, the F1 over
        particles at an IoU of 0.5. NaN where undefined.
    """
    probabilities = run.validation_prediction(epoch)
    check_same_shape(truth, probabilities[0], f"truth and validation image of {run.folder}")
    return score_particles(truth, find_particles(run.readout, probabilities, min_area_px))


def score_particles(truth: npt.NDArray[np.integer], found: npt.NDArray[np.integer]) -> dict[str, float]:
    """Return the scores of `score_epoch` for a label map that was found; both of shape (height, width)."""
    pixels = pixel_scores(truth, found)
    return {
        "dice": pixels.dice,
        "precision": pixels.precision,
        "recall": pixels.recall,
        "instance_f1_50": match(truth, found, 0.5).f1,
    }


@dataclass(frozen=True)
class Selection:
    """What was chosen.

    Attributes
    ----------
    epochs
        The chosen epochs, best first; none where a person only noted something.
    how
        How they were chosen, in words.
    scores
        What the choice rests on, one row per epoch.
    notes
        What a person noted, by epoch.
    """

    epochs: list[int]
    how: str
    scores: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)


def read_selection(run: TrainingRun) -> Selection | None:
    """Return the choice that `select` wrote, or None where there is none.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = run.folder / "selection.json"
    if not path.exists():
        return None
    try:
        return Selection(**read_record(path))
    except ValidationError as error:
        raise InputError(f"{path}: damaged ({error}); delete it and select again") from error


def select(
    run: TrainingRun,
    epochs: Sequence[int],
    how: str,
    scores: pd.DataFrame | None = None,
    *,
    notes: Mapping[int, str] | None = None,
) -> Selection:
    """Write the choice to selection.json in the folder of the run and return it; its first is `run.selected_epoch`.

    Parameters
    ----------
    epochs
        The chosen epochs, best first.
    how
        How they were chosen, in words: "highest Dice on image 1908248", `BY_EYE`.
    scores
        What the choice rests on, such as `score_epochs` returns; those of the choice before if not given.
    notes
        What a person noted, by epoch; the notes of the choice before if not given.

    Raises
    ------
    InputError
        If no epoch is given, one twice, or one is not there.
    """
    there = run.epochs
    if not epochs or any(epoch not in there for epoch in epochs) or len(set(epochs)) < len(epochs):
        raise InputError(f"{run.folder}: epochs must be some of {there}, got {list(epochs)}; choose among those")
    return _write(run, epochs, how, scores, notes)


def unselect(run: TrainingRun, *, notes: Mapping[int, str] | None = None) -> None:
    """Take a choice back, so that `run.selected_epoch` is the last again; scores and notes stay (see `select`)."""
    _write(run, [], BY_EYE, None, notes)


def _write(
    run: TrainingRun, epochs: Sequence[int], how: str, scores: pd.DataFrame | None, notes: Mapping[int, str] | None
) -> Selection:
    before = read_selection(run) or Selection([], how)
    # JSON has no NaN
    rows = before.scores if scores is None else scores.astype(object).where(scores.notna(), None).to_dict("records")
    kept = {epoch: note for epoch, note in (before.notes if notes is None else notes).items() if note}
    selection = Selection([int(epoch) for epoch in epochs], how, rows, kept)
    write_json(run.folder / "selection.json", asdict(selection))
    return selection
