"""Notebooks executed by papermill, each in a kernel of its own that can be bounded and stopped."""

import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from nanolab.core.checks import InputError
from nanolab.core.extras import optional

with optional():
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import ensure_event_loop
    from traitlets import Dict, Instance, Unicode
    from traitlets.config import Config

__all__ = ["NotebookError", "NotebookStoppedError", "execute", "is_stopped", "stop_kernels", "thread_limits"]

_KERNEL_STARTS = 3
_GRACE_S = 10.0
_ARGUMENTS = [
    # The bar that tqdm draws in a notebook is a widget, which no terminal shows and no executed notebook keeps.
    "--IPKernelApp.exec_lines=import sys, tqdm.std; sys.modules['tqdm.auto'] = tqdm.std",
    "--IPKernelApp.log_level=50",  # what goes wrong comes back in messages; the rest is noise on the terminal
]  # nbclient keeps the history in memory; one that is disabled makes every second kernel hang for 3 s as it ends
_THREAD_VARIABLES = (
    "NANOLAB_THREADS",
    "OMP_NUM_THREADS",  # PyTorch and scikit-learn too
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "PYTHON_CPU_COUNT",  # Python 3.13
)


class NotebookError(RuntimeError):
    """A notebook did not run to its end; the executed part is kept and named in the message."""


class NotebookStoppedError(NotebookError):
    """A notebook was stopped by `stop_kernels`."""


def thread_limits(threads: int) -> dict[str, str]:
    """Return the environment that bounds a process, and those it starts, to so many threads of work."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


class OwnKernel(AsyncKernelManager):
    """The kernel of the running interpreter, whatever the user has registered under the name python3."""

    kernel_spec_manager = Instance(KernelSpecManager, kw={"kernel_dirs": []})
    folder = Unicode("", help="where the kernel starts; here if empty").tag(config=True)
    environment = Dict(help="what its environment has besides this process's").tag(config=True)
    group = Unicode("", help="what `stop_kernels` knows it by").tag(config=True)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        options["env"] = {**options.get("env", os.environ), **self.environment}
        if self.folder:
            options["cwd"] = self.folder
        await super()._async_launch_kernel(kernel_cmd, **options)
        _kernels.add(self)
        if self.group in _stopped:
            self.end(signal.SIGKILL)

    @property
    def alive(self) -> bool:
        process = getattr(self.provisioner, "process", None)
        return process is not None and process.poll() is None

    def end(self, how: int) -> None:
        """Send a signal to the kernel alone: what it started ends with it."""
        if self.alive:
            self.provisioner.process.send_signal(how)  # type: ignore[union-attr]  # has one if alive


_kernels: WeakSet[OwnKernel] = WeakSet()
_stopped: set[str] = set()


def is_stopped(group: str) -> bool:
    """Tell whether `stop_kernels` was called for `group` in this process."""
    return group in _stopped


def stop_kernels(group: str) -> None:
    """Stop the notebooks that this process executes for `group`, and those that it would begin from now on.

    The cell that runs gets what Ctrl-C gives; a kernel that goes on for ten seconds is killed.
    """
    _stopped.add(group)
    deadline = time.monotonic() + _GRACE_S
    while running := [kernel for kernel in list(_kernels) if kernel.group == group and kernel.alive]:
        for kernel in running:
            kernel.end(signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(1)  # a second Ctrl-C at once would break into what tidies up after the first


def execute(
    path: Path,
    output: Path,
    values: Mapping[str, Any],
    *,
    timeout: float | None = None,
    progress: bool = False,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    group: str = "",
) -> None:
    """Execute a notebook into `output`; a kernel that does not come up, as when another took its port, starts again.

    Parameters
    ----------
    values
        The parameters that papermill sets.
    timeout
        Longest time in seconds that one cell may take.
    progress
        Show a bar over the cells, and what they print.
    folder
        Where the kernel starts; here if None.
    environment
        What the kernel's environment has besides this process's.
    group
        What `stop_kernels` knows it by.

    Raises
    ------
    InputError
        If a cell raises one.
    NotebookError
        If a cell fails otherwise or takes too long, or the kernel dies.
    NotebookStoppedError
        If `stop_kernels` stopped it.
    """
    group = group or uuid.uuid4().hex
    settings = {"folder": str(folder or ""), "environment": dict(environment or {}), "group": group}
    for attempt in range(1, _KERNEL_STARTS + 1):
        try:
            _in_thread(partial(_papermill, path, output, values, timeout, progress, settings), group)
            return
        except RuntimeError as error:
            if group in _stopped:
                raise NotebookStoppedError(f"{path}: stopped\n  as far as it ran: {output}") from error
            if isinstance(error, NotebookError) or attempt == _KERNEL_STARTS:
                raise


def _in_thread(work: Callable[[], None], group: str) -> None:
    """Do the work in a thread that is not the main one, where Jupyter would take Ctrl-C for itself."""
    if threading.current_thread() is not threading.main_thread():
        return _with_event_loop(work)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(_with_event_loop, work)
        try:
            return future.result()
        except KeyboardInterrupt:
            stop_kernels(group)
            raise


def _with_event_loop(work: Callable[[], None]) -> None:
    """Close the event loop that Jupyter makes for a thread and never closes."""
    loop = ensure_event_loop()
    try:
        work()
    finally:
        loop.close()


def _papermill(
    path: Path,
    output: Path,
    values: Mapping[str, Any],
    timeout: float | None,
    progress: bool,
    settings: Mapping[str, Any],
) -> None:
    with optional():
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from tqdm.contrib import DummyTqdmFile

    logging.getLogger("papermill").setLevel("ERROR")  # it warns of parameters that its own parser does not see
    encryption = {"transport_encryption": "auto"}  # other users of a machine cannot listen
    try:
        papermill.execute_notebook(
            _without_fields(path),
            _without_fields(output),
            parameters=dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=progress,
            stdout_file=DummyTqdmFile(sys.stdout) if progress else None,  # its lines are written above the bar
            stderr_file=sys.stderr if progress else None,
            execution_timeout=timeout,
            kernel_manager_class=OwnKernel,
            config=Config(KernelManager=encryption, OwnKernel=dict(settings)),
            extra_arguments=_ARGUMENTS,
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
