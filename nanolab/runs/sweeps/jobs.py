"""One run of a sweep, done wherever it is sent."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nanolab.core.checks import InputError
from nanolab.core.dask import worker_threads
from nanolab.core.versions import versions
from nanolab.runs.notebook import NotebookError, NotebookStoppedError, Plan, execute_plan, run_lock
from nanolab.runs.record import read_run

__all__ = ["Job", "Outcome", "do", "is_finished", "set_aside"]


@dataclass(frozen=True)
class Job:
    """A run to do: in which folder, what, and within which bounds.

    `about` is what its record shall say besides, `environment` what its kernel shall have besides the worker's.
    `threads` is None where the worker that does it knows best; `group` is what the runs of this start of the sweep are
    stopped by.
    """

    folder: Path
    plan: Plan
    about: Mapping[str, Any]
    environment: Mapping[str, str]
    group: str
    threads: int | None
    timeout_s: float | None
    retries: int


@dataclass(frozen=True)
class Outcome:
    """How a run ended: kept from an earlier start, complete, or failed with an error."""

    run: str
    status: Literal["kept", "complete", "failed"]
    seconds: float = 0.0
    error: str | None = None


def is_finished(folder: Path, identity: str) -> bool:
    """Tell whether a run's folder holds a complete run of this identity."""
    record = read_run(folder)
    return record.get("status") == "complete" and record.get("identity") == identity


def set_aside(folder: Path) -> None:
    """Move what is in a run's folder to `.replaced`, where the latest such thing is kept."""
    old = folder.parent / ".replaced" / folder.name
    shutil.rmtree(old, ignore_errors=True)
    old.parent.mkdir(exist_ok=True)
    folder.rename(old)


def do(job: Job) -> Outcome:
    """Do a run unless it is done, alone in its folder; a broken one goes on there, one of other content makes room.

    Raises
    ------
    NotebookStoppedError
        If the sweep was stopped.
    """
    try:
        _check_machine(job)
        with run_lock(job.folder, wait=True, group=job.group):
            record = read_run(job.folder)
            if record and record.get("identity") != job.plan.identity:
                set_aside(job.folder)
            if not is_finished(job.folder, job.plan.identity):
                _try(job)
            return Outcome(job.folder.name, "complete", read_run(job.folder)["duration_s"])
    except NotebookStoppedError:
        raise
    except (InputError, NotebookError) as error:
        return Outcome(job.folder.name, "failed", read_run(job.folder).get("duration_s") or 0.0, str(error))


def _check_machine(job: Job) -> None:
    """See that this machine has the same nanolab and the same files as the one that sent the job."""
    here = versions()["nanolab"]
    if here != job.plan.version:
        raise InputError(f"a worker has nanolab {here}, the sweep was started with {job.plan.version}; install that")
    if not (job.folder.parent / "sweep.json").exists():
        raise InputError(f"{job.folder.parent}: a worker does not see this folder; a sweep needs a shared file system")


def _try(job: Job) -> None:
    for attempt in range(job.retries + 1):
        try:
            execute_plan(
                job.plan,
                job.folder,
                timeout=job.timeout_s,
                threads=job.threads or worker_threads(),
                environment=job.environment,
                group=job.group,
                about={**job.about, "attempt": attempt + 1},
            )
            return
        except NotebookStoppedError:
            raise
        except NotebookError:
            if attempt == job.retries:
                raise
