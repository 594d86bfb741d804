"""Figures of movies: how sizes change from image to image."""

import pandas as pd
from matplotlib.figure import Figure

from nanolab.core.checks import InputError
from nanolab.figures.panels import LINES, make_panels, styled

__all__ = ["plot_sizes_over_time"]

_NUMBERED = r"_f\d{4,}$"  # what the images of one file have behind its name


@styled
def plot_sizes_over_time(images: pd.DataFrame) -> Figure:
    """Show D50 with its 95 % interval, and the number of particles, over the images of movies and other stacks.

    Parameters
    ----------
    images
        The table `images.csv` of `nanolab segment --frames all`: one row per image, with its `frame` and, where the
        file says when it was taken, `time_s`. A line per file; rows of files with one image are left out.

    Raises
    ------
    InputError
        If no file has two images, or some sizes are in nm and others in px.

    Examples
    --------
    >>> table = pd.DataFrame({"image": ["m_f0000", "m_f0001"], "frame": [0, 1], "particles": [40, 42], "unit": "nm"})
    >>> plot_sizes_over_time(table.assign(d50=[8.0, 9.0], d50_low=[7.5, 8.4], d50_high=[8.4, 9.3])).axes[0].get_ylabel()
    'D50 / nm'
    """
    shown = images[images["frame"].notna()] if "frame" in images else images[:0]
    shown = shown.assign(file=shown["image"].str.replace(_NUMBERED, "", regex=True))
    shown = shown[shown.groupby("file")["file"].transform("size") > 1]
    if shown.empty or shown["unit"].nunique() > 1:
        raise InputError(
            "images: must hold the rows of two or more images of a file, all in nm or all in px; "
            "make it with `nanolab segment --frames all`"
        )
    figure, (sizes, counts) = make_panels(2, 1, aspect=0.42, panel_in=6)
    timed = "time_s" in shown and shown["time_s"].notna().all()
    for number, (name, rows) in enumerate(shown.sort_values("frame").groupby("file")):
        x, colour = rows["time_s" if timed else "frame"], LINES[number % len(LINES)]
        low, high = (rows[key].astype(float) for key in ("d50_low", "d50_high"))
        sizes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
        sizes.plot(x, rows["d50"].astype(float), ".-", color=colour, label=name)
        counts.plot(x, rows["particles"], ".-", color=colour)
    sizes.set(ylabel=f"D50 / {shown['unit'].iloc[0]}")
    counts.set(xlabel="time / s" if timed else "image of the file", ylabel="particles", ylim=(0, None))
    sizes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure
