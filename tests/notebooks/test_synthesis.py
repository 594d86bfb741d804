"""The notebook on recipes, end to end and small."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanolab.core.files import read_json
from nanolab.datasets.dataset import Dataset
from nanolab.runs.notebook import run as run_notebook

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_synthesis.ipynb"
RECIPE = """
name: small
image: {width_px: 160, height_px: 128, pixel_size_nm: 4}
particles: [{template: polyhedron, diameter_nm: [40, 90], sharpness: 5, deformation: 0.1, aspect_ratio: 1.2}]
arrangement: {kind: agglomerates, count: 30, cluster_size: 10, pile: 0.5}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5, blur_px: 0.5, electrons: 5000}
occlusion_distance_nm: 50
"""
FIGURES = ("recipes", "passes", "detectors", "appearances", "truth", "poor_images", "sizes")


def test_notebook_shows_recipes_and_makes_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    small = {"recipe": str(tmp_path / "small.yaml"), "n_images": 2, "gallery_px": 64, "device": "cpu"}
    folder = run_notebook(NOTEBOOK, small, run="small", root=tmp_path, progress=False)
    results = read_json(folder / "results.json")
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    dataset = Dataset(folder / "dataset")
    assert len(dataset) == results["images"] == 2
    annotations = read_json(folder / "coco.json")["annotations"]
    assert len(annotations) == results["particles_visible"] == (dataset.particles()["label"] > 0).sum()
    assert results["median_diameter_nm"] == pytest.approx(65, abs=10)  # uniform from 40 to 90, about 50 of them
    executed = read_json(folder / "01_synthesis.ipynb")
    (editor,) = [cell for cell in executed["cells"] if "RecipeEditor(chosen" in "".join(cell["source"])]
    assert "image/png" in editor["outputs"][-1]["data"]  # what stands there where no widget runs
