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
from nanolab.segmentation.files import segment_files
from nanolab.segmentation.segmenter import Segmenter
from nanolab.synthesis.generate import Preview
from nanolab.synthesis.recipe import load_recipe

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
    assert results["corrected"] is None


RECIPE = """
name: few_spheres
image: {width_px: 160, height_px: 160, pixel_size_nm: 2.0}
particles: [{template: sphere, diameter_nm: [24, 60]}]
arrangement: {kind: scattered, count: 25}
detector: {kind: se, substrate_level: 0.2, particle_level: 0.6}
occlusion_distance_nm: 50
"""


def test_notebook_corrects_what_the_network_that_ships_has_found(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text(RECIPE, encoding="utf-8")
    with Preview(seed=9) as preview:
        for scene in range(2):
            image = preview.image(load_recipe(tmp_path / "few.yaml"), scene).image
            write_tiff(tmp_path / f"images/i{scene}.tif", np.rint(image * 255).astype(np.uint8), pixel_size_nm=2.0)
    segment_files([tmp_path / "images"], Segmenter("shipped"), tmp_path / "labels", progress=False)
    folders = {"labels_folder": str(tmp_path / "labels"), "images_folder": str(tmp_path / "images")}
    twin = {"twin_recipe": str(tmp_path / "few.yaml"), "n_twins": 8, "force": True}
    folder = run_notebook(NOTEBOOK, {**folders, **twin}, run="small", root=tmp_path, progress=False)
    results = read_json(folder / "results.json")
    d50 = results["statistics"]["number"]["d50"]
    low, high = results["corrected"]["d50_nm_interval"]
    assert low < results["corrected"]["d50_nm"] < high
    assert results["corrected"]["d50_nm"] == pytest.approx(d50, rel=0.25)
    with Image.open(folder / "corrected.png") as figure:
        assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
