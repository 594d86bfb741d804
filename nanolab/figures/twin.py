"""Sizes as found and corrected with rendered twins."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from nanolab.figures.panels import LINES, make_panels, styled
from nanolab.twin.correction import Correction

__all__ = ["plot_correction"]

_SHOWN = ("d10_nm", "d50_nm", "d90_nm", "count")


@styled
def plot_correction(correction: Correction) -> Figure:
    """Draw the distribution as found and corrected, with D50 and its interval, and what the intervals are made of."""
    figure, (sizes, budget) = make_panels(1, 2, aspect=0.75, panel_in=4)
    _draw_spectra(sizes, correction)
    _draw_budget(budget, correction)
    return figure


def _draw_spectra(axes: Axes, correction: Correction) -> None:
    spectrum, total = correction.spectrum, correction.spectrum.amounts()[0].sum()
    lines = {
        "as found": (correction.found, correction.as_found),
        "corrected": (spectrum.amounts()[0], correction.values),
    }
    for colour, (name, (counts, values)) in zip(LINES, lines.items(), strict=False):
        width = np.diff(np.log(spectrum.edges))
        label = f"{name}: D50 {values['d50_nm']:.3g} nm"
        axes.stairs(counts / total / width, spectrum.edges, color=colour, label=label)
        axes.axvline(values["d50_nm"], color=colour, linewidth=0.8, linestyle="--")
    axes.axvspan(*correction.interval["d50_nm"], color=LINES[1], alpha=0.15, linewidth=0)
    low, _ = spectrum.range_nm
    axes.axvspan(spectrum.edges[0], low, color="0.9", zorder=-1, label=f"below {low:.3g} nm too few would be found")
    axes.set(xscale="log", xlabel="size (nm)", ylabel="particles for a step of ln(size)", xlim=spectrum.edges[[0, -1]])
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=7)


def _draw_budget(axes: Axes, correction: Correction) -> None:
    sources = list(correction.variances[_SHOWN[0]])
    left = np.zeros(len(_SHOWN))
    names = [name.removesuffix("_nm").capitalize() for name in _SHOWN]
    for colour, source in zip(LINES, sources, strict=False):
        share = np.array([correction.share(name, source) for name in _SHOWN])
        axes.barh(names, share, left=left, color=colour, label=source)
        left += share
    for row, name in enumerate(_SHOWN):
        low, high = correction.interval[name]
        axes.text(1.02, row, f"{correction.values[name]:.4g}\n({low:.4g} to {high:.4g})", va="center", fontsize=7)
    axes.set(xlabel="share of the variance", xlim=(0, 1))
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=7)
