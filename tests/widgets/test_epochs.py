"""The widget for epochs: what Python keeps of it, and what a browser makes of keys and clicks."""

import base64
import io
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets
from helpers.discs import disc_sample
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.core.files import read_json, write_json
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.figures.panels import mark_stand_in
from nanolab.selection import predictions as predictions_module
from nanolab.selection.predictions import Prediction
from nanolab.selection.study import Study
from nanolab.training.run import TrainingRun
from nanolab.training.selection import BY_EYE, read_selection, select
from nanolab.training.settings import TrainingSettings
from nanolab.widgets import epochs as module
from nanolab.widgets.epochs import EpochSelector, epoch_selector, study_selector

EPOCHS = [3, 4, 5, 6, 7, 8, 9]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: Gives the front end a model, presses keys and buttons, and writes down what it then shows.
PAGE = """
<!doctype html><meta charset="utf-8"><style>%(css)s</style>
<div id="el" style="width: 900px"></div><pre id="found"></pre>
<script type="module">
%(script)s
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
const state = %(state)s;
Object.assign(state, {image: bytes(state.image), truth: bytes(state.truth), frames: state.frames.map(bytes)});
const nothing = () => {}, hear = {};
const model = {get: (name) => state[name], set: (name, value) => { state[name] = value; }};
Object.assign(model, {save_changes: nothing, on: (name, told) => { hear[name] = told; }, off: nothing});
model.send = ({frame}) => setTimeout(() => hear["msg:custom"]({frame}, [bytes(state.kernel[frame])]), 5);
HTMLElement.prototype.setPointerCapture = () => {};  // knows no pointer that is not a real one
const found = {}, wait = (ms) => new Promise((done) => setTimeout(done, ms));
await render({model, el});
const root = el.querySelector(".nanolab-epochs"), one = (name) => root.querySelector(name);
const press = async (key, more = {}) => {
  root.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, ...more}));
  await wait(60);
};
const pixel = (index, row, col) => {
  const canvas = root.querySelectorAll("canvas.view")[index], [height, width] = state.shape;
  const at = [((col + 0.5) * canvas.width) / width, ((row + 0.5) * canvas.height) / height].map(Math.floor);
  return Array.from(canvas.getContext("2d").getImageData(...at, 1, 1).data).slice(0, 3);
};
while (!(root.dataset.ready && root.dataset.shown)) await wait(20);
found.first = root.dataset.shown;
await press("Home");
found.home = root.dataset.shown;
one(".show.probability").click();
await wait(60);
found.probability = pixel(0, 40, 40);
await press("ArrowRight");
found.next = [root.dataset.shown, pixel(0, 40, 40)];
await press("p");
for (let more = 0; more < 5; more++) {
  await press("ArrowRight");
  await press("p");
}
found.picks = [...state.picks];
found.told = one(".message").textContent;
one(".chip:nth-of-type(3) .promote").click();
found.promoted = [...state.picks];
await press("ArrowLeft");
await press("p");
found.taken_back = [...state.picks];
one(".note").value = "gaps";
one(".note").dispatchEvent(new Event("input"));
await press("Home");
found.notes = {...state.notes};
await press("3");
found.panels = root.dataset.shown.split(", ").length;
await press("+");
found.zoomed = pixel(0, 40, 40);
await press("ArrowRight");
await press("Home");
found.still = pixel(0, 40, 40);
one(".thumbnail:nth-child(5)").click();
await wait(60);
found.clicked = root.dataset.shown.split(", ")[0];
found.buttons = [...root.querySelectorAll("button, input, canvas.view")].map(
  (each) => each.ariaLabel || each.textContent || (each.labels?.length ? each.labels[0].textContent : ""));
found.difference = one(".show.difference") !== null;
found.truth = one(".truth") !== null;
document.getElementById("found").textContent = JSON.stringify(found);
</script>
"""
NAMES = ("shape", "names", "threshold", "pixel_size_nm", "blind", "banner", "most", "picks", "notes", "message")


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    """A training of which only the names of its files are there, which is all that a choice looks at."""
    settings = TrainingSettings(epochs=9).model_dump(mode="json")
    write_json(tmp_path / "run" / "run.json", {"settings": settings, "data": {"validation": "discs9"}})
    (tmp_path / "run" / "epochs").mkdir()
    for epoch in EPOCHS:
        (tmp_path / "run" / "epochs" / f"{epoch:04d}.safetensors").touch()
    return TrainingRun(tmp_path / "run")


@pytest.fixture
def sample() -> AnnotatedImage:
    return disc_sample(9)


@pytest.fixture
def predictions(sample: AnnotatedImage) -> dict[int, Prediction]:
    """Epoch k finds the annotated particles, with a probability of 10 k / 255 where there is none."""
    assert sample.labels is not None
    return {e: Prediction(np.where(sample.labels > 0, 255, 10 * e).astype(np.uint8), sample.labels) for e in EPOCHS}


@pytest.fixture
def widget(run: TrainingRun, predictions: dict[int, Prediction], sample: AnnotatedImage) -> EpochSelector:
    with mark_stand_in(True):
        return epoch_selector(run, predictions, sample)


def test_picks_are_saved_at_once_and_found_again(
    widget: EpochSelector, run: TrainingRun, predictions: dict[int, Prediction], sample: AnnotatedImage
) -> None:
    widget.picks = [2, 0]
    widget.notes = {"2": "sharp"}
    assert run.selected_epoch == 5
    selection = read_selection(run)
    assert selection is not None
    assert (selection.epochs, selection.how, selection.notes) == ([5, 3], BY_EYE, {5: "sharp"})
    assert widget.message == f"Saved to {run.folder / 'selection.json'}"
    again = epoch_selector(TrainingRun(run.folder), predictions, sample)  # as after a restart
    assert (again.picks, again.picked_epochs, again.notes) == ([2, 0], [5, 3], {"2": "sharp"})
    again.picks = []
    assert run.selected_epoch == 9
    assert read_json(run.folder / "selection.json")["notes"] == {"5": "sharp"}


def test_a_choice_by_score_stays_in_force_until_the_first_pick(
    run: TrainingRun, predictions: dict[int, Prediction], sample: AnnotatedImage
) -> None:
    select(run, [7, 8], "highest dice on discs9")
    widget = epoch_selector(run, predictions, sample)
    assert widget.picks == []
    widget.notes = {"0": "too early"}
    assert run.selected_epoch == 7
    widget.picks = [1]
    assert run.selected_epoch == 4


def test_what_cannot_be_saved_is_said(widget: EpochSelector, run: TrainingRun) -> None:
    run.checkpoint(5).unlink()
    widget.picks = [2]
    assert widget.message.startswith("NOT SAVED: ")
    assert "epochs must be some of" in widget.message


@pytest.mark.parametrize("picks", [[0, 1, 2, 3, 4, 5], [1, 1], [7], [-1]])
def test_impossible_picks_are_refused(widget: EpochSelector, run: TrainingRun, picks: list[int]) -> None:
    with pytest.raises(traitlets.TraitError, match="at most 5 different positions"):
        widget.picks = picks
    assert read_selection(run) is None


def test_an_image_of_another_size_is_refused(run: TrainingRun, predictions: dict[int, Prediction]) -> None:
    with pytest.raises(InputError, match="discs1 and validation image"):
        epoch_selector(run, predictions, disc_sample(1, shape=(50, 50)))


def test_the_browser_gets_all_that_was_found(widget: EpochSelector, predictions: dict[int, Prediction]) -> None:
    assert widget.shape == [96, 96]
    foreground, low, high = np.frombuffer(zlib.decompress(widget.frames[1]), np.uint8).reshape(3, 96, 96)
    assert np.array_equal(foreground, predictions[4].foreground)
    assert np.array_equal(low + 256 * high.astype(int), predictions[4].labels)
    assert widget.names[1] == "epoch 4"
    assert widget.banner == "STAND-IN, NOT REAL"


def test_large_images_and_numbers_fit(run: TrainingRun) -> None:
    labels = np.zeros((300, 2800), dtype=np.int32)
    labels[:, 1400:] = 70000
    sample = replace(disc_sample(1, shape=(300, 2800)), labels=labels)
    predictions = {epoch: Prediction(np.zeros((300, 2800), np.uint8), labels) for epoch in EPOCHS}
    widget = epoch_selector(run, predictions, sample)
    assert widget.shape == [150, 1400]
    assert widget.pixel_size_nm == pytest.approx(2 * 2.0)
    _, low, high = np.frombuffer(zlib.decompress(widget.frames[0]), np.uint8).reshape(3, 150, 1400)
    numbers = low + 256 * high.astype(int)
    assert not numbers[:, :700].any()
    assert (numbers[:, 700:] == 70000 - 65535).all()


def test_of_many_epochs_each_is_read_and_sent_when_it_is_looked_at(
    run: TrainingRun, sample: AnnotatedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []

    def look(epoch: int) -> Prediction:
        looked_at.append(epoch)
        return Prediction(np.full(sample.image.shape, epoch % 256, np.uint8), sample.labels)

    many = range(1, 501)
    for epoch in many:
        (run.folder / "epochs" / f"{epoch:04d}.safetensors").touch()
    widget = epoch_selector(run, predictions_module._Lazy(many, look), sample)
    assert (len(widget.names), widget.frames) == (500, [])
    assert len(set(looked_at)) <= 4  # the first, for its size, and those of the figure that stands in
    sent: list[Any] = []
    monkeypatch.setattr(widget, "send", lambda content, buffers: sent.append((content, buffers)))
    for wrong in ({"frame": 500}, {"frame": "x"}, None):
        widget._handle_custom_msg(wrong, [])
    widget._handle_custom_msg({"frame": 41}, [])
    ((content, (frame,)),) = sent
    assert content == {"frame": 41}
    assert looked_at[-1] == 42
    assert np.frombuffer(zlib.decompress(frame), np.uint8)[0] == 42


def test_a_participant_sees_no_number_no_score_and_no_annotation(
    run: TrainingRun, predictions: dict[int, Prediction], sample: AnnotatedImage
) -> None:
    study = Study(run, seed=1)
    widget = study_selector(study, "P1", "expert", predictions, sample)
    order = study.answer("P1", "expert").order
    assert order != EPOCHS
    assert widget.names == [f"candidate {at}" for at in range(1, 8)]
    assert (widget.truth, widget.blind) == (b"", True)
    for epoch, frame in zip(order, widget.frames, strict=True):
        assert np.frombuffer(zlib.decompress(frame), np.uint8)[: 96 * 96].min() == 10 * epoch
    widget.picks, widget.notes = [3, 1], {"3": "best"}
    answer = Study(run).answer("P1", "expert")
    assert (answer.epochs, answer.notes) == ([order[3], order[1]], {order[3]: "best"})
    assert study_selector(study, "P1", "expert", predictions, sample).picks == [3, 1]
    assert read_selection(run) is None


def test_where_no_widget_runs_a_figure_stands_in(widget: EpochSelector) -> None:
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    with Image.open(io.BytesIO(data["image/png"])) as figure:
        assert min(figure.size) > 150


def front_end(widget: EpochSelector, folder: Path, *, on_demand: bool = False) -> dict[str, Any]:
    """Return what the front end shows in a browser; on demand, epochs come from a kernel when they are asked for."""
    if BROWSER is None:
        pytest.skip("needs Chromium")
    packed = {name: base64.b64encode(getattr(widget, name)).decode() for name in ("image", "truth")}
    frames = [base64.b64encode(frame).decode() for frame in widget.frames]
    sent: dict[str, Any] = {"frames": [] if on_demand else frames, "kernel": frames}
    source = Path(module.__file__)
    content = {
        "css": source.with_name("epochs.css").read_text(encoding="utf-8"),
        "script": EpochSelector._esm.replace("export default { render };", ""),
        "state": json.dumps({**{name: getattr(widget, name) for name in NAMES}, **packed, **sent}),
    }
    page = folder / "page.html"
    page.write_text(PAGE % content, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"]
    command = [BROWSER, *options, "--window-size=1280,800", f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    text = re.search(r'<pre id="found">(.+?)</pre>', shown, re.DOTALL)
    assert text, shown[-2000:]
    return dict(json.loads(text[1].replace("&amp;", "&")))


@pytest.mark.parametrize("on_demand", [False, True])
def test_keys_and_buttons_step_pick_note_and_zoom(widget: EpochSelector, on_demand: bool, tmp_path: Path) -> None:
    found = front_end(widget, tmp_path, on_demand=on_demand)
    assert (found["first"], found["home"]) == ("epoch 9", "epoch 3")
    assert widget.truth
    labels = disc_sample(9).labels
    assert labels is not None
    assert labels[40, 40] == 0  # so that the pixel that is looked at shows the probability of the ground
    assert found["probability"] == [30] * 3
    assert found["next"] == ["epoch 4", [40] * 3]
    assert found["picks"] == [1, 2, 3, 4, 5]  # a sixth is refused, in words
    assert "5 picks already" in found["told"]
    assert found["promoted"] == [2, 1, 3, 4, 5]
    assert found["taken_back"] == [2, 1, 3, 4]
    assert found["notes"] == {"5": "gaps"}
    assert found["panels"] == 3
    assert found["still"] == found["zoomed"]
    assert found["clicked"] == "epoch 7"
    assert all(found["buttons"])  # each has a name for a screen reader
    assert (found["difference"], found["truth"]) == (True, True)


def test_a_participant_has_no_annotation_to_ask_for(
    run: TrainingRun, predictions: dict[int, Prediction], sample: AnnotatedImage, tmp_path: Path
) -> None:
    found = front_end(study_selector(Study(run), "P1", "expert", predictions, sample), tmp_path)
    assert found["first"] == found["home"] == "candidate 1"
    assert (found["difference"], found["truth"]) == (False, False)
