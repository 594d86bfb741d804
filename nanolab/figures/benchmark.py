"""How far off the methods of a benchmark are, image by image."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nanolab.figures.panels import LINES, make_grid, styled

__all__ = ["plot_benchmark"]

_MOST = 0.5  # what is off by more is wrong, however far


@styled
def plot_benchmark(images: pd.DataFrame) -> Figure:
    """Draw for each set and method the share of images that are off by no more than so much.

    Parameters
    ----------
    images
        Of `nanolab.experiments.benchmark.Benchmark`. What is off is D50, or the count where a set has no sizes.
    """
    sets = images["set"].unique()
    figure, panels = make_grid(len(sets), 3, aspect=0.85, panel_in=3.1)
    for axes, name in zip(panels, sets, strict=True):
        of_set = images[images["set"] == name]
        what = "D50" if "D50_error" in of_set and of_set["D50_error"].notna().any() else "count"
        for colour, (method, rows) in zip(cycle(LINES), of_set.groupby("method", sort=False)):
            off = np.sort(rows[f"{what}_error"].abs().fillna(np.inf))
            axes.ecdf(off, color=colour, label=method)
        axes.axvspan(0, 0.1, color="0.93", zorder=-1)
        axes.set(title=f"{name}, {rows.shape[0]} images", xlabel=f"{what} off by at most", xlim=(0, _MOST), ylim=(0, 1))
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
    panels[0].set_ylabel("of the images")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
