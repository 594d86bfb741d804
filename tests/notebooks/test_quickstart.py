"""The main job, end to end and small: Blender, training, real images where there are some, and the stand-in."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.own_images import disc_images, write_own
from PIL import Image

from nanolab.core.files import read_json
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read
from nanolab.measurement.particles import equivalent_diameter
from nanolab.runs.notebook import run as run_notebook

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "00_quickstart.ipynb"
SMALL = {"n_real": 2, "n_synthetic": 12, "epochs": 3, "steps_per_epoch": 30, "patch_px": 128}
FIGURES = ("real", "rendered", "synthetic_and_real", "training", "epochs", "segmented", "sizes", "results")
STEPS = {"load", "render", "train", "choose", "segment", "measure"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run in, whose rendered images all tests share."""
    return tmp_path_factory.mktemp("quickstart")


def run(place: Path, real_data: str, monkeypatch: pytest.MonkeyPatch, **more: object) -> tuple[Path, dict[str, Any]]:
    monkeypatch.chdir(place)
    given = {**SMALL, "real_data": real_data, **more}
    folder = run_notebook(NOTEBOOK, given, run=Path(real_data).name, root=place, progress=False)
    return folder, read_json(folder / "results.json")


def check(folder: Path, results: dict[str, Any]) -> None:
    assert set(results["seconds"]) == STEPS
    assert all(seconds >= 0 for seconds in results["seconds"].values())
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    table = pd.read_csv(folder / "particles.csv")
    (path,) = (folder / "segmented").glob("*.labels.tif")
    labels = read_labels(path)
    areas = np.bincount(labels.ravel())[1:]
    nm = read(path).pixel_size_nm
    assert nm == pytest.approx(7.34375, rel=1e-6)
    # The table, the label map and the results count and measure the same particles.
    assert len(table) == labels.max() == results["n_found"] > 0
    assert table["ecd_nm"].to_numpy() == pytest.approx(equivalent_diameter(areas) * nm)
    assert results["median_ecd_found_nm"] == pytest.approx(table["ecd_nm"].median())
    # Far from a good segmentation after 90 steps, but far from none as well: most pixels are not particle, so that
    # calling all of them particle gives a Dice of 0.2 to 0.4 on these images.
    assert 0.5 < results["dice"] <= 1
    assert results["n_annotated"] > 20


def test_from_real_micrographs_to_sizes(bam_folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.parent.resolve()))
    folder, results = run(place, "bam-tio2", monkeypatch)
    assert results["real_data"] == "bam-tio2"
    check(folder, results)
    # 99 components in the mask of the second image, 7 of them fragments below 20 px.
    assert 50 < results["median_ecd_annotated_nm"] < 300


def test_images_that_nobody_annotated_are_measured(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = write_own(place / "mine", disc_images(2), masks=False)
    folder, results = run(place, str(mine), monkeypatch, epochs=1, steps_per_epoch=2)
    table = pd.read_csv(folder / "particles.csv")
    assert results["real_data"] == str(mine)
    assert results["n_found"] == len(table) > 0
    assert results["median_ecd_found_px"] == pytest.approx(table["ecd_px"].median())
    assert "dice" not in results
    assert (folder / "segmented" / "probe (#1).labels.tif").exists()


def test_stand_in_says_so_in_every_table(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, results = run(place, "stand-in", monkeypatch)
    assert results["real_data"] == "stand-in"
    check(folder, results)
    texts = [
        output.get("text", "")
        for cell in read_json(folder / "00_quickstart.ipynb")["cells"]
        for output in cell.get("outputs", [])
    ]
    assert any("STAND-IN, NOT REAL" in "".join(text) for text in texts)
