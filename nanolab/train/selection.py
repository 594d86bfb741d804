"""Choosing the epoch that segments best."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.checks import InputError, check_same_shape
from nanolab.files import write_json
from nanolab.metrics.instance import match
from nanolab.metrics.pixel import pixel_scores
from nanolab.models.readouts import MIN_AREA_PX, find_particles
from nanolab.train.run import TrainingRun

__all__ = ["best_epoch", "score_epoch", "score_epochs", "select"]


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
    found = find_particles(run.readout, probabilities, min_area_px)
    pixels = pixel_scores(truth, found)
    return {
        "dice": pixels.dice,
        "precision": pixels.precision,
        "recall": pixels.recall,
        "instance_f1_50": match(truth, found, 0.5).f1,
    }


def score_epochs(run: TrainingRun, truth: npt.NDArray[np.integer], *, min_area_px: int = MIN_AREA_PX) -> pd.DataFrame:
    """Score every epoch on the validation image: one row an epoch, columns epoch and those of `score_epoch`."""
    rows = [{"epoch": epoch, **score_epoch(run, epoch, truth, min_area_px=min_area_px)} for epoch in run.epochs]
    return pd.DataFrame(rows)


def best_epoch(scores: pd.DataFrame, by: str = "dice") -> int:
    """Return the epoch with the highest score, the first of equals.

    Raises
    ------
    InputError
        If there is no such column, or no epoch has that score.
    """
    if by not in scores or scores[by].isna().all():
        raise InputError(f"no epoch has a score {by!r}; choose one of {', '.join(scores.columns.drop('epoch'))}")
    return int(scores.loc[scores[by].idxmax(), "epoch"])


def select(run: TrainingRun, epochs: Sequence[int], how: str, scores: pd.DataFrame | None = None) -> None:
    """Write the choice to selection.json in the folder of the run; from then on it is `run.selected_epoch`.

    Parameters
    ----------
    epochs
        The chosen epochs, best first.
    how
        How they were chosen, in words: "highest Dice on image 1908248", "by eye".
    scores
        What the choice rests on, such as `score_epochs` returns.

    Raises
    ------
    InputError
        If no epoch is given, or one is not there.
    """
    there = run.epochs
    if not epochs or any(epoch not in there for epoch in epochs):
        raise InputError(f"{run.folder}: epochs must be some of {there}, got {list(epochs)}; choose among those")
    rows: list[dict[str, Any]] = [] if scores is None else scores.to_dict("records")
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    write_json(run.folder / "selection.json", {"epochs": [int(e) for e in epochs], "how": how, "scores": plain})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; NaN becomes null."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and math.isnan(number) else number
