"""Figures of a comparison: the map of patches, the distances, the profiles, what differs, and all of it on a page."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.panels import LINES, draw_micrograph, key, make_panels, styled
from nanolab.realism.comparison import GROUPS, RealismComparison
from nanolab.realism.descriptors import DESCRIPTORS
from nanolab.realism.patches import Patches
from nanolab.realism.profiles import (
    Curves,
    Line,
    edge_profiles,
    grey_histograms,
    line_profile,
    noise_level,
    power_spectra,
)
from nanolab.realism.scores import MEASURES

__all__ = [
    "COLOURS",
    "MARKERS",
    "plot_differences",
    "plot_lines",
    "plot_patches",
    "plot_profiles",
    "plot_realism",
    "plot_realism_map",
    "plot_realism_scores",
]

#: Of the two sets, in all figures.
COLOURS = {"real": LINES[0], "synthetic": LINES[4]}
#: Of the kinds of patches on the map.
MARKERS = {"particle": "o", "background": "s", "dirt": "^", "unknown": "o"}

_SHOWN = ("kid", "frechet", "c2st", "precision", "recall", "coverage")
_SHORT = {"kid": "KID", "frechet": "Fréchet", "c2st": "C2ST accuracy"}


@styled
def plot_realism_map(comparison: RealismComparison) -> Figure:
    """Draw every patch at its place on the t-SNE map: colour by set, marker by kind."""
    figure, (axes,) = make_panels(1, 1, aspect=0.8, panel_in=6.5)
    _map(axes, comparison)
    return figure


@styled
def plot_realism_scores(comparison: RealismComparison) -> Figure:
    """Draw each distance between synthetic and real next to its baseline, real against other real images."""
    figure, panels = make_panels(2, 3, aspect=0.5, panel_in=3.2)
    _scores(panels, comparison)
    return figure


@styled
def plot_profiles(comparison: RealismComparison) -> Figure:
    """Draw profiles across particle edges, power spectra, grey values and noise: mean and 80 % of the images."""
    figure, panels = make_panels(2, 3, aspect=0.75, panel_in=3.2)
    _profiles(panels, comparison)
    return figure


@styled
def plot_lines(samples: Mapping[str, AnnotatedImage], lines: Sequence[Line]) -> Figure:
    """Draw one line on each image, and below it the grey values along it: figure S7 of Mill et al. 2021.

    Parameters
    ----------
    samples
        The images by what they are called.
    lines
        Row and column of the beginning, row and column of the end, one for each image.

    References
    ----------
    Mill et al. 2021, 10.1002/smtd.202100223.
    """
    figure, panels = make_panels(2, len(samples), aspect=0.8, panel_in=3.6)
    for at, ((name, sample), line) in enumerate(zip(samples.items(), lines, strict=True)):
        above, below = panels[at], panels[at + len(samples)]
        draw_micrograph(above, sample.image, None, sample.pixel_size.nm, f"{name}: {sample.name}")
        above.plot(line[1::2], line[::2], color=LINES[1], linewidth=1.5)
        below.plot(*line_profile(sample, line), color=LINES[1], linewidth=1)
        unit = "px" if sample.pixel_size.nm is None else "nm"
        below.set(xlabel=f"along the line / {unit}", ylabel="grey value", ylim=(0, 1))
    return figure


@styled
def plot_differences(comparison: RealismComparison, group: str = "all", *, top: int = 10) -> Figure:
    """Draw which plain properties tell synthetic from real best, for a group of patches."""
    figure, (axes,) = make_panels(1, 1, aspect=0.6, panel_in=6.5)
    _differences(axes, comparison, group, top)
    return figure


@styled
def plot_patches(comparison: RealismComparison, *, columns: int = 8) -> Figure:
    """Show patches that give themselves away to the classifier, and those that it takes for the other set."""
    figure, panels = make_panels(4, columns, aspect=0.75, panel_in=1.1)
    _telling(panels, comparison, columns)
    return figure


@styled
def plot_realism(comparison: RealismComparison) -> Figure:
    """Draw the whole comparison on one page."""
    figure, (axes,) = make_panels(1, 1, aspect=1.27, panel_in=11)
    axes.remove()
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[1.15, 1.1, 0.9], squeeze=False).flat
    left, right = top.subfigures(1, 2, width_ratios=[1.25, 1], squeeze=False).flat
    _map(left.subplots(), comparison)
    _scores(_flat(right, 3, 2), comparison)
    _profiles(_flat(middle, 2, 3), comparison)
    left, right = bottom.subfigures(1, 2, width_ratios=[1, 1.1], squeeze=False).flat
    groups = [group for group in GROUPS[1:3] if group in comparison.differences] or list(GROUPS[:1])
    panels = _flat(left, len(groups), 1)
    for axes, group in zip(panels, groups, strict=True):
        _differences(axes, comparison, group, 12 // len(groups), key=axes is panels[-1])
    _telling(_flat(right, 4, 5), comparison, 5)
    figure.suptitle(_headline(comparison), fontsize=11, weight="bold")
    return figure


def _flat(figure: SubFigure, rows: int, columns: int) -> list[Axes]:
    return list(figure.subplots(rows, columns, squeeze=False).flat)


def _headline(comparison: RealismComparison) -> str:
    about = comparison.about
    size = "pixel size unknown" if comparison.pixel_size_nm is None else f"{comparison.pixel_size_nm:.4g} nm pixels"
    return (
        f"Realism: {about['images']['synthetic']} synthetic against {about['images']['real']} real images, "
        f"{about['patches']['real']} patches of {about['patch_px']} px each, {size}, {about['extractor']}"
    )


def _map(axes: Axes, comparison: RealismComparison) -> None:
    sets = {"real": comparison.real, "synthetic": comparison.synthetic}
    kind_of = np.concatenate([patches.table["kind"] for patches in sets.values()])
    kinds = [kind for kind in MARKERS if (kind_of == kind).any()]
    colours = np.repeat([COLOURS[name] for name in sets], [len(patches) for patches in sets.values()])
    mixed = np.random.default_rng(0).permutation(len(kind_of))  # or one set would cover the other
    for kind in kinds:
        here = mixed[kind_of[mixed] == kind]
        x, y = comparison.embedding[here].T
        axes.scatter(x, y, s=13, marker=MARKERS[kind], c=colours[here], alpha=0.6, linewidths=0)
    handles = [key(color=colour, marker="o", label=name) for name, colour in COLOURS.items()]
    if kinds != ["unknown"]:
        handles += [key(color="0.45", marker=MARKERS[kind], label=kind) for kind in kinds]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(handles), columnspacing=1)
    axes.set(xticks=[], yticks=[], title=f"t-SNE of {comparison.components} principal components")
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set(visible=True, color="0.8")


def _scores(panels: Sequence[Axes], comparison: RealismComparison) -> None:
    groups = [group for group in GROUPS if group in comparison.scores]
    for axes, measure in zip(panels, _SHOWN, strict=True):
        for row, group in enumerate(groups):
            score = comparison.scores[group][measure]
            _dot(axes, row - 0.16, score["baseline"], COLOURS["real"])
            _dot(axes, row + 0.16, score["synthetic"], COLOURS["synthetic"])
        better = "\N{LEFTWARDS ARROW} better" if MEASURES[measure][1] else "better \N{RIGHTWARDS ARROW}"
        axes.set_title(f"{_SHORT.get(measure, measure)}  ({better})", fontsize=8.5)
        axes.set(yticks=range(len(groups)), yticklabels=groups, ylim=(len(groups) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=4)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        if measure == "c2st":
            axes.set_xlim(0.35, 1.02)
            axes.axvline(0.5, color="0.5", linewidth=0.8, linestyle="--")
        elif not MEASURES[measure][1]:
            axes.set_xlim(0, 1.02)
        else:
            axes.axvline(0, color="0.5", linewidth=0.8)
    names = {"real": "real, other images", "synthetic": "synthetic"}
    handles = [key(color=COLOURS[name], marker="o", label=label) for name, label in names.items()]
    panels[0].figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=2,
        title="real images against",
        title_fontsize=8.5,
        fontsize=8.5,
    )


def _dot(axes: Axes, row: float, score: dict[str, float], colour: str) -> None:
    axes.plot([score["low"], score["high"]], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", alpha=0.7)
    axes.plot(score["value"], row, "o", color=colour, markersize=4.5)


def _profiles(panels: Sequence[Axes], comparison: RealismComparison) -> None:
    sets = {"real": comparison.real, "synthetic": comparison.synthetic}
    edge, particle, ground, grey_particle, grey_ground, noise = panels
    size = comparison.pixel_size_nm
    for name, patches in sets.items():
        if patches.of_kind("particle").any():
            curves = edge_profiles(patches)
            _band(edge, Curves(curves.x * (size or 1), curves.y), name)
            _band(particle, power_spectra(patches, "particle"), name)
            _band(grey_particle, grey_histograms(patches, particle=True), name)
        rest = "background" if patches.of_kind("background").any() else "all"
        if patches.of_kind(rest).any():
            _band(ground, power_spectra(patches, rest), name)
        _band(grey_ground, grey_histograms(patches, particle=False), name)
        _spread(noise, noise_level(patches.pixels), name)
    edge.axvline(0, color="0.6", linewidth=0.8)
    edge.set(title="profile across particle edges", xlabel=f"depth in the particle / {'nm' if size else 'px'}")
    edge.set(ylabel="grey value")
    particle.set(title="power spectrum, particle patches", ylabel="log$_{10}$ power")
    ground.set(title="power spectrum, background patches", ylabel="log$_{10}$ power")
    for axes in (particle, ground):
        axes.set(xscale="log", xlabel="cycles per pixel")
    grey_particle.set(title="grey values of particles", ylabel="density")
    grey_ground.set(title="grey values of the rest", ylabel="density")
    for axes in (grey_particle, grey_ground):
        axes.set(xlabel="grey value", xlim=(0, 1), ylim=(0, None))
    noise.set(title="noise level", xlabel="SD of the noise, grey value", ylabel="share of patches")
    edge.legend(loc="upper left", fontsize=8)


def _band(axes: Axes, curves: Curves, name: str) -> None:
    mean, low, high = curves.band()
    axes.fill_between(curves.x, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
    axes.plot(curves.x, mean, color=COLOURS[name], linewidth=1.6, label=name)


def _spread(axes: Axes, values: npt.NDArray[np.float64], name: str) -> None:
    edges = np.linspace(0, 0.06, 49)
    shares = np.histogram(np.clip(values, 0, edges[-1]), edges)[0] / len(values)
    axes.stairs(shares, edges, fill=True, color=COLOURS[name], alpha=0.2)
    axes.stairs(shares, edges, color=COLOURS[name], linewidth=1.4)


def _differences(axes: Axes, comparison: RealismComparison, group: str, top: int, *, key: bool = True) -> None:
    table = comparison.differences[group].head(top)
    rows = np.arange(len(table))
    apart = 0.5 + (table["auc"] - 0.5).abs()
    axes.barh(rows, apart - 0.5, left=0.5, height=0.62, color=COLOURS["synthetic"], label="synthetic against real")
    axes.barh(
        rows, table["baseline_auc"] - 0.5, left=0.5, height=0.26, color=COLOURS["real"], label="real against other real"
    )
    ends = np.maximum(apart, table["baseline_auc"])
    for row, (end, auc, ours, theirs) in enumerate(
        zip(ends, table["auc"], table["real_median"], table["synthetic_median"], strict=True)
    ):
        change = f"{ours:.3g} \N{RIGHTWARDS ARROW} {theirs:.3g}, {'higher' if auc > 0.5 else 'lower'}"
        axes.text(end + 0.01, row, change.replace("-", "\N{MINUS SIGN}"), va="center", fontsize=7.5)
    axes.set(yticks=rows, yticklabels=[DESCRIPTORS[name] for name in table["property"]], xlim=(0.5, 1.25))
    axes.set_xticks([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    axes.spines["bottom"].set_bounds(0.5, 1)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"what tells them apart, {group} patches (median real \N{RIGHTWARDS ARROW} synthetic)", x=0.3)
    if key:
        axes.set_xlabel("area under the ROC curve (0.5: no difference)", x=0.33)
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)


def _telling(panels: Sequence[Axes], comparison: RealismComparison, columns: int) -> None:
    test = comparison.test
    rows: tuple[tuple[str, Patches, npt.NDArray[np.float64], str], ...] = (
        ("real, seen\nto be real", comparison.real, test.first, "real"),
        ("real, taken\nfor synthetic", comparison.real, -test.first, "real"),
        ("synthetic, taken\nfor real", comparison.synthetic, test.second, "synthetic"),
        ("synthetic, seen\nto be synthetic", comparison.synthetic, -test.second, "synthetic"),
    )
    for number, (label, patches, order, name) in enumerate(rows):
        line = panels[number * columns : (number + 1) * columns]
        for axes, patch in zip(line, _one_an_image(np.argsort(order, kind="stable"), patches, columns), strict=False):
            axes.imshow(patches.pixels[patch], cmap="gray", vmin=0, vmax=1)
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color=COLOURS[name], linewidth=1.2)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    title = f"what a classifier ({test.accuracy:.0%} right) sees"
    panels[columns // 2].set_title(title)


def _one_an_image(order: npt.NDArray[np.intp], patches: Patches, count: int) -> npt.NDArray[np.intp]:
    """Take the first patches in an order, of each image only the first."""
    _, first = np.unique(patches.images[order], return_index=True)
    return order[np.sort(first)[:count]]
