"""A sweep from start to end: what is there is kept, what is missing is done, what fails is said."""

import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from nanolab.core.files import output_folder, write_json
from nanolab.core.processes import worker_count
from nanolab.runs.notebook import Plan, run_lock
from nanolab.runs.record import read_run
from nanolab.runs.sweeps.backends import Backend, dask_backend, local_backend
from nanolab.runs.sweeps.jobs import Job, Outcome, do, is_finished, set_aside
from nanolab.runs.sweeps.planning import plan_sweep
from nanolab.runs.sweeps.spec import Dask, Sweep, load_sweep
from nanolab.runs.sweeps.table import paper_rows

__all__ = ["SweepRun", "sweep"]

ROOT = Path("papermill_runs")


@dataclass(frozen=True)
class SweepRun:
    """What a start of a sweep came to: its folder, and the outcome of each run in the order of the file."""

    folder: Path
    outcomes: tuple[Outcome, ...]

    def of(self, status: str) -> list[Outcome]:
        """Return the outcomes of one status: kept, complete or failed."""
        return [outcome for outcome in self.outcomes if outcome.status == status]


def sweep(
    path: Path | str,
    *,
    size: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    again: bool = False,
    root: Path = ROOT,
    progress: bool = True,
) -> SweepRun:
    """Do the runs of a sweep that are not done, each in `root/<sweep>/<run>`.

    A run counts as done if it is complete and its parameters, the code of the notebook, the data that parameters name
    and nanolab's version are still the same. A broken run goes on in its folder; one of something else moves to
    `.replaced`; one that is there under another name is renamed. Killed at any moment, the same call does the rest.

    Parameters
    ----------
    path
        The YAML file, see `nanolab.runs.sweeps.spec.Sweep`.
    size
        One of its sizes; its runs are kept apart, in `root/<sweep>-<size>`.
    workers
        Runs side by side on this machine, over what the file says.
    scheduler
        Address of a Dask scheduler whose workers do the runs, over what the file says.
    again
        Do the complete runs again, too.
    root
        Where sweeps are kept; workers on other machines must see it.
    progress
        Show a bar over the runs, with the time left.

    Raises
    ------
    InputError
        If the file, the notebook or a parameter is not valid, before anything is run.
    KeyboardInterrupt
        After Ctrl-C, when all kernels have ended.

    Examples
    --------
    >>> done = sweep("papermill_runs/sweeps/default_training.yaml", size="smoke")  # doctest: +SKIP
    >>> len(done.of("complete"))  # doctest: +SKIP
    2
    """
    sweep = load_sweep(path, size)
    if workers is not None:
        workers = worker_count(workers)
    plans = plan_sweep(sweep)
    folder = output_folder(root / sweep.name).resolve()
    _take_over(folder, plans, again)
    _write_state(folder, sweep, plans, Path(path))
    missing = [name for name, plan in plans.items() if not is_finished(folder / name, plan.identity)]
    outcomes = {name: Outcome(name, "kept") for name in plans.keys() - set(missing)}
    if missing:
        with _place(sweep, workers, scheduler, len(missing)) as backend:
            group = uuid.uuid4().hex
            jobs = [_job(folder / name, plans[name], sweep, backend, group) for name in missing]
            outcomes |= _do_all(jobs, backend, group, _bar(sweep.name, len(plans), len(missing), backend, progress))
    return SweepRun(root / sweep.name, tuple(outcomes[name] for name in plans))


def _place(sweep: Sweep, workers: int | None, scheduler: str | None, missing: int) -> Any:
    dask = Dask(scheduler=scheduler) if scheduler is not None else sweep.dask
    if dask is None or (workers is not None and scheduler is None):
        return local_backend(min(workers or sweep.workers, missing))
    return dask_backend(dask)


def _job(folder: Path, plan: Plan, sweep: Sweep, backend: Backend, group: str) -> Job:
    environment = {key: str(Path(os.environ[key]).resolve()) for key in ("NANOLAB_DATA",) if os.environ.get(key)}
    about = {"sweep": sweep.name, "started_by": backend.name}
    threads = sweep.threads or backend.threads
    return Job(folder, plan, about, environment, group, threads, sweep.timeout_s, sweep.retries)


def _bar(name: str, total: int, missing: int, backend: Backend, progress: bool) -> "tqdm[Any]":
    label = f"{name} ({backend.name})"
    return tqdm(total=total, initial=total - missing, unit="run", desc=label, disable=not progress, smoothing=0)


def _do_all(jobs: list[Job], backend: Backend, group: str, bar: "tqdm[Any]") -> dict[str, Outcome]:
    """Do the jobs and return their outcomes; stop all of them if this one is stopped."""
    futures = {backend.executor.submit(do, job): job for job in jobs}
    outcomes = {}
    with bar, _stopping(futures, backend, group):
        for future in as_completed(futures):
            outcome = _outcome(future, futures[future])
            outcomes[outcome.run] = outcome
            if not bar.disable:
                first_line = (outcome.error or "").splitlines()[:1]
                bar.write("  ".join([f"{outcome.run}: {outcome.status}", f"{outcome.seconds:.0f} s", *first_line]))
            bar.update()
    return outcomes


def _outcome(future: "Future[Outcome]", job: Job) -> Outcome:
    """Return the outcome of a job; a job that could not be done anywhere is one that failed."""
    error = future.exception()
    if error is None:
        return future.result()
    return Outcome(job.folder.name, "failed", error=f"{type(error).__name__}: {error}")


@contextmanager
def _stopping(futures: Mapping["Future[Outcome]", Job], backend: Backend, group: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for future in futures:
            future.cancel()
        backend.stop(group)
        raise


def _take_over(folder: Path, plans: Mapping[str, Plan], again: bool) -> None:
    """Give finished runs the names they have now, or set them aside if they shall be done again."""
    wanted = {plan.identity: name for name, plan in plans.items()}
    for path in sorted(folder.glob("*/parameters.json")):
        run, name = path.parent, wanted.get(read_run(path.parent).get("identity", ""))
        if name is None or not is_finished(run, plans[name].identity):
            continue
        with run_lock(run, wait=True):
            if again:
                set_aside(run)
            elif run.name != name and run.name not in plans and not (folder / name).exists():
                run.rename(folder / name)


def _write_state(folder: Path, sweep: Sweep, plans: Mapping[str, Plan], path: Path) -> None:
    """Say in `sweep.json` which runs belong to the sweep as it is now."""
    state = {
        "file": path.as_posix(),
        "name": sweep.name,
        "description": sweep.description,
        "notebook": sweep.notebook,
        "varying": list(sweep.varying),
        "seed_parameter": None if sweep.repeats is None else sweep.seed_parameter,
        "collect": sweep.collect,
        "paper": paper_rows(sweep.paper),
        "runs": {name: {"identity": plan.identity, "parameters": dict(plan.values)} for name, plan in plans.items()},
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    write_json(folder / "sweep.json", state)
