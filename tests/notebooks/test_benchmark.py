"""The notebook of the benchmark, end to end and small, and the command that does the same."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.square_sets import FOUND, write_found, write_set
from PIL import Image
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.files import read_json
from nanolab.runs.notebook import run as run_notebook

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "13_benchmark.ipynb"
MEASURE = "F1, pooled"
POOLED_F1 = 2 * 176 / (2 * 176 + 16)  # 16 of 192 squares are missed


def check_figure(path: Path) -> None:
    with Image.open(path) as figure:
        assert np.ptp(np.asarray(figure.convert("L"))) > 100  # something is drawn on it


def test_notebook_compares_methods(tmp_path: Path) -> None:
    methods = [f"mine={write_found(tmp_path / 'found')}", "otsu"]
    given = {"methods": methods, "sets": [str(write_set(tmp_path / "squares"))]}
    folder = run_notebook(NOTEBOOK, given, run="small", root=tmp_path, progress=False)
    results = read_json(folder / "results.json")
    assert results["values"][f"squares, mine, {MEASURE}"] == pytest.approx(POOLED_F1)
    assert results["values"][f"squares, otsu, {MEASURE}"] > 0.9  # squares of one grey on an even ground
    assert results["images"] == {"squares": sorted(FOUND)}
    assert [each["images"] for each in results["methods"]] == [3, 3]
    assert len(pd.read_csv(folder / "images.csv")) == 6
    for name in ("errors", "from_worst_to_best"):
        check_figure(folder / f"{name}.png")


def test_the_command_does_the_same(tmp_path: Path) -> None:
    write_found(tmp_path / "found")
    write_set(tmp_path / "squares")
    words = [
        "benchmark",
        f"mine={tmp_path / 'found'}",
        "--images",
        str(tmp_path / "squares"),
        "-o",
        str(tmp_path / "out"),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert MEASURE in done.output
    table = pd.read_csv(tmp_path / "out/summary.csv").set_index("measure")
    assert table.loc[MEASURE, "value"] == pytest.approx(POOLED_F1, abs=1e-4)  # four digits are written
    check_figure(tmp_path / "out/errors.png")
    done = CliRunner().invoke(app, ["benchmark", "mine=nowhere", "-o", str(tmp_path / "out")])
    assert (done.exit_code, "must be a folder of label maps" in done.output) == (2, True)
