"""The command line: exit codes, messages, and each verb from its arguments to its files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.small_notebooks import PARAMETERS, SAVE, write_notebook
from typer.testing import CliRunner, Result

import nanolab
from nanolab.cli import app
from nanolab.core.files import read_json, write_json
from nanolab.datasets.dataset import Dataset
from nanolab.images.labels import write_labels
from nanolab.images.tiff import read_tiff, write_tiff

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder, without public data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NANOLAB_DATA", raising=False)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def disc(radius_px: float, size_px: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:size_px, :size_px] - size_px / 2
    return (np.hypot(rows, columns) <= radius_px).astype(np.int32)


def test_help_names_the_verbs(run: Run) -> None:
    shown = run("--help").stdout
    assert all(
        verb in shown
        for verb in ("data", "render", "import-labels", "export", "train", "segment", "measure", "evaluate", "run")
    )


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"nanolab {nanolab.__version__}\n"


def test_an_unknown_verb_is_a_mistake(run: Run) -> None:
    assert run("rendr").exit_code == 2


def test_data_list_says_what_is_here_and_what_licences_ask(run: Run) -> None:
    shown = run("data", "list").stdout
    assert "bam-tio2: not here: nanolab data get bam-tio2" in shown
    assert "CC BY-NC-ND 4.0: name the authors, no commercial use" in shown


def test_data_list_finds_the_real_images(run: Run, bam_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.resolve().parent))
    assert f"bam-tio2: 20 images in {bam_folder.resolve()}" in run("data", "list").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "get", "bam"], "bam: no such public set; choose from bam-tio2, emps"),
        (["data", "get", "emps", "--from", "nowhere"], "the copy must have the layout of emps"),
        (["render", "tio2", "-n", "1", "-o", "out"], "recipe"),
        (["train", "nowhere", "-o", "out"], "nowhere"),
        (["train", "nowhere", "-o", "out", "--set", "epochs", "[1"], "epochs: not valid YAML"),
        (["train", "nowhere", "-o", "out", "--set", "epochs"], "epochs: needs a name and a value"),
        (["train", "nowhere", "-o", "out", "--validate-mask", "m.tif"], "--validate-mask: m.tif is the annotation of"),
        (
            ["train", "nowhere", "-o", "out", "--set", "threads", "100000"],
            "threads: Input should be less than or equal",
        ),
        (
            ["segment", "--magnification", "1e300", "-o", "out", "a.tif"],
            "magnification must be a number from 0.02 to 16",
        ),
        (["segment", "--model", "nowhere", "-o", "out", "a.tif"], "nowhere: holds no training"),
        (["segment", "--model", "README.md", "-o", "out", "a.tif"], "and is no .safetensors file of one epoch"),
        (["measure", "nowhere.tif", "-o", "out.csv"], "nowhere.tif"),
        (["import-labels", "nowhere", "-o", "out"], "nowhere: must be a folder of annotations"),
        (["import-labels", ".", "-o", "out", "--format", "voc"], "format must be one of auto, labelme"),
        (["export", "nowhere", "--format", "coco", "-o", "out.json"], "nowhere: a dataset must have a folder images/"),
        (["evaluate", "--truth", "nowhere", "--pred", "nowhere", "-o", "out.json"], "nowhere"),
        (["run", "nowhere.ipynb"], "nowhere.ipynb: notebook not found"),
    ],
)
def test_a_mistake_is_named_without_a_traceback(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert message in result.stderr.split("error: ")[1]
    assert not (tmp_path / "out.csv").exists()
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("data get emps", "the same command again does the rest"),
        ("run a.ipynb", "--run-name"),
        ("measure a -o b", "the same command again starts from the beginning"),
    ],
)
def test_stopping_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch, words: str, hint: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nanolab.datasets.public.get", interrupt)
    monkeypatch.setattr("nanolab.runs.parameters.parse_parameters", interrupt)
    monkeypatch.setattr("nanolab.images.folders.label_files", interrupt)
    result = run(*words.split())
    assert result.exit_code == 130
    assert result.stderr.startswith("\nstopped: ")
    assert hint in result.stderr


def test_measure_gives_nm_from_the_files_own_pixel_size(run: Run, tmp_path: Path) -> None:
    labels = disc(20)
    write_labels(tmp_path / "a.labels.tif", labels, pixel_size_nm=2.5)
    assert run("measure", "a.labels.tif", "-o", "out.csv").exit_code == 0
    (row,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert row["image"] == "a"
    assert row["area_nm2"] == pytest.approx(labels.sum() * 2.5**2, rel=5e-4)  # four digits
    # the number of pixels of a disc differs from pi r^2 by far less than its circumference
    assert row["ecd_nm"] == pytest.approx(2 * 20 * 2.5, rel=0.01)


def test_a_typed_pixel_size_goes_over_the_files(run: Run, tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", disc(20), pixel_size_nm=2.5)
    run("measure", "a.tif", "-o", "out.csv", "--pixel-size-nm", "5")
    (row,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert row["area_nm2"] == pytest.approx(disc(20).sum() * 25, rel=5e-4)
    assert row["scale_source"] == "typed"


def test_measure_goes_on_after_files_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    write_labels(tmp_path / "good.tif", disc(9), pixel_size_nm=None)
    (tmp_path / "empty.tif").touch()
    (tmp_path / "cut.tif").write_bytes((tmp_path / "good.tif").read_bytes()[:100])
    result = run("measure", "empty.tif", "good.tif", "cut.tif", "gone.tif", "-o", "out.csv")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "error: 3 of the 4 label maps could not be used:"
    assert all(name in result.stderr for name in ("empty.tif", "cut.tif", "gone.tif"))
    assert list(pd.read_csv(tmp_path / "out.csv")["image"]) == ["good"]


def test_evaluate_writes_and_prints_the_scores(run: Run, tmp_path: Path) -> None:
    truth, found = disc(20), disc(10)
    for folder, labels in (("truth", truth), ("pred", found)):
        write_labels(tmp_path / folder / "a.labels.tif", labels, pixel_size_nm=2)
    result = run("evaluate", "--truth", "truth", "--pred", "pred", "-o", "metrics.json")
    dice = 2 * found.sum() / (truth.sum() + found.sum())
    assert result.exit_code == 0
    assert read_json(tmp_path / "metrics.json")["pooled"]["dice"] == pytest.approx(dice)
    assert f"{dice:.4g}" in result.stdout


def test_evaluate_tells_of_images_without_a_partner(run: Run, tmp_path: Path) -> None:
    for path in ("truth/a.tif", "truth/b.tif", "pred/a.tif"):
        write_labels(tmp_path / path, disc(9), pixel_size_nm=2)
    result = run("evaluate", "--truth", "truth", "--pred", "pred", "-o", "metrics.json")
    assert result.exit_code == 2
    assert "1 of the 2 images could not be used" in result.stderr
    assert list(read_json(tmp_path / "metrics.json")["images"]) == ["a"]


@pytest.mark.parametrize("pair", [["count", "4"], ["count=4"]])
def test_run_sets_parameters_and_prints_the_folder(run: Run, tmp_path: Path, pair: list[str]) -> None:
    write_notebook(tmp_path / "small.ipynb", PARAMETERS, SAVE)
    result = run("run", "small.ipynb", "-p", *pair, "-p", "label", "-p", "--run-name", "first")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "papermill_runs/small/first"
    folder = tmp_path / "papermill_runs/small/first"
    assert read_json(folder / "parameters.json")["parameters"]["label"] == "-p"
    assert read_json(folder / "results.json")["area_nm2"] == 4 * 2.5**2


def test_run_refuses_an_unknown_parameter(run: Run, tmp_path: Path) -> None:
    write_notebook(tmp_path / "small.ipynb", PARAMETERS)
    result = run("run", "small.ipynb", "-p", "cuont", "4")
    assert result.exit_code == 2
    assert "no parameter cuont; it has count" in result.stderr


def test_a_failing_cell_is_a_failure_and_no_mistake(run: Run, tmp_path: Path) -> None:
    write_notebook(tmp_path / "small.ipynb", PARAMETERS, "1 / 0")
    result = run("run", "small.ipynb", "--run-name", "first")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "papermill_runs/small/first/small.ipynb").exists()


def test_ctrl_c_stops_a_notebook_and_its_kernel(tmp_path: Path) -> None:
    sleeping = "import os, pathlib, time\npathlib.Path('kernel').write_text(str(os.getpid()))\ntime.sleep(120)"
    write_notebook(tmp_path / "small.ipynb", PARAMETERS, sleeping)
    command = [
        sys.executable,
        "-c",
        "from nanolab.cli import main; main()",
        "run",
        "small.ipynb",
        "--run-name",
        "first",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "kernel").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped: the same command with --run-name" in shown
    assert read_json(tmp_path / "papermill_runs/small/first/parameters.json")["status"] == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "kernel").read_text(encoding="utf-8")), 0)


def test_from_images_to_scores(run: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    for index in range(2):
        labels = disc(18 + 4 * index)
        image = np.where(labels > 0, 180, 60) + rng.integers(0, 20, labels.shape)
        write_tiff(tmp_path / f"set/images/{index}.tif", image.astype(np.uint8), pixel_size_nm=2)
        write_labels(tmp_path / f"set/masks/{index}.tif", labels, pixel_size_nm=2)
    small = [("epochs", "1"), ("steps_per_epoch", "2"), ("patch_px", "64"), ("batch_size", "2")]
    settings = [word for key, value in small for word in ("--set", key, value)]
    watched = ["--validate", "set/images/0.tif", "--validate-mask", "set/masks/0.tif"]

    trained = run("train", "set", "-o", "training", *settings, *watched)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.splitlines()[-1] == "training: 1 epoch, epoch 1 selected"
    assert "highest dice on 0" in (tmp_path / "training/selection.json").read_text(encoding="utf-8")

    images = ["set/images/0.tif", "gone.tif", "set/images/1.tif"]
    segmented = run("segment", "--model", "training", "-o", "found", *images)
    assert segmented.exit_code == 2
    assert "1 of the 3 images could not be used" in segmented.stderr
    assert {path.name for path in (tmp_path / "found").iterdir()} == {
        *("0.labels.tif", "1.labels.tif", "0.overlay.png", "1.overlay.png"),
        "images.csv",
        "particles.csv",
    }

    judged = run("evaluate", "--truth", "set/masks", "--pred", "found", "-o", "metrics.json")
    assert judged.exit_code == 0, judged.output
    assert set(read_json(tmp_path / "metrics.json")["images"]) == {"0", "1"}


def test_cutpaste_makes_a_data_set_of_one_pair(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:160, :160]
    labels = np.zeros((160, 160), dtype=np.int32)
    for label, (row, column) in enumerate([(40, 40), (40, 110), (110, 40), (115, 115)], start=1):
        labels[np.hypot(rows - row, columns - column) < 14] = label
    grey = np.where(labels > 0, 180, 60) + np.random.default_rng(0).integers(-8, 8, labels.shape)
    write_tiff(tmp_path / "a.tif", grey.astype(np.uint8), pixel_size_nm=2.0)
    write_labels(tmp_path / "a_mask.tif", labels, pixel_size_nm=2.0)
    words = ["--image", tmp_path / "a.tif", "--mask", tmp_path / "a_mask.tif", "-n", 2, "-o", tmp_path / "set"]
    words += ["--particles", 5, "--size", 128, "--workers", 1]
    result = CliRunner().invoke(app, ["cutpaste", *map(str, words)])
    assert result.exit_code == 0, result.output
    dataset = Dataset(tmp_path / "set")
    assert [sample.image.shape for sample in dataset] == [(128, 128)] * 2
    assert [sample.pixel_size.nm for sample in dataset] == [pytest.approx(2.0)] * 2
    # Five are pasted; one may hide another, or lie beyond the border but for a few pixels.
    assert all(1 <= len(np.unique(sample.labels)) - 1 <= 5 for sample in dataset)
    wrong = CliRunner().invoke(app, ["cutpaste", *map(str, words[:4]), "--mask", "b", *map(str, words[4:])])
    assert wrong.exit_code == 2


def annotate(folder: Path, name: str, height: int = 60) -> None:
    """Write an image and next to it labelme's file: a square of 20 px, another upon its right half, one outside."""
    image = np.random.default_rng(0).integers(60, 200, (60, 80), dtype=np.uint8)
    write_tiff(folder / f"{name}.tif", image, pixel_size_nm=2.5)
    boxes = [[[10, 10], [30, 30]], [[20, 10], [40, 30]], [[200, 10], [220, 30]]]
    shapes = [{"label": "particle", "points": box, "shape_type": "rectangle"} for box in boxes]
    content = {"shapes": shapes, "imagePath": f"..\\{name}.tif", "imageHeight": height, "imageWidth": 80}
    write_json(folder / f"{name}.json", content)


def test_own_annotations_come_in_and_go_out(run: Run, tmp_path: Path) -> None:
    annotate(tmp_path / "mine", "a")
    result = run("import-labels", "mine", "-o", "set")
    assert result.exit_code == 0, result.output
    assert result.stdout == "set: 1 image, 2 particles; 1 more lie outside, or others hide them\n"
    sample = Dataset(tmp_path / "set")[0]
    assert np.bincount(sample.labels.ravel()).tolist() == [80 * 60 - 600, 200, 400]
    assert sample.pixel_size.nm == pytest.approx(2.5)
    for kind, output in (("coco", "coco.json"), ("imagej", "rois"), ("stardist", "s"), ("three-class", "t")):
        result = run("export", "set", "--format", kind, "-o", output)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{output}: 1 image\n"
    assert run("import-labels", "coco.json", "--images", "mine", "-o", "again").exit_code == 0
    assert run("import-labels", "rois", "--images", "mine", "-o", "third", "--format", "imagej").exit_code == 0
    for name in ("again", "third"):
        assert np.array_equal(Dataset(tmp_path / name)[0].labels, sample.labels)
    run("export", "set", "--format", "semantic", "--erosion-px", "2", "-o", "m")
    assert read_tiff(tmp_path / "m/a.tif").sum() == 6 * 16 + 16 * 16  # 10 x 20 and 20 x 20 px, less 2 on each side


def test_import_goes_on_after_annotations_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    annotate(tmp_path / "mine", "a")
    annotate(tmp_path / "mine", "b", height=61)
    (tmp_path / "mine/c.json").write_text("{")
    result = run("import-labels", "mine", "-o", "set", "--pixel-size-nm", "4")
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert "error: 2 of the 3 annotations could not be used:" in result.stderr
    assert "b.tif: must have the size of its image, 80 x 60 pixels, got 80 x 61" in result.stderr
    assert "c.json: not valid JSON" in result.stderr
    dataset = Dataset(tmp_path / "set")
    assert dataset.names == ("a",)
    assert dataset[0].pixel_size.nm == pytest.approx(4)


def test_import_cuts_off_the_data_bar(run: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(60, 180, (480, 640)).astype(np.uint8)
    image[420:] = 0
    for row in (446, 470):
        cv2.putText(image, "EHT = 20.00 kV   WD = 2.8 mm", (10, row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    write_tiff(tmp_path / "images/a.tif", image, pixel_size_nm=1.0)
    labels = np.zeros(image.shape, dtype=np.int32)
    labels[100:120, 100:120], labels[440:450, 10:100] = 1, 2
    write_labels(tmp_path / "masks/a.tif", labels, pixel_size_nm=None)
    result = run("import-labels", "masks", "--images", "images", "-o", "set", "--crop-data-bar")
    assert result.exit_code == 0, result.output
    sample = Dataset(tmp_path / "set")[0]
    assert sample.image.shape == (420, 640)
    assert np.array_equal(np.rint(sample.image * 255), image[:420])
    assert sample.labels.max() == 1


def test_import_labels_says_which_regions_were_left_out_and_which_images_are_empty(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        write_tiff(tmp_path / f"mine/{name}.tif", np.eye(60, 80, dtype=np.uint8), pixel_size_nm=None)
    box = {"label": "", "points": [[5, 5], [15, 15]], "shape_type": "rectangle"}
    shapes = {"a": [box, box | {"shape_type": "line"}, box | {"shape_type": "point"}], "b": []}
    for name, each in shapes.items():
        (tmp_path / f"mine/{name}.json").write_text(json.dumps({"shapes": each, "imagePath": f"{name}.tif"}))
    result = run("import-labels", "mine", "-o", "set")
    assert result.exit_code == 0, result.output
    assert result.stdout == "set: 2 images, 1 particle; none in 1 image, the first is 'b'\n"
    assert (
        "note: left out: mine/a.json: shape 2: must enclose a particle, got a line; draw its outline" in result.stderr
    )
    assert "; and 1 more like it" in result.stderr
