"""Figures of sizes: particles coloured by size, distributions with their fit, two samples, places.

Units stand on every axis: nm, or px where the pixel size is not known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries

from nanolab.core.checks import InputError, check_same_shape
from nanolab.core.typing import AnyImage, AnyLabelMap, FloatArray
from nanolab.core.words import count_words
from nanolab.figures.panels import LINES, draw_micrograph, make_panels, styled
from nanolab.images.trust import hatching
from nanolab.measurement.comparison import SampleComparison
from nanolab.measurement.fits import Fit, GoodnessOfFit
from nanolab.measurement.particles import sizes_of
from nanolab.measurement.size_sample import Border, SizeSample, quantiles, size_sample
from nanolab.measurement.statistics import bin_edges, histogram

__all__ = [
    "NAMES",
    "STATISTICS",
    "draw_distribution",
    "draw_sized",
    "fit_curves",
    "plot_distribution",
    "plot_ensembles",
    "plot_particle_sizes",
    "plot_radial_distribution",
    "plot_size_comparison",
    "plot_sizes",
    "size_tenths",
]

#: What axes call the quantities.
NAMES = {
    "ecd": "equivalent circular diameter",
    "sqrt_area": "square root of the area",
    "feret_max": "maximum Feret diameter",
    "feret_min": "minimum Feret diameter",
    "major_axis": "major axis",
    "minor_axis": "minor axis",
    "perimeter": "perimeter",
    "box_width": "horizontal Feret diameter",
    "box_height": "vertical Feret diameter",
}
#: What tables call the statistics, where it is not their key.
STATISTICS = {"d10": "D10", "d50": "D50", "d90": "D90", "sd": "SD", "geometric_sd": "geometric SD"}
_MAP = "viridis"
_CURVE, _STEP = 400, 4  # points of a curve, and how many of the finer grid it is taken from lie between two
_CLOSE = 0.11  # of the width, that a label takes
_TOP = 0.77  # part of the height that bars may have; above is the legend


@styled
def plot_particle_sizes(
    image: AnyImage | None,
    labels: AnyLabelMap,
    particles: pd.DataFrame,
    *,
    quantity: str = "ecd",
    edges: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """Show an image with its particles coloured by size.

    Parameters
    ----------
    image
        Shape (height, width) in [0, 1]; grey if None.
    labels
        Shape (height, width).
    particles
        Its rows of the particle table; particles that are not among them have a white outline.
    edges
        Sizes between which a colour holds, ascending; the tenths of these particles if None.
    """
    figure, (axes,) = make_panels(1, 1, aspect=labels.shape[0] / labels.shape[1], panel_in=6)
    draw_sized(axes, image, labels, particles, quantity, edges, title)
    return figure


def size_tenths(sizes: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the sizes, ascending, between which a tenth of the particles lies; at least two."""
    tenths = np.unique(quantiles(sizes, weights, np.linspace(0, 1, 11).tolist()))
    return tenths if len(tenths) > 1 else tenths[0] * np.array([0.99, 1.01])


def draw_sized(
    axes: Axes,
    image: AnyImage | None,
    labels: AnyLabelMap,
    particles: pd.DataFrame,
    quantity: str,
    edges: Sequence[float] | FloatArray | None,
    title: str,
    *,
    step: int = 1,
    bar: bool = True,
) -> None:
    """Draw what `plot_particle_sizes` shows, every `step`-th pixel of it, with or without the bar of colours."""
    grey = np.full(labels.shape, 0.75, dtype=np.float32) if image is None else image
    check_same_shape(grey, labels, title or "image and label map")
    grey, labels = grey[::step, ::step], labels[::step, ::step]
    sizes, unit = sizes_of(particles, quantity)
    particles, sizes = particles[known := ~np.isnan(sizes)], sizes[known]
    pixel_nm = step * float(particles["pixel_size_nm"].iloc[0]) if unit == "nm" and len(sizes) else None
    draw_micrograph(axes, grey, None, pixel_nm, title)
    lookup = np.ones((int(labels.max(initial=0)) + 1, 4)) * (1, 1, 1, 0.15)
    lookup[0] = 0
    if len(sizes):
        tenths = size_tenths(np.sort(sizes), np.ones(len(sizes))) if edges is None else np.asarray(edges)
        colours = ScalarMappable(BoundaryNorm(tenths * np.linspace(1, 1 + 1e-9, len(tenths)), 256), colormaps[_MAP])
        seen = particles["label"].to_numpy() < len(lookup)  # others lie between the pixels shown
        lookup[particles["label"][seen]] = colours.to_rgba(sizes[seen], alpha=0.55)
    tint = lookup[labels]
    if "trust" in particles:
        tint[hatching(labels, particles["label"], particles["trust"])] = (1, 1, 1, 0.8)
    outline = find_boundaries(labels, mode="inner")
    tint[outline, 3] = np.where(labels[outline] > 0, 1, 0)
    axes.imshow(tint)
    if bar and len(sizes):
        scale = axes.figure.colorbar(colours, ax=axes, shrink=0.8, pad=0.02, spacing="uniform", ticks=tenths)
        scale.ax.set_yticklabels([f"{value:.3g}" for value in tenths])
        scale.set_label(f"{NAMES.get(quantity, quantity)} / {unit}, a tenth of the particles each")
        scale.outline.set_visible(False)


@styled
def plot_distribution(
    sample: SizeSample,
    fitted: Fit | None = None,
    *,
    weighting: str = "number",
    bins: int | None = None,
    goodness: GoodnessOfFit | None = None,
) -> Figure:
    """Draw the histogram of a sample, by number or volume, with the fit over it and D10, D50 and D90."""
    figure, (axes,) = make_panels(1, 1, aspect=0.62, panel_in=5.5)
    draw_distribution(axes, sample, fitted, weighting, bins, goodness)
    return figure


def draw_distribution(
    axes: Axes,
    sample: SizeSample,
    fitted: Fit | None,
    weighting: str,
    bins: int | None = None,
    goodness: GoodnessOfFit | None = None,
) -> None:
    """Draw what `plot_distribution` shows."""
    bars = histogram(sample, weighting, bins=bins)
    count = counted_words(sample) + (f", {bars.beyond:.1%} larger than shown" if bars.beyond > 0.0005 else "")
    axes.stairs(100 * bars.shares, bars.edges, fill=True, color=LINES[5], alpha=0.45, label=count)
    weights = sample.volume_weights if weighting == "volume" else sample.weights
    _mark_percentiles(axes, quantiles(sample.sizes, weights, (0.1, 0.5, 0.9)), bars.edges)
    if fitted is not None:
        _draw_fit(axes, sample, fitted, bars.edges, weighting, goodness)
    axes.set(
        xlabel=f"{NAMES.get(sample.quantity, sample.quantity)} / {sample.unit}",
        ylabel=f"share of {'volume' if weighting == 'volume' else 'particles'} in a bin / %",
        xlim=(max(0.0, bars.edges[0] - 0.02 * np.ptp(bars.edges)), bars.edges[-1]),
    )
    axes.set_ylim(0, axes.dataLim.ymax / (_TOP - 0.02))
    axes.legend(fontsize=7, loc="upper right", handlelength=1, handletextpad=0.5, borderaxespad=0)


def _mark_percentiles(axes: Axes, values: FloatArray, edges: FloatArray) -> None:
    """Draw lines at D10, D50 and D90, with one label for those too close for labels of their own."""
    groups: list[list[tuple[str, float]]] = []
    for name, value in zip(("D10", "D50", "D90"), values, strict=True):
        if value > edges[-1]:
            continue
        axes.axvline(value, ymax=_TOP, color="0.35", linewidth=1, linestyle="-" if name == "D50" else ":")
        if groups and value - groups[-1][0][1] < _CLOSE * np.ptp(edges):
            groups[-1].append((name, value))
        else:
            groups.append([(name, value)])
    for group in groups:
        place = float(np.mean([value for _, value in group])), _TOP
        text = ", ".join(name for name, _ in group)
        axes.annotate(text, place, xycoords=("data", "axes fraction"), fontsize=7, ha="center", va="bottom")


def _draw_fit(
    axes: Axes,
    sample: SizeSample,
    fitted: Fit,
    edges: FloatArray,
    weighting: str,
    goodness: GoodnessOfFit | None,
) -> None:
    grid, parts = fit_curves(sample, fitted, edges, weighting)
    label = fitted.name.replace("weibull", "Weibull") + (
        f" (KS p = {goodness.ks_p:.2g})" if goodness is not None else ""
    )
    axes.plot(grid, parts.sum(axis=0), color=LINES[1], linewidth=1.8, label=label)
    if "share" in fitted.parameters:
        axes.plot(grid, parts.T, color=LINES[1], linewidth=0.9, linestyle="--")


def fit_curves(sample: SizeSample, fitted: Fit, edges: FloatArray, weighting: str) -> tuple[FloatArray, FloatArray]:
    """Return sizes, and for each part of a fit the percentage that a bin around each size would have of it.

    So narrow peaks are as high as the bars of their histogram, whose `edges` these are.
    """
    half = (edges[1] - edges[0]) / 2
    wide = np.linspace(0, 1.5 * sample.sizes[-1], 8 * _CURVE + 1)
    grid = wide[(wide >= edges[0]) & (wide <= edges[-1])][::_STEP]
    shares = fitted.density.shares[:, None] * fitted.density.parts.cdf(wide[None, :])
    if weighting == "volume":  # the volume between two sizes: the particles there times the mean of their cubes
        steps = np.diff(shares) * (wide[1:] ** 3 + wide[:-1] ** 3) / 2
        shares = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
    shares *= 100 / shares[:, -1].sum()
    return grid, np.array([np.interp(grid + half, wide, part) - np.interp(grid - half, wide, part) for part in shares])


@styled
def plot_size_comparison(samples: Mapping[str, SizeSample], comparison: SampleComparison | None = None) -> Figure:
    """Draw the distributions of samples over each other: histograms on common bins, and cumulative curves."""
    figure, (left, right) = make_panels(1, 2, aspect=0.8, panel_in=4)
    unit = next(iter(samples.values())).unit
    quantity = next(iter(samples.values())).quantity
    edges = _common_edges([sample.sizes for sample in samples.values()])
    for colour, (name, sample) in zip(LINES, samples.items(), strict=False):
        total = sample.weights.sum()
        shares = np.histogram(sample.sizes, edges, weights=sample.weights)[0] / total
        _draw_bars(left, 100 * shares, edges, colour)
        label = f"{name}: {counted_words(sample)}"
        right.step(sample.sizes, 100 * np.cumsum(sample.weights) / total, where="post", color=colour, label=label)
    axis = f"{NAMES.get(quantity, quantity)} / {unit}"
    left.set(xlabel=axis, ylabel="share of particles in a bin / %", ylim=(0, None))
    right.set(xlabel=axis, ylabel="particles up to this size / %", xlim=(edges[0], edges[-1]), ylim=(0, 100))
    right.legend(loc="lower right", fontsize=8)
    if comparison is not None:
        figure.suptitle(_compared(comparison), fontsize=9)
    return figure


def _compared(comparison: SampleComparison) -> str:
    low, high = comparison.wasserstein_interval
    return (
        f"Wasserstein distance {comparison.wasserstein:.3g} {comparison.unit} ({low:.3g} to {high:.3g}), "
        f"p = {comparison.wasserstein_p:.2g};  KS {comparison.ks:.3f}, p = {comparison.ks_p:.2g}"
    )


@styled
def plot_ensembles(result: Mapping[str, Any]) -> Figure:
    """Draw what each member of an ensemble finds, with the interval of images alone and of both sources together."""
    figure, (axes,) = make_panels(1, 1, aspect=0.45, panel_in=6)
    members = result["members"]
    places = np.arange(len(members))
    axes.axhspan(*result["interval"], color=LINES[5], alpha=0.25, label="images and segmentation")
    axes.axhspan(*result["sampling_interval"], color=LINES[0], alpha=0.3, label="images alone")
    axes.axhline(result["value"], color="0.3", linewidth=1)
    axes.plot(places, list(members.values()), "o", color=LINES[1], label="one member")
    axes.set_xticks(places, list(members))
    name = f"D{100 * result['probability']:g}"
    axes.set(ylabel=f"{name}, {NAMES.get(result['quantity'], result['quantity'])}\n/ {result['unit']}")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure


@styled
def plot_radial_distribution(table: pd.DataFrame) -> Figure:
    """Draw a radial distribution function with its scatter, 1 / sqrt(pairs)."""
    figure, (axes,) = make_panels(1, 1, aspect=0.62, panel_in=5)
    unit = "nm" if "r_nm" in table else "px"
    r, g = table[f"r_{unit}"], table["g"]
    scatter = g / np.sqrt(np.maximum(table["pairs"], 1))
    axes.axhline(1, color="0.6", linewidth=1, linestyle="--")
    axes.fill_between(r, g - scatter, g + scatter, color=LINES[0], alpha=0.25, linewidth=0)
    axes.plot(r, g, color=LINES[0])
    axes.set(xlabel=f"distance r / {unit}", ylabel="g(r)", xlim=(0, None), ylim=(0, None))
    return figure


@styled
def plot_sizes(
    sizes: pd.DataFrame | Mapping[str, pd.DataFrame | npt.ArrayLike],
    unit: str | None = None,
    *,
    quantity: str = "equivalent circular diameter",
    border: Border = "correct",
) -> Figure:
    """Show size distributions by number: the share of particles in bins common to all, and each D50.

    Parameters
    ----------
    sizes
        A particle table (see `nanolab.measurement.particles.measure`), whose ECD is shown as reports on sizes count it;
        or several, or sizes of shape (particles,) and finite values, by what the legend is to call them.
    unit
        Unit of sizes, "nm" or "px"; a table brings its own.
    quantity
        What the sizes are.
    border
        How particles of a table that the border cuts count, see `nanolab.measurement.size_sample.size_sample`.

    Examples
    --------
    >>> figure = plot_sizes({"found": [41.0, 44.0, 52.0], "annotated": [40.0, 43.0, 50.0]}, "nm")

    Notes
    -----
    The axis ends at the 99.5th percentile of all sizes together, or one agglomerate taken for a particle would press
    the rest into one bar. The legend says how many are larger.
    """
    given = {"particles": sizes} if isinstance(sizes, pd.DataFrame) else sizes
    tables = {name: each for name, each in given.items() if isinstance(each, pd.DataFrame)}
    samples = {name: size_sample(each, border=border) for name, each in tables.items() if len(each)}
    units = {sizes_of(each)[1] for each in tables.values()} | ({unit} if unit else set())
    if len(units) != 1:
        raise InputError(
            f"size histogram: all sizes need one unit, got {sorted(units) or 'none'}; name it, or scale them"
        )
    (unit,) = units
    values = {name: np.asarray([] if name in tables else each, float) for name, each in given.items()}
    values |= {name: sample.sizes for name, sample in samples.items()}
    if not any(len(each) for each in values.values()):
        raise InputError("size histogram: needs at least one particle, got none")
    figure, (axes,) = make_panels(1, 1, aspect=0.62, panel_in=5.5)
    edges = _common_edges(list(values.values()))
    for colour, (name, each) in zip(LINES, values.items(), strict=False):
        _distribution(axes, each, samples.get(name), edges, colour, name, unit)
    axes.set(xlabel=f"{quantity} / {unit}", ylabel="share of particles in a bin")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _common_edges(sizes: Sequence[FloatArray]) -> FloatArray:
    together = np.concatenate(sizes)
    return bin_edges(together[together <= np.quantile(together, 0.995)])


def _draw_bars(axes: Axes, shares: FloatArray, edges: FloatArray, colour: str, **options: Any) -> None:
    axes.stairs(shares, edges, fill=True, color=colour, alpha=0.25)
    axes.stairs(shares, edges, color=colour, linewidth=1.5, **options)


def counted_words(sample: SizeSample) -> str:
    """Return how many particles count, and by which rule."""
    rules = {"correct": "corrected for the border", "drop": "those cut by the border left out", "keep": "cut ones too"}
    return f"{count_words(len(sample), 'particle')}, {rules[sample.border]}"


def _distribution(
    axes: Axes, sizes: FloatArray, sample: SizeSample | None, edges: FloatArray, colour: str, name: str, unit: str
) -> None:
    if len(sizes) == 0:
        axes.plot([], [], color=colour, label=f"{name}: no particles")
        return
    weights = np.ones(len(sizes)) if sample is None else sample.weights
    d50 = float(np.median(sizes) if sample is None else quantiles(sizes, weights, 0.5))
    beyond = int((sizes > edges[-1]).sum())
    counted = f"median {d50:.4g} {unit} of {count_words(len(sizes), 'size')} as given"
    if sample is not None:
        counted = f"D50 {d50:.4g} {unit}, {counted_words(sample)}"
    label = f"{name}: {counted}" + (f"; {beyond} larger than shown" if beyond else "")
    _draw_bars(axes, np.histogram(sizes, edges, weights=weights)[0] / weights.sum(), edges, colour, label=label)
    axes.axvline(d50, color=colour, linestyle="--", linewidth=1.2)
