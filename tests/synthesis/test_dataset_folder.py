"""What makers of data sets share: one at a time in a folder, how many images, what found no place."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from helpers.cutpaste_sources import DISCS

from nanolab.core.checks import InputError
from nanolab.core.files import locked
from nanolab.datasets.dataset import Dataset
from nanolab.synthesis.cutpaste import CutPasteSettings, cut_and_paste
from nanolab.synthesis.dataset_folder import check_count, placed_particles, warn_of_few
from nanolab.synthesis.generate import render

WRITE = """
import sys
from nanolab.core.files import locked
with locked(sys.argv[1], "writes"):
    print("holds it", flush=True)
    sys.stdin.read()
"""


def dataset_of(*numbers: tuple[int, int]) -> Dataset:
    """A data set whose images asked for so many particles and placed so many."""
    records = {
        str(k): {"particles_requested": asked, "particles_placed": placed} for k, (asked, placed) in enumerate(numbers)
    }
    return cast(Dataset, SimpleNamespace(folder=Path("here"), manifest={"records": records}))


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holds it\n"
        for make in (
            lambda: render("spheres_sem", tmp_path, 1, progress=False),
            lambda: cut_and_paste([], tmp_path, 1, progress=False),
        ):
            with pytest.raises(InputError, match="another process writes here; wait until it ends"):
                make()
        other.communicate("")
    with locked(tmp_path, "writes"):  # free again
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [0, -3, 10**9])
def test_counts_that_cannot_be_are_refused_with_their_range_before_anything_starts(count: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"count must be between 1 and 1,000,000 images, got -?[\d,]+"):
        render("spheres_sem", tmp_path / "none", count)
    with pytest.raises(InputError, match="count must be between 1 and 1,000,000"):
        cut_and_paste([], tmp_path / "none", count)


def test_too_many_images_say_how_large_they_would_be(tmp_path: Path) -> None:
    # 1e9 images of 1e6 pixels, 3 bytes each: 3e6 GB.
    with pytest.raises(InputError, match="up to 3,000,000 GB on disk"):
        check_count(10**9, 10**6, tmp_path)


def test_images_that_may_not_fit_on_the_disk_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_count(1, 10**4, tmp_path)
    assert not caplog.messages
    check_count(10**6, 16384**2, tmp_path)  # 805 TB
    assert "images take up to 805306 GB" in caplog.messages[0]


def test_particles_without_place_are_told(caplog: pytest.LogCaptureFixture) -> None:
    few, nearly_all = dataset_of((2000, 47), (2000, 53)), dataset_of((100, 95))
    assert placed_particles(few) == (100, 4000)
    with caplog.at_level(logging.WARNING):
        warn_of_few(nearly_all)
        assert not caplog.messages
        warn_of_few(few)
    assert "100 of the 4000 particles that were asked for found a place" in caplog.messages[0]


def test_cut_and_paste_tells_and_records_what_found_no_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = CutPasteSettings(size_px=64, particles=300, arrangement="separate", tries=5, scale=(1, 1))
    dataset = cut_and_paste([DISCS], tmp_path, 1, settings, workers=1, progress=False)
    placed, requested = placed_particles(dataset)
    assert requested == 300
    assert placed < 100
    assert f"{placed} of the 300 particles" in caplog.messages[-1]
    record: dict[str, Any] = json.loads((tmp_path / "manifest.json").read_text())["records"]["000000"]
    assert (record["particles_placed"], record["particles_requested"]) == (placed, 300)
