"""Choosing epochs by their scores."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError
from nanolab.models.readouts.base import MIN_AREA_PX
from nanolab.training.run import TrainingRun
from nanolab.training.selection import Selection, read_selection, score_epoch, score_particles, select

__all__ = ["MOST_PICKS", "best_epoch", "best_epochs", "choose_epochs", "score_epochs", "score_found"]


#: How many epochs are picked, as in the study of Mill et al., 10.1002/smtd.202100223.
MOST_PICKS = 5


def score_epochs(run: TrainingRun, truth: npt.NDArray[np.integer], *, min_area_px: int = MIN_AREA_PX) -> pd.DataFrame:
    """Score every epoch on the validation image: one row per epoch, columns epoch and those of `score_epoch`."""
    rows = [{"epoch": epoch, **score_epoch(run, epoch, truth, min_area_px=min_area_px)} for epoch in run.epochs]
    return pd.DataFrame(rows)


def score_found(found: Mapping[int, npt.NDArray[np.integer]], truth: npt.NDArray[np.integer]) -> pd.DataFrame:
    """Return what `score_epochs` does, of label maps by epoch."""
    return pd.DataFrame([{"epoch": epoch, **score_particles(truth, labels)} for epoch, labels in found.items()])


def best_epoch(scores: pd.DataFrame, by: str = "dice") -> int:
    """Return the epoch with the highest score, the first of equals; see `best_epochs`."""
    return best_epochs(scores, by, 1)[0]


def best_epochs(scores: pd.DataFrame, by: str = "dice", count: int = MOST_PICKS) -> list[int]:
    """Return the `count` epochs with the highest scores, best first, of equals the earlier one.

    Fewer are returned where fewer have that score.

    Raises
    ------
    InputError
        If there is no such column, or no epoch has that score.
    """
    if by not in scores or scores[by].isna().all():
        raise InputError(f"no epoch has a score {by!r}; choose one of {', '.join(scores.columns.drop('epoch'))}")
    ranked = scores.dropna(subset=[by]).sort_values(by, ascending=False, kind="stable")
    return [int(epoch) for epoch in ranked["epoch"].head(count)]


def choose_epochs(
    run: TrainingRun, table: pd.DataFrame, image: str, *, epochs: Sequence[int] = (), by: str = ""
) -> Selection:
    """Choose without anybody looking, write selection.json, and return what is in it.

    Given epochs come first, then the best by a given score. With neither, a choice that is there stays; otherwise the
    five of the highest Dice are chosen, or where nothing is annotated, of the highest agreement. Epochs whose weights
    were not kept are passed over.

    Parameters
    ----------
    table
        One row per epoch, such as `score_epochs` or `nanolab.selection.agreement.judge_epochs` return, or both merged.
    image
        Name of the image that the table is about.
    epochs
        Epochs to choose, best first.
    by
        The column whose highest values choose.

    Raises
    ------
    InputError
        If an epoch or a column is not there.
    """
    before = read_selection(run)
    if epochs:
        return select(run, epochs, "given", table)
    if not by and before is not None and before.epochs:
        return before
    by = by or ("dice" if "dice" in table else "agreement")
    there = table[table["epoch"].isin(run.epochs)]
    return select(run, best_epochs(there, by), f"highest {by} on {image}", table)
