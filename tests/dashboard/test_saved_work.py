"""Work that is saved and opened again, what downloads say of it, and the field for the pixel size."""

import asyncio
import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.bright import BrightModels
from helpers.discs import THRESHOLD, Threshold, valleys

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.dashboard.page import Page
from nanolab.dashboard.saved_work import parse_work
from nanolab.dashboard.session import Models
from nanolab.images.pixel_size import parse_nm
from nanolab.images.tiff import write_tiff
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS


def squares(path: Path, count: int = 4) -> bytes:
    image = np.full((60, 40 * count + 20), 40, dtype=np.uint8)
    for k in range(count):
        image[20:40, 20 + 40 * k : 36 + 41 * k] = 220  # each a little wider
    write_tiff(path, image, pixel_size_nm=2.0)
    return path.read_bytes()


@pytest.fixture
def page() -> Page:
    return Page(BrightModels())


@pytest.fixture
def session(page: Page, tmp_path: Path) -> bytes:
    """Two images, one corrected, one with a typed pixel size, saved."""
    asyncio.run(page.take({"a.tif": squares(tmp_path / "a.tif"), "b.tif": squares(tmp_path / "b.tif", 5)}))
    page.bench.drop("a", [2])
    page.bench.set_pixel_size(7.5, ["b"])
    page.bench.quantity, page.bench.fit_name, page.bench.border = "feret_max", "none", "drop"
    return page.bench.write_file("session.json", tmp_path / "out").read_bytes()


def test_saved_work_is_opened_again_whatever_comes_first(session: bytes, page: Page, tmp_path: Path) -> None:
    files = {"other name.tif": (tmp_path / "a.tif").read_bytes(), "b.tif": (tmp_path / "b.tif").read_bytes()}
    before = page.bench.sizes().statistics["number"]
    for order in ([{"s.json": session}, files], [files, {"s.json": session}], [files | {"s.json": session}]):
        again = Page(BrightModels())
        for part in order:
            asyncio.run(again.take(part))
        assert [len(each.particles) for each in again.bench.images.values()] == [3, 5]
        assert again.bench.pixel_size("b").nm == 7.5
        assert again.ui.quantity.value == "feret_max"
        assert again.bench.sizes().statistics["number"] == before
        again.close()


def test_images_that_are_missing_are_asked_for(session: bytes) -> None:
    page = Page(BrightModels())
    asyncio.run(page.take({"s.json": session}))
    assert "Now drop the images of the session: a, b." in page.ui.message.object


def test_corrections_of_other_particles_are_left_out_and_said(session: bytes, tmp_path: Path) -> None:
    content = json.loads(session)
    content["images"][0]["found"] = "0" * 64
    page = Page(BrightModels())
    asyncio.run(page.take({"s.json": json.dumps(content).encode(), "a.tif": (tmp_path / "a.tif").read_bytes()}))
    assert len(page.bench.images["a"].particles) == 4
    assert "left out: made of particles found by" in page.ui.failures.object


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"[" * 100_000, b'{"images": []}', b'{"nanolab": "1", "quantity": "mass", "images": []}'],
)
def test_what_is_no_session_is_named(content: bytes, page: Page) -> None:
    asyncio.run(page.take({"notes.json": content}))
    assert "notes" in page.bench.failures
    with pytest.raises(InputError, match=r"notes\.json"):
        parse_work(content, "notes.json")


def test_the_warning_before_leaving_stands_until_the_session_is_saved(session: bytes, page: Page) -> None:
    assert page.ui.unsaved.value
    asyncio.run(page._download("session.json")())
    assert not page.ui.unsaved.value
    page.ui.mode.value = "drop"
    page._tapped([1])
    assert page.ui.unsaved.value
    page.close()


def test_downloads_say_what_made_them(session: bytes, page: Page, tmp_path: Path) -> None:
    page.bench.set_pixel_size(2.0)
    table = pd.read_csv(page.bench.write_file("particles.csv", tmp_path / "out"))
    assert set(table["model"]) == {"bright"}
    assert table.groupby("image")["corrections"].first().to_dict() == {"a": 1, "b": 0}
    assert table["weight"].mean() == pytest.approx(1)
    page.bench.border = "correct"
    about = pd.read_excel(page.bench.write_file("sizes.xlsx", tmp_path / "out"), sheet_name="about")
    assert about["value"].astype(str).str.contains("bright, 1 correction").any()
    assert read_json(tmp_path / "out/session.json")["images"][0]["edits"] == [{"action": "drop", "labels": [2]}]


@pytest.mark.parametrize(("text", "nm"), [("1.5", 1.5), ("1,5", 1.5), (" 2 nm", 2), ("0,125", 0.125), ("1e-1", 0.1)])
def test_a_pixel_size_is_read_as_it_is_meant(text: str, nm: float) -> None:
    assert parse_nm(text) == nm


@pytest.mark.parametrize(
    "text", ["abc", "-3", "0", "0.0", "nan", "inf", "1,2,3", "", "1 2", "1.5 m", "1,500", "1e300", "1e-300"]
)
def test_what_is_no_pixel_size_is_said(text: str) -> None:
    with pytest.raises(InputError, match="pixel size"):
        parse_nm(text)


def test_the_field_shows_few_digits_and_never_spoils_the_number(page: Page, tmp_path: Path) -> None:
    asyncio.run(page.take({"a.tif": squares(tmp_path / "a.tif"), "b.tif": squares(tmp_path / "b.tif")}))
    page.bench.set_pixel_size(1 / 3)
    page._refresh_images()
    assert page.ui.pixel_size.value == "0.333333"
    page.ui.for_all.clicks += 1
    assert page.bench.pixel_size("b").nm == 1 / 3
    page.ui.pixel_size.value = "abc"
    assert "must be a number" in page.ui.message.object
    assert page.bench.pixel_size("a").nm == 1 / 3


def test_progress_is_told_by_tile_and_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])
    path = tmp_path / "model.safetensors"
    save_checkpoint(
        path, Threshold(2).state_dict(), {"settings": {"network": "threshold", "readout": "interior+border"}}
    )
    models, told = Models([path]), []
    models.get(str(path), progress=told.append).find(np.tile(valleys(), (20, 20)))
    assert len(told) > 1
    assert told == sorted(told)

    def cancel(part: float) -> None:
        raise InputError("cancelled")

    with pytest.raises(InputError, match="cancelled"):
        models.get(str(path), progress=cancel).find(valleys())
    with models._working, pytest.raises(InputError, match="cancelled"):  # while another visitor's image is at work
        models.get(str(path), progress=cancel).find(valleys())
    assert models.get(str(path)).find(valleys()).labels.max() == 3  # and it goes on for the next


def test_a_visitor_who_leaves_ends_the_work(page: Page, tmp_path: Path) -> None:
    content, started = squares(tmp_path / "a.tif"), threading.Event()

    class Slow(BrightModels):
        def get(self, name: str, dynamic: float | None = None, **options: object) -> object:
            started.set()
            for _ in range(10_000):
                options["progress"](0.1)  # type: ignore[operator]
                threading.Event().wait(0.01)
            return super().get(name)

    page._models = Slow()

    async def leave() -> None:
        work = asyncio.create_task(page.take({"a.tif": content, "b.tif": content}))
        await asyncio.to_thread(started.wait)
        page.close()
        await asyncio.wait_for(work, 10)

    asyncio.run(leave())
    assert page.bench.images == {}
