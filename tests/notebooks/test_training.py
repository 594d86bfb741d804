"""The notebook on training, end to end and small."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.own_images import disc_images, write_own
from PIL import Image

from nanolab.core.files import read_json
from nanolab.models.readouts.interior_border import InteriorBorder
from nanolab.runs.notebook import run as run_notebook
from nanolab.segmentation.segmenter import Segmenter

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_training.ipynb"


def test_notebook_trains_tests_and_writes_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the rendered images, which runs share, come to data/synthetic
    monkeypatch.delenv("NANOLAB_DATA", raising=False)
    short = {"epochs": 2, "steps_per_epoch": 6, "batch_size": 2, "patch_px": 128}
    mine = str(write_own(tmp_path / "mine", disc_images(2)))
    given = {
        "test_data": ["bam-tio2", mine],
        "recipes": {"tio2_sem": 2, "spheres_tem": 2},
        "settings": {**short, "ema_decay": 0.5, "learning_rate": 0.02},
        "n_test": 4,
        "held_out": 1,
        "model_file": "model.safetensors",
    }
    folder = run_notebook(NOTEBOOK, given, run="small", root=tmp_path, progress=False)
    results = read_json(folder / "results.json")
    assert results["stand_in"] == {"bam-tio2": True, mine: False}
    assert results["epoch"] == 2
    scores = results["scores"]["bam-tio2"]["all"]
    assert scores["images"] == 4
    # Twelve small steps: better than nothing, which has a Dice of 0.
    assert 0.2 < scores["dice"] <= 1
    low, high = results["intervals"]["bam-tio2"]["dice"]
    assert low <= scores["dice"] <= high
    compared = results["real_against_rendered"]
    assert compared["rendered, both"]["dice"] == pytest.approx(scores["dice"])
    assert compared["real, first half"]["images"] + compared["real, second half"]["images"] == 4
    table = pd.read_csv(folder / "scores.csv")
    assert list(table["test data"]) == ["bam-tio2"] * 4 + [mine] * 2
    assert results["means"]["bam-tio2"]["dice"] == pytest.approx(table["dice"][:4].mean())
    assert results["scores"][mine]["all"]["n_annotated"] == table["n_annotated"][4:].sum() > 0
    by_dynamic = pd.read_csv(folder / "f1_by_dynamic.csv", index_col="recipe")
    assert list(by_dynamic.index) == ["tio2_sem", "spheres_tem"]
    assert results["dynamic"] == float(by_dynamic.mean().idxmax())
    readout = Segmenter(tmp_path / "model.safetensors").readout
    assert isinstance(readout, InteriorBorder)
    assert readout.dynamic == results["dynamic"]
    for name in ("patches", "training", "from_worst_to_best"):
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
