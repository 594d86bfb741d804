"""Figures: micrographs with scale bars, segmentations on them, training, sizes, results.

Each function returns a matplotlib Figure that needs no pyplot and no display. See `mark_stand_in` for what is not real.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from nanolab.core.checks import InputError
from nanolab.core.typing import AnyImage, AnyLabelMap
from nanolab.figures.panels import PANEL_IN, draw_micrograph, draw_table, make_grid, make_panels, stand_in_sign, styled
from nanolab.images.micrograph import Micrograph

__all__ = ["plot_images", "plot_particles", "plot_results", "results_text"]


@styled
def plot_images(
    images: Sequence[AnyImage | Micrograph],
    *,
    titles: Sequence[str] | None = None,
    pixel_size_nm: float | Sequence[float | None] | None = None,
    labels: Sequence[AnyLabelMap | None] | None = None,
    columns: int = 4,
) -> Figure:
    """Show images side by side, each with its scale bar, and particles coloured where labels are given.

    Parameters
    ----------
    images
        Micrographs, or arrays of shape (height, width) with values in [0, 1]; 0 is shown black and 1 white.
    titles, labels
        One for each image.
    pixel_size_nm
        One for all images or one each, in place of what micrographs say; where it is unknown there is no scale bar.
    columns
        Images in a row.

    Examples
    --------
    >>> figure = plot_images([np.eye(32)], titles=["a diagonal"], pixel_size_nm=2.0)
    >>> len(figure.axes)
    1
    """
    count = len(images)
    if count == 0:
        raise InputError("gallery: needs at least one image, got none")
    sizes = pixel_size_nm if isinstance(pixel_size_nm, Sequence) else [pixel_size_nm] * count
    shown = [_shown_image(*each) for each in zip(images, sizes, strict=True)]
    figure, panels = make_grid(count, columns, aspect=shown[0][0].shape[0] / shown[0][0].shape[1])
    rows_of_data = zip(shown, titles or [""] * count, labels or [None] * count, strict=True)
    for axes, ((image, size), title, particles) in zip(panels, rows_of_data, strict=True):
        draw_micrograph(axes, image, particles, size, title)
    return figure


@styled
def plot_particles(
    image: AnyImage | Micrograph,
    labels: AnyLabelMap,
    *,
    title: str = "",
    pixel_size_nm: float | None = None,
) -> Figure:
    """Show a micrograph, or an array of shape (height, width), with each particle of its label map outlined and tinted.

    Examples
    --------
    >>> labels = np.zeros((32, 32), dtype=np.int32)
    >>> labels[8:16, 8:16] = 1
    >>> figure = plot_particles(np.eye(32), labels, title="one particle", pixel_size_nm=2.0)
    >>> figure.axes[0].get_title()
    'one particle'
    """
    grey, size = _shown_image(image, pixel_size_nm)
    figure, (axes,) = make_panels(1, 1, aspect=grey.shape[0] / grey.shape[1], panel_in=2 * PANEL_IN)
    draw_micrograph(axes, grey, labels, size, title)
    return figure


def _shown_image(image: AnyImage | Micrograph, pixel_size_nm: float | None) -> tuple[AnyImage, float | None]:
    """Return grey values and pixel size of what is to be shown; of a micrograph its own, unless one is given."""
    if isinstance(image, Micrograph):
        return image.pixels, pixel_size_nm or image.pixel_size_nm
    return image, pixel_size_nm


@styled
def plot_results(results: Mapping[str, Any]) -> Figure:
    """Draw results as a table of two columns; a mapping among them becomes one row per item."""
    rows = _rows(results)
    figure, (axes,) = make_panels(1, 1, aspect=(len(rows) + 1) * 0.055, panel_in=4.5)
    draw_table(axes, rows, [0.65, 0.35], bbox=Bbox.unit())
    return figure


def results_text(results: Mapping[str, Any]) -> str:
    """Return results as the lines of a table to print; the first and last say so where they are a stand-in's."""
    rows = _rows(results)
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>12}" for name, value in rows]
    sign = [stand_in_sign()] if stand_in_sign() else []
    return "\n".join([*sign, *lines, *sign])


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
