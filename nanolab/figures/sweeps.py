"""What a sweep found: means over the seeds, and each result against what was varied."""

from collections.abc import Mapping, Sequence
from itertools import cycle, takewhile
from textwrap import fill, wrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nanolab.core.checks import InputError
from nanolab.figures.panels import LINES, key, make_grid, styled
from nanolab.runs.sweeps.table import PAPER

__all__ = ["means", "measures", "plot_sweep"]

_RECORD = ("duration_s", "threads")
_MARKERS = "osD^vP"
_APART = 0.2  # of neighbouring categories, between the groups of one
_LABEL_WIDTH = 34  # characters


def measures(table: pd.DataFrame, state: Mapping[str, Any]) -> list[str]:
    """Return the columns of `nanolab.runs.sweeps.collect` that hold numbers that came out, not went in."""
    parameters = {key for about in state["runs"].values() for key in about["parameters"]}
    numbers = table.select_dtypes("number").columns
    own = [name for name in numbers if name not in parameters and name not in _RECORD]
    return [name for name in own if not name.startswith(PAPER) and table[name].notna().any()]


def means(table: pd.DataFrame, state: Mapping[str, Any]) -> pd.DataFrame:
    """Return mean, standard deviation (n - 1) and number of each measure over the runs that differ by their seed alone.

    One row per combination of parameters, in the order of the file. Where a paper gives a number for it, that is the
    fourth, `paper`.
    """
    names, keys = measures(table, state), _keys(state)
    rows = table.assign(**{key: table[key].map(_said) for key in keys if table[key].dtype == object})
    if not keys:
        rows, keys = rows.assign(sweep=state["name"]), ["sweep"]
    grouped = rows.groupby(keys, sort=False, dropna=False)
    averages = grouped[names].agg(["mean", "std", "count"])
    for name in names:
        if PAPER + name in rows:
            place = list(averages.columns).index((name, "count")) + 1
            averages.insert(place, (name, "paper"), grouped[PAPER + name].first())
    return averages


def _said(value: Any) -> str:
    """Return a parameter's value as people write it; of several settings, which and what."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items()) or "as it is"
    return str(value)


def _keys(state: Mapping[str, Any]) -> list[str]:
    return [key for key in state["varying"] if key != state["seed_parameter"]]


@styled
def plot_sweep(table: pd.DataFrame, state: Mapping[str, Any], *, shown: Sequence[str] | None = None) -> Figure:
    """Draw each measure against the parameter that has most values, a colour for each combination of the others.

    A dot is a run, a line goes through the means over runs of the same parameters, its band is their standard deviation
    (n - 1), a cross the number that a paper gives. Values that are no numbers have a row each. Parameters that follow
    from the one on the axis, such as one of two counts with a fixed sum, have no colours.

    Parameters
    ----------
    table
        Of `nanolab.runs.sweeps.collect`.
    state
        Of `nanolab.runs.sweeps.table.sweep_state`.
    shown
        Which measures; all if None.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    names = list(shown) if shown is not None else measures(table, state)
    if table.empty or not names:
        raise InputError(f"sweep {state['name']}: no complete run has a number in its results, so nothing to draw")
    across, others = _across(table, _keys(state))
    groups, categories = _groups(table, others), _categories(table, across)
    columns = min(3, len(names))
    lines = sum(len(wrap(text, _LABEL_WIDTH)) for text in categories or [])
    dots = len(categories or []) * len(groups)
    aspect = 0.75 if categories is None else min(3, 0.2 + max(0.09 * dots, 0.075 * lines))
    figure, panels = make_grid(len(names), columns, aspect=aspect, panel_in=3.1)
    titles = _titles(names)
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        axes.set_title(titles[name])
        if across is not None and categories is None:
            _draw_curves(axes, groups, across, name)
        else:
            _draw_dots(axes, groups, across, categories or [], name)
            axes.tick_params(labelleft=place % columns == 0)
    handles = panels[0].get_legend_handles_labels()[0] if len(groups) > 1 else []
    if any(PAPER + name in table for name in names):
        handles = [*handles, key(marker="x", color="0.3", ms=8, mew=2, label="the paper's number")]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def _titles(names: Sequence[str]) -> dict[str, str]:
    """Return dotted names without the beginning that all those of a family share, as `dice` for `scores.bam.dice`."""
    shorts = []
    for name in names:
        first, *_ = parts = name.split(".")
        family = [other.split(".")[:-1] for other in names if other.split(".")[0] == first]
        shared = list(takewhile(lambda level: len(set(level)) == 1, zip(*family, strict=False)))
        shorts.append(".".join(parts[len(shared) if len(family) > 1 else 0 :]))
    return {name: short if shorts.count(short) == 1 else name for name, short in zip(names, shorts, strict=True)}


def _across(table: pd.DataFrame, keys: list[str]) -> tuple[str | None, list[str]]:
    """Return the parameter for the horizontal axis, numbers first, and those left for the colours.

    A number that goes with a name, as each case with its count of images, is not for the axis: the name is.
    """
    several = [key for key in keys if table[key].map(_said).nunique() > 1]
    if not several:
        return None, []
    texts = table[several].map(_said)

    def follows(key: str, other: str) -> bool:
        return bool(texts.groupby(other)[key].nunique().max() == 1)

    def named(key: str) -> bool:
        others = [other for other in several if not pd.api.types.is_numeric_dtype(table[other])]
        return any(follows(key, other) and follows(other, key) for other in others)

    numbers = {key for key in several if _is_number(table[key]) and not named(key)}
    across = max(several, key=lambda key: (key in numbers, not _is_number(table[key]), texts[key].nunique()))
    return across, [key for key in several if key != across and not follows(key, across)]


def _is_number(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _groups(table: pd.DataFrame, others: list[str]) -> dict[str, pd.DataFrame]:
    if not others:
        return {"": table}
    label = table[others].apply(lambda row: ", ".join(f"{key} {_said(row[key])}" for key in others), axis=1)
    return {str(name): rows for name, rows in table.groupby(label, sort=False)}


def _categories(table: pd.DataFrame, across: str | None) -> list[str] | None:
    """Return the values along the axis, as text, if they are not numbers."""
    if across is None:
        return ["all runs"]
    return None if _is_number(table[across]) else list(dict.fromkeys(table[across].map(_said)))


def _draw_curves(axes: Axes, groups: Mapping[str, pd.DataFrame], across: str, name: str) -> None:
    for (label, runs), colour, marker in zip(groups.items(), cycle(LINES), cycle(_MARKERS)):
        axes.plot(runs[across], runs[name], marker, color=colour, ms=3.5, mec="none", alpha=0.6, label="_")
        spread = runs.groupby(across)[name].agg(["mean", "std"])
        axes.plot(spread.index, spread["mean"], marker=marker, color=colour, ms=6, label=label)
        low, high = spread["mean"] - spread["std"], spread["mean"] + spread["std"]
        axes.fill_between(spread.index, low, high, color=colour, alpha=0.15, lw=0)
        if PAPER + name in runs:
            axes.plot(runs[across], runs[PAPER + name], "x", color=colour, ms=8, mew=2, label="_")
    axes.set_xlabel(across)
    if all(pd.api.types.is_integer_dtype(runs[across]) for runs in groups.values()):
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _draw_dots(
    axes: Axes, groups: Mapping[str, pd.DataFrame], across: str | None, categories: Sequence[str], name: str
) -> None:
    """Draw a line for each category, so that long names can be read; the groups of one lie below each other."""
    for number, (label, runs) in enumerate(groups.items()):
        colour, marker = LINES[number % len(LINES)], _MARKERS[number % len(_MARKERS)]
        offset = _APART * (number - (len(groups) - 1) / 2)
        places = offset + (runs[across].map(_said).map(categories.index) if across else pd.Series(0.0, runs.index))
        axes.plot(runs[name], places, marker, color=colour, ms=3.5, mec="none", alpha=0.6, label="_")
        spread = runs.groupby(places)[name].agg(["mean", "std"])
        axes.plot(spread["mean"], spread.index, marker, color=colour, ms=6, label=label)
        axes.hlines(spread.index, spread["mean"] - spread["std"], spread["mean"] + spread["std"], color=colour)
        if PAPER + name in runs:
            axes.plot(runs[PAPER + name], places, "x", color=colour, ms=8, mew=2, label="_")
    axes.set_yticks(range(len(categories)), [fill(text, _LABEL_WIDTH) for text in categories])
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
