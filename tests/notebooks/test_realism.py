"""The notebook, end to end and small."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nanolab.core.files import read_json
from nanolab.runs.notebook import run as run_notebook

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_realism.ipynb"
FIGURES = ("images", "map", "scores", "profiles", "differences", "telling_patches", "realism")


def check_report(folder: Path, seconds: set[str]) -> dict[str, Any]:
    results = dict(read_json(folder / "results.json"))
    assert set(results["seconds"]) >= seconds | {"load", "compare", "features", "map", "scores"}
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    assert (folder / "realism.pdf").stat().st_size > 10_000
    return results


def test_notebook_compares_two_folders(discs: Any, saved: Any, tmp_path: Path) -> None:
    real, synthetic = (discs(6, seed=seed, side=288, noise=noise) for seed, noise in ((1, 0.02), (2, 0.03)))
    folders = {
        "real_data": str(saved(tmp_path / "real", real, labels=tmp_path / "real")),  # next to their images
        "synthetic_data": str(saved(tmp_path / "synthetic", synthetic)),
    }
    folder = run_notebook(NOTEBOOK, folders, run="small", root=tmp_path, progress=False)
    results = check_report(folder, set())
    assert results["real_data"] == folders["real_data"]
    assert not results["stand_in"]
    assert results["patches"] == {"real": 54, "synthetic": 54}
    table = {row["property"]: row for row in results["differences"]["all"]}
    assert table["noise"]["auc"] > 0.99
    # rounding to 8 bit adds (1/255)^2/12, a thousandth of it
    assert table["noise"]["synthetic_median"] == pytest.approx(0.03, rel=0.03)


@pytest.mark.slow
def test_notebook_compares_rendered_with_stand_in_images(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    small = {"real_data": "stand-in", "n_real": 6, "n_synthetic": 6, "max_patches": 100}
    folder = run_notebook(NOTEBOOK, small, run="small", root=tmp_path, progress=False)
    results = check_report(folder, {"render"})
    assert results["real_data"] == "stand-in"
    assert results["stand_in"]
    assert results["patches"] == {"real": 100, "synthetic": 100}
    scores = results["scores"]["all"]
    # The stand-in is made by another recipe, so that a classifier is right more often than between its own images.
    assert scores["c2st"]["synthetic"]["value"] > scores["c2st"]["baseline"]["value"]
