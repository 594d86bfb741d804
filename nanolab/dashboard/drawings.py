"""What the page draws with Bokeh: the micrograph with its particles, and the size distribution."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from bokeh.events import Pan, PanEnd, PanStart
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    HoverTool,
    LinearColorMapper,
    PanTool,
    Range1d,
    ResetTool,
    TapTool,
    WheelZoomTool,
)
from bokeh.palettes import Greys256, Viridis256
from bokeh.plotting import figure
from skimage.measure import find_contours

from nanolab.dashboard.html import shape_words
from nanolab.dashboard.tools import Stroke
from nanolab.dashboard.workbench import Sizes, WorkbenchImage
from nanolab.figures.sizes import NAMES, fit_curves
from nanolab.images.lengths import length_text, nice_length_nm
from nanolab.images.trust import UNTRUSTED
from nanolab.measurement.particles import sizes_of
from nanolab.measurement.size_sample import quantiles
from nanolab.measurement.statistics import histogram

__all__ = ["DistributionDrawing", "Limits", "Overlay", "outline_polygon", "size_limits"]

Limits = tuple[float, float]
Polygon = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

_TOLERANCE_PX = 0.3  # how far a simplified outline may lie from the whole one: not to be seen
_LONGEST_PX = 2048  # larger images are sent smaller: the browser shows no more of them
_TOOLTIP = """<div><b>Particle @label</b><table>
<tr><td>@quantity</td><td>@size</td></tr><tr><td>area</td><td>@area</td></tr>
<tr><td>Feret max / min</td><td>@feret</td></tr><tr><td>aspect ratio</td><td>@aspect</td></tr>
<tr><td>circularity</td><td>@circularity</td></tr><tr><td>solidity</td><td>@solidity</td></tr>
<tr><td>trust</td><td>@trust</td></tr>
</table><i>@remark</i></div>"""
# fills the frame with the image without distorting it, whatever the size of the window
_FIT = """
const [width, height] = shape.data.size;
const scale = Math.max(width / plot.inner_width, height / plot.inner_height);
if (!Number.isFinite(scale) || scale <= 0) return;
const [x, y] = [scale * plot.inner_width / 2, scale * plot.inner_height / 2];
plot.x_range.setv({start: width / 2 - x, end: width / 2 + x, reset_start: width / 2 - x, reset_end: width / 2 + x});
plot.y_range.setv({start: height / 2 + y, end: height / 2 - y, reset_start: height / 2 + y, reset_end: height / 2 - y});
"""
# gathers a stroke in the browser, where it is seen at once, and sends it when the button is released
_DRAW = """
if (plot.toolbar.active_drag !== null) return;
if (cb_obj.event_name === "panstart") stroke.path = {xs: [[]], ys: [[]], width: [2]};
if (!stroke.path) return;
stroke.path.xs[0].push(cb_obj.x);
stroke.path.ys[0].push(cb_obj.y);
stroke.path.width[0] = Math.max(2, stroke.tags[0] * plot.inner_width / (plot.x_range.end - plot.x_range.start));
const data = stroke.data;
const put = data instanceof Map ? (name, value) => data.set(name, value) : (name, value) => { data[name] = value; };
Object.entries(stroke.path).forEach(([name, value]) => put(name, value));
stroke.change.emit();
if (cb_obj.event_name !== "panend") return;
stroke.setv({data: stroke.path}, {check_eq: false});  // it looks like what is there
stroke.path = null;
"""
_NO_STROKE: dict[str, list[Any]] = {"xs": [], "ys": [], "width": []}
# what changes with a particle
_KNOWN = (
    *("label", "area_px", "perimeter_px", "centroid_row_px", "centroid_col_px", "mean_intensity", "touches_border"),
    *("trust", "pixel_size_nm"),
)
_MOST_GAPS = 500  # rows of particles that are gone, before all are sent anew


def size_limits(particles: pd.DataFrame, quantity: str) -> Limits:
    """Return the sizes that the ends of the colour map stand for: the smallest, and all but the largest 1 %."""
    sizes = sizes_of(particles, quantity)[0] if len(particles) else np.zeros(0)
    sizes = sizes[~np.isnan(sizes)]
    if not len(sizes):
        return 0.0, 1.0
    low, high = float(sizes.min()), float(np.quantile(sizes, 0.99))
    return low, high if high > low else low + 1.0


class Overlay:
    """The micrograph with an outline for every particle, coloured by size; hover for numbers, click to choose, draw.

    Parameters
    ----------
    on_tap
        Called with the labels of the particles that were clicked.
    on_stroke
        Called with what was drawn.

    Attributes
    ----------
    figure
        Bokeh's figure.
    """

    def __init__(self, on_tap: Callable[[list[int]], None], on_stroke: Callable[[Stroke], None]) -> None:
        self._image = ColumnDataSource({"image": [], "width": [], "height": []})
        self._shape = ColumnDataSource({"size": [1024, 768]})
        self._particles = ColumnDataSource(_columns(None, "ecd"))
        self._stroke = ColumnDataSource(_NO_STROKE, tags=[0])
        self._bar = ColumnDataSource({"left": [], "right": [], "top": [], "bottom": []})
        self._text = ColumnDataSource({"x": [], "y": [], "text": []})
        self._colours = LinearColorMapper(palette=Viridis256, low=0, high=1)
        self._colour_bar = ColorBar(
            color_mapper=self._colours,
            width=14,
            padding=6,
            ticker=BasicTicker(desired_num_ticks=6),
            title="",
            title_text_font_style="normal",
        )
        self._pan = PanTool()
        self.figure = self._make()
        self._on_tap, self._on_stroke = on_tap, on_stroke
        self._drawn: dict[int, tuple[int, int]] = {}  # row and state of each particle that is there, by its label
        self._drawn_for: tuple[str, str, str] | None = None
        self._particles.selected.on_change("indices", self._tapped)
        self._stroke.on_change("data", self._stroked)

    def _make(self) -> Any:
        plot = figure(
            sizing_mode="stretch_both",
            min_height=380,
            x_range=Range1d(0, 1024),
            y_range=Range1d(768, 0),
            toolbar_location="above",
            background_fill_color="#10151c",
            outline_line_color=None,
            tools=[],
        )
        plot.axis.visible = plot.grid.visible = False
        plot.toolbar.logo = None
        greys = LinearColorMapper(palette=Greys256, low=0, high=255)
        plot.image(image="image", x=0, y=0, dw="width", dh="height", source=self._image, color_mapper=greys)
        patches = plot.patches(
            "x",
            "y",
            source=self._particles,
            fill_color={"field": "value", "transform": self._colours},
            fill_alpha="alpha",
            line_color={"field": "value", "transform": self._colours},
            line_width=1.6,
            line_dash="dash",
            hatch_pattern="hatch",
            hatch_color="white",
            hatch_alpha=0.8,
            selection_line_color="#ff5a36",
            selection_line_width=3,
            nonselection_fill_alpha="alpha",
            nonselection_line_alpha=1,
            hover_line_color="white",
            hover_fill_alpha=0.15,
        )
        plot.quad("left", "right", "top", "bottom", source=self._bar, fill_color="white", line_color="#10151c")
        plot.text(
            "x", "y", "text", source=self._text, text_color="white", text_align="center", text_baseline="bottom",
            text_font_size="14px", text_font_style="bold", text_outline_color="#10151c",
        )  # fmt: skip
        plot.multi_line(
            "xs", "ys", source=self._stroke, line_width="width", line_color="#ff5a36", line_alpha=0.7, line_cap="round"
        )
        self._hover = HoverTool(
            renderers=[patches], tooltips=_TOOLTIP, point_policy="follow_mouse", attachment="horizontal"
        )
        zoom, tap = WheelZoomTool(), TapTool(renderers=[patches])
        plot.add_tools(self._pan, zoom, ResetTool(), self._hover, tap)
        plot.toolbar.active_scroll, plot.toolbar.active_drag, plot.toolbar.active_tap = zoom, self._pan, tap
        plot.add_layout(self._colour_bar, "right")
        fit = CustomJS(args={"plot": plot, "shape": self._shape}, code=_FIT)
        for change in ("inner_width", "inner_height"):
            plot.js_on_change(change, fit)
        self._shape.js_on_change("data", fit)
        draw = CustomJS(args={"plot": plot, "stroke": self._stroke}, code=_DRAW)
        for event in (PanStart, Pan, PanEnd):
            plot.js_on_event(event, draw)
        return plot

    def take(self, *, draws: bool, brush_px: float) -> None:
        """Let dragging draw, with a brush of a width in px of the image (0: a thin line), or move the picture."""
        self._stroke.tags = [brush_px]
        drag, inspect = (None, None) if draws else (self._pan, self._hover)
        self.figure.toolbar.update(active_drag=drag, active_inspect=inspect)

    def show_image(self, image: WorkbenchImage | None) -> None:
        """Show another micrograph, or none."""
        if image is None:
            self._image.data = {"image": [], "width": [], "height": []}
            return
        pixels = image.micrograph.pixels
        height, width = pixels.shape
        scale = min(1.0, _LONGEST_PX / max(height, width))
        if scale < 1:
            smaller = (round(width * scale), round(height * scale))
            pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA).astype(np.float32)
        grey = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        self._image.data = {"image": [grey], "width": [width], "height": [height]}
        self._shape.data = {"size": [width, height]}

    def show_particles(self, image: WorkbenchImage | None, quantity: str, limits: Limits) -> None:
        """Draw the particles of the micrograph, coloured by `quantity` between the limits.

        Of the image and quantity that are there already, only particles that are new or have changed are sent.
        """
        self._particles.selected.indices = []
        wanted = None if image is None else (image.sha256, image.found, quantity)
        now = {} if image is None else _states(image.particles)
        if image is None or wanted != self._drawn_for or not self._change(image, quantity, now):
            self._particles.data = _columns(image, quantity)
            self._drawn = {label: (row, state) for row, (label, state) in enumerate(now.items())}
        self._drawn_for = wanted
        self._colours.update(low=limits[0], high=limits[1])
        unit = "px" if image is None or image.micrograph.pixel_size_nm is None else "nm"
        self._colour_bar.title = f"{_short(quantity)} / {unit}"
        self._bar.data, self._text.data = _scale_bar(image)

    def _change(self, image: WorkbenchImage, quantity: str, now: Mapping[int, int]) -> bool:
        """Change the rows of particles that are not as they were; False where all must be sent anew."""
        rows = len(self._particles.data["label"])
        gone = [label for label in self._drawn if label not in now]
        if rows - len(now) + len(gone) > _MOST_GAPS:
            return False
        other = [label for label, state in now.items() if self._drawn.get(label, (0, None))[1] != state]
        columns = _columns(image, quantity, image.particles[image.particles["label"].isin(other)])
        labels = [int(label) for label in columns["label"]]
        there = [at for at, label in enumerate(labels) if label in self._drawn]
        new = [at for at, label in enumerate(labels) if label not in self._drawn]
        nothing = {"x": [], "y": [], "label": 0}  # a row stays, or the numbers of all others would change
        patches = {
            name: [(self._drawn[label][0], nothing[name]) for label in gone if name in nothing]
            + [(self._drawn[labels[at]][0], values[at]) for at in there]
            for name, values in columns.items()
        }
        if gone or there:
            self._particles.patch(patches)
        if new:
            self._particles.stream({name: [values[at] for at in new] for name, values in columns.items()})
        for label in gone:
            del self._drawn[label]
        placed = {labels[at]: rows + place for place, at in enumerate(new)}
        self._drawn |= {
            label: (placed[label] if label in placed else self._drawn[label][0], now[label]) for label in labels
        }
        return True

    def select(self, labels: Sequence[int]) -> None:
        """Light up these particles."""
        there = list(self._particles.data["label"])
        self._particles.selected.indices = [there.index(label) for label in labels if label in there]

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:  # noqa: ARG002  # as Bokeh calls it
        self._on_tap([int(self._particles.data["label"][index]) for index in new])

    def _stroked(self, attr: str, old: Any, new: Any) -> None:  # noqa: ARG002  # as Bokeh calls it
        if len(new["xs"]):
            self._stroke.data = _NO_STROKE
            self._on_stroke(list(zip(new["ys"][0], new["xs"][0], strict=True)))


def _short(quantity: str) -> str:
    return "ECD" if quantity == "ecd" else NAMES.get(quantity, quantity)


def _states(particles: pd.DataFrame) -> dict[int, int]:
    """Return for the label of each particle a number that changes with it."""
    known = particles[[name for name in _KNOWN if name in particles]]
    return dict(zip(particles["label"].tolist(), pd.util.hash_pandas_object(known, index=False).tolist(), strict=True))


def _columns(image: WorkbenchImage | None, quantity: str, particles: pd.DataFrame | None = None) -> dict[str, Any]:
    """Return one row per particle, of the image's or of some of them: its outline, colour and numbers."""
    names = ("x", "y", "label", "value", "alpha", "dash", "quantity", "size", "area", "feret", "aspect", "hatch")
    if image is None or not len(image.particles):
        return {name: [] for name in (*names, "circularity", "solidity", "trust", "remark")}
    table = image.particles if particles is None else particles
    sizes, unit = sizes_of(table, quantity)
    area = table["area_nm2" if unit == "nm" else "area_px"]
    boxes = (image.corrected.window_of(label) for label in table["label"].tolist())
    polygons = [
        outline_polygon(image.labels[box] == label, (box[0].start, box[1].start))
        for label, box in zip(table["label"], boxes, strict=True)
    ]
    cut = table["touches_border"].to_numpy(dtype=bool)
    trust = table["trust"] if "trust" in table else pd.Series(np.nan, table.index)
    longest, shortest = table[f"feret_max_{unit}"], table[f"feret_min_{unit}"]
    return {
        "x": [x for x, _ in polygons],
        "y": [y for _, y in polygons],
        "label": table["label"].tolist(),
        "value": sizes.tolist(),
        "alpha": np.where(cut, 0.0, 0.4).tolist(),
        "dash": np.where(cut, "dashed", "solid").tolist(),
        "quantity": [_short(quantity)] * len(table),
        "size": ["alone in its image" if np.isnan(size) else f"{size:.4g} {unit}" for size in sizes],
        "area": [f"{each:.4g} {unit}{'²' if unit == 'nm' else ''}" for each in area],
        "feret": [f"{a:.4g} / {b:.4g} {unit}" for a, b in zip(longest, shortest, strict=True)],
        "aspect": [shape_words(each) for each in table["aspect_ratio"]],
        "circularity": [shape_words(each) for each in table["circularity"]],
        "solidity": [shape_words(each) for each in table["solidity"]],
        "hatch": np.where(trust < UNTRUSTED, "right_diagonal_line", "blank").tolist(),
        "trust": ["unknown" if np.isnan(each) else f"{each:.2f}" for each in trust],
        "remark": np.where(cut, "cut by the border", "").tolist(),
    }


def outline_polygon(mask: npt.NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Polygon:
    """Return the outer outline of a particle as x and y of its corners, in pixels from the top left of the image.

    Outlines pass through the middles of the edges of the outermost pixels: that of a single pixel at row 2, column 5
    goes through (5.5, 2), (6, 2.5), (5.5, 3) and (5, 2.5).

    Parameters
    ----------
    mask
        Shape (height, width); of several pieces the largest is drawn.
    corner
        Row and column of its first pixel in the image.
    """
    contours = find_contours(np.pad(mask, 1).astype(np.float32), 0.5, fully_connected="high")
    points = max(contours, key=len).astype(np.float32)
    corners = cv2.approxPolyDP(points[:-1, None], _TOLERANCE_PX, closed=True)[:, 0].astype(np.float64) - 0.5
    return corners[:, 1] + corner[1], corners[:, 0] + corner[0]


def _scale_bar(image: WorkbenchImage | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a bar of a round length, about a quarter of the image, and its text; in px without a pixel size."""
    if image is None:
        return {"left": [], "right": [], "top": [], "bottom": []}, {"x": [], "y": [], "text": []}
    height, width = image.labels.shape
    nm = image.micrograph.pixel_size_nm
    length = nice_length_nm(0.25 * width * (nm or 1))
    text = f"{length:g} px" if nm is None else length_text(length, micro="µ")
    left, right = 0.03 * width, 0.03 * width + length / (nm or 1)
    top = height - 0.035 * max(height, width)
    bar = {"left": [left], "right": [right], "top": [top], "bottom": [top + 0.009 * max(height, width)]}
    return bar, {"x": [(left + right) / 2], "y": [top - 0.004 * height], "text": [text]}


class DistributionDrawing:
    """The histogram in the colours of the particles, the fit over it, D10, D50 and D90.

    Attributes
    ----------
    figure
        Bokeh's figure.
    """

    def __init__(self) -> None:
        self._bars = ColumnDataSource({"left": [], "right": [], "top": [], "middle": []})
        self._curve = ColumnDataSource({"x": [], "y": []})
        self._marks = ColumnDataSource({"x": [], "top": [], "name": []})
        self._colours = LinearColorMapper(palette=Viridis256, low=0, high=1)
        self.figure = self._make()

    def _make(self) -> Any:
        plot = figure(
            sizing_mode="stretch_width", height=195, toolbar_location=None, tools=[], min_border_right=12,
            x_range=Range1d(0, 1), y_range=Range1d(0, 1), outline_line_color=None,
        )  # fmt: skip
        bars = plot.quad(
            "left", "right", "top", 0, source=self._bars, line_color="white", line_width=0.5,
            fill_color={"field": "middle", "transform": self._colours},
        )  # fmt: skip
        plot.line("x", "y", source=self._curve, line_color="#d55e00", line_width=2.5)
        plot.segment("x", 0, "x", "top", source=self._marks, line_color="#333", line_dash="dashed")
        plot.text(
            "x", "top", "name", source=self._marks, text_align="center", text_font_size="11px", text_baseline="bottom"
        )
        tip = [("from", "@left{0.[0]}"), ("to", "@right{0.[0]}"), ("share", "@top{0.[0]} %")]
        plot.add_tools(HoverTool(renderers=[bars], tooltips=tip))
        plot.grid.grid_line_color = "#e6e9ee"
        plot.axis.axis_label_text_font_style = "normal"
        plot.axis.minor_tick_line_color = None
        plot.yaxis.axis_label = "share of particles / %"
        return plot

    def show(self, sizes: Sizes | None, weighting: str, limits: Limits) -> None:
        """Draw a size distribution by "number" or "volume", or nothing."""
        self._colours.low, self._colours.high = limits
        if sizes is None or sizes.sample.sizes[0] == sizes.sample.sizes[-1]:
            for source in (self._bars, self._curve, self._marks):
                source.data = {name: [] for name in source.data}
            return
        sample, volume = sizes.sample, weighting == "volume"
        bars = histogram(sample, weighting)
        left, right = bars.edges[:-1], bars.edges[1:]
        self._bars.data = {"left": left, "right": right, "top": 100 * bars.shares, "middle": (left + right) / 2}
        x, y = np.zeros(0), np.zeros(0)
        if sizes.fitted is not None:
            x, parts = fit_curves(sample, sizes.fitted, bars.edges, weighting)
            y = parts.sum(axis=0)
        self._curve.data = {"x": x, "y": y}
        top = 1.18 * float(max((100 * bars.shares).max(), y.max(initial=0)))
        weights = sample.volume_weights if volume else sample.weights
        marks = quantiles(sample.sizes, weights, (0.1, 0.5, 0.9))
        self._marks.data = {"x": marks, "top": [0.9 * top] * 3, "name": ["D10", "D50", "D90"]}
        self.figure.x_range.update(start=float(bars.edges[0]), end=float(bars.edges[-1]))
        self.figure.y_range.update(start=0, end=top)
        self.figure.xaxis.axis_label = f"{NAMES.get(sample.quantity, sample.quantity)} / {sample.unit}"
        self.figure.yaxis.axis_label = f"share of {'volume' if volume else 'particles'} / %"
