"""How far from the best epoch each way of choosing lands: the test of the ways themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.selection.agreement import judge_epochs
from nanolab.selection.choosing import best_epoch
from nanolab.selection.predictions import predictions_of
from nanolab.training.run import TrainingRun
from nanolab.training.selection import score_particles

__all__ = ["epochs_on_images", "shortfalls"]

_LAST, _RANDOM = "last epoch", "any epoch"


def epochs_on_images(
    run: TrainingRun,
    samples: Sequence[AnnotatedImage],
    *,
    mirrors: bool = False,
    diameter_px: tuple[float, float] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Score and judge every epoch on annotated images.

    Parameters
    ----------
    mirrors
        Also judge the agreement with mirror images; it takes four times as long.
    diameter_px
        Plausible diameters, see `nanolab.selection.agreement.judge_epochs`.

    Returns
    -------
    table
        One row per image and epoch: image, epoch, the scores of `nanolab.training.selection.score_epoch`, and the
        columns of `nanolab.selection.agreement.judge_epochs`.

    Raises
    ------
    InputError
        If an image has no annotation, or two share a name.
    """
    truths = {sample.name: sample.labels for sample in samples if sample.labels is not None}
    if bare := [sample.name for sample in samples if sample.name not in truths]:
        raise InputError(f"{', '.join(bare)}: must be annotated to test an epoch on; leave it out")
    if len({sample.name for sample in samples}) < len(samples):
        raise InputError("images to test epochs on must have names of their own; rename one of a pair")
    found = predictions_of(run, samples, mirrors=mirrors, progress=progress)
    bar = tqdm(truths.items(), desc="score", unit="image", disable=not progress)
    tables = [_scored(truth, found[name], mirrors, diameter_px).assign(image=name) for name, truth in bar]
    return pd.concat(tables, ignore_index=True)


def _scored(
    truth: LabelMap, found: Mapping[int, Sequence[LabelMap]], mirrors: bool, diameter_px: tuple[float, float] | None
) -> pd.DataFrame:
    judged = judge_epochs(
        {epoch: maps[0] for epoch, maps in found.items()},
        mirrored={epoch: maps[1:] for epoch, maps in found.items()} if mirrors else None,
        diameter_px=diameter_px,
    )
    scores = pd.DataFrame([{"epoch": e, **score_particles(truth, maps[0])} for e, maps in found.items()])
    return scores.merge(judged, on="epoch")


def shortfalls(table: pd.DataFrame, *, by: str = "dice", ways: Sequence[str] | None = None) -> pd.DataFrame:
    """Let every way choose an epoch on one image, and see how it does on all the others; each image has its turn.

    Parameters
    ----------
    table
        As `epochs_on_images` returns it, of at least two images.
    by
        The score that counts on the other images, averaged over them.
    ways
        Columns whose highest value chooses; by default every score and judgement in the table.

    Returns
    -------
    shortfalls
        One row per way and choosing image: way, chosen_on, epoch, score (`by` on the other images), best (that of the
        epoch that is best there) and shortfall, best less score. Besides the ways, "last epoch" takes the last, and
        "any epoch" has the mean over all epochs and no epoch.

    Raises
    ------
    InputError
        If the table has one image only or no such column.
    """
    images = list(table["image"].unique())
    if len(images) < 2:
        raise InputError(f"needs epochs on at least 2 images, one to choose and one to test, got {images}")
    chosen_by = (
        [c for c in table.columns if c not in ("epoch", "image", "precision", "recall")] if ways is None else ways
    )
    if missing := [column for column in (by, *chosen_by) if column not in table]:
        raise InputError(f"no column {', '.join(missing)}; choose among {', '.join(table.columns)}")
    rows: list[dict[str, Any]] = []
    for image in images:
        here = table[table["image"] == image]
        elsewhere = table[table["image"] != image].fillna({by: 0.0}).groupby("epoch")[by].mean()
        picks = {way: best_epoch(here, way) for way in chosen_by if here[way].notna().any()}
        picks[_LAST] = int(elsewhere.index.max())
        landed = {way: (epoch, float(elsewhere[epoch])) for way, epoch in picks.items()}
        landed |= {_RANDOM: (np.nan, float(elsewhere.mean()))}  # type: ignore[dict-item]
        best = float(elsewhere.max())
        rows += [
            {"way": way, "chosen_on": image, "epoch": epoch, "score": score, "best": best, "shortfall": best - score}
            for way, (epoch, score) in landed.items()
        ]
    return pd.DataFrame(rows)
