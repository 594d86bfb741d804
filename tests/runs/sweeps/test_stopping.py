"""Sweeps that are interrupted or killed, whole or in part: nothing is lost and nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from helpers.small_sweeps import noted, pids, write_sweep

from nanolab.core.checks import InputError
from nanolab.core.dask import cluster_client, scheduler_client
from nanolab.core.files import read_json
from nanolab.runs.sweeps.table import collect

Start = Callable[..., "subprocess.Popen[str]"]
RUNS = ["n=1", "n=2", "n=3"]


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so; fail if it does not come about."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a sweep whose runs wait until `hold` is removed from it."""
    folder = tmp_path / "papermill_runs" / "small"
    folder.mkdir(parents=True)
    (folder / "hold").touch()
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the command line in a process of its own; it ends with the test."""
    started = []

    def command(*words: str, path: str = "") -> "subprocess.Popen[str]":
        environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
        process = subprocess.Popen(
            [sys.executable, "-c", "from nanolab.cli import main; main()", *words],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.communicate()


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=90)
    return process.returncode, output


def finish(start: Start, folder: Path, *words: str) -> None:
    """Start the sweep again and see that afterwards everything is there exactly once."""
    (folder / "hold").unlink(missing_ok=True)
    code, output = end(start("sweep", "small.yaml", *words))
    assert code == 0, output
    assert noted(folder) == RUNS
    assert list(collect(folder)["n"]) == [1, 2, 3]


def test_ctrl_c_ends_all_kernels_and_the_next_start_does_the_rest(start: Start, folder: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path, grid={"n": [1, 2, 3]}, workers=2)
    process = start("sweep", "small.yaml")
    wait_for(lambda: len(noted(folder, "begun")) == 2)
    process.send_signal(signal.SIGINT)
    code, output = end(process)
    assert code == 130, output
    assert "the same command again does the rest" in output
    assert not any(psutil.pid_exists(pid) for pid in pids(folder))
    statuses = [read_json(path)["status"] for path in folder.glob("*/parameters.json")]
    assert statuses == ["interrupted"] * 2
    assert list(folder.rglob(".*.part*")) == []
    finish(start, folder)


def test_ctrl_c_ends_the_kernel_of_a_single_run(start: Start, folder: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path)
    process = start("run", "small.ipynb", "--run-name", "one")
    wait_for(lambda: noted(folder, "begun") == ["one"])
    process.send_signal(signal.SIGINT)
    code, output = end(process)
    assert code == 130, output
    assert not psutil.pid_exists(pids(folder)[0])
    assert read_json(folder / "one" / "parameters.json")["status"] == "interrupted"


def test_a_killed_sweep_leaves_no_kernel_and_the_next_start_does_the_rest(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    write_sweep(tmp_path, grid={"n": [1, 2, 3]}, workers=2)
    process = start("sweep", "small.yaml")
    wait_for(lambda: len(noted(folder, "begun")) == 2)
    process.kill()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids(folder)), seconds=10)
    finish(start, folder)


def test_what_a_killed_dask_worker_did_is_done_elsewhere(start: Start, folder: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path, grid={"n": [1, 2, 3]}, dask={"cluster": "local", "jobs": 2})
    process = start("sweep", "small.yaml")
    wait_for(lambda: len(noted(folder, "begun")) == 2)
    killed = noted(folder, "begun")[0]
    worker = psutil.Process(pids(folder)[0]).parent()
    assert worker is not None
    assert worker.pid != process.pid  # a Dask worker has the kernel, not the sweep
    worker.kill()
    wait_for(lambda: noted(folder, "begun").count(killed) == 2 or len(noted(folder, "begun")) == 3)
    (folder / "hold").unlink()
    code, output = end(process)
    assert code == 0, output
    assert noted(folder) == RUNS
    assert len(noted(folder, "begun")) == len(RUNS) + 1
    finish(start, folder)  # does nothing more


@pytest.mark.slow
def test_ctrl_c_ends_the_kernels_of_dask_workers(start: Start, folder: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path, grid={"n": [1, 2, 3]}, dask={"cluster": "local", "jobs": 2})
    process = start("sweep", "small.yaml")
    wait_for(lambda: len(noted(folder, "begun")) == 2)
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids(folder)), seconds=10)
    finish(start, folder, "--workers", "1")


FAKE_QUEUE = """\
#!/bin/sh
# what sbatch does, without a queue: the job runs here, in the background
cp "$1" "$(dirname "$0")/job.sh"  # the original is removed at once
setsid bash "$(dirname "$0")/job.sh" > "$(dirname "$0")/job.log" 2>&1 &
echo "Submitted batch job $!"
"""


@pytest.mark.slow
def test_a_queue_gives_the_workers(start: Start, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sbatch").write_text(FAKE_QUEUE, encoding="utf-8")
    (tools / "scancel").write_text("#!/bin/sh\nkill -- -$1\n", encoding="utf-8")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    options = {"cores": 3, "memory": "1GB", "walltime": "00:10:00", "interface": "lo"}
    write_sweep(tmp_path, grid={"n": [1, 2, 3]}, dask={"cluster": "slurm", "jobs": 1, "options": options})
    (folder / "hold").unlink()
    code, output = end(start("sweep", "small.yaml", path=str(tools)))
    assert code == 0, output
    assert noted(folder) == RUNS
    assert "#SBATCH --cpus-per-task=3" in (tools / "job.sh").read_text()
    # one run at a time, with all cores of its job
    assert {read_json(path)["deep"]["threads"] for path in folder.glob("*/results.json")} == {3}


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a Dask scheduler with one worker, in processes of their own that know nothing of this one."""
    file = tmp_path / "scheduler.json"
    programs = (["scheduler", "--port", "0", "--no-dashboard"], ["worker", "--nthreads", "1", "--no-dashboard"])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + program, *options, "--scheduler-file", str(file)],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        for program, *options in programs
    ]
    wait_for(file.exists)
    yield read_json(file)["address"]
    for process in processes:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_running_scheduler_does_sweeps_and_renders(
    start: Start, scheduler: str, folder: Path, tmp_path: Path
) -> None:
    write_sweep(tmp_path, grid={"n": [1, 2, 3]})
    finish(start, folder, "--scheduler", scheduler)
    pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
    sets = {}
    for name, words in {"there": ("--scheduler", scheduler), "here": ("--workers", "1")}.items():
        code, output = end(start("render", "tio2_sem", "-n", "2", "-o", name, "--device", "cpu", *words))
        assert code == 0, output
        sets[name] = read_json(tmp_path / name / "manifest.json")["files"]
    assert sets["there"] == sets["here"]  # who renders an image changes no byte of it


def test_no_scheduler_at_an_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanolab.core.dask._PATIENCE_S", 0.5)
    with (
        pytest.raises(InputError, match="no Dask scheduler answers there"),
        scheduler_client("tcp://127.0.0.1:9"),
    ):
        pass


# dask-jobqueue leaves a half-made cluster behind
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function Cluster.__del__", "ignore:unclosed cluster")
def test_options_that_a_queue_does_not_know_are_said() -> None:
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(InputError, match="dask-jobqueue does not take these options"), cluster_client("slurm", 1, {}):
        pass
