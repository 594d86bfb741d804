"""The notebook on choosing an epoch, end to end and small."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.discs import disc_sample
from PIL import Image

from nanolab.core.files import output_folder, read_json
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.writer import DatasetWriter
from nanolab.runs.notebook import run as run_notebook
from nanolab.selection.study import Study
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.selection import read_selection
from nanolab.training.settings import TrainingSettings

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "05_epoch_selection.ipynb"


@pytest.fixture
def discs(tmp_path: Path) -> Dataset:
    """Three annotated images on disk."""
    writer = DatasetWriter(tmp_path / "discs", "name: discs", {"seed": 0})
    for index in range(3):
        sample = disc_sample(index, shape=(128, 128), count=20)
        assert sample.labels is not None
        particles = pd.DataFrame({"label": range(1, int(sample.labels.max()) + 1)})
        image = np.rint(np.clip(sample.image, 0, 1) * 255).astype(np.uint8)
        writer.write(index, image, sample.labels, particles, 2.0)
    dataset = writer.finish(3)
    for each in dataset:  # the same as loose images with masks next to them
        shutil.copyfile(each.path, output_folder(tmp_path / "mine") / f"{each.name}.tif")
        shutil.copyfile(dataset.folder / "masks" / f"{each.name}.tif", tmp_path / "mine" / f"{each.name}_mask.tif")
    return dataset


@pytest.fixture
def training(tmp_path: Path, discs: Dataset) -> TrainingRun:
    """A network of a few weights that learned from discs for six steps an epoch."""
    options = {"channels": [8, 8, 8, 8, 8]}
    settings = TrainingSettings(
        network_options=options, epochs=3, steps_per_epoch=6, patch_px=64, batch_size=2, threads=1, device="cpu"
    )
    return train([[disc_sample(1)]], tmp_path / "training", settings, validation=discs[0], progress=False)


def run(training: TrainingRun, root: Path, name: str, **parameters: object) -> tuple[Path, dict[str, Any]]:
    given = {"training": str(training.folder), "real_data": str(root / "mine"), "n_test": 2, **parameters}
    folder = run_notebook(NOTEBOOK, given, run=name, root=root / "runs", progress=False)
    return folder, read_json(folder / "results.json")


def test_headless_the_notebook_chooses_by_score(training: TrainingRun, tmp_path: Path) -> None:
    study = Study(training)
    study.save(replace(study.answer("P1", "expert"), epochs=[2, 3]))
    second = {"second_training": str(training.folder), "second_data": str(tmp_path / "discs")}
    folder, results = run(training, tmp_path, "by-score", **second)
    selection = read_selection(training)
    assert selection is not None
    assert selection.how == "highest dice on 000000"
    scores = {row["epoch"]: row["dice"] for row in selection.scores}
    assert selection.epochs == sorted(scores, key=lambda epoch: -scores[epoch]) == results["best_five"]["dice"]
    assert results["chosen"] == {"epochs": selection.epochs, "how": selection.how}
    assert results["participants"] == ["P1"]
    assert min(results["mean_shortfall"]["dice"].values()) >= 0
    for name in ("judgement", "chosen", "study", "choices", "shortfall_dice", "shortfall_instance_f1_50"):
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it
    executed = read_json(folder / "05_epoch_selection.ipynb")
    (shown,) = [cell for cell in executed["cells"] if "epoch_selector(run" in "".join(cell["source"])]
    assert "image/png" in shown["outputs"][-1]["data"]  # what stands there where no widget runs


def test_given_epochs_come_first_and_a_participant_sees_no_score(training: TrainingRun, tmp_path: Path) -> None:
    run(training, tmp_path, "given", epochs=[3, 1], n_test=0)
    assert training.selected_epoch == 3
    folder, results = run(training, tmp_path, "study", participant="P2", role="expert")
    assert training.selected_epoch == 3
    assert results["chosen"] is None
    assert "best_five" not in results
    assert list(folder.glob("*.png")) == []
