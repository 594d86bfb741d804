"""Whatever is in a file: it is read, or refused in words, within bounds of memory and time."""

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.annotated_files import write_coco, write_colours, write_labelme, write_regions, write_via, write_via_csv
from helpers.damage import TooLongError, boastful, bounded, damaged, damaged_json
from helpers.discs import disc_sample
from helpers.instrument_files import write_dm, write_emd, write_mrc, write_ser
from helpers.small_notebooks import PARAMETERS, write_notebook
from helpers.small_sweeps import write_sweep
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.core.files import write_json
from nanolab.core.validation import parse_yaml
from nanolab.datasets.annotations.importing import import_labels
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.writer import DatasetWriter
from nanolab.images.labels import read_label_file, read_labels, write_labels
from nanolab.images.micrograph import read
from nanolab.images.tiff import write_tiff
from nanolab.models.checkpoint import load_network, save_checkpoint
from nanolab.runs.parameters import notebook_parameters
from nanolab.runs.sweeps.planning import plan_sweep
from nanolab.runs.sweeps.spec import Paper, load_sweep
from nanolab.runs.sweeps.table import collect, paper_rows
from nanolab.selection.study import Study
from nanolab.synthesis.passes import Passes, load_passes, save_passes
from nanolab.synthesis.recipe import load_recipe, parse_recipe, shipped_recipes
from nanolab.training.run import TrainingRun

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded as Linux does")

Make = Callable[[Path], Path]
Read = Callable[[Path], object]

SAMPLE = disc_sample(0, (64, 64), 5)
GREY = (SAMPLE.image * 255).astype(np.uint8)


def image(suffix: str) -> Make:
    def make(folder: Path) -> Path:
        path = folder / f"a{suffix}"
        cv2.imwrite(str(path), GREY)
        return path

    return make


def tiff(folder: Path) -> Path:
    write_tiff(folder / "a.tif", GREY.astype(np.uint16), pixel_size_nm=2.0)
    return folder / "a.tif"


def instrument(write: Callable[..., None], suffix: str) -> Make:
    def make(folder: Path) -> Path:
        write(folder / f"a{suffix}", GREY.astype(np.uint16 if suffix == ".ser" else np.float32), 2.0)
        return folder / f"a{suffix}"

    return make


def label_map(folder: Path) -> Path:
    assert SAMPLE.labels is not None
    write_labels(folder / "a.labels.tif", SAMPLE.labels, pixel_size_nm=2.0)
    return folder / "a.labels.tif"


def png_mask(folder: Path) -> Path:
    assert SAMPLE.labels is not None
    cv2.imwrite(str(folder / "mask.png"), (SAMPLE.labels > 0).astype(np.uint8) * 255)
    return folder / "mask.png"


def annotation(write: Callable[[Path, str], None], suffix: str) -> Make:
    def make(folder: Path) -> Path:
        write_tiff(folder / "images/a.tif", np.resize(GREY, (60, 80)), pixel_size_nm=2.0)
        (folder / "annotations").mkdir()
        write(folder / f"annotations/a{suffix}", "a.tif")
        return folder / f"annotations/a{suffix}"

    return make


def imported(path: Path) -> object:
    out = path.parents[1] / "set"
    shutil.rmtree(out, ignore_errors=True)
    return import_labels(path, path.parents[1] / "images", out, progress=False)[0].labels


def recipe(folder: Path) -> Path:
    return Path(shutil.copy(shipped_recipes()["cubes_sem"], folder / "mine.yaml"))


def notebook(folder: Path) -> Path:
    return write_notebook(folder / "small.ipynb", PARAMETERS)


def started_sweep(name: str) -> Make:
    """A file of a sweep that has one complete run."""

    def make(folder: Path) -> Path:
        run = folder / "papermill_runs/small/single"
        about = {"identity": "1", "parameters": {"n": 1}}
        state = {"name": "small", "varying": [], "collect": [], "paper": [], "runs": {"single": about}}
        write_json(run.parent / "sweep.json", state)
        write_json(run / "parameters.json", {**about, "status": "complete", "versions": {}, "machine": {}, "git": None})
        write_json(run / "results.json", {"score": 1.0, "deep": {"x": 1}})
        return run.parent / name

    return make


def paper(folder: Path) -> Path:
    (folder / "paper.csv").write_text("n,f1\n1,0.5\n2,0.6\n", encoding="utf-8")
    return folder / "paper.csv"


def checkpoint(folder: Path) -> Path:
    settings = {"network": "unet", "network_options": {}, "readout": "foreground"}
    save_checkpoint(folder / "a.safetensors", {"w": torch.zeros(3)}, {"settings": settings, "epoch": 1})
    return folder / "a.safetensors"


def training(name: str) -> Make:
    def make(folder: Path) -> Path:
        write_json(folder / "run.json", {"settings": {"epochs": 1}, "validation": None})
        write_json(folder / "selection.json", {"epochs": [1], "notes": {}})
        (folder / "log.csv").write_text("epoch,loss\n1,0.5\n", encoding="utf-8")
        (folder / "epochs").mkdir(exist_ok=True)
        checkpoint(folder).rename(folder / "epochs/0001.safetensors")
        (folder / "epochs/1x.safetensors").touch()
        return folder / name

    return make


def opened_training(path: Path) -> object:
    run = TrainingRun(path.parent)
    return run.log(), run.epochs, run.selected_epoch, run.readout


def answer(folder: Path) -> Path:
    training("run.json")(folder)
    study = Study(TrainingRun(folder), folder / "study")
    return study.save(study.answer("ada", "expert"))


def data_set(name: str) -> Make:
    def make(folder: Path) -> Path:
        write_tiff(folder / "images/a.tif", np.resize(GREY, (60, 80)), pixel_size_nm=2.0)
        (folder / "annotations").mkdir()
        write_labelme(folder / "annotations/a.json", "a.tif")
        import_labels(folder / "annotations", folder / "images", folder / "set", progress=False)
        return folder / "set" / name

    return make


def opened_data_set(path: Path) -> object:
    data = Dataset(path.parent)
    return data[0], data.verify()


def writer(folder: Path) -> DatasetWriter:
    return DatasetWriter(folder, "a: 1\n", {"seed": 1})


def rendered(name: str) -> Make:
    """A file of a data set of one image, without its part once it is complete."""

    def make(folder: Path) -> Path:
        assert SAMPLE.labels is not None
        made = writer(folder / "set")
        table = pd.DataFrame({"label": [1], "ecd_nm": [2.0]})
        made.write(0, GREY, SAMPLE.labels, table, 2.0, {"particles_placed": 1})
        if not name.startswith("."):
            made.finish(1)
        return folder / "set" / name

    return make


def completed(path: Path) -> object:
    made = writer(path.parent if path.name == "manifest.json" else path.parents[1])
    return made.missing(1), Dataset(made.folder) if path.name == "manifest.json" else None


def passes(folder: Path) -> Path:
    zeros = np.zeros((8, 8), dtype=np.float32)
    kept = Passes(
        labels=zeros.astype(np.int32),
        height_nm=zeros,
        normals=np.zeros((8, 8, 3), dtype=np.float32),
        openness=zeros,
        pixel_size_nm=1.0,
        matter=None,
        contrast=None,
        renderer={},
    )
    save_passes(folder / "a.npz", kept)
    return folder / "a.npz"


KINDS: dict[str, tuple[Make, Read]] = {
    **{suffix: (image(suffix), read) for suffix in (".png", ".jpg", ".bmp")},
    "TIFF": (tiff, read),
    "scale bar": (tiff, lambda path: read(path, find_scale_bar=True)),
    "DM3": (instrument(write_dm, ".dm3"), read),
    "EMD": (instrument(write_emd, ".emd"), read),
    "MRC": (instrument(write_mrc, ".mrc"), read),
    "SER": (instrument(write_ser, ".ser"), read),
    "label map": (label_map, read_label_file),
    "mask": (png_mask, read_labels),
    "labelme": (annotation(write_labelme, ".json"), imported),
    "VIA": (annotation(write_via, ".json"), imported),
    "VIA as CSV": (annotation(write_via_csv, ".csv"), imported),
    "COCO": (annotation(write_coco, ".json"), imported),
    "ImageJ": (annotation(write_regions, ".zip"), imported),
    "colours": (annotation(write_colours, ".png"), imported),
    "recipe": (recipe, load_recipe),
    "sweep": (lambda folder: write_sweep(folder, grid={"n": [1, 2]}), lambda path: plan_sweep(load_sweep(path))),
    "notebook": (notebook, notebook_parameters),
    "sweep.json": (started_sweep("sweep.json"), lambda path: collect(path.parent)),
    "parameters.json": (started_sweep("single/parameters.json"), lambda path: collect(path.parents[1])),
    "results.json": (started_sweep("single/results.json"), lambda path: collect(path.parents[1])),
    "paper": (paper, lambda path: paper_rows(Paper(table=str(path), parameters={"n": "n"}, results={"s": "f1"}))),
    "checkpoint": (checkpoint, load_network),
    "run.json": (training("run.json"), opened_training),
    "selection.json": (training("selection.json"), opened_training),
    "log.csv": (training("log.csv"), opened_training),
    "answer": (answer, lambda path: Study(TrainingRun(path.parents[1]), path.parent).answers()),
    "manifest": (data_set("manifest.json"), opened_data_set),
    "particles": (rendered("particles.parquet"), lambda path: Dataset(path.parent).particles()),
    "rendered manifest": (rendered("manifest.json"), completed),
    "part of a rendering": (rendered(".parts/000000.parquet"), completed),
    "passes": (passes, load_passes),
}


BINARY = (".png", ".bmp", "TIFF", "DM3", "EMD", "MRC", "SER", "label map", "ImageJ")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def complaint(reading: Callable[[], Any]) -> str | None:
    """What is wrong with how something damaged was met; None if it was read or refused."""
    try:
        with bounded():
            reading()
    except InputError as error:
        if any(isinstance(cause, MemoryError) for cause in causes(error)):
            return f"only refused when it had no memory left: {error!s:.200}"
        return None if str(error).strip() else "refused without a word"
    except (Exception, TooLongError) as error:  # what a user would see as a traceback, or not see the end of
        return f"{type(error).__name__}: {error!s:.200}"
    return None


@pytest.mark.filterwarnings("ignore")  # of libraries about what they read; the program says what it makes of it
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    make, reader = KINDS[kind]
    path = make(tmp_path)
    sound = path.read_bytes()
    ways = list(damaged(sound, np.random.default_rng(len(kind))))
    if kind in BINARY:
        ways += boastful(sound)
    if sound[:1] in b"{[":
        ways += damaged_json(sound)
    wrong = {}
    for way, content in ways:
        path.write_bytes(content)
        if (said := complaint(lambda: reader(path))) is not None:
            wrong[way] = said
    assert wrong == {}


def test_what_takes_too_long_is_noticed_even_where_a_reader_takes_any_error_for_damage() -> None:
    def tolerant(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            raise InputError(f"damaged ({error!r})") from error

    def busy() -> None:
        signal.raise_signal(signal.SIGPROF)  # as the timer does in the end

    assert "20 s" in str(complaint(lambda: tolerant(busy)))
    assert complaint(lambda: tolerant(lambda: int("x"))) is None


def test_what_is_sound_is_read(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    refused = {}
    for kind, (make, reader) in KINDS.items():
        folder = tmp_path / kind
        folder.mkdir()
        try:
            reader(make(folder))
        except InputError as error:
            refused[kind] = str(error)
    # no network of a few numbers can be built from the small file; all else is whole
    assert set(refused) <= {"checkpoint"}


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | st.binary())
def test_any_text_is_yaml_or_refused(text: str | bytes) -> None:
    assert complaint(lambda: parse_yaml(text, "any")) is None


@given(st.data())
def test_any_value_in_a_recipe_is_taken_or_refused(data: st.DataObject) -> None:
    content = parse_yaml(shipped_recipes()["cubes_sem"].read_bytes(), "recipe")
    key = data.draw(st.sampled_from([*content, "new"]))
    part = content[key] if isinstance(content.get(key), dict) and data.draw(st.booleans()) else content
    part[data.draw(st.sampled_from([*part]))] = data.draw(YAML)
    assert complaint(lambda: parse_recipe(json.dumps(content, default=str), "mine.yaml")) is None
