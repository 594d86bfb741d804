"""Figures on the choice of epochs: the study of Mill et al. (figure 3), and how far each way of choosing lands."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nanolab.core.checks import InputError
from nanolab.core.typing import AnyImage, AnyLabelMap
from nanolab.figures.images import plot_images
from nanolab.figures.panels import LINES, key, make_panels, styled
from nanolab.selection.agreement import JUDGEMENTS
from nanolab.selection.study import Answer, analytical, by_participant

__all__ = ["plot_epochs", "plot_judgements", "plot_shortfalls", "plot_study", "plot_training"]

_ROLES = {"non-expert": (LINES[0], "o"), "expert": (LINES[1], "s"), "analytical": ("black", "D")}
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
def plot_study(answers: Sequence[Answer], scores: pd.DataFrame, *, by: str = "dice") -> Figure:
    """Draw figure 3 of Mill et al.: a, which epochs each participant picked; b, the mean and SD of their scores.

    Next to the participants stands the choice of the five epochs of the highest score.

    Parameters
    ----------
    scores
        As `nanolab.selection.choosing.score_epochs` returns them.
    by
        The score.

    Raises
    ------
    InputError
        If nobody has picked anything yet.
    """
    if not answers:
        raise InputError("the study has no answers with picks yet; let somebody pick epochs first")
    table = by_participant(answers, scores, by)
    figure, (picked, scored) = make_panels(1, 2, aspect=0.75, panel_in=4.2)
    choices = [(a.participant, a.role, a.epochs) for a in answers] + [analytical(scores, by)]
    for at, (_, role, epochs) in enumerate(choices):
        colour, marker = _ROLES[role]
        picked.plot([at] * len(epochs), epochs, marker, color=colour, markersize=6, alpha=0.8)
    for at, (role, mean, deviation) in enumerate(zip(table["role"], table["mean"], table["sd"], strict=True)):
        colour, marker = _ROLES[role]
        scored.errorbar(at, mean, deviation, fmt=marker, color=colour, capsize=4)
    last = int(scores["epoch"].max())
    picked.set(ylabel="picked epoch", ylim=(0, last + 1), title="a  picks")
    picked.yaxis.set_major_locator(MaxNLocator(integer=True))
    scored.set(ylabel=_LABELS.get(by, by), title="b  mean and SD of the picks")
    for axes in (picked, scored):
        axes.set_xticks(range(len(table)), table["participant"], rotation=30 if len(table) > 6 else 0)
        axes.margins(x=0.08)
        axes.grid(axis="y", alpha=0.3)
    roles = [role for role in _ROLES if role in set(table["role"])]
    handles = [key(color=_ROLES[role][0], marker=_ROLES[role][1], label=role) for role in roles]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(roles))
    return figure


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
