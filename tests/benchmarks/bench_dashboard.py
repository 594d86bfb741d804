"""The dashboard under load: memory stays flat over many uploads, and many visitors are served at once."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.bright import BrightModels

from nanolab.dashboard.page import Page
from nanolab.images.tiff import write_tiff

pytestmark = pytest.mark.bench

UPLOADS, VISITORS = 30, 10


def memory_mb() -> float:
    """Memory of this process that is in use now."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1000


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of 33 MB with 25 particles."""
    image = np.random.default_rng(0).integers(5_000, 15_000, (4096, 4096)).astype(np.uint16)
    for k in range(25):
        row, col = 300 + 700 * (k // 5), 300 + 700 * (k % 5)
        image[row : row + 150 + 10 * k, col : col + 200] = 55_000
    path = tmp_path_factory.mktemp("upload") / "large.tif"
    write_tiff(path, image, pixel_size_nm=2.0)
    return path.read_bytes()


def test_memory_stays_flat_over_many_uploads(upload: bytes) -> None:
    page, used = Page(BrightModels()), []
    for _ in range(UPLOADS):
        asyncio.run(page.take({"large.tif": upload}))
        page._remove_image()
        used.append(memory_mb())
    page.close()
    print(
        f"\n{UPLOADS} uploads of {len(upload) / 1e6:.0f} MB: {used[0]:.0f} MB after the first, {used[-1]:.0f} at last"
    )
    assert used[-1] - used[2] < 2 * len(upload) / 1e6  # no more than two of thirty files could have stayed


def test_visitors_at_once(upload: bytes) -> None:
    pages = [Page(BrightModels()) for _ in range(VISITORS)]
    start = time.perf_counter()

    async def all_at_once() -> None:
        await asyncio.gather(*(page.take({"large.tif": upload}) for page in pages))

    asyncio.run(all_at_once())
    print(f"\n{VISITORS} visitors with {len(upload) / 1e6:.0f} MB each: {time.perf_counter() - start:.0f} s")
    assert [list(page.bench.images) for page in pages] == [["large"]] * VISITORS
    for page in pages:
        page.close()
    assert not any(Path(page._folder.path).exists() for page in pages)
