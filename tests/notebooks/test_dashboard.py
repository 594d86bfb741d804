"""The notebook on the dashboard, end to end and small."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.discs import disc_sample
from PIL import Image

from nanolab.core.files import read_json
from nanolab.images.tiff import write_tiff
from nanolab.runs.notebook import run as run_notebook
from nanolab.training.loop import train
from nanolab.training.settings import TrainingSettings

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "10_dashboard.ipynb"


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A network of a few weights that learned for forty steps what a disc is."""
    options = {"channels": [8, 8, 8, 8, 8]}
    settings = TrainingSettings(
        network_options=options, epochs=1, steps_per_epoch=40, patch_px=64, batch_size=2, threads=1, device="cpu"
    )
    return train([[disc_sample(1)]], tmp_path / "training", settings, validation=disc_sample(2), progress=False).folder


def test_the_notebook_processes_a_folder_and_shows_the_page(training: Path, tmp_path: Path) -> None:
    for index in (3, 4):
        image = np.rint(np.clip(disc_sample(index, (200, 220), 60).image, 0, 1) * 255).astype(np.uint8)
        write_tiff(tmp_path / f"images/discs{index}.tif", image, pixel_size_nm=2.0)
    (tmp_path / "images/broken.tif").write_bytes(b"II*\0")
    given = {"images_folder": str(tmp_path / "images"), "model": str(training)}
    folder = run_notebook(NOTEBOOK, given, run="small", root=tmp_path / "runs", progress=False)
    results = read_json(folder / "results.json")
    assert results["images"] == 2
    assert list(results["failures"]) == ["broken"]
    assert not results["stand_in"]
    table = pd.read_csv(folder / "particles.csv")
    assert set(table["image"]) == {"discs3", "discs4"}
    # diameters of 10 to 18 px at 2 nm a pixel; a young network is sure of the middle of a disc alone
    assert 12 < results["statistics"]["number"]["d50"] < 45
    assert set(results["files"]) >= {"sizes.xlsx", "report.pdf", "labels.zip", "corrections.json"}
    with zipfile.ZipFile(folder / "labels.zip") as archive:
        assert sorted(archive.namelist()) == ["discs3.labels.tif", "discs4.labels.tif"]
    with Image.open(folder / "report.png") as report:
        assert np.ptp(np.asarray(report.convert("L"))) > 100  # something is drawn on it
    shown = [
        output["data"]["text/html"]
        for cell in read_json(folder / "10_dashboard.ipynb")["cells"]
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {})
    ]
    assert any("http://localhost:" in "".join(text) for text in shown)
