"""The report on the sizes of a sample: a page of numbers, and pages of all its images."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, ScalarFormatter
from matplotlib.transforms import Bbox

from nanolab.core.words import count_words
from nanolab.figures.panels import LINES, draw_table, make_grid, make_panels, styled
from nanolab.figures.sizes import STATISTICS, draw_distribution, draw_sized, size_tenths
from nanolab.measurement.statistics import statistics_table
from nanolab.measurement.summary import MeasuredImage, SizeReport

__all__ = ["plot_report_images", "plot_report_knowledge", "plot_report_page"]

_COLUMNS, _ROWS = 3, 5  # images on a page
_THUMBNAIL_PX = 600
_LINE, _TITLE = 135, 48  # characters of a note, and of what stands above a small image


@styled
def plot_report_page(report: SizeReport, images: Sequence[MeasuredImage], about: Sequence[str] = ()) -> Figure:
    """Draw a sample on one page: the image with the median number of particles, distributions, statistics, notes.

    Parameters
    ----------
    images
        Those of the report.
    about
        More lines for the bottom: how the particles were found and measured.
    """
    figure, (axes,) = make_panels(1, 1, aspect=1.41, panel_in=8)
    axes.remove()
    foot = "\n".join(fill(line, _LINE, subsequent_indent="    ") for line in [*report.notes, *about])
    lines = 0.155 * (foot.count("\n") + 1) + 0.1
    top, middle, bottom, last = figure.subfigures(4, 1, height_ratios=[4.7, 2.7, 2.4, lines], squeeze=False).flat
    there = [each for each in images if each.name in report.sample.images]
    there = [each for each in there if each.image is not None] or there
    number = report.particles.loc[report.sample.rows, "image"].value_counts()
    shown = sorted(there, key=lambda each: (number[each.name], each.name))[len(there) // 2]
    _draw_image(top.subplots(), report, shown, size_tenths(report.sample.sizes, report.sample.weights))
    left, right = middle.subplots(1, 2)
    fitted = report.chosen
    draw_distribution(left, report.sample, fitted, "number", goodness=report.goodness)
    draw_distribution(right, report.sample, None if fitted is None or fitted.name == "kde" else fitted, "volume")
    _draw_statistics(bottom.subplots(), report.statistics)
    last.text(0.02, 0.98, foot, fontsize=7.5, va="top", linespacing=1.35)
    figure.suptitle(f"Particle sizes: {report.title}", fontsize=12, weight="bold")
    return figure


@styled
def plot_report_images(report: SizeReport, images: Sequence[MeasuredImage]) -> list[Figure]:
    """Draw all images with their particles in the colours of the first page, those first that are trusted least."""
    edges, pages = size_tenths(report.sample.sizes, report.sample.weights), []
    images = sorted(images, key=lambda each: 1.0 if each.trust is None else each.trust.image)
    for start in range(0, len(images), _COLUMNS * _ROWS):
        some = images[start : start + _COLUMNS * _ROWS]
        aspect = max(each.labels.shape[0] / each.labels.shape[1] for each in some)
        aspect = min(aspect, 1.4) + 0.08
        figure, panels = make_grid(len(some), _COLUMNS, aspect=aspect, panel_in=8 / _COLUMNS)
        for axes, image in zip(panels, some, strict=True):
            step = -(-max(image.labels.shape) // _THUMBNAIL_PX)
            _draw_image(axes, report, image, edges, step=step, bar=False)
            axes.title.set_fontsize(7)
        pages.append(figure)
    return pages


@styled
def plot_report_knowledge(report: SizeReport) -> Figure:
    """Draw how the interval of D50 falls with the number of particles, its parts, and what other rules give."""
    figure, (falls, budget, rules) = make_panels(1, 3, aspect=0.85, panel_in=8 / 3)
    _draw_precision(falls, report)
    names = list(report.budget)[::-1]
    budget.barh(names, [2 * report.budget[name] for name in names], color=LINES[0], height=0.5)
    budget.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    budget.set(title="What it is made of", xlabel="uncertainty of D50 (k = 2)")
    _draw_rules(rules, report)
    return figure


def _draw_precision(axes: Axes, report: SizeReport) -> None:
    count, error = (np.array([point[name] for point in report.precision]) for name in ("particles", "error"))
    axes.plot(count, error, "o-", color=LINES[0], markersize=3, label=f"{report.statistics['resampled']} drawn again")
    aim = report.needed["error"]
    if error[-1] > aim:
        further = np.array([1.0, (error[-1] / aim) ** 2])
        axes.plot(count[-1] * further, error[-1] / np.sqrt(further), "--", color=LINES[0], label="as 1/√number")
    axes.axhline(aim, color=LINES[1], linewidth=0.8, label=f"{aim:.0%}")
    axes.set(title="How the interval falls", xlabel="particles", ylabel="half width / D50", xscale="log", yscale="log")
    for axis, form in ((axes.xaxis, ScalarFormatter()), (axes.yaxis, PercentFormatter(1, decimals=0))):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(form)
        axis.set_minor_formatter(NullFormatter())
    axes.legend(fontsize=7)


def _draw_rules(axes: Axes, report: SizeReport) -> None:
    names = list(report.rules)[::-1]
    values = [report.rules[name]["d50"] for name in names]
    axes.plot(values, names, "o", color=LINES[0], markersize=4)
    for name, value in zip(names, values, strict=True):
        axes.annotate(f"{report.rules[name]['count']:.0f}", (value, name), (0, 5), textcoords="offset points",
                      ha="center", fontsize=7)  # fmt: skip
    low, high = report.statistics["number"]["intervals"].get("d50", (np.nan, np.nan))
    if np.isfinite(low):
        axes.axvspan(low, high, color=LINES[0], alpha=0.15, linewidth=0)
    axes.margins(x=0.2, y=0.15)
    axes.set(title="By rule, with how many count", xlabel=f"D50 / {report.sample.unit}")


def _draw_image(axes: Axes, report: SizeReport, image: MeasuredImage, edges: Any, **options: Any) -> None:
    rows = report.particles[report.particles["image"] == image.name]
    counted = rows[rows["weight"].notna()]
    others = f", {len(rows) - len(counted)} not counted (white)" if len(rows) > len(counted) else ""
    lost = "; image not at hand" if image.image is None else ""
    trust = "" if image.trust is None else f"; trust {image.trust.image:.2f}"
    title = f"{image.name}: {count_words(len(counted), 'particle')}{others}{trust}{lost}"
    title = fill(title, _TITLE if "step" in options else _LINE)
    draw_sized(axes, image.image, image.labels, counted, report.sample.quantity, edges, title, **options)


def _draw_statistics(axes: Axes, result: Mapping[str, Any]) -> None:
    percent = f"{100 * result['confidence']:g} % interval"
    rows = [
        [
            STATISTICS.get(row["statistic"], row["statistic"]) + (f" / {row['unit']}" if row["unit"] else ""),
            *(text for each in ("number", "volume") for text in (_number(row[each]), _interval(row, each))),
        ]
        for row in statistics_table(dict(result)).to_dict("records")
    ]
    head = ["", "by number", percent, "by volume", percent]
    draw_table(axes, rows, [0.22, 0.16, 0.23, 0.16, 0.23], colLabels=head, bbox=Bbox.from_bounds(0.02, 0, 0.96, 1))


def _number(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:#.4g}".rstrip(".")


def _interval(row: Mapping[str, Any], weighting: str) -> str:
    low, high = _number(row[f"{weighting}_low"]), _number(row[f"{weighting}_high"])
    return f"{low} to {high}" if low else ""
