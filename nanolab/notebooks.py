"""Notebooks run headlessly: parameters checked, one folder a run, and a record of how it came about."""

import logging
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import Instance
from traitlets.config import Config

from nanolab.checks import InputError, check_file
from nanolab.files import atomic, output_folder, read_json, sha256, write_json
from nanolab.parameters import check_parameters, notebook_parameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["NotebookError", "run_notebook", "save_figure", "save_results"]

_FOLDER = "run_folder"
_KERNEL_STARTS = 3
# The bar that tqdm draws in a notebook is a widget, which no terminal shows and no executed notebook keeps.
_TEXT_BARS = "--IPKernelApp.exec_lines=import sys, tqdm.std; sys.modules['tqdm.auto'] = tqdm.std"


class NotebookError(RuntimeError):
    """A notebook did not run to its end; the executed part is kept and named in the message."""


def run_notebook(
    path: Path | str,
    parameters: Mapping[str, Any],
    *,
    name: str | None = None,
    run: str | None = None,
    root: Path = Path("papermill_runs"),
    timeout: float | None = None,
    progress: bool = True,
) -> Path:
    """Execute a notebook with papermill in the current folder and return the folder of the run, `root/name/run`.

    The notebook learns that folder from its parameter `run_folder`. Beside what it writes there itself, the folder has
    the executed notebook, `<name>.ipynb`, and `parameters.json`: every parameter, defaults included, the versions, the
    commit and the machine, when the run started, how long it took and how it ended. A run that is given the name of an
    earlier one with the same parameters goes on in its folder.

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
    progress
        Show a bar over the cells, and what they print, on the terminal.

    Raises
    ------
    InputError
        If the notebook is not one, a parameter is unknown or of another type, or a run of that name had other
        parameters; also if a cell raises one.
    NotebookError
        If a cell fails otherwise, takes longer than `timeout`, or the kernel dies.
    """
    path = check_file(path, "notebook")
    defaults = notebook_parameters(path)
    if defaults.pop(_FOLDER, None) is None:
        raise InputError(f"{path}: must have a parameter {_FOLDER}; it writes its results there")
    values = check_parameters(path, parameters, defaults)
    name = _plain(name or path.stem, "name")
    run = _plain(run or datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S-%f")[:-3], "run name")
    folder = output_folder(Path(root) / name / run)
    _refuse_other_parameters(folder, values)
    (folder / "results.json").unlink(missing_ok=True)  # results of an earlier run must not pass for this one's
    with _record(folder / "parameters.json", path, values):
        _execute(path, folder / f"{name}.ipynb", {**values, _FOLDER: folder.as_posix()}, timeout, progress)
    return folder


def _plain(name: str, what: str) -> str:
    """Return `name` if it can be a folder of its own: neither a path nor hidden."""
    if not re.fullmatch(r"\w[\w .=+-]{0,99}", name) or name.endswith((".", " ")):
        raise InputError(f"{what}: must be a plain name of letters, digits and . _ - + =, got {name!r}")
    return name


def _refuse_other_parameters(folder: Path, values: Mapping[str, Any]) -> None:
    if not (folder / "parameters.json").exists():
        return
    earlier = read_json(folder / "parameters.json")["parameters"]
    if changed := [name for name in {**earlier, **values} if earlier.get(name) != values.get(name)]:
        raise InputError(f"{folder}: made with other parameters ({', '.join(changed)}); choose another run name")


@contextmanager
def _record(path: Path, notebook: Path, values: Mapping[str, Any]) -> Iterator[None]:
    """Keep the record of a run up to date: `running`, then `complete`, `interrupted` or `failed`."""
    record = {
        "notebook": notebook.as_posix(),
        "notebook_sha256": sha256(notebook),
        "parameters": dict(values),
        "status": "running",
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "duration_s": None,
        "versions": _versions(),
        "git": _git(notebook.resolve().parent),
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }
    write_json(path, record)
    start = time.monotonic()
    status = "failed"
    try:
        yield
        status = "complete"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        write_json(path, {**record, "status": status, "duration_s": round(time.monotonic() - start, 3)})


def _versions() -> dict[str, str]:
    """Return the versions of Python, nanolab and everything that nanolab needs and is installed."""
    versions = {"python": platform.python_version(), "nanolab": version("nanolab")}
    for requirement in requires("nanolab") or []:
        package = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement:
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                continue  # bpy where there is none for this Python
    return versions


def _git(folder: Path) -> dict[str, Any] | None:
    """Return the commit checked out in `folder` and whether files differ from it; None outside a repository."""
    try:
        commit = _git_output(folder, "rev-parse", "HEAD")
        return {"commit": commit, "modified": bool(_git_output(folder, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _git_output(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class _OwnKernel(AsyncKernelManager):
    """The kernel of the running interpreter, whatever the user has registered under the name python3."""

    kernel_spec_manager = Instance(KernelSpecManager, kw={"kernel_dirs": []})


class _Above:
    """A terminal stream whose lines are written above the bar over the cells."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        from tqdm.std import tqdm

        with tqdm.external_write_mode(file=self._stream):
            self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


def _execute(path: Path, output: Path, values: Mapping[str, Any], timeout: float | None, progress: bool) -> None:
    """Run papermill; a kernel that does not come up, as when another takes its port first, is started again."""
    for attempt in range(1, _KERNEL_STARTS + 1):
        try:
            _papermill(path, output, values, timeout, progress)
            break
        except RuntimeError as error:
            if isinstance(error, NotebookError) or attempt == _KERNEL_STARTS:
                raise


def _papermill(path: Path, output: Path, values: Mapping[str, Any], timeout: float | None, progress: bool) -> None:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    logging.getLogger("papermill").setLevel("ERROR")  # it warns of parameters that its own parser does not see
    try:
        papermill.execute_notebook(
            _without_fields(path),
            _without_fields(output),
            parameters=dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=progress,
            stdout_file=_Above(sys.stdout) if progress else None,
            stderr_file=sys.stderr if progress else None,
            execution_timeout=timeout,
            kernel_manager_class=_OwnKernel,
            config=Config(KernelManager={"transport_encryption": "auto"}),  # other users of a machine cannot listen
            extra_arguments=[_TEXT_BARS],
            coalesce_streams=True,
        )
    except papermill.PapermillExecutionError as error:
        if error.ename == "InputError":
            raise InputError(f"{error.evalue}\n  (in {output})") from error
        raise NotebookError(
            f"{path}: cell [{error.exec_count}] failed: {error.ename}: {error.evalue}\n  as far as it ran: {output}"
        ) from error
    except CellTimeoutError as error:
        raise NotebookError(f"{path}: a cell took longer than {timeout} s\n  as far as it ran: {output}") from error
    except DeadKernelError as error:
        raise NotebookError(
            f"{path}: its kernel died, often for want of memory\n  as far as it ran: {output}"
        ) from error


def _without_fields(path: Path) -> str:
    """Return a path as a text in which papermill finds no field to fill a parameter into."""
    return str(path).replace("{", "{{").replace("}", "}}")


def save_results(run_folder: Path | str, results: Mapping[str, Any]) -> Path:
    """Write `results.json` in a run's folder, atomically, and return its path.

    NumPy values become Python's, a path its text, and NaN or infinity, which JSON lacks, becomes null.
    """
    path = Path(run_folder) / "results.json"
    write_json(path, _as_json(results))
    return path


def _as_json(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_as_json(item) for item in value]
        case np.ndarray() | np.generic():
            return _as_json(value.tolist())
        case float() if not math.isfinite(value):
            return None
        case Path():
            return value.as_posix()
        case _:
            return value


def save_figure(run_folder: Path | str, name: str, figure: "Figure", *, dpi: int = 200) -> Path:
    """Write a figure as `<name>.png` in a run's folder, atomically, and return its path."""
    path = Path(run_folder) / f"{_plain(name, 'figure name')}.png"
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return path
