"""The notebooks of the experiments, end to end and small, on real images where there are some."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.own_images import disc_images, write_own
from PIL import Image

from nanolab.core.files import read_json
from nanolab.datasets.public import PUBLIC, public_images
from nanolab.images.labels import remove_small
from nanolab.models.registry import build
from nanolab.runs.notebook import run as run_notebook
from nanolab.runs.sweeps.engine import sweep

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
ROOT = Path(__file__).parents[2]
TINY = {"epochs": 2, "steps_per_epoch": 8, "batch_size": 2, "patch_px": 128, "ema_decay": 0.5, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run in, whose rendered images all tests share."""
    folder = tmp_path_factory.mktemp("experiments")
    shutil.copytree(ROOT / "data" / "reference", folder / "data" / "reference")
    return folder


@pytest.fixture(scope="module")
def mine(place: Path) -> Path:
    """Four annotated images that are in no public set."""
    return write_own(place / "mine", disc_images(4))


def run(notebook: str, given: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Any]:
    """Run a notebook and return the folder of the run and its results."""
    if os.environ.get("NANOLAB_DATA"):
        monkeypatch.setenv("NANOLAB_DATA", str(Path(os.environ["NANOLAB_DATA"]).resolve()))
    monkeypatch.chdir(place)
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    folder = run_notebook(path, {**given, "keep_training": False}, root=place, progress=False)
    assert not (folder / "training").exists()
    return folder, read_json(folder / "results.json")


def check_f1(results: Any, precision: str, recall: str, f1: str) -> None:
    """A score is None where it is undefined; F1 is the harmonic mean, however little such a network finds."""
    p, r = results[precision] or 0.0, results[recall] or 0.0
    assert results[f1] == pytest.approx(2 * p * r / (p + r) if p + r else 0.0)


def check_figures(folder: Path, *names: str) -> None:
    for name in names:
        with Image.open(folder / f"{name}.png") as figure:
            assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it


def test_ratio_sweep(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "n_images": 4,
        "fold": -1,
        "seed": 1,
        "n_real_images": 1,
        "pools": {"real": 6, "rendered": 6},
        "n_real": 4,
        "n_synthetic": 5,
        "n_rendered": 2,
        "settings": TINY,
        "n_watched": 1,
    }
    folder, results = run("07_ratio_sweep", given, place, monkeypatch)
    by_image = pd.read_csv(folder / "scores.csv", dtype={"image": str})
    names = public_images("bam-tio2").names if results["real_data"] == "bam-tio2" else [f"{k:06d}" for k in range(4)]
    assert by_image["image"].tolist() == results["tested_on"] == [names[1], names[3]]  # the seed chose the second fold
    assert len(results["learned_from"]) == 1
    assert set(results["learned_from"]) <= {names[0], names[2]}
    check_f1(results, "precision", "recall", "dice")
    iou = results["dice"] / (2 - results["dice"])
    assert iou / 2 < results["miou"] < (1 + iou) / 2
    curve = pd.read_csv(folder / "iterations.csv")
    assert curve["iteration"].tolist() == [8, 16]
    # the curve's last point is of the network that is tested, on the first of its images
    assert curve["miou"].iloc[-1] == pytest.approx(by_image["miou"].iloc[0])
    assert curve["mdice"].iloc[-1] == pytest.approx(by_image["mdice"].iloc[0])
    check_figures(folder, "learned_from", "worst_median_best", "iterations")


def test_with_the_papers_split_training_and_test_come_out_of_one_pool(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = {"real": 8, "rendered": 6}
    given = {"n_images": 4, "n_real_images": 2, "pools": pools, "n_real": 4, "n_synthetic": 0, "leaky_pool": 3}
    folder, results = run("07_ratio_sweep", {**given, "settings": TINY}, place, monkeypatch)
    assert results["split"] == "leaky pool"
    assert len(results["tested_on"]) == len(set(results["tested_on"])) == 3
    assert {name.split(" crop ")[0] for name in results["tested_on"]} <= set(results["learned_from"])
    assert len(pd.read_csv(folder / "scores.csv")) == 3


def test_a_sweep_over_ones_own_images_with_and_without_rendered_ones(
    place: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    given = {"pools": {}, "n_real": 0, "n_rendered": 2, "n_synthetic": 2, "real_share": 0.5, "settings": TINY}
    fixed = {"real_data": "mine", "keep_training": False, **given}
    content = {"notebook": str(ROOT / "notebooks" / "07_ratio_sweep.ipynb"), "fixed": fixed, "grid": {"seed": [0]}}
    (place / "own.yaml").write_text(yaml.safe_dump(content))
    (outcome,) = sweep(place / "own.yaml", root=place, workers=1, progress=False).outcomes
    assert (outcome.status, outcome.error) == ("complete", None)
    folder = place / "own" / outcome.run
    results = read_json(folder / "results.json")
    assert (results["real_data"], results["tested_on"]) == ("mine", ["probe (#0)", "probe (#2)"])
    assert results["learned_from"] == []
    # 16 small steps: better than nothing, whose Dice is 0
    assert 0.1 < results["dice"] <= 1
    assert len(pd.read_csv(folder / "scores.csv")) == 2
    assert not (folder / "iterations.csv").exists()


def test_real_against_synthetic(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"n_images": 3, "folds": 3, "settings": {**TINY, "epochs": 1}}
    folder, results = run("11_real_against_synthetic", given, place, monkeypatch)
    by_image = pd.read_csv(folder / "scores.csv", dtype={"image": str})
    assert (results["trainings"], results["images"], by_image["image"].nunique()) == (3, 3, 3)
    for name in ("accuracy", "warping_error", "n_annotated"):
        assert results[name] == pytest.approx(by_image[name].mean())
    assert results["pooled"]["n_found"] == by_image["n_found"].sum()
    if results["real_data"] == "bam-tio2":
        least = PUBLIC["bam-tio2"].min_area_px
        counts = {sample.name: remove_small(sample.labels, least).max() for sample in public_images("bam-tio2")[:3]}
        assert dict(zip(by_image["image"], by_image["n_annotated"], strict=True)) == counts
    check_figures(folder, "best_and_worst")
    check_figures(folder / "images", *by_image["image"])
    assert {path.stem for path in (folder / "found").iterdir()} == set(by_image["image"])


def test_trained_on_synthetic_images_an_epoch_is_chosen_on_one_real_image_that_is_not_tested_on(
    place: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"n_images": 3, "trained_on": "synthetic", "n_synthetic": 2, "settings": TINY, "choose_by": "dice"}
    given["real_data"] = str(mine)
    folder, results = run("11_real_against_synthetic", given, place, monkeypatch)
    assert len(results["epochs_tested"]) == 1
    assert results["epochs_tested"][0] in (1, 2)
    assert results["validation"] not in set(pd.read_csv(folder / "scores.csv", dtype={"image": str})["image"])
    assert results["images"] == 2
    check_figures(folder / "images", "probe (#1)", "probe (#2)")


def test_real_against_synthetic_without_real_images(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NANOLAB_DATA", raising=False)
    given = {"n_images": 2, "trained_on": "synthetic", "n_synthetic": 2, "settings": TINY, "real_data": "stand-in"}
    _, results = run("11_real_against_synthetic", given, place, monkeypatch)
    assert (results["real_data"], results["trainings"], results["images"]) == ("stand-in", 1, 2)


def test_model_comparison(place: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "real_data": str(mine),
        "network": "bisenet",
        "n_images": 4,
        "n_real_images": 2,
        "pools": {"real": 4, "rendered": 4},
        "n_real": 2,
        "n_synthetic": 3,
        "n_rendered": 2,
        "settings": {**TINY, "epochs": 1, "steps_per_epoch": 4, "readout": "foreground"},
    }
    folder, results = run("09_model_comparison", given, place, monkeypatch)
    assert results["pretrained"] is False
    weights = sum(weight.numel() for weight in build("bisenet", 1).parameters())
    assert results["million_parameters"] == weights / 1e6
    assert set(results["learned_from"]).isdisjoint(results["tested_on"])
    assert len(results["learned_from"]) == len(results["tested_on"]) == 2
    assert results["seconds_a_step"] == pytest.approx(results["seconds"]["train"] / 4)
    assert 0 < results["accuracy"] < 1
    check_figures(folder, "best_and_worst")


def test_few_annotations(place: Path, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**TINY, "readout_options": {"rays": 8}}
    given = {"real_data": str(mine), "n_real": 2, "n_test": 2, "synthetic_per_real": 1, "settings": settings}
    given["magnification"] = "0.5"
    folder, results = run("12_few_annotations", given, place, monkeypatch)
    by_image = pd.read_csv(folder / "scores.csv", dtype={"image": str})
    assert by_image["image"].tolist() == results["tested_on"]
    assert set(results["learned_from"]).isdisjoint(results["tested_on"])
    assert (results["images_real"], results["images_synthetic"], results["images_tested"]) == (2, 2, 2)
    assert results["n_annotated"] == by_image["n_annotated"].sum() > 0
    check_f1(results, "instance_precision_50", "instance_recall_50", "instance_f1_50")
    assert set(results["learned_from"] + results["tested_on"]) == {f"probe (#{k})" for k in range(4)}
    assert not (folder / "synthetic").exists()
    check_figures(folder, "annotated", "synthetic", "from_worst_to_best")


def test_one_annotation_that_is_only_cut_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**TINY, "epochs": 1, "readout_options": {"rays": 8}}
    given = {"shape": "", "case": "ordered rods", "n_images": 4, "n_real": 1, "n_test": 2, "learn_from_real": False}
    given |= {"synthetic_per_real": 3, "settings": settings}
    _, results = run("12_few_annotations", given, place, monkeypatch)
    assert (results["images_real"], results["images_synthetic"], results["images_tested"]) == (0, 3, 2)
    assert len(results["learned_from"]) == 1
