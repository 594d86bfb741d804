"""The notebook on one's own sample, end to end and small, on a folder of micrographs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanolab.core.files import read_json
from nanolab.images.tiff import write_tiff
from nanolab.runs.notebook import run as run_notebook
from nanolab.synthesis.generate import Preview
from nanolab.synthesis.recipe import load_recipe

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "14_your_sample.ipynb"


RECIPE = """
name: few_spheres
image: {width_px: 192, height_px: 192, pixel_size_nm: 2.0}
particles: [{template: sphere, diameter_nm: [24, 60]}]
arrangement: {kind: scattered, count: [20, 30]}
detector: {kind: se, substrate_level: 0.2, particle_level: 0.6}
occlusion_distance_nm: 50
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with micrographs of spheres in `mine`, and a recipe for such."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "few.yaml").write_text(RECIPE, encoding="utf-8")
    with Preview(seed=9) as preview:
        for scene in range(3):
            image = preview.image(load_recipe(folder / "few.yaml"), scene).image
            write_tiff(folder / f"mine/i{scene}.tif", np.rint(image.clip(0, 1) * 255).astype(np.uint8), pixel_size_nm=2)
    return folder


def check_figures(folder: Path, *names: str) -> None:
    for name in names:
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it


def test_from_a_folder_to_corrected_sizes(sample: Path, tmp_path: Path) -> None:
    short = {"scenes": 8, "n_synthetic": 4, "n_twins": 8, "settings": {"epochs": 2, "steps_per_epoch": 2, "threads": 1}}
    given = {
        "real_data": str(sample / "mine"),
        "parent": str(sample / "few.yaml"),
        "choose_by": "agreement",
        "force": True,
        **short,
    }
    folder = run_notebook(NOTEBOOK, given, run="small", root=tmp_path / "runs", progress=False)
    results = read_json(folder / "results.json")
    assert (results["images"], results["stand_in"], results["unit"]) == (3, False, "nm")
    assert results["d50_as_shipped"] == pytest.approx(40, abs=6)
    assert results["d50_learned"] == pytest.approx(results["d50_as_shipped"], rel=0.2)  # four steps change little
    assert results["epoch"] in (1, 2)
    assert read_json(folder / "training/selection.json")["epochs"] == [results["epoch"]]
    saved = read_json(folder / "sizes/sizes.json")
    assert saved["corrected"]["d50_nm"] == results["corrected"]["d50_nm"] > 0
    assert saved["twin"]["images"] == 8
    assert {"recipe.yaml", "twin.html", "twin.json"} <= {path.name for path in (folder / "twin").iterdir()}
    check_figures(folder, "least_trusted", "twin", "judgement", "before_and_after", "corrected")


def test_where_the_network_is_trusted_nothing_is_fitted(sample: Path, tmp_path: Path) -> None:
    given = {"real_data": str(sample / "mine"), "twin": "untrusted", "enough": 0.0}
    folder = run_notebook(NOTEBOOK, given, run="small", root=tmp_path / "runs", progress=False)
    results = read_json(folder / "results.json")
    assert (results["d50_learned"], results["corrected"], results["d50_annotated"]) == (None, None, None)
    assert results["d50_as_shipped"] == pytest.approx(40, abs=6)
    assert not (folder / "twin").exists()
    assert (folder / "sizes/report.html").is_file()
