"""What stays of what visitors brought: nothing, and at once."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bokeh.document import Document
from helpers.bright import BrightModels

from nanolab.dashboard.file_dropper import LimitedDropper
from nanolab.dashboard.page import Page
from nanolab.images.tiff import write_tiff


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Memory goes with the last reference, or stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def content(path: Path) -> bytes:
    image = np.full((100, 120), 40, dtype=np.uint8)
    image[20:40, 20:40] = image[60:90, 60:100] = 220
    write_tiff(path, image, pixel_size_nm=2.0)
    return path.read_bytes()


@pytest.mark.usefixtures("no_collection")
def test_a_removed_image_leaves_memory_at_once(tmp_path: Path) -> None:
    page = Page(BrightModels())
    page._document = document = Document()  # as a server has it: what is shown comes at its next turn
    asyncio.run(page.take({"a.tif": content(tmp_path / "a.tif")}))
    for callback in document.session_callbacks:
        callback.callback()
    image = weakref.ref(page.bench.images["a"])
    pixels = weakref.ref(page.bench.images["a"].micrograph.pixels)
    page._remove_image()
    for callback in document.session_callbacks:
        callback.callback()
    assert (image(), pixels()) == (None, None)
    page.close()


@pytest.mark.parametrize("mb", [0.5, 2.5, 200])
def test_any_limit_in_mb_is_one_that_the_browser_understands(mb: float) -> None:
    page = Page(BrightModels(), upload_mb=mb)
    assert isinstance(page.ui.dropper, LimitedDropper)
    assert page.ui.dropper.max_file_size == f"{round(mb * 1000)}KB"  # its field reads whole numbers alone
    page.close()


def test_visitors_at_once_have_each_their_own(tmp_path: Path) -> None:
    pages, dropped = [Page(BrightModels()) for _ in range(4)], content(tmp_path / "a.tif")

    async def all_at_once() -> None:
        await asyncio.gather(*(page.take({f"{k}.tif": dropped}) for k, page in enumerate(pages)))

    asyncio.run(all_at_once())
    assert [list(page.bench.images) for page in pages] == [["0"], ["1"], ["2"], ["3"]]
    pages[0].bench.drop("0", [1])
    assert [len(next(iter(page.bench.images.values())).particles) for page in pages] == [1, 2, 2, 2]
    folders = [page._folder.path for page in pages]
    for page in pages:
        page.close()
    assert not any(folder.exists() for folder in folders)
