"""Figures: micrographs with scale bars, segmentations on them, training, sizes, results.

Each function returns a matplotlib Figure that needs no pyplot and no display. With `stand_in` a figure says in plain
sight that what it shows is not real.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from nanolab.core.checks import InputError
from nanolab.figures.panels import LINES, PANEL_IN, STAND_IN, Image, Labels, draw_micrograph, make_panels, styled

__all__ = [
    "STAND_IN",
    "epochs_strip",
    "gallery",
    "loss_curve",
    "overlay",
    "results_table",
    "results_text",
    "size_histograms",
]

_SCORES = {"dice": "Dice", "instance_f1_50": "particle F1 at IoU 0.5"}


@styled
def gallery(
    images: Sequence[Image],
    *,
    titles: Sequence[str] | None = None,
    pixel_size_nm: float | Sequence[float | None] | None = None,
    labels: Sequence[Labels | None] | None = None,
    columns: int = 4,
    stand_in: bool = False,
) -> Figure:
    """Show images side by side, each with its scale bar, and particles coloured where labels are given.

    Parameters
    ----------
    images
        Each of shape (height, width), values in [0, 1]; 0 is shown black and 1 white in all of them.
    titles, labels
        One an image.
    pixel_size_nm
        One for all images or one each; an image of unknown pixel size gets no scale bar.
    columns
        Images in a row.
    stand_in
        Say that the images are not real ones.
    """
    count = len(images)
    if count == 0:
        raise InputError("gallery: needs at least one image, got none")
    sizes = pixel_size_nm if isinstance(pixel_size_nm, Sequence) else [pixel_size_nm] * count
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, panels = make_panels(rows, columns, aspect=images[0].shape[0] / images[0].shape[1], stand_in=stand_in)
    rows_of_data = zip(images, titles or [""] * count, sizes, labels or [None] * count, strict=True)
    for axes, (image, title, size, particles) in zip(panels, rows_of_data, strict=False):
        draw_micrograph(axes, image, particles, size, title)
    for axes in panels[count:]:
        axes.remove()
    return figure


@styled
def overlay(
    image: Image,
    labels: Labels,
    *,
    title: str = "",
    pixel_size_nm: float | None = None,
    stand_in: bool = False,
) -> Figure:
    """Show one image, shape (height, width), with each particle of its label map outlined and tinted."""
    figure, (axes,) = make_panels(
        1, 1, aspect=image.shape[0] / image.shape[1], stand_in=stand_in, panel_in=2 * PANEL_IN
    )
    draw_micrograph(axes, image, labels, pixel_size_nm, title)
    return figure


@styled
def epochs_strip(
    image: Image,
    predictions: Mapping[int, Labels],
    *,
    truth: Labels | None = None,
    scores: Mapping[int, float] | None = None,
    selected: int | None = None,
    pixel_size_nm: float | None = None,
    stand_in: bool = False,
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
    figure = gallery(
        [image] * len(shown),
        titles=[title for title, _ in shown],
        labels=[labels for _, labels in shown],
        pixel_size_nm=pixel_size_nm,
        columns=min(len(shown), 5),
        stand_in=stand_in,
    )
    if selected is not None:
        _frame(figure.axes[list(predictions).index(selected) + (truth is not None)])
    return figure


def _epoch_title(epoch: int, score: float | None) -> str:
    return f"epoch {epoch}" if score is None else f"epoch {epoch}: F1 {score:.3f}"


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set(visible=True, color=LINES[1], linewidth=3)
    axes.title.set(color=LINES[1], weight="bold")


@styled
def loss_curve(log: pd.DataFrame, *, selected: int | None = None, stand_in: bool = False) -> Figure:
    """Draw the training loss over the epochs and, where the log has scores of a validation image, these below it.

    Parameters
    ----------
    log
        One row an epoch, columns `epoch`, `loss` and any of `dice` and `instance_f1_50` (see
        `nanolab.training.run.TrainingRun.log`).
    selected
        The epoch to mark.
    """
    scores = {name: label for name, label in _SCORES.items() if name in log}
    figure, panels = make_panels(1 + bool(scores), 1, aspect=0.5, stand_in=stand_in, panel_in=4.5)
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


@styled
def size_histograms(
    sizes: Mapping[str, npt.ArrayLike],
    unit: str,
    *,
    quantity: str = "equivalent circular diameter",
    stand_in: bool = False,
) -> Figure:
    """Compare size distributions by number: the share of particles in bins common to all, and each median.

    Parameters
    ----------
    sizes
        Sizes of particles, shape (particles,), by what the legend is to call them; finite values.
    unit
        Unit of the sizes, "nm" or "px".
    quantity
        What the sizes are.

    Notes
    -----
    The axis ends at the 99.5th percentile of all sizes together, or one agglomerate taken for a particle would press
    the rest into one bar. The legend says how many lie beyond.
    """
    values = {name: np.asarray(each, dtype=float) for name, each in sizes.items()}
    together = np.concatenate(list(values.values()))
    if not together.size:
        raise InputError("size histogram: needs at least one particle, got none")
    figure, (axes,) = make_panels(1, 1, aspect=0.62, stand_in=stand_in, panel_in=5.5)
    top = np.quantile(together, 0.995)
    edges = np.histogram_bin_edges(together[together <= top], bins=_bin_count(together[together <= top]))
    for colour, (name, each) in zip(LINES, values.items(), strict=False):
        _distribution(axes, each, edges, colour, name, unit)
    axes.set(xlabel=f"{quantity} / {unit}", ylabel="share of particles in a bin")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _bin_count(values: npt.NDArray[np.float64]) -> int:
    """Freedman and Diaconis' number of bins (10.1007/BF01025868), kept between 8 and 60."""
    return int(np.clip(len(np.histogram_bin_edges(values, bins="fd")) - 1, 8, 60))


def _distribution(
    axes: Axes, sizes: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], colour: str, name: str, unit: str
) -> None:
    count = len(sizes)
    if count == 0:
        axes.plot([], [], color=colour, label=f"{name}: no particles")
        return
    shares = np.histogram(sizes, edges)[0] / count
    median = float(np.median(sizes))
    beyond = int((sizes > edges[-1]).sum())
    label = f"{name}: median {median:.4g} {unit}, n = {count}" + (f" ({beyond} beyond)" if beyond else "")
    axes.stairs(shares, edges, fill=True, color=colour, alpha=0.25)
    axes.stairs(shares, edges, color=colour, linewidth=1.5, label=label)
    axes.axvline(median, color=colour, linestyle="--", linewidth=1.2)


@styled
def results_table(results: Mapping[str, Any], *, stand_in: bool = False) -> Figure:
    """Draw results as a table of two columns; a mapping among them becomes one row an item."""
    rows = _rows(results)
    figure, (axes,) = make_panels(1, 1, aspect=(len(rows) + 1) * 0.055, stand_in=stand_in, panel_in=4.5)
    axes.axis("off")
    table = axes.table(cellText=rows, loc="center", edges="horizontal", colWidths=[0.65, 0.35], bbox=Bbox.unit())
    table.auto_set_font_size(value=False)
    for (_, column), cell in table.get_celld().items():
        cell.set_linewidth(0.4)
        cell.set_text_props(ha="left" if column == 0 else "right", size=9)
    return figure


def results_text(results: Mapping[str, Any], *, stand_in: bool = False) -> str:
    """Return results as the lines of a table to print; with `stand_in` the first and last say so."""
    rows = _rows(results)
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>12}" for name, value in rows]
    return "\n".join([STAND_IN, *lines, STAND_IN] if stand_in else lines)


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, value in results.items():
        items = value.items() if isinstance(value, Mapping) else [("", value)]
        rows += [(f"{name} {key}".strip().replace("_", " "), _shown(item)) for key, item in items]
    if not rows:
        raise InputError("results: needs at least one, got none")
    return rows


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
