"""Notebooks run headlessly: parameters checked, one folder a run, and a record of how it came about."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import digest, output_folder, sha256
from nanolab.core.processes import worker_count
from nanolab.core.results import plain_name
from nanolab.core.versions import versions
from nanolab.runs.fingerprints import data_fingerprints, notebook_fingerprint
from nanolab.runs.kernels import NotebookError, NotebookStoppedError, execute, is_stopped, thread_limits
from nanolab.runs.parameters import check_parameters, notebook_parameters
from nanolab.runs.record import keep_record, read_run

__all__ = ["NotebookError", "NotebookStoppedError", "Plan", "execute_plan", "plan_run", "run", "run_lock"]

_FOLDER = "run_folder"


@dataclass(frozen=True)
class Plan:
    """A notebook with its parameters, checked, and what its outcome depends on.

    Attributes
    ----------
    notebook
        The file.
    values
        All parameters but the run's folder, defaults included.
    cwd
        The folder that paths among them begin at.
    code
        SHA-256 of the notebook's code.
    data
        SHA-256 of each file or folder that a parameter names.
    version
        Of nanolab.
    """

    notebook: Path
    values: Mapping[str, Any]
    cwd: Path
    code: str
    data: Mapping[str, str]
    version: str

    @property
    def identity(self) -> str:
        """What two runs have in common that must come to the same."""
        return digest({"parameters": self.values, "code": self.code, "data": self.data, "nanolab": self.version})


def plan_run(path: Path | str, parameters: Mapping[str, Any]) -> Plan:
    """Check a notebook and values for some of its parameters.

    Raises
    ------
    InputError
        If the notebook is not one, or a parameter is unknown or of another type.
    """
    path = check_file(path, "notebook")
    defaults = notebook_parameters(path)
    if defaults.pop(_FOLDER, None) is None:
        raise InputError(f"{path}: must have a parameter {_FOLDER}; it writes its results there")
    values = check_parameters(path, parameters, defaults)
    data = data_fingerprints(values, Path.cwd())
    return Plan(path, values, Path.cwd(), notebook_fingerprint(path), data, versions()["nanolab"])


def run(
    path: Path | str,
    parameters: Mapping[str, Any],
    *,
    name: str | None = None,
    run: str | None = None,
    root: Path = Path("papermill_runs"),
    timeout: float | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Path:
    """Execute a notebook with papermill in the current folder and return the folder of the run, `root/name/run`.

    The notebook learns that folder from its parameter `run_folder`. Besides what it writes there itself, the folder has
    the executed notebook, `<name>.ipynb`, and `parameters.json`: every parameter, defaults included, the hashes of the
    data they name, the versions, the commit and the machine, when the run started, how long it took and how it ended.
    A run that is given the name of an earlier one with the same parameters goes on in its folder. Any number of runs
    may go on side by side, in threads or in processes.

    Parameters
    ----------
    path
        The notebook; it stays as it is.
    parameters
        Values for some of the notebook's parameters.
    name
        Folder under `root`; the notebook's name if None.
    run
        Folder under that; the time of the start if None.
    root
        Where runs are kept.
    timeout
        Longest time in seconds that one cell may take; None for no limit.
    threads
        Threads and worker processes that the run may use; None for as many as it likes.
    progress
        Show a bar over the cells, and what they print, on the terminal.

    Raises
    ------
    InputError
        If the notebook is not one, a parameter is unknown or of another type, a run of that name had other parameters
        or is going on; also if a cell raises one.
    NotebookError
        If a cell fails otherwise, takes longer than `timeout`, or the kernel dies.

    Examples
    --------
    >>> run("notebooks/00_quickstart.ipynb", {"seed": 1}, run="second")  # doctest: +SKIP
    PosixPath('papermill_runs/00_quickstart/second')
    """
    threads = None if threads is None else worker_count(threads, "threads")
    plan = plan_run(path, parameters)
    name = plain_name(name or plan.notebook.stem, "name")
    parent = Path(root) / name
    folder = _new_folder(parent) if run is None else parent / plain_name(run, "run name")
    with run_lock(folder):
        _refuse_other_parameters(folder, plan.values)
        execute_plan(plan, folder, timeout=timeout, threads=threads, progress=progress)
    return folder


def _new_folder(parent: Path) -> Path:
    """Make a folder that nobody else has, named by the time."""
    output_folder(parent)
    while True:
        folder = parent / datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S-%f")[:-3]
        try:
            folder.mkdir()
        except FileExistsError:
            continue  # another run began in this millisecond
        return folder


@contextmanager
def run_lock(folder: Path, *, wait: bool = False, group: str = "") -> Iterator[None]:
    """Keep other processes and threads from running in a run's folder while the block lasts.

    The lock of a killed process is free.

    Parameters
    ----------
    wait
        Wait until the folder is free.
    group
        What `nanolab.runs.kernels.stop_kernels` knows the waiting by.

    Raises
    ------
    InputError
        If another has it and this one is not to wait.
    NotebookStoppedError
        If the waiting was stopped.
    """
    locks = output_folder(folder.parent / ".locks")
    lock = FileLock(locks / f"{folder.name}.lock", timeout=1 if wait else 0)
    while not lock.is_locked:
        try:
            lock.acquire()
        except Timeout as error:
            if not wait:
                raise InputError(f"{folder}: this run is going on; wait for it or choose another run name") from error
            if is_stopped(group):
                raise NotebookStoppedError(f"{folder}: stopped while it waited for another process") from error
    try:
        yield
    finally:
        lock.release()


def execute_plan(
    plan: Plan,
    folder: Path,
    *,
    timeout: float | None = None,
    threads: int | None = None,
    progress: bool = False,
    environment: Mapping[str, str] | None = None,
    group: str = "",
    about: Mapping[str, Any] | None = None,
) -> None:
    """Run what was planned in `folder`, which the caller has locked; see `run`.

    Parameters
    ----------
    environment, group
        See `nanolab.runs.kernels.execute`.
    about
        What else the record shall say.
    """
    (output_folder(folder) / "results.json").unlink(missing_ok=True)  # of an earlier run; must not pass for this one's
    record = {
        "notebook": plan.notebook.as_posix(),
        "notebook_sha256": sha256(plan.cwd / plan.notebook),
        "identity": plan.identity,
        "parameters": dict(plan.values),
        "data": dict(plan.data),
        "threads": threads,
        **(about or {}),
    }
    output = folder / f"{folder.parent.name}.ipynb"
    here = os.path.relpath(folder, plan.cwd) if (plan.cwd / folder).is_relative_to(plan.cwd) else str(folder)
    limits = {} if threads is None else thread_limits(threads)
    with keep_record(
        folder / "parameters.json", record, (plan.cwd / plan.notebook).parent.resolve(), stopped=NotebookStoppedError
    ):
        execute(
            plan.cwd / plan.notebook,
            output,
            {**plan.values, _FOLDER: Path(here).as_posix()},
            timeout=timeout,
            progress=progress,
            folder=plan.cwd,
            environment={**limits, **(environment or {})},
            group=group,
        )


def _refuse_other_parameters(folder: Path, values: Mapping[str, Any]) -> None:
    earlier = read_run(folder).get("parameters", values)
    if changed := [name for name in {**earlier, **values} if earlier.get(name) != values.get(name)]:
        raise InputError(f"{folder}: made with other parameters ({', '.join(changed)}); choose another run name")
