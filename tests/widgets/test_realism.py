"""The map to look around in: what Python puts into it, and what a browser makes of the mouse."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from nanolab.figures.panels import mark_stand_in
from nanolab.realism.comparison import RealismComparison
from nanolab.widgets import realism as module
from nanolab.widgets.realism import RealismMap, realism_map

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: Gives the front end a model, moves the mouse over it, and writes down what it then shows.
PAGE = """
<!doctype html><style>%(css)s</style><div id="el"></div><pre id="found"></pre><script>
%(script)s
const bytes = Uint8Array.from(atob("%(sheet)s"), (letter) => letter.charCodeAt(0));
const state = {...%(state)s, sheet: new DataView(bytes.buffer)};
const model = {get: (name) => state[name], set: (name, value) => { state[name] = value; }, save_changes() {}, on() {}};
HTMLElement.prototype.setPointerCapture = () => {};  // knows no pointer that is not a real one
render({model, el});
const map = el.querySelector("canvas.points"), box = map.getBoundingClientRect(), found = {};
const mouse = (kind, [x, y]) =>
  map.dispatchEvent(new PointerEvent(kind, {clientX: box.left + x, clientY: box.top + y, bubbles: true}));
const text = () => el.querySelector(".text").textContent;
const grey = () => {
  const patch = el.querySelector(".side canvas");
  const pixels = patch.getContext("2d").getImageData(0, 0, patch.width, patch.height).data;
  return Array.from(pixels).filter((_, index) => index %% 4 === 0);
};
const places = toCanvas(state.points);
setTimeout(() => {
  mouse("pointermove", places[7]);
  found.hovered = text();
  found.grey = grey();
  mouse("pointermove", [2, 2]);
  mouse("pointerdown", places[60]);
  mouse("pointerup", places[60]);
  mouse("pointermove", [2, 2]);
  found.kept = text();
  const loop = [[0, 0], [320, 0], [320, 520], [0, 520]];
  mouse("pointerdown", loop[0]);
  loop.forEach((corner) => mouse("pointermove", corner));
  mouse("pointerup", loop[3]);
  found.selected = state.selected;
  found.left = places.flatMap(([x], index) => (x < 320 ? [index] : []));
  found.listed = el.querySelectorAll(".chosen canvas").length;
  el.querySelectorAll(".chosen canvas")[2].click();
  found.picked = text();
  mouse("pointerdown", [2, 2]);
  mouse("pointerup", [2, 2]);
  found.cleared = state.selected;
  document.getElementById("found").textContent = JSON.stringify(found);
}, 500);
</script>
"""


@pytest.fixture(scope="module")
def widget(compared: RealismComparison) -> RealismMap:
    with mark_stand_in(True):
        return realism_map(compared)


@pytest.fixture(scope="module")
def found(widget: RealismMap, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the front end shows after some moves of the mouse, in a browser."""
    if BROWSER is None:
        pytest.skip("needs Chromium")
    names = ("points", "texts", "style", "columns", "thumbnail_px", "banner", "selected")
    source = Path(module.__file__).with_name("realism_map.js")
    page = tmp_path_factory.mktemp("browser") / "page.html"
    page.write_text(
        PAGE
        % {
            "css": source.with_suffix(".css").read_text(encoding="utf-8"),
            "script": source.read_text(encoding="utf-8").replace("export default { render };", ""),
            "sheet": base64.b64encode(widget.sheet).decode(),
            "state": json.dumps({name: getattr(widget, name) for name in names}),
        },
        encoding="utf-8",
    )
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=5000",
        "--dump-dom",
        "--window-size=1200,900",
    ]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    shown = subprocess.run(
        [BROWSER, *options, profile, page.as_uri()], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    text = re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    assert text, shown[-2000:]
    return dict(json.loads(text[1]))


def test_every_patch_has_a_point_and_a_picture(widget: RealismMap) -> None:
    assert len(widget.points) == len(widget.texts) == len(widget.table) == 108
    sheet = cv2.imdecode(np.frombuffer(widget.sheet, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (10 * 96, 11 * 96)
    assert (widget.columns, widget.thumbnail_px) == (11, 96)
    assert "synthetic discs" in widget.texts[107]
    assert widget.points[0][2:] == ["real", widget.table["kind"][0]]
    assert widget.banner == "STAND-IN, NOT REAL"


def test_a_selection_lists_its_patches(widget: RealismMap) -> None:
    widget.selected = [3, 60]
    assert widget.selection()["set"].tolist() == ["real", "synthetic"]
    widget.selected = []


def test_hovering_a_point_shows_its_patch(widget: RealismMap, found: dict[str, Any]) -> None:
    assert found["hovered"] == widget.texts[7]
    sheet = cv2.imdecode(np.frombuffer(widget.sheet, np.uint8), cv2.IMREAD_GRAYSCALE)
    expected = sheet[:96, 7 * 96 : 8 * 96].astype(int)
    # two decoders of one JPEG picture differ by a grey level or two
    assert np.abs(np.reshape(found["grey"], (96, 96)) - expected).max() <= 3


def test_a_click_keeps_a_patch_in_view(widget: RealismMap, found: dict[str, Any]) -> None:
    assert found["kept"] == widget.texts[60]


def test_a_loop_lists_the_patches_within(widget: RealismMap, found: dict[str, Any]) -> None:
    assert 0 < len(found["left"]) < 108
    assert found["selected"] == found["left"]
    assert found["listed"] == len(found["left"])
    assert found["picked"] == widget.texts[found["left"][2]]
    assert found["cleared"] == []


def test_where_no_widget_runs_the_static_figure_stands_in(widget: RealismMap) -> None:
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    with Image.open(io.BytesIO(data["image/png"])) as figure:
        assert min(figure.size) > 300
