"""A user's mistake is told at once, before anything heavy is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.small_sweeps import write_sweep
from typer.testing import CliRunner

from nanolab.cli import app

# in a fresh process, because this one has loaded everything long since
TELL = """
import json, sys, time
from typer.testing import CliRunner
from nanolab.cli import app
told = []
for words in json.loads(sys.argv[1]):
    start = time.process_time()
    result = CliRunner().invoke(app, words)
    slow = sorted({"torch", "nbconvert"} & set(sys.modules))
    told.append([result.exit_code, result.output, time.process_time() - start, slow])
print(json.dumps(told))
"""
ANALYSE = ["analyse", "a.tif", "-o", "out"]
TRAIN = ["train", "set", "-o", "out"]
MISTAKES = {
    (
        "measure",
        "a.tif",
        "-o",
        "out",
        "--pixel-size-nm",
        "-1",
    ): "--pixel-size-nm must be a number from 0.0001 to 1e+06, got -1.0",
    ("measure", "a.tif", "-o", "out", "--pixel-size-nm", "1e-308"): "from 0.0001 to 1e+06, got 1e-308",
    ("measure", "a.tif", "-o", "out", "--quantity", "area"): "area: no length of the particle table",
    ("measure", "a.tif", "-o", "a.csv", "--twin", "tio2_sem"): "a.csv: must be a folder for --report",
    ("measure", "a.tif", "-o", "out", "--twin", "tio2_sen"): "error: recipe tio2_sen: must be a .yaml file or one of",
    ("measure", "a.tif", "-o", "out", "--border", "x"): "border must be one of correct, drop, keep, got 'x'",
    ("measure", "a.tif", "-o", "out", "--fit", "gamma"): "fit must be one of auto,",
    (
        "measure",
        "a.tif",
        "-o",
        "out",
        "--without-scale",
        "x",
    ): "error: --without-scale must be one of refuse, leave out, px",
    (
        "segment",
        "a.tif",
        "-o",
        "out",
        "--magnification",
        "x",
    ): "error: --magnification: must be a number or auto, got 'x'",
    (
        *ANALYSE,
        "--recipe",
        "tio2_sem",
        "--fit-from",
        "generic_sem",
    ): "error: --recipe, --fit-from: name a recipe, or one",
    (*ANALYSE, "--recipe", "tio2_sem", "--set", "epoch", "3"): "unknown key (did you mean epochs?)",
    (*ANALYSE, "--set", "epochs", "3"): "error: --set: changes a training, and nothing is learned",
    ("segment", "a.tif", "-o", "out", "--dynamic", "7"): "Input should be less than or equal to 1",
    ("segment", "a.tif", "-o", "out", "--postprocessing", "x"): "postprocessing must be one of mill2021_sio2",
    ("segment", "a.tif", "-o", "out", "--pixel-size-nm", "nan"): "from 0.0001 to 1e+06, got nan",
    ("segment", "a.tif", "-o", "out", "--pixel-size-nm", "abc"): "Input should be a valid number",
    ("segment", "a.tif", "-o", "out", "--min-diameter", "-3"): "greater than or equal to 0",
    ("segment", "a.tif", "-o", "out"): "a.tif: image not found",
    ("twin", "a.tif", "-o", "out", "--fast", "--scenes", "20"): "--fast, --scenes: both say how many scenes",
    ("segment", "a.tif", "-o", "out", "--model", "nowhere"): "nowhere: holds no training",
    ("segment", "a.tif", "-o", "out", "--model", "no.safetensors"): "no.safetensors: checkpoint not found",
    ("import-labels", "a.json", "-o", "out", "--pixel-size-nm", "inf"): "from 0.0001 to 1e+06, got inf",
    (*TRAIN, "--share", "nan"): "greater than or equal to 0",
    (*TRAIN, "--share", "-1"): "greater than or equal to 0",
    (*TRAIN, "--share", "1", "--share", "1"): "give as many as there are data sets, 1, got 2",
    (*TRAIN, "--set", "epoch", "3"): "unknown key (did you mean epochs?)",
    (
        *TRAIN,
        "--set",
        "epochs",
        "3",
        "--validate-mask",
        "m.tif",
    ): "--validate-mask: m.tif is the annotation of what --validate names",
    (*TRAIN, "--leave-one-out", "--validate", "a.tif"): "takes one data set",
    tuple(TRAIN): "set",
    (
        "render",
        "spheres_sem",
        "-n",
        "1",
        "-o",
        "out",
        "--workers",
        "100000",
    ): "--workers must be a number from 1 to 1024",
    (
        "cutpaste",
        "--image",
        "a.tif",
        "--mask",
        "a.tif",
        "-n",
        "1",
        "-o",
        "out",
        "--workers",
        "0",
    ): "from 1 to 1024, got 0",
    (
        "evaluate",
        "--truth",
        "t",
        "--pred",
        "p",
        "-o",
        "o.json",
        "--boundary-px",
        "1e9",
    ): "--boundary-px must be a number from 0 to 100, got 1000000000.0",
    ("sweep", "few.yaml", "--workers", "100000"): "error: --workers must be a number from 1 to 1024, got 100000",
    ("sweep", "wide.yaml"): "workers: Input should be less than or equal to 1024, got 100000",
    ("evaluate", "--truth", "t", "--pred", "p", "-o", "o.json", "--iou", "7"): "error: --iou: the threshold must be",
    ("sweep", "many.yaml"): "at most 10,000 runs, this one 9,000,000",
    ("sweep", "nowhere.yaml"): "nowhere.yaml: sweep not found",
    ("run", "nowhere.ipynb"): "nowhere.ipynb: notebook not found",
    ("sweep-report", "nowhere"): "nowhere: no sweep of this name",
    ("report", "nowhere"): "nowhere: no sweep of this name",  # the old word
}


def test_every_mistake_is_told_within_seconds_and_without_loading_what_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path, "few")
    write_sweep(tmp_path, "wide", workers=100_000)
    write_sweep(tmp_path, "many", repeats=3000, grid={"n": list(range(3000))})
    asked = [sys.executable, "-c", TELL, json.dumps([list(words) for words in MISTAKES])]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    for (words, message), (code, said, seconds, heavy) in zip(
        MISTAKES.items(), json.loads(done.stdout.splitlines()[-1]), strict=True
    ):
        assert code == 2, (words, said)
        assert message in " ".join(said.replace("│", " ").split()), words
        assert "Traceback" not in said
        # of the processor's time: 1.7 at most where nothing else runs, and up to twice that where threads share a core
        assert seconds < 5, words
        assert not heavy, words


def test_help_shows_the_word_of_now_alone() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "nanolab", "--help"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "sweep-report" in shown
    assert "report" not in shown


def test_a_killed_verb_tidies_up(tmp_path: Path) -> None:
    code = (
        "import os, time\nfrom nanolab import cli\nfrom nanolab.core.files import atomic\n"
        "def write():\n    with atomic('a.json'):\n        os.kill(os.getpid(), 15)\n        time.sleep(9)\n"
        "cli.app = write\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("of", "key"), [("recipe", "particles"), ("training", "epochs"), ("sweep", "grid")])
def test_a_schema_is_printed_as_json(of: str, key: str) -> None:
    schema = json.loads(CliRunner().invoke(app, ["schema", of]).output)
    assert key in schema["properties"]
