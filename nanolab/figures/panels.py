"""Panels of a figure: a micrograph with its scale bar and particles, and the sign over what is not real."""

import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar
from skimage.segmentation import find_boundaries

from nanolab.core.checks import check_image, check_positive, check_same_shape
from nanolab.core.files import atomic
from nanolab.core.typing import AnyImage, AnyLabelMap
from nanolab.images.lengths import length_text, nice_length_nm

__all__ = [
    "LINES",
    "PANEL_IN",
    "STAND_IN",
    "draw_micrograph",
    "draw_table",
    "key",
    "make_grid",
    "make_panels",
    "mark_stand_in",
    "png",
    "save_pdf",
    "stand_in_sign",
    "styled",
]

#: Shown above whatever is not real.
STAND_IN = "STAND-IN, NOT REAL"


# Okabe & Ito's colours, told apart with any colour vision (jfly.uni-koeln.de/color), but for black
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
#: Those of them that lines on white can have.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

#: Usual width of a panel, in inches.
PANEL_IN = 2.6
_SIGN_IN = 0.35
_mark = [False]  # of the whole process, so that all cells of a notebook share it

#: Decorates a function that makes a figure.
styled = mpl.rc_context(
    {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


def mark_stand_in(on: bool) -> ExitStack:
    """Put the sign over all figures and tables from here on, or no longer; in a `with`, until its end.

    Call it once in a notebook, after it has loaded its images: the mark holds for all cells that follow.

    Examples
    --------
    >>> with mark_stand_in(True):
    ...     stand_in_sign()
    'STAND-IN, NOT REAL'
    >>> stand_in_sign()
    ''
    """
    before, _mark[0] = _mark[0], on
    restored = ExitStack()
    restored.callback(_mark.__setitem__, 0, before)
    return restored


def stand_in_sign() -> str:
    """Return what must stand over what is shown now: `STAND_IN`, or nothing."""
    return STAND_IN if _mark[0] else ""


class _Shown(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot was ever imported there."""

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """Return a figure as a PNG file's content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def make_panels(rows: int, columns: int, *, aspect: float, panel_in: float = PANEL_IN) -> tuple[Figure, list[Axes]]:
    """Make a figure of equal panels, `aspect` = height / width of one, under the stand-in sign where one is due."""
    sign = stand_in_sign()
    height_in = rows * (panel_in * aspect + 0.25) + _SIGN_IN * bool(sign)
    figure = _Shown(figsize=(columns * panel_in, height_in), layout="constrained")
    if sign:
        _draw_sign(figure, sign, _SIGN_IN / height_in)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def make_grid(count: int, columns: int, *, aspect: float, panel_in: float = PANEL_IN) -> tuple[Figure, list[Axes]]:
    """Make a figure of so many panels, see `make_panels`, with at most `columns` in a row."""
    columns = min(columns, count)
    figure, panels = make_panels(-(-count // columns), columns, aspect=aspect, panel_in=panel_in)
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _draw_sign(figure: Figure, sign: str, height: float) -> None:
    """Draw the stand-in sign across the top of a figure, `height` a fraction of the figure's."""
    figure.add_artist(Rectangle((0, 1 - height), 1, height, transform=figure.transFigure, color=LINES[1]))
    figure.text(0.5, 1 - height / 2, sign, color="white", weight="bold", size=13, ha="center", va="center_baseline")
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - height))


def save_pdf(path: Path | str, figures: Sequence[Figure]) -> None:
    """Write figures as the pages of a PDF, atomically, with fonts whose text can be searched and edited (TrueType)."""
    # without a date the same numbers give the same file
    with (
        atomic(path) as temporary,
        mpl.rc_context({"pdf.fonttype": 42}),
        PdfPages(temporary, metadata={"CreationDate": None}) as pages,
    ):
        for figure in figures:
            pages.savefig(figure)


def draw_micrograph(
    axes: Axes, image: AnyImage, labels: AnyLabelMap | None, pixel_size_nm: float | None, title: str
) -> None:
    """Draw an image, shape (height, width) in [0, 1], its particles and its scale bar; either may be None."""
    check_image(image, title or "image to show")
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    if labels is not None:
        check_same_shape(image, labels, title or "labels to show")
        axes.imshow(_tinted(labels))
    if pixel_size_nm is not None:
        check_positive(pixel_size_nm, "pixel size", "nm")
        _scale_bar(axes, image.shape[1], pixel_size_nm)
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)


def key(**style: Any) -> Line2D:
    """Return a marker without a line, for a legend."""
    return Line2D([], [], linestyle="", **style)


def draw_table(axes: Axes, rows: Sequence[Sequence[str]], widths: Sequence[float], **options: Any) -> None:
    """Draw texts as a table with lines between its rows; `options` are those of matplotlib's table."""
    axes.axis("off")
    table = axes.table(cellText=rows, loc="center", edges="horizontal", colWidths=widths, **options)
    table.auto_set_font_size(value=False)
    for (row, column), cell in table.get_celld().items():
        cell.set_linewidth(0.4)
        bold = row == 0 and "colLabels" in options
        cell.set_text_props(ha="left" if column == 0 else "right", size=9, weight="bold" if bold else "normal")


def _tinted(labels: AnyLabelMap) -> npt.NDArray[np.float64]:
    """Return colours, shape (height, width, 4): clear background, tinted particles, opaque outlines inside them."""
    colours = np.array([to_rgba(colour) for colour in _COLOURS])[labels % len(_COLOURS)]
    outline = find_boundaries(labels, mode="inner")
    colours[..., 3] = np.where(labels == 0, 0, np.where(outline, 1, 0.3))
    return colours


def _scale_bar(axes: Axes, width_px: int, pixel_size_nm: float) -> None:
    length_nm = nice_length_nm(width_px * pixel_size_nm / 4)
    bar = AnchoredSizeBar(
        axes.transData,
        length_nm / pixel_size_nm,
        length_text(length_nm, micro="µ"),
        "lower right",
        pad=0.3,
        color="white",
        size_vertical=width_px / 100,
        borderpad=0,
        sep=2,
    )
    bar.patch.set(facecolor="black", edgecolor="none", alpha=0.65)
    axes.add_artist(bar)
