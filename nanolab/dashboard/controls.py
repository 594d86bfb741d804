"""What there is on the page: fields, buttons and drawings, and how they are arranged."""

import io
import json
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path
from typing import Any, Literal

import panel as pn

from nanolab.dashboard.drawings import DistributionDrawing, Overlay
from nanolab.dashboard.file_dropper import LimitedDropper
from nanolab.dashboard.saved_work import FIT_CHOICES, QUANTITIES
from nanolab.dashboard.tools import REDO_KEYS, TOOLS, UNDO_KEYS, Stroke
from nanolab.dashboard.workbench import File, Workbench

__all__ = ["Controls", "Download"]

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_CHUNK = 5_000_000  # bytes of a file in one message
_QUANTITIES = dict(
    zip(("ECD", "√area", "max. Feret", "min. Feret", "major axis", "minor axis", "perimeter"), QUANTITIES, strict=True)
)
_BORDERS = {"corrected": "correct", "left out": "drop", "counted": "keep"}
#: Where touching particles are cut apart: the read-out's `dynamic`.
_CUTTING = {
    "as the model does": None,
    "at slight valleys": 0.05,
    "at clear valleys": 0.2,
    "at deep valleys": 0.4,
}
_NOTHING = '<div class="nothing"><p>Drop micrographs into the field at the left, or choose them there.</p></div>'
Download = File | Literal["corrected.zip", "network.safetensors"]
_DOWNLOADS: dict[Download, str] = {
    "particles.csv": "Particles (CSV)",
    "sizes.xlsx": "Tables (Excel)",
    "labels.zip": "Labels (TIFF)",
    "report.pdf": "Report (PDF)",
    "session.json": "Session (JSON)",
    "corrected.zip": "Corrected set (ZIP)",
    "network.safetensors": "Network taught here",
}
_BRUSHES_PX = (1, 200)
_KEYS = """
if (!source.active || window.nanolabListens) return;
window.nanolabListens = true;
const wanted = new Set(WANTED);
document.addEventListener("keydown", (event) => {
  const [field] = event.composedPath();
  if (field.isContentEditable || ["TEXTAREA", "SELECT"].includes(field.tagName)) return;
  if (field.tagName === "INPUT" && !["button", "checkbox", "radio", "range"].includes(field.type)) return;
  const held = [event.ctrlKey || event.metaKey ? "ctrl+" : "", event.shiftKey ? "shift+" : ""].join("");
  const name = held + event.key.toLowerCase();
  if (!wanted.has(name)) return;
  event.preventDefault();
  key.value = `${name} ${Date.now()}`;  // or the same key would be no change
});
""".replace("WANTED", json.dumps([*(tool.key for tool in TOOLS.values()), *UNDO_KEYS, *REDO_KEYS]))
# Browsers ask only who has touched the page; what the question says is theirs.
_WARN = "window.onbeforeunload = source.active ? (event) => { event.preventDefault(); return ''; } : null"


class Controls:
    """The fields, buttons and drawings of one page; `nanolab.dashboard.page.Page` says what they do.

    Parameters
    ----------
    models
        Names of the networks to choose from.
    bench
        Whose choices are shown at first.
    upload_mb
        Largest file that is taken.
    on_tap, on_stroke
        Called with the labels of the particles that were clicked, and with what was drawn.
    download
        Returns what gives the content of a file.
    """

    def __init__(
        self,
        models: list[str],
        bench: Workbench,
        *,
        upload_mb: float,
        on_tap: Callable[[list[int]], None],
        on_stroke: Callable[[Stroke], None],
        download: Callable[[Download], Callable[[], Awaitable[io.BytesIO | None]]],
    ) -> None:
        widgets = pn.widgets
        stretch: dict[str, Any] = {"sizing_mode": "stretch_width", "stylesheets": [_STYLE]}
        self.dropper = LimitedDropper(
            int(upload_mb * 1e6),
            multiple=True,
            max_file_size=f"{int(upload_mb * 1e3)}KB",  # the browser's field takes no fraction
            chunk_size=_CHUNK,
            previews=[],
            height=92,
            label="",
            **stretch,
        )
        self.model = widgets.Select(label="Model", options=models, **stretch)
        self.cutting = widgets.Select(label="Cut touching particles apart", options=list(_CUTTING), **stretch)
        self.quick = widgets.Checkbox(label="Quick: usual sizes alone", value=False, **stretch)
        self.again = widgets.Button(label="Find again this way", visible=False, **stretch)
        self.scale_bars = widgets.Checkbox(label="Read scale bars if files lack it", value=True, **stretch)
        self.progress = widgets.indicators.Progress(
            label="progress", value=0, max=100, visible=False, height=12, bar_color="info", **stretch
        )
        self.cancel = widgets.Button(label="Cancel", visible=False, **stretch)
        self.images = widgets.Select(label="Images", options={}, size=6, visible=False, **stretch)
        self.first = widgets.Checkbox(label="Least trusted first", value=False, visible=False, **stretch)
        self.trust = pn.pane.HTML("", **stretch)
        self.remove = widgets.Button(label="Remove image", visible=False, **stretch)
        self.failures = pn.pane.HTML("", **stretch)
        self.pixel_size = widgets.TextInput(label="Pixel size / nm", placeholder="such as 2.5", **stretch)
        self.for_all = widgets.Button(label="Use for all images", **stretch)
        self.scale = pn.pane.HTML("", **stretch)
        self.mode = widgets.RadioButtonGroup(
            label="Tool", options={tool.name: name for name, tool in TOOLS.items()}, value="show", **stretch
        )
        self.brush = widgets.IntInput(
            label="", value=12, start=_BRUSHES_PX[0], end=_BRUSHES_PX[1], width=70, visible=False, stylesheets=[_STYLE]
        )
        self.whole = widgets.Button(label="All of it", visible=False, stylesheets=[_STYLE])
        self.undo = widgets.Button(label="Undo", disabled=True, stylesheets=[_STYLE])
        self.redo = widgets.Button(label="Redo", disabled=True, stylesheets=[_STYLE])
        self.key = widgets.TextInput(value="", visible=False)
        self.restore = widgets.Button(label="Restore all", disabled=True, stylesheets=[_STYLE])
        self.numbers = widgets.TextInput(
            label="", placeholder="by number: 12, 15", width=150, stylesheets=[_STYLE], align="end"
        )
        self.drop = widgets.Button(label="Drop these", stylesheets=[_STYLE])
        self.merge = widgets.Button(label="Merge these", stylesheets=[_STYLE])
        self.message = pn.pane.HTML("", **stretch)
        self.hint = pn.pane.HTML("", **stretch)
        self.quantity = widgets.Select(label="Size", options=_QUANTITIES, value=bench.quantity, **stretch)
        self.fit = widgets.Select(label="Fit", options=list(FIT_CHOICES), value=bench.fit_name, **stretch)
        self.border = widgets.Select(label="Cut by border", options=_BORDERS, value=bench.border, **stretch)
        self.where = widgets.TextInput(
            label="Only particles that are", value=bench.where, placeholder="such as trust > 0.5", **stretch
        )
        self.weighting = widgets.RadioButtonGroup(
            label="Weighting", options={"By number": "number", "By volume": "volume"}, **stretch
        )
        self.unsaved = widgets.Checkbox(value=False, visible=False)
        self.unsaved.jscallback(value=_WARN)
        self.listens = widgets.Checkbox(value=False, visible=False)
        self.listens.jscallback(args={"key": self.key}, value=_KEYS)
        self.table = pn.pane.HTML("", **stretch)
        self.learn = widgets.Button(label="Learn from corrections", visible=False, **stretch)
        self.taught = pn.pane.HTML("", visible=False, **stretch)
        self.keep = widgets.Button(label="Keep the new network", color="primary", stylesheets=[_STYLE])
        self.discard = widgets.Button(label="Discard it", stylesheets=[_STYLE])
        self.decide = pn.Row(self.keep, self.discard, visible=False, margin=0)
        self.downloads = {
            file: widgets.FileDownload(
                callback=download(file),
                filename=file,
                label=label,
                color="primary",
                disabled=True,
                **stretch,
            )
            for file, label in _DOWNLOADS.items()
        }
        self.overlay, self.distribution = Overlay(on_tap, on_stroke), DistributionDrawing()
        self.picture = pn.pane.Bokeh(self.overlay.figure, sizing_mode="stretch_both")
        self.nothing = pn.pane.HTML(_NOTHING, sizing_mode="stretch_both", stylesheets=[_STYLE])
        self.histogram = pn.pane.Bokeh(self.distribution.figure, sizing_mode="stretch_width")

    @property
    def ways(self) -> dict[str, tuple[str, str, bool]]:
        """All ways to find particles, as they are named next to their results: model, cutting, whether quick."""
        return {
            model + (f", cut {cutting}" if _CUTTING[cutting] else "") + (", quick" if quick else ""): (
                model,
                cutting,
                quick,
            )
            for model, cutting, quick in product(self.model.options, _CUTTING, (False, True))
        }

    @property
    def way(self) -> str:
        """The way that is chosen, one of `ways`."""
        chosen = (self.model.value, self.cutting.value, self.quick.value)
        return next(name for name, way in self.ways.items() if way == chosen)

    def options(self, way: str) -> tuple[str, float | None, bool]:
        """Return the model, where it cuts touching particles apart (None leaves it to the model), and whether quick."""
        model, cutting, quick = self.ways[way]
        return model, _CUTTING[cutting], quick

    def layout(self) -> Any:
        """Return all of it as Panel serves it: images, particles, sizes and downloads side by side."""
        wide: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": 0, "stylesheets": [_STYLE]}
        left = pn.Column(
            _heading("1 · Images"),
            self.dropper, self.progress, self.cancel, self.failures, self.images, self.first, self.trust, self.remove,
            self.model, self.cutting, self.quick, self.again, self.learn, self.scale_bars,
            self.pixel_size, self.scale, self.for_all, self.unsaved,
            width=250, **_card("left"),
        )  # fmt: skip
        middle = pn.Column(
            _heading("2 · Particles"),
            self.mode, pn.Row(self.undo, self.redo, self.restore, self.brush, self.whole, self.hint, **wide),
            self.taught, self.decide, self.picture, self.nothing, self.message,
            pn.Row(self.numbers, self.drop, self.merge, **wide), self.key, self.listens,
            sizing_mode="stretch_both", **_card("middle"),
        )  # fmt: skip
        right = pn.Column(
            _heading("3 · Sizes"),
            pn.Row(self.quantity, self.fit, self.border, **wide), self.where, self.weighting,
            self.histogram, self.table,
            _heading("4 · Download"),
            pn.GridBox(*self.downloads.values(), ncols=2, sizing_mode="stretch_width", margin=0),
            width=410, **_card("right"),
        )  # fmt: skip
        body = pn.Row(left, middle, right, sizing_mode="stretch_both", stylesheets=[_STYLE], css_classes=["body"])
        title = _html("<h1>nanolab <span>particle sizes from micrographs</span></h1>", css_classes=["top"], margin=0)
        page: dict[str, Any] = {"stylesheets": [_STYLE], "css_classes": ["page"], "min_height": 700, "margin": 0}
        return pn.Column(title, body, sizing_mode="stretch_both", **page)


def _card(place: str) -> dict[str, Any]:
    return {"stylesheets": [_STYLE], "css_classes": ["card", place]}


def _html(text: str, **options: Any) -> Any:
    return pn.pane.HTML(text, stylesheets=[_STYLE], sizing_mode="stretch_width", **options)


def _heading(text: str) -> Any:
    return _html(f"<h2>{text}</h2>", margin=(0, 5))
