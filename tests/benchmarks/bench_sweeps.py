"""What the engine of sweeps costs. `make bench` prints the numbers; nothing here asserts a time."""

import json
import logging
import os
import time
from pathlib import Path

import papermill
import pytest
from helpers.small_notebooks import write_notebook

from nanolab.runs.sweeps.engine import sweep as run_sweep

pytestmark = pytest.mark.bench

RUNS = 50


def empty_sweep(folder: Path, runs: int) -> Path:
    """Write a sweep of a notebook that does nothing; JSON is YAML too."""
    notebook = write_notebook(folder / "empty.ipynb", 'n = 0\nrun_folder = "x"', "n")
    path = folder / "empty.yaml"
    path.write_text(json.dumps({"notebook": str(notebook), "grid": {"n": list(range(runs))}, "threads": 1}))
    return path


def test_empty_runs_against_bare_papermill(tmp_path: Path) -> None:
    """One after the other, in turns of five, so that whatever else the machine does hits both alike."""
    logging.getLogger("papermill").setLevel("ERROR")
    notebook = tmp_path / "empty.ipynb"
    seconds = {"bare": 0.0, "sweep": 0.0}
    for done in range(5, RUNS + 1, 5):
        path = empty_sweep(tmp_path, done)
        start = time.perf_counter()
        for n in range(done - 5, done):
            papermill.execute_notebook(
                notebook,
                tmp_path / f"{n}.ipynb",
                parameters={"n": n, "run_folder": "x"},
                kernel_name="python3",
                language="python",
                progress_bar=False,
            )
        middle = time.perf_counter()
        run_sweep(path, root=tmp_path / "root", progress=False)
        seconds["bare"] += middle - start
        seconds["sweep"] += time.perf_counter() - middle
    each = {name: total / RUNS for name, total in seconds.items()}
    start = time.perf_counter()
    run_sweep(path, root=tmp_path / "root", progress=False)
    kept = time.perf_counter() - start
    print(f"\n{RUNS} empty runs: bare papermill {each['bare']:.2f} s a run, sweep {each['sweep']:.2f} s", end=" ")
    print(f"({each['sweep'] / each['bare'] - 1:+.1%}); again, all kept: {kept:.2f} s")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_scaling_over_local_workers(workers: int, tmp_path: Path) -> None:
    path = empty_sweep(tmp_path, 24)
    start = time.perf_counter()
    run_sweep(path, workers=workers, root=tmp_path / "root", progress=False)
    each = (time.perf_counter() - start) / 24
    print(f"\n{workers} workers on {os.cpu_count()} cores: {each:.2f} s a run")
