import asyncio
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.bright import Bright, BrightModels, FoundBright
from helpers.discs import THRESHOLD, Threshold, valleys
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.dashboard import drawings
from nanolab.dashboard.drawings import outline_polygon
from nanolab.dashboard.page import Page
from nanolab.dashboard.session import Models, VisitorFolder
from nanolab.dashboard.workbench import Finder, Workbench, safe_name
from nanolab.images.labels import read_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.tiff import write_tiff
from nanolab.measurement.particles import measure
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS

SIDE = 20  # of the squares in `picture`


def picture(columns: int = 5, rows: int = 3) -> np.ndarray:
    """Squares of 20 px, bright on dark, 20 px apart, none at the border."""
    image = np.full((40 * rows + 20, 40 * columns + 20), 40, dtype=np.uint8)
    for row in range(rows):
        for col in range(columns):
            image[20 + 40 * row : 40 + 40 * row, 20 + 40 * col : 40 + 40 * col] = 220
    return image


def stored(path: Path, image: np.ndarray | None = None, nm: float | None = 2.0) -> Path:
    write_tiff(path, picture() if image is None else image, pixel_size_nm=nm)
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    one = Workbench()
    assert one.add(stored(tmp_path / "a.tif"), "a.tif", Bright()) == "a"
    return one


def count(bench: Workbench, name: str = "a") -> int:
    return len(bench.images[name].particles)


# the workbench


def test_an_image_is_read_found_and_measured_in_nm(bench: Workbench) -> None:
    table = bench.images["a"].particles
    assert len(table) == 15
    # blurred corners fall below the threshold: some pixels a square
    assert table["area_px"].to_numpy() == pytest.approx(SIDE**2, abs=8)
    assert table["ecd_nm"].to_numpy() == pytest.approx(2 * table["ecd_px"])


def test_drop_merge_undo_and_restore_are_followed_by_the_statistics(bench: Workbench, tmp_path: Path) -> None:
    bench.drop("a", [3])
    bench.drop("a", [4, 5])
    assert count(bench) == bench.sizes().statistics["count"] == 12
    assert bench.undo() == "a"
    assert count(bench) == 14
    bench.restore("a")
    assert count(bench) == 15
    bench.undo()
    bench.undo()
    assert count(bench) == 15
    assert not bench.can_undo
    assert bench.undo() is None


def test_an_impossible_correction_changes_nothing(bench: Workbench) -> None:
    with pytest.raises(InputError):
        bench.merge("a", 1, 15)
    assert count(bench) == 15
    assert not bench.can_undo


def test_merging_gives_the_area_of_both(tmp_path: Path) -> None:
    image = picture()
    image[20:40, 40:60] = 40
    image[20:40, 44:60] = 220  # the first two squares are now 4 px apart
    bench = Workbench()
    bench.add(stored(tmp_path / "a.tif", image), "a.tif", Bright())
    table = bench.images["a"].particles.set_index("label")
    first, second = bench.images["a"].labels[30, 30], bench.images["a"].labels[30, 50]
    bench.merge("a", first, second)
    merged = bench.images["a"].particles.set_index("label").loc[first, "area_px"]
    # the gap of about 4 px x 20 px is filled but for its rounded ends
    assert merged - table.loc[[first, second], "area_px"].sum() == pytest.approx(4 * SIDE, abs=16)


def test_one_bad_file_does_not_spoil_the_rest(bench: Workbench, tmp_path: Path) -> None:
    bad = tmp_path / "upload-00002.tif"
    bad.write_bytes(b"II*\0 and then nothing")
    assert bench.add(bad, "bad <b>.tif", Bright()) is None
    assert bench.add(stored(tmp_path / "b.tif"), "b.tif", Bright()) == "b"
    assert list(bench.images) == ["a", "b"]
    ((name, why),) = bench.failures.items()
    assert name == "bad _b_"
    assert str(tmp_path) not in why  # where the server keeps files is nobody's business


def test_a_bug_in_reading_one_file_is_told_and_the_rest_goes_on(bench: Workbench, tmp_path: Path) -> None:
    class Broken(Bright):
        def find(self, image: np.ndarray, *, pixel_size_nm: float | None = None) -> FoundBright:
            raise IndexError

    assert bench.add(stored(tmp_path / "b.tif"), "b.tif", Broken()) is None
    assert "IndexError" in bench.failures["b"]


def test_the_pixel_size_is_typed_for_one_or_all(bench: Workbench, tmp_path: Path) -> None:
    bench.add(stored(tmp_path / "b.tif", nm=None), "b.tif", Bright())
    with pytest.raises(InputError, match="pixel size"):
        bench.sizes()  # nm and px do not mix
    bench.set_pixel_size(4, ["b"])
    assert bench.pixel_size("b") == PixelSize.typed(4)
    assert bench.pixel_size("a").nm == pytest.approx(2)
    one, other = (bench.images[name].particles["ecd_nm"].mean() for name in "ab")
    assert other == pytest.approx(2 * one)
    bench.set_pixel_size(1)
    assert bench.sizes().statistics["images"] == 2
    with pytest.raises(InputError, match="above 0"):
        bench.set_pixel_size(-1)


def test_without_any_pixel_size_everything_is_in_px(tmp_path: Path) -> None:
    bench = Workbench()
    bench.add(stored(tmp_path / "a.tif", nm=None), "a.tif", Bright())
    assert bench.sizes().sample.unit == "px"


def test_the_fit_can_be_chosen(tmp_path: Path, rng: np.random.Generator) -> None:
    image = np.full((600, 600), 40, dtype=np.uint8)
    for row in range(20, 560, 40):
        for col in range(20, 560, 40):
            half = int(rng.integers(5, 15))
            image[row - half : row + half, col - half : col + half] = 220
    bench = Workbench(fit_name="weibull")
    bench.add(stored(tmp_path / "a.tif", image), "a.tif", Bright())
    assert bench.sizes().fitted.name == "weibull"
    bench.fit_name = "none"
    assert bench.sizes().fitted is None


def test_all_files_are_written_and_agree(bench: Workbench, tmp_path: Path) -> None:
    bench.drop("a", [2])
    written = bench.write(tmp_path / "out")
    assert {path.name for path in written} == {
        "particles.csv", "sizes.xlsx", "sizes.json", "report.pdf", "report.html", "report.png", "labels.zip",
        "corrections.json",
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "out/particles.csv")
    assert sorted(table["label"]) == [1, *range(3, 16)]
    assert len(pd.read_excel(tmp_path / "out/sizes.xlsx", sheet_name="particles")) == 14
    assert read_json(tmp_path / "out/sizes.json")["statistics"]["count"] == 14
    edits = read_json(tmp_path / "out/corrections.json")["images"]["a"]["edits"]
    assert edits == [{"action": "drop", "labels": [2]}]
    with zipfile.ZipFile(tmp_path / "out/labels.zip") as archive:
        archive.extract("a.labels.tif", tmp_path)
    labels = read_labels(tmp_path / "a.labels.tif")
    assert labels.shape == picture().shape
    again = measure(labels, pixel_size=PixelSize.typed(2.0))
    assert again["area_px"].tolist() == table["area_px"].tolist()


def test_nothing_to_write_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image"):
        Workbench().write(tmp_path / "out")


# names and folders


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.tif", "a"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\x y.TIF", "x y"),
        ("<script>.png", "_script_"),
        ("..", "image"),
        (".tif", "tif"),
        ("=cmd().tif", "_cmd()"),
    ],
)
def test_a_name_from_the_browser_becomes_harmless(given: str, shown: str) -> None:
    assert safe_name(given) == shown


@given(st.text(max_size=200), st.lists(st.text(max_size=3), max_size=3))
def test_any_name_becomes_a_plain_one(given: str, others: list[str]) -> None:
    taken = [safe_name(each) for each in others]
    name = safe_name(given, taken)
    assert name
    assert name not in taken
    assert not set(name) & set("/\\<>&\"'=\0\n")
    assert name not in (".", "..")


def test_a_visitors_files_are_numbered_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = VisitorFolder()
    path = folder.keep(b"x", "../../evil.TIF")
    assert path == folder.path / "upload-00001.tif"
    assert folder.keep(b"x", "a.tif/../../../x").parent == folder.path
    assert [each.parent for each in tmp_path.rglob("*.tif")] == [folder.path]
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        Models([tmp_path / "nowhere"])


def test_a_model_cuts_as_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])
    path, other = tmp_path / "model.safetensors", tmp_path / "foreground.safetensors"
    for file, readout, channels in ((path, "interior+border", 2), (other, "foreground", 1)):
        record = {"settings": {"network": "threshold", "readout": readout}}
        save_checkpoint(file, Threshold(channels).state_dict(), record)
    models = Models([path, other])
    assert [models.get(str(path), dynamic).find(valleys()).labels.max() for dynamic in (None, 0.2, 0.4)] == [3, 3, 1]
    assert len(models._loaded) == 3  # each once
    with pytest.raises(InputError, match="read-out has none"):
        models.get(str(other), 0.4)


# outlines


def test_the_outline_goes_through_the_edges_of_the_pixels() -> None:
    labels = np.zeros((6, 9), dtype=np.int32)
    labels[2, 5] = 4
    x, y = outline_polygon(labels[2:4] == 4, (2, 0))
    assert {*zip(x, y, strict=True)} == {(5.5, 2), (6, 2.5), (5.5, 3), (5, 2.5)}


def test_the_outline_holds_the_area_of_the_particle(rng: np.random.Generator) -> None:
    rows, cols = np.ogrid[:80, :90]
    labels = ((rows - 40) ** 2 + (cols - 50) ** 2 < 30**2).astype(np.int32)
    x, y = outline_polygon(labels == 1)
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    # corners are cut and the line is simplified within 0.3 px: less than 0.3 px times the perimeter of 188 px
    assert area == pytest.approx(labels.sum(), abs=0.3 * 188)


# the page without a browser


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Page:
    (tmp_path / "visitors").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "visitors"))
    return Page(BrightModels())


def test_dropped_files_are_taken_and_leave_nothing_on_disk(page: Page, tmp_path: Path) -> None:
    content = stored(tmp_path / "a.tif").read_bytes()
    asyncio.run(page.take({"a.tif": content, "bad.tif": b"II*\0", "b.tif": content}))
    assert list(page.bench.images) == ["a", "b"]
    assert "bad" in page.ui.failures.object
    assert not page.ui.progress.visible
    assert [path for path in (tmp_path / "visitors").rglob("*") if path.is_file()] == []
    page.close()
    assert list((tmp_path / "visitors").iterdir()) == []


def test_a_click_drops_and_undo_brings_back(page: Page, tmp_path: Path) -> None:
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif").read_bytes()}))
    page.ui.mode.value = "drop"
    page._tapped([4])
    assert count(page.bench) == 14
    assert "14" in page.ui.message.object
    assert "14 particles" in page.ui.table.object
    page.ui.undo.clicks += 1
    assert count(page.bench) == 15


def stroke(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    """What the browser sends: rows and columns along a straight line."""
    return [(float(row), float(col)) for row, col in np.linspace(start, end, 20)]


def around(row: float, col: float, radius: float) -> list[tuple[float, float]]:
    return [(row + radius * np.sin(a), col + radius * np.cos(a)) for a in np.linspace(0, 6.2, 60)]


def test_strokes_draw_split_paint_and_erase(page: Page, tmp_path: Path) -> None:
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif").read_bytes()}))
    image = page.bench.images["a"]
    first = image.particles.iloc[0]
    row, col, ecd = (float(first[name]) for name in ("centroid_row_px", "centroid_col_px", "ecd_px"))
    page.ui.mode.value = "split"
    page._stroked(stroke((row, col - ecd), (row, col + ecd)))
    assert count(page.bench) == 16
    page.ui.mode.value = "erase"
    page.ui.brush.value = 200
    page._stroked(stroke((row, col), (row + 1, col)))
    assert count(page.bench) < 15
    page.ui.undo.clicks += 1
    assert count(page.bench) == 16
    page.ui.undo.clicks += 1
    page.ui.redo.clicks += 1
    assert count(page.bench) == 16
    page.ui.mode.value = "background"
    page._stroked(around(row, col, ecd))
    assert count(page.bench) == 14
    page.ui.mode.value = "draw"
    page._stroked(around(row, col, 10))
    drawn = page.bench.images["a"].particles.iloc[-1]
    assert drawn["area_px"] == pytest.approx(np.pi * 10**2, rel=0.03)
    page.ui.mode.value = "paint"
    page.ui.brush.value = 10
    page._stroked(stroke((row, col), (row, col + 12)))
    assert page.bench.images["a"].particles.iloc[-1]["area_px"] > 1.1 * drawn["area_px"]
    page._pressed("ctrl+z")
    page._pressed("ctrl+z")
    page._pressed("e")
    assert page.ui.mode.value == "ellipse"
    page._stroked(stroke((row - 8, col - 12), (row + 8, col + 12)))
    assert page.bench.images["a"].particles.iloc[-1]["area_px"] == pytest.approx(np.pi * 8 * 12, rel=0.03)
    page._stroked([(row, col)])  # a click: no outline
    assert "draw further" in page.ui.message.object


def test_what_is_drawn_is_what_is_there_after_any_corrections(page: Page, tmp_path: Path) -> None:
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif").read_bytes()}))
    source = page.ui.overlay._particles
    whole = source.data["x"]
    page._changed(lambda: page.bench.drop("a", [3, 8]))
    page.ui.mode.value = "draw"
    page._stroked(around(7, 7, 6))
    page.ui.undo.clicks += 1
    page._pressed("ctrl+y")
    page.ui.quantity.value = "feret_max"
    page._changed(lambda: page.bench.drop("a", [1]))
    assert source.data["x"] is not whole  # another quantity: all anew
    fresh = drawings._columns(page.bench.images["a"], "feret_max")
    there = [at for at, label in enumerate(source.data["label"]) if label]
    order = np.argsort([source.data["label"][at] for at in there])
    for name, values in fresh.items():
        shown = [source.data[name][there[at]] for at in order]
        for one, other in zip(shown, [values[at] for at in np.argsort(fresh["label"])], strict=True):
            np.testing.assert_array_equal(one, other, name)
    page.ui.overlay.select([9])
    assert source.data["label"][source.selected.indices[0]] == 9


def test_the_first_particle_of_an_image_is_drawn_and_taken_back(page: Page, tmp_path: Path) -> None:
    empty = np.full((120, 150), 40, dtype=np.uint8)
    empty[::2] = 50
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif", empty).read_bytes()}))
    shown = page.ui.overlay._particles
    assert (count(page.bench), shown.data["label"]) == (0, [])
    page.ui.mode.value = "draw"
    page._stroked(around(60, 70, 20))
    assert (count(page.bench), shown.data["label"]) == (1, [1])
    page._pressed("ctrl+z")
    assert (count(page.bench), shown.data["label"]) == (0, [0])
    page._pressed("ctrl+y")
    assert (count(page.bench), shown.data["label"]) == (1, [0, 1])
    page._tapped([1])
    assert "Particle 1: ECD" in page.ui.message.object


def test_particles_too_small_for_a_shape_are_said_to_be(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.bright.remove_small", lambda labels, _least: labels)
    image = picture()
    image[5:10, 5:12] = 220  # 35 px, and shapes begin with 60
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif", image).read_bytes()}))
    small = int(page.bench.images["a"].particles["area_px"].argmin())
    page._tapped([small + 1])
    assert "aspect ratio too small to tell, circularity too small to tell" in page.ui.message.object
    page._tapped([2 if small == 0 else 1])
    assert "aspect ratio 1.00" in page.ui.message.object
    shown = drawings._columns(page.bench.images["a"], "ecd")
    assert [shown[name][small] for name in ("aspect", "circularity", "solidity")] == ["too small to tell"] * 3


def test_two_clicks_that_cannot_be_merged_say_why(page: Page, tmp_path: Path) -> None:
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif").read_bytes()}))
    page.ui.mode.value = "merge"
    page._tapped([1])
    assert "the one it belongs to" in page.ui.message.object
    page._tapped([15])
    assert "apart" in page.ui.message.object
    assert count(page.bench) == 15


class Picky(BrightModels):
    """Knows no way to cut at deep valleys."""

    def get(self, name: str, dynamic: float | None = None, **options: Any) -> Finder:
        if dynamic == 0.4:
            raise InputError("dynamic: this network's read-out has none")
        return super().get(name, **options)


def test_particles_are_found_again_with_other_choices(page: Page, tmp_path: Path) -> None:
    page._models = Picky()
    content = stored(tmp_path / "a.tif").read_bytes()
    asyncio.run(page.take({"a.tif": content}))
    assert (page.bench.images["a"].model, page.ui.again.visible) == ("bright", False)
    page.ui.cutting.value = "at clear valleys"
    assert page.ui.again.visible
    asyncio.run(page._find_again(None))
    assert (page.bench.images["a"].model, page.ui.again.visible) == ("bright, cut at clear valleys", False)
    page.ui.cutting.value = "at deep valleys"
    asyncio.run(page._find_again(None))
    assert "read-out has none" in page.ui.message.object
    assert page.bench.images["a"].model == "bright, cut at clear valleys"
    asyncio.run(page.take({"b.tif": content}))
    assert "read-out has none" in page.ui.failures.object
    assert list(page.bench.images) == ["a"]


def test_a_typed_pixel_size_is_used(page: Page, tmp_path: Path) -> None:
    asyncio.run(page.take({"a.tif": stored(tmp_path / "a.tif").read_bytes()}))
    before = page.bench.sizes().statistics["number"]["d50"]
    page.ui.pixel_size.value = "10,0"
    assert page.bench.sizes().statistics["number"]["d50"] == pytest.approx(5 * before)


def test_names_cannot_bring_markup_into_the_page(page: Page) -> None:
    asyncio.run(page.take({"<img src=x onerror=alert(1)>.tif": b"no image"}))
    assert "<img" not in page.ui.failures.object


def test_an_image_of_another_kind_is_read_as_well(page: Page, tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    page.ui.scale_bars.value = False  # reading text is slow, and there is none
    asyncio.run(page.take({"a.png": (tmp_path / "a.png").read_bytes()}))
    assert count(page.bench) == 15
    assert "px" in page.ui.scale.object
