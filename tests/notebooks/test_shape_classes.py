"""The notebook on shape classes, end to end and small."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.own_images import disc_images, write_own
from PIL import Image

from nanolab.classification.classifier import ImageClassifier
from nanolab.core.files import read_json
from nanolab.runs.notebook import run as run_notebook
from nanolab.runs.sweeps.spec import load_sweep

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "08_shape_classes.ipynb"
SMALL = {"n_real_per_class": 2, "n_test_per_class": 2, "side_px": 80, "epochs": 1, "repeats": 2}


def check(folder: Path) -> dict[str, Any]:
    results = dict(read_json(folder / "results.json"))
    assert 0 <= results["accuracy"] <= 1
    assert results["accuracy"] == pytest.approx(np.mean(results["accuracy_by_repeat"]))
    assert results["images_tested"] == {"sphere": 2, "cube": 2, "rod": 2}
    table = pd.read_csv(folder / "predictions.csv")
    assert len(table) == 12
    np.testing.assert_allclose(table[["sphere", "cube", "rod"]].sum(axis=1), 1, rtol=1e-5)
    right = (table["shape"] == table["predicted"]).mean()
    assert results["accuracy_of_images"] == pytest.approx(right)  # as many images in both repeats
    assert ImageClassifier.load(folder / "classifier.safetensors").classes == ("sphere", "cube", "rod")
    for name in ("images", "views", "learning", "confusion"):
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    return results


def test_notebook_classifies_real_images(emps_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(emps_folder.parent.resolve()))
    monkeypatch.chdir(tmp_path)  # the pasted images, which runs share, come to data/synthetic
    more = {"synthetic": "cut and paste", "n_synthetic_per_class": 1, "augmentation": "RandAugment + MixUp"}
    results = check(run_notebook(NOTEBOOK, {**SMALL, **more}, run="small", root=tmp_path, progress=False))
    assert results["real_data"] == "emps"


def test_notebook_classifies_a_users_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for first, name in enumerate(("dense", "large grains")):
        write_own(tmp_path / "mine" / name, disc_images(3, first=3 * first))
    more = {"real_data": "mine", "synthetic": "cut and paste", "n_synthetic_per_class": 1, "repeats": 1}
    folder = run_notebook(NOTEBOOK, {**SMALL, **more}, run="small", root=tmp_path, progress=False)
    results = read_json(folder / "results.json")
    assert results["images_tested"] == {"dense": 1, "large grains": 1}
    assert ImageClassifier.load(folder / "classifier.safetensors").classes == ("dense", "large grains")


@pytest.mark.slow  # renders twelve images by three recipes
def test_notebook_runs_without_emps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOLAB_DATA", raising=False)
    results = check(run_notebook(NOTEBOOK, SMALL, run="small", root=tmp_path, progress=False))
    assert results["real_data"] == "stand-in"


@pytest.mark.parametrize("size", ["smoke", "laptop", "full"])
def test_the_sweep_of_table_2_fits_the_notebook(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nanolab.runs.parameters import notebook_parameters
    from nanolab.runs.sweeps.table import paper_numbers, paper_rows

    monkeypatch.chdir(ROOT)
    sweep = load_sweep("papermill_runs/sweeps/utilegen_table2.yaml", size)
    known = notebook_parameters(NOTEBOOK)
    rows = paper_rows(sweep.paper)
    for values in sweep.combinations():
        assert values.keys() <= known.keys()
    best = {"synthetic": "none", "augmentation": "RandAugment + MixUp"}
    assert paper_numbers(rows, best) == {"paper.accuracy": 0.89, "paper.accuracy_xception": 0.64}
