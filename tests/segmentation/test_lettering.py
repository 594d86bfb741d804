"""Lettering that was read is left out everywhere that particles are sought, and its count is told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.bright import Bright
from helpers.discs import THRESHOLD, Threshold

import nanolab as nl
from nanolab.dashboard.html import left_out_words
from nanolab.dashboard.workbench import Workbench
from nanolab.images.labels import read_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.tiff import write_tiff
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.segmentation.files import segment_files

LETTER = (38, 38, 62, 62)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the checkpoint of a network that takes what is bright for particles."""
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, Threshold(1).state_dict(), {"settings": {"network": "threshold", "readout": "foreground"}})
    return path


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a micrograph without scale, of two bright squares, of which the second was read as a letter."""
    pixels = np.full((80, 80), 50, dtype=np.uint8)
    pixels[10:25, 10:25] = pixels[42:58, 42:58] = 220
    write_tiff(tmp_path / "a.tif", pixels, pixel_size_nm=None)
    found = (PixelSize.unknown("no bar"), (LETTER,))
    monkeypatch.setattr("nanolab.images.lettering.read_lettering", lambda _pixels: found)
    return tmp_path / "a.tif"


@pytest.mark.parametrize(("find_scale_bar", "left"), [(True, 1), (False, 2)])
def test_files_are_segmented_without_it_where_it_was_read(
    model: Path, image: Path, tmp_path: Path, *, find_scale_bar: bool, left: int
) -> None:
    done = segment_files([image], model, tmp_path / "out", find_scale_bar=find_scale_bar, progress=False)
    assert done.table["lettering"].tolist() == [2 - left]
    assert done.table["particles"].tolist() == [left] == [len(pd.read_csv(tmp_path / "out/particles.csv"))]
    assert read_labels(tmp_path / "out/a.labels.tif").max() == left


def test_an_image_in_a_notebook_and_in_the_dashboard(model: Path, image: Path) -> None:
    assert nl.segment(nl.read(image, find_scale_bar=True), model).max() == 1
    assert nl.segment(nl.read(image), model).max() == 2
    bench = Workbench()
    bench.add(image, "a.tif", Bright(), find_scale_bar=True)
    assert len(bench.images["a"].particles) == bench.images["a"].left_out["lettering"] == 1
    bench.find_again("a", Bright())
    assert len(bench.images["a"].particles) == bench.images["a"].left_out["lettering"] == 1


def test_the_dashboard_says_how_many() -> None:
    left_out = {"lettering": 3, "hardly particles": 0}
    assert left_out_words(left_out) == '<p class="hint">3 left out: lettering</p>'
