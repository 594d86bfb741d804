"""Figures on the choice of epochs: the study of Mill et al. (figure 3), and how far each way of choosing lands."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nanolab.core.checks import InputError
from nanolab.core.typing import AnyImage, AnyLabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.images import plot_images
from nanolab.figures.panels import LINES, draw_micrograph, key, make_panels, styled
from nanolab.selection.agreement import JUDGEMENTS
from nanolab.selection.study import Answer, by_participant

__all__ = ["plot_choices", "plot_epochs", "plot_judgements", "plot_shortfalls", "plot_study", "plot_training"]

_ROLES = {"non-expert": "o", "expert": "s", "analytical": "D"}
_LABELS = {"dice": "F1 over pixels (Dice)", "instance_f1_50": "F1 over particles at IoU 0.5"}

_NAMES = {
    "dice": "annotated: F1 over pixels",
    "instance_f1_50": "annotated: F1 over particles",
    "neighbours": "agreement with neighbouring epochs",
    "consensus": "agreement with all epochs",
    "mirrors": "agreement with mirror images",
    "shape": "plausible shape",
    "size": "plausible size",
    "agreement": "mean rank, without annotation",
}

_LINEAR = 1e-3  # smaller shortfalls, which nobody could see, lie on a linear scale


@styled
def plot_study(studies: Mapping[str, tuple[Sequence[Answer], pd.DataFrame]], *, by: str = "dice") -> Figure:
    """Draw figure 3 of Mill et al.: a, which epochs each participant picked; b, the mean and SD of their scores.

    Next to the participants stands the choice of the five epochs of the highest score.

    Parameters
    ----------
    studies
        By sample (two in the paper, each with a training of its own) the answers, and the scores of all epochs as
        `nanolab.selection.choosing.score_epochs` returns them.
    by
        The score.

    Raises
    ------
    InputError
        If nobody has picked anything of a sample yet.
    """
    for sample, (answers, _) in studies.items():
        if not answers:
            raise InputError(f"the study of {sample} has no answers with picks yet; let somebody pick epochs first")
    figure, (picked, scored) = make_panels(1, 2, aspect=0.75, panel_in=4.2)
    tables = {sample: by_participant(answers, scores, by) for sample, (answers, scores) in studies.items()}
    every = pd.concat(tables.values()).drop_duplicates("participant")
    order = every.sort_values(by="role", key=lambda role: role.map(list(_ROLES).index), kind="stable")
    place = {participant: at for at, participant in enumerate(order["participant"])}
    for number, (colour, table) in enumerate(zip(LINES, tables.values(), strict=False)):
        beside = 0.12 * (number - (len(tables) - 1) / 2)
        for row in table.itertuples(index=False):
            at, marker = place[row.participant] + beside, _ROLES[row.role]
            picked.plot([at] * len(row.epochs), row.epochs, marker, color=colour, markersize=6, alpha=0.8)
            scored.errorbar(at, row.mean, row.sd, fmt=marker, color=colour, capsize=4)
    last = max(int(scores["epoch"].max()) for _, scores in studies.values())
    picked.set(ylabel="picked epoch", ylim=(0, last + 1), title="a  picks")
    picked.yaxis.set_major_locator(MaxNLocator(integer=True))
    scored.set(ylabel=_LABELS.get(by, by), title="b  mean and SD of the picks")
    for axes in (picked, scored):
        axes.set_xticks(range(len(place)), list(place), rotation=30 if len(place) > 6 else 0)
        axes.margins(x=0.08)
        axes.grid(axis="y", alpha=0.3)
    roles = [role for role in _ROLES if role in set(order["role"])]
    handles = [key(color="black", marker=_ROLES[role], label=role) for role in roles]
    handles += [key(color=colour, marker="o", label=sample) for colour, sample in zip(LINES, studies, strict=False)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


@styled
def plot_choices(samples: Sequence[AnnotatedImage], found: Mapping[str, Sequence[AnyLabelMap]]) -> Figure:
    """Draw figure 3c of Mill et al.: a row for each sample with validation image, what chosen epochs find, the manual.

    An arrow marks what is found as a particle and not annotated, less than half of its pixels.

    Parameters
    ----------
    samples
        The validation images, annotated.
    found
        By how the epoch was chosen ("by F1", "an expert's"), a label map for each sample.
    """
    if not samples or not all(len(maps) == len(samples) for maps in found.values()):
        raise InputError(f"choices: need a label map for each of {len(samples)} images, and at least one image")
    figure, panels = make_panels(len(samples), 2 + len(found), aspect=1)
    for row, sample in enumerate(samples):
        if sample.labels is None:
            raise InputError(f"{sample.path}: must be annotated to show what is found and not annotated")
        ours = panels[row * (2 + len(found)) : (row + 1) * (2 + len(found))]
        shown = [(sample.name, None), *((how, maps[row]) for how, maps in found.items()), ("manual", sample.labels)]
        for axes, (title, labels) in zip(ours, shown, strict=True):
            draw_micrograph(axes, sample.image, labels, sample.pixel_size.nm, title)
            if labels is not None and labels is not sample.labels:
                _mark_unannotated(axes, labels, sample.labels)
    return figure


def _mark_unannotated(axes: Axes, labels: AnyLabelMap, truth: AnyLabelMap) -> None:
    area = np.bincount(labels.ravel())
    annotated = np.bincount(labels.ravel(), weights=(truth > 0).ravel())
    area[0] = 0  # the ground
    for number in np.flatnonzero((area > 0) & (annotated < area / 2)):
        rows, columns = np.nonzero(labels == number)
        style = {"arrowstyle": "-|>", "color": LINES[4], "linewidth": 1.5}
        axes.annotate("", (columns.mean(), rows.mean()), (14, 14), textcoords="offset points", arrowprops=style)


@styled
def plot_judgements(table: pd.DataFrame, *, by: str = "") -> Figure:
    """Draw over the epochs what is known with annotation, above, and without, below.

    Parameters
    ----------
    table
        As `nanolab.selection.agreement.judge_epochs` returns it, merged with the scores of
        `nanolab.selection.choosing.score_epochs` where there are any.
    by
        The score whose best epoch is marked above, Dice if it is none of them; below it is that of the agreement.
    """
    scores = [name for name in _LABELS if name in table]
    figure, panels = make_panels(1 + bool(scores), 1, aspect=0.32, panel_in=7.5)
    for colour, name in zip(LINES, scores, strict=False):
        panels[0].plot(table["epoch"], table[name], "o-", color=colour, markersize=3, label=_LABELS[name])
    if scores:
        panels[0].set(ylabel="annotated image")
        _mark(panels[0], table, by if by in scores else "dice")
    for colour, name in zip(LINES, [name for name in JUDGEMENTS if name in table], strict=False):
        panels[-1].plot(table["epoch"], table[name], "o-", color=colour, markersize=3, label=_NAMES[name])
    panels[-1].plot(table["epoch"], table["agreement"], "-", color="black", linewidth=2, label="mean rank")
    panels[-1].set(ylabel="without annotation", xlabel="epoch")
    _mark(panels[-1], table, "agreement")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _mark(axes: Axes, table: pd.DataFrame, by: str) -> None:
    best = table.loc[table[by].idxmax(), "epoch"]
    axes.axvline(best, color="black", linestyle="--", linewidth=1, label=f"best: epoch {best}")


@styled
def plot_shortfalls(landed: pd.DataFrame, *, by: str = "dice") -> Figure:
    """Draw how far below the best epoch each way of choosing lands on images that it has not seen.

    Parameters
    ----------
    landed
        As `nanolab.selection.shortfall.shortfalls` returns it. A small dot is one choosing image, the diamond is their
        mean.
    """
    order = landed.groupby("way")["shortfall"].mean().sort_values(ascending=False).index
    figure, (axes,) = make_panels(1, 1, aspect=0.55, panel_in=6.5)
    for at, way in enumerate(order):
        values = landed.loc[landed["way"] == way, "shortfall"].to_numpy()
        spread = np.linspace(-0.2, 0.2, len(values))
        axes.plot(values, at + spread, "o", color=LINES[5], markersize=4)
        axes.plot(values.mean(), at, "D", color=LINES[1], markersize=7)
    axes.set_yticks(range(len(order)), [_NAMES.get(way, way) for way in order])
    axes.set_xscale("symlog", linthresh=_LINEAR)
    axes.set(
        xlim=(-_LINEAR / 4, max(2 * landed["shortfall"].max(), _LINEAR)),
        xlabel=f"shortfall in {_LABELS.get(by, by)}\nto the epoch best for these images",
    )
    axes.grid(axis="x", alpha=0.3)
    dots = [
        key(color=LINES[5], marker="o", label="chosen on one image"),
        key(color=LINES[1], marker="D", label="mean"),
    ]
    figure.legend(handles=dots, loc="outside lower center", ncols=2)
    return figure


@styled
def plot_epochs(
    image: AnyImage,
    predictions: Mapping[int, AnyLabelMap],
    *,
    truth: AnyLabelMap | None = None,
    scores: Mapping[int, float] | None = None,
    selected: int | None = None,
    pixel_size_nm: float | None = None,
) -> Figure:
    """Show what several epochs make of one image, with the annotation first where there is one.

    Parameters
    ----------
    image
        Shape (height, width), values in [0, 1].
    predictions
        Label map by epoch.
    truth
        The annotation's label map.
    scores
        F1 by epoch, for the titles.
    selected
        The epoch to frame.
    """
    shown = ([("annotated", truth)] if truth is not None else []) + [
        (_epoch_title(epoch, (scores or {}).get(epoch)), labels) for epoch, labels in predictions.items()
    ]
    figure = plot_images(
        [image] * len(shown),
        titles=[title for title, _ in shown],
        labels=[labels for _, labels in shown],
        pixel_size_nm=pixel_size_nm,
        columns=min(len(shown), 5),
    )
    if selected is not None:
        axes = figure.axes[list(predictions).index(selected) + (truth is not None)]
        axes.spines[:].set(visible=True, color=LINES[1], linewidth=3)
        axes.title.set(color=LINES[1], weight="bold")
    return figure


def _epoch_title(epoch: int, score: float | None) -> str:
    return f"epoch {epoch}" if score is None else f"epoch {epoch}: F1 {score:.3f}"


@styled
def plot_training(log: pd.DataFrame, *, selected: int | None = None) -> Figure:
    """Draw the training loss over the epochs and, where the log has scores of a validation image, these below it.

    Parameters
    ----------
    log
        One row per epoch, columns `epoch`, `loss` and any of `dice` and `instance_f1_50` (see
        `nanolab.training.run.TrainingRun.log`).
    selected
        The epoch to mark.
    """
    scores = {name: label for name, label in _LABELS.items() if name in log}
    figure, panels = make_panels(1 + bool(scores), 1, aspect=0.5, panel_in=4.5)
    panels[0].semilogy(log["epoch"], log["loss"], marker="o", markersize=3, color=LINES[0])
    panels[0].set(ylabel="mean training loss")
    for colour, (name, label) in zip(LINES, scores.items(), strict=False):
        panels[-1].plot(log["epoch"], log[name], marker="o", markersize=3, color=colour, label=label)
        panels[-1].set(ylabel="validation image", ylim=(0, 1))
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if selected is not None:
            axes.axvline(selected, color="black", linestyle="--", linewidth=1, label=f"chosen: epoch {selected}")
    panels[-1].set(xlabel="epoch")
    if panels[-1].get_legend_handles_labels()[1]:
        panels[-1].legend()
    return figure
