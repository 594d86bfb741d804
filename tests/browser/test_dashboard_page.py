"""The dashboard as a visitor uses it."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.bright import Bright

from nanolab.images.micrograph import read
from nanolab.images.tiff import write_tiff
from nanolab.measurement.particles import measure

FIELD = "input[type=file]"


@pytest.fixture(scope="module")
def micrograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real micrograph where there is one, or discs."""
    folder = Path(os.environ.get("NANOLAB_DATA", "data/raw")) / "bam-tio2"
    real = sorted(folder.rglob("Electron Microscopy Images/SEM/*.tif"))
    if real:
        return real[0]
    path = tmp_path_factory.mktemp("images") / "discs.tif"
    rows, cols = np.ogrid[:400, :500]
    image = np.full((400, 500), 50, dtype=np.uint8)
    for k in range(20):
        image[(rows - 60 - 90 * (k // 5)) ** 2 + (cols - 60 - 95 * (k % 5)) ** 2 < (12 + k) ** 2] = 210
    write_tiff(path, image, pixel_size_nm=2.5)
    return path


def expected(path: Path) -> pd.DataFrame:
    """What the library finds in the file."""
    image = read(path).crop_data_bar()
    return measure(Bright().find(image.pixels).labels, pixel_size=image.pixel_size, image=image.pixels, name=path.stem)


def opened(page: Any, url: str) -> Any:
    page.goto(url)
    page.get_by_text("2 · Particles").wait_for()
    return page


def downloaded(page: Any, label: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=label).or_(page.get_by_role("button", name=label)).first.click()
    return Path(waiting.value.path()).read_bytes()


def test_from_an_image_to_the_csv_with_a_wrong_particle_dropped(page: Any, dashboard: Any, micrograph: Path) -> None:
    truth = expected(micrograph)
    opened(page, dashboard.url)
    page.locator(FIELD).set_input_files(micrograph)
    page.get_by_text("Ready: 1 image.").wait_for()
    page.get_by_text(f"{micrograph.stem} ({len(truth)})").wait_for(state="attached")
    wrong = int(truth["label"].iloc[len(truth) // 2])
    page.get_by_placeholder("by number").fill(str(wrong))
    page.get_by_role("button", name="Drop these").press("Enter")  # by keyboard
    page.get_by_text(f"{len(truth)} → {len(truth) - 1} particles").wait_for()
    table = pd.read_csv(io.BytesIO(downloaded(page, "Particles (CSV)")))
    left = truth[truth["label"] != wrong]
    assert table["label"].tolist() == left["label"].tolist()
    for column in ("area_px", "ecd_nm", "feret_max_nm", "circularity", "mean_intensity"):
        assert table[column].to_numpy() == pytest.approx(left[column].to_numpy(), rel=1e-6)
    with zipfile.ZipFile(io.BytesIO(downloaded(page, "Labels (TIFF)"))) as archive:
        assert archive.namelist() == [f"{micrograph.stem}.labels.tif"]
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(f"{len(truth) - 1} → {len(truth)} particles").wait_for()


@pytest.fixture
def squares(page: Any, dashboard: Any, tmp_path: Path) -> "Canvas":
    """A picture of three squares on the page, the largest in its middle."""
    image = np.full((400, 400), 40, dtype=np.uint8)
    image[120:280, 120:280] = 220  # in the middle, wherever the picture begins
    image[20:60, 20:60] = image[20:60, 320:360] = 220
    write_tiff(tmp_path / "squares.tif", image, pixel_size_nm=2.0)
    opened(page, dashboard.url)
    page.locator(FIELD).set_input_files(tmp_path / "squares.tif")
    page.get_by_text("Ready: 1 image.").wait_for()
    page.locator(".bk-Figure").first.wait_for()
    page.wait_for_timeout(500)  # the drawing fits itself into the window
    return Canvas(page)


class Canvas:
    """The drawing, in parts of the height of a square picture, from its middle."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def at(self, right: float, down: float) -> tuple[float, float]:
        """Where that is on the page; the picture is centred between the tools above and the colours at the right."""
        box = self.page.locator(".bk-Figure").first.bounding_box()
        side = min(box["width"] - 80, box["height"] - 40)
        middle = box["x"] + (box["width"] - 70) / 2, box["y"] + (box["height"] + 25) / 2
        return middle[0] + right * side, middle[1] + down * side

    def click(self, right: float, down: float) -> None:
        self.page.mouse.click(*self.at(right, down))

    def drag(self, *points: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=8)
        self.page.mouse.up()

    def choose(self, tool: str, hint: str) -> None:
        self.page.get_by_role("button", name=tool, exact=True).click()
        self.page.get_by_text(hint).wait_for()  # buttons are told a little later than particles

    def told(self, words: str) -> None:
        self.page.get_by_text(words).wait_for()


def test_a_click_on_a_particle_drops_it(squares: Canvas) -> None:
    squares.page.mouse.move(*squares.at(0, 0))
    squares.page.get_by_text("aspect ratio").first.wait_for()  # the numbers of the particle under the mouse
    squares.choose("Drop", "it is dropped")
    squares.click(0, 0)
    squares.told("3 → 2 particles")


def test_particles_are_drawn_split_and_painted_by_mouse_and_taken_back_by_keys(squares: Canvas, tmp_path: Path) -> None:
    squares.choose("Split", "it falls apart there")
    squares.drag((-0.3, 0), (0.3, 0.01))
    squares.told("3 → 4 particles")
    squares.choose("Draw", "Drag around a particle that is missing")
    squares.drag((-0.4, 0.3), (-0.3, 0.3), (-0.3, 0.4), (-0.4, 0.4))
    squares.told("4 → 5 particles")
    squares.page.keyboard.press("e")
    squares.told("corner to corner")
    squares.drag((0.3, 0.3), (0.4, 0.42))
    squares.told("5 → 6 particles")
    squares.page.keyboard.press("p")
    squares.told("it grows")
    squares.drag((-0.1, 0.36), (0.1, 0.36))
    squares.told("6 → 7 particles")
    squares.page.screenshot(path=tmp_path / "tools.png", full_page=True)  # for a look after a failure
    squares.page.keyboard.press("Control+z")
    squares.told("7 → 6 particles")
    squares.page.keyboard.press("Control+y")
    squares.told("6 → 7 particles")
    squares.choose("Empty", "in which there is no particle")
    squares.drag((-0.49, 0.25), (0.49, 0.25), (0.49, 0.49), (-0.49, 0.49))
    squares.told("7 → 4 particles")
    squares.choose("Show", "dragging moves")
    squares.drag((0, 0.3), (0.2, 0.3))  # moves the picture, and draws nothing
    squares.click(0.2, -0.1)
    squares.told("aspect ratio")


def test_a_bad_file_among_good_ones_is_named_and_the_rest_is_done(
    page: Any, dashboard: Any, micrograph: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes<b>.tif").write_bytes(b"not a picture")
    (tmp_path / "large.tif").write_bytes(b"II*\0" + bytes(4_000_000))
    opened(page, dashboard.url)
    page.locator(FIELD).set_input_files([tmp_path / "notes<b>.tif", micrograph])
    page.get_by_text("Ready: 1 image, 1 not usable.").wait_for()
    page.get_by_text("notes_b_").wait_for()
    page.get_by_text("must be a TIFF").wait_for()
    page.locator(FIELD).set_input_files(tmp_path / "large.tif")
    page.get_by_text(re.compile("too large", re.IGNORECASE)).first.wait_for()


def test_the_only_image_goes_and_another_comes(page: Any, dashboard: Any, micrograph: Path) -> None:
    opened(page, dashboard.url)
    for _ in range(4):  # what was set without the document's lock spoiled the page in one of three tries
        page.locator(FIELD).set_input_files(micrograph)
        page.get_by_text("Ready: 1 image.").wait_for()
        page.locator(".bk-Figure").first.wait_for()
        page.get_by_role("button", name="Remove image").click()
        page.get_by_text("is removed.").wait_for()
        page.get_by_text("Drop micrographs into").wait_for()


@pytest.mark.parametrize(("width", "height"), [(800, 600), (1280, 800), (1920, 1080)])
def test_everything_is_inside_a_window_of_any_size(
    page: Any, dashboard: Any, micrograph: Path, tmp_path: Path, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    opened(page, dashboard.url)
    page.locator(FIELD).set_input_files(micrograph)
    page.get_by_text("Ready: 1 image.").wait_for()
    for shown in (page.locator("th", has_text="by volume"), page.get_by_text("Session (JSON)").first):
        shown.scroll_into_view_if_needed()
        box = shown.bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = page.locator(".bk-Figure").first.bounding_box()
    assert picture["width"] > 0.4 * width
    assert picture["height"] > 350
    page.screenshot(path=tmp_path / f"{width}.png", full_page=True)  # for a look after a failure


def test_work_is_not_lost_by_a_reload(page: Any, dashboard: Any, micrograph: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.type) or dialog.accept())
    opened(page, dashboard.url)
    page.locator(FIELD).set_input_files(micrograph)
    page.get_by_text("Ready: 1 image.").wait_for()
    label = int(expected(micrograph)["label"].iloc[0])
    page.get_by_placeholder("by number").fill(str(label))
    page.get_by_role("button", name="Drop these").click()
    page.get_by_text(re.compile("→ .* particles")).wait_for()
    page.reload()
    assert asked == ["beforeunload"]
    page.locator(FIELD).set_input_files(micrograph)
    page.get_by_text("Ready: 1 image.").wait_for()
    page.get_by_placeholder("by number").fill(str(label))
    page.get_by_role("button", name="Drop these").click()
    page.get_by_text(re.compile("→ .* particles")).wait_for()
    (tmp_path / "session.json").write_bytes(downloaded(page, "Session (JSON)"))
    page.wait_for_function("() => window.onbeforeunload === null")
    page.reload()
    assert asked == ["beforeunload"]  # saved: nothing to ask
    page.locator(FIELD).set_input_files([tmp_path / "session.json", micrograph])
    page.get_by_text("Ready: 1 image.").wait_for()
    page.get_by_text(f"{micrograph.stem} ({len(expected(micrograph)) - 1})").wait_for(state="attached")


def test_a_stranger_needs_the_token(page: Any) -> None:
    command = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "bright.py"), "0.0.0.0", "mine"]  # noqa: S104
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip().replace("0.0.0.0", "127.0.0.1").split("?")[0]  # noqa: S104
        assert page.goto(url).status == 403
        page.wrong.clear()  # the browser counts the 403 as an error
        page.get_by_label("Token").fill("mine")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("2 · Particles").wait_for()  # drawn by way of the web socket
        assert "mine" not in page.url
        server.terminate()
        server.wait(30)
    page.wrong.clear()  # the connection that was lost
