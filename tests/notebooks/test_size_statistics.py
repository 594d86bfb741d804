"""The notebook on sizes, end to end and small."""

from pathlib import Path

import numpy as np
import pytest
from helpers.grid_discs import discs
from PIL import Image

from nanolab.core.files import read_json
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff
from nanolab.runs.notebook import run as run_notebook

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "06_size_statistics.ipynb"


def test_notebook_measures_a_folder(tmp_path: Path) -> None:
    for k in range(4):
        labels = discs(k)
        write_labels(tmp_path / f"labels/i{k}.labels.tif", labels, pixel_size_nm=2.0)
        write_labels(tmp_path / f"epoch9/i{k}.labels.tif", discs(k, scale=1.1), pixel_size_nm=2.0)
        write_tiff(tmp_path / f"images/i{k}.tif", (labels > 0).astype(np.uint8) * 100, pixel_size_nm=2.0)
    given = {
        "labels_folder": str(tmp_path / "labels"),
        "images_folder": str(tmp_path / "images"),
        "member_folders": [str(tmp_path / "epoch9")],
        "fit_name": "log-normal",
    }
    folder = run_notebook(NOTEBOOK, given, run="small", root=tmp_path, progress=False)
    results = read_json(folder / "results.json")
    number = results["statistics"]["number"]
    assert results["statistics"]["count"] == 64
    assert not results["stand_in"]
    # radii of 5 to 15 px at 2 nm a pixel, all alike often
    assert number["d50"] == pytest.approx(40, abs=4)
    assert number["intervals"]["d50"][0] < number["d50"] < number["intervals"]["d50"][1]
    # the member's discs are a tenth larger
    low, high = sorted(results["segmentation"]["members"].values())
    assert high / low == pytest.approx(1.1, abs=0.02)
    assert results["mean_primary_particles"] == 1
    assert results["comparison"]["images"] == [2, 2]
    for name in ("particles", "distribution", "places", "segmentation", "comparison", "report"):
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    assert len(list((folder / "rois").iterdir())) == 4
