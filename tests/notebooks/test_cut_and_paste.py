"""The notebook that cuts and pastes, end to end and small: from a real image where there is one, and the stand-in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nanolab.core.files import read_json
from nanolab.datasets.dataset import Dataset
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff
from nanolab.runs.notebook import run as run_notebook

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_cut_and_paste.ipynb"
SMALL = {"n_synthetic": 3, "particles_low": 10, "particles_high": 20, "size_px": 256}
FIGURES = (
    "source",
    "cutouts",
    "backgrounds",
    "arrangements",
    "beyond",
    "real_and_pasted",
    "amodal",
    "sizes",
    "results",
)


def run(root: Path, **parameters: Any) -> tuple[Path, dict[str, Any]]:
    folder = run_notebook(NOTEBOOK, SMALL | parameters, run="small", root=root, progress=False)
    return folder, read_json(folder / "results.json")


def check(folder: Path, results: dict[str, Any]) -> None:
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    dataset = Dataset(folder / "synthetic")
    dataset.verify()
    assert len(dataset) == results["images"] == 3
    assert len(dataset.particles()) == results["particles_pasted"]
    assert 30 <= results["particles_pasted"] <= 60
    assert 0 < results["particles_cut_out"] <= results["particles_annotated"]
    assert set(results["seconds"]) == {"load", "prepare", "paste"}


def test_from_one_real_image(bam_folder: Path, tmp_path: Path) -> None:
    folder, results = run(tmp_path, real_data="bam-tio2")
    assert results["real_data"] == "bam-tio2"
    assert results["particles_annotated"] == 233  # in the mask of the third image, fragments included
    check(folder, results)


@pytest.mark.slow
def test_from_an_image_of_ones_own(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:300, :300]
    labels = np.zeros((300, 300), dtype=np.int32)
    for label, (row, column) in enumerate(np.ndindex(4, 4), start=1):
        labels[np.hypot(rows - 40 - 70 * row, columns - 40 - 70 * column) < 12 + label % 5] = label
    grey = np.where(labels > 0, 180, 60) + np.random.default_rng(0).integers(-8, 8, labels.shape)
    write_tiff(tmp_path / "mine.tif", grey.astype(np.uint8), pixel_size_nm=None)
    write_labels(tmp_path / "mask.tif", labels, pixel_size_nm=None)
    image, mask = (str(tmp_path / name) for name in ("mine.tif", "mask.tif"))
    folder, results = run(tmp_path, image=image, mask=mask, pixel_size_nm=2.5)
    assert (results["real_data"], results["source"]) == ("own image", "mine")
    assert results["particles_annotated"] == 16
    check(folder, results)
    assert Dataset(folder / "synthetic")[0].pixel_size.nm == pytest.approx(2.5)


def test_the_stand_in_says_so(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    folder, results = run(tmp_path, real_data="stand-in")
    assert results["real_data"] == "stand-in"
    check(folder, results)
    cells = read_json(folder / "02_cut_and_paste.ipynb")["cells"]
    texts = ["".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", [])]
    assert any("STAND-IN, NOT REAL" in text for text in texts)
