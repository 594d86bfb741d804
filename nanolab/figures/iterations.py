"""Figures of single runs; what whole sweeps found is drawn by `nanolab.figures.sweeps`."""

import pandas as pd
from matplotlib.figure import Figure

from nanolab.experiments.iterations import PIXEL_SCORES, smoothed
from nanolab.figures.panels import LINES, make_panels, styled

__all__ = ["iterations_figure"]

_NAMES = {"miou": "MIoU", "accuracy": "accuracy", "kappa": "kappa", "dice": "Dice"}


@styled
def iterations_figure(curve: pd.DataFrame, *, stand_in: bool = False) -> Figure:
    """Draw scores against iterations, light as they are and dark smoothed (figure 4 of 10.1371/journal.pone.0311228).

    Parameters
    ----------
    curve
        Of `nanolab.experiments.iterations.scores_by_iteration`.
    """
    figure, panels = make_panels(1, len(PIXEL_SCORES), aspect=0.9, stand_in=stand_in)
    for axes, name in zip(panels, PIXEL_SCORES, strict=True):
        axes.plot(curve["iteration"], curve[name], color=LINES[5], lw=1, marker=".", ms=4, label="as it is")
        axes.plot(curve["iteration"], smoothed(curve[name]), color=LINES[0], lw=2, label="smoothed")
        axes.set_title(_NAMES[name])
        axes.set_xlabel("iterations")
    panels[0].legend(loc="lower right")
    return figure
