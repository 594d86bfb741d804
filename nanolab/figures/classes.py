"""Figures on classes of images: how they were learned, and which were taken for which."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nanolab.core.checks import InputError
from nanolab.figures.panels import LINES, make_panels, styled

__all__ = ["plot_confusion", "plot_learning"]

_PANELS = (("loss", "loss (cross-entropy)"), ("accuracy", "accuracy"))
_DARK = 0.5  # a darker cell has white numbers


@styled
def plot_learning(logs: Sequence[pd.DataFrame]) -> Figure:
    """Draw loss and accuracy over the epochs, of training and test: thin each repeat, thick their mean.

    Parameters
    ----------
    logs
        One a repeat (see `nanolab.classification.learning.Learned.log`), all of as many epochs.
    """
    if not logs:
        raise InputError("learning curves: need at least one log, got none")
    figure, panels = make_panels(1, 2, aspect=0.75, panel_in=3.6)
    kinds = (("", "training, augmented views", LINES[0]), ("test_", "test images", LINES[1]))
    for axes, (name, label) in zip(panels, _PANELS, strict=True):
        for prefix, kind, colour in kinds:
            if prefix + name not in logs[0]:
                continue
            for log in logs:
                axes.plot(log["epoch"], log[prefix + name], color=colour, lw=0.8, alpha=0.35)
            mean = pd.concat(logs).groupby("epoch")[prefix + name].mean()
            axes.plot(mean.index, mean, color=colour, lw=2.2, marker="o", ms=4, label=kind)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylim(bottom=0)
    panels[1].set_ylim(0, 1.02)
    panels[1].legend(loc="lower right")
    return figure


@styled
def plot_confusion(counts: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw which classes were taken for which, each true class as parts of 1, with the counts below.

    Parameters
    ----------
    counts
        As `nanolab.classification.scores.confusion` returns them.
    """
    if (empty := counts.index[counts.sum(axis=1) == 0]).size:
        raise InputError(f"confusion matrix: each class needs an image, {empty[0]} has none")
    shares = counts.div(counts.sum(axis=1), axis=0).to_numpy()
    figure, (axes,) = make_panels(1, 1, aspect=0.95, panel_in=3.6)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*shares.nonzero(), strict=True):
        share = shares[row, column]
        text = f"{share:.2f}\n{counts.iloc[row, column]} of {counts.iloc[row].sum()}"
        colour = "white" if share > _DARK else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, linespacing=1.4)
    axes.set_xticks(range(len(counts.columns)), counts.columns)
    axes.set_yticks(range(len(counts.index)), counts.index, rotation=90, va="center")
    axes.set(xlabel="predicted", ylabel="true", title=title)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
