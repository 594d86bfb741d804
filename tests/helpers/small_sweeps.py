"""Small sweeps for tests: a notebook whose runs count themselves, can be held by a file `hold`, and can fail."""

from pathlib import Path
from typing import Any

import yaml
from helpers.small_notebooks import write_notebook

from nanolab.core.files import write_json

PARAMETERS = """\
n = 1
factor = 2.0
label = "a"
seconds = 0.0
fails_at = -1
data = ""
seed = 0
run_folder = "x"
"""
WORK = """\
import json, os, time
from pathlib import Path
folder = Path(run_folder)
def note(what):
    with (folder.parent / f"{what}.log").open("a") as log:
        log.write(f"{folder.name} {os.getpid()}\\n")
note("begun")
while (folder.parent / "hold").exists() or seconds > 0:
    time.sleep(0.05)
    seconds -= 0.05
if n == fails_at:
    raise ValueError(f"cannot do {n}")
results = {"score": n * factor + seed, "deep": {"threads": int(os.environ["OMP_NUM_THREADS"])}, "curve": [1, 2]}
(folder / "results.json").write_text(json.dumps(results))
(folder / "curve.csv").write_text(f"step,value\\n0,{n}\\n1,{n + 1}\\n")
note("ended")
"""


def write_sweep(folder: Path, file: str = "small", **content: Any) -> Path:
    """Write a notebook and a sweep of it into the folder, and return the sweep's file."""
    if not (folder / "small.ipynb").exists():
        write_notebook(folder / "small.ipynb", PARAMETERS, WORK)
    path = folder / f"{file}.yaml"
    text = yaml.safe_dump({"notebook": str(folder / "small.ipynb"), **content}, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return path


def noted(folder: Path, what: str = "ended") -> list[str]:
    """The names of the runs that have begun or ended in a sweep's folder, once for each time they did."""
    log = folder / f"{what}.log"
    return sorted(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else []


def pids(folder: Path) -> list[int]:
    """The kernels that have begun runs."""
    return [int(line.split()[1]) for line in (folder / "begun.log").read_text().splitlines()]


def pretend_done(run: Path, identity: str) -> None:
    """Make a run's folder look as a complete run's does."""
    run.mkdir(parents=True)
    write_json(run / "parameters.json", {"status": "complete", "identity": identity, "duration_s": 1.0})
