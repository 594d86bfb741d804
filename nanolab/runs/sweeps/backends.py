"""Where the runs of a sweep are done: in kernels of this machine, or by the workers of a Dask cluster."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from nanolab.core.dask import cluster_client, dask_executor, scheduler_client
from nanolab.core.processes import processor_cores
from nanolab.runs.kernels import stop_kernels
from nanolab.runs.sweeps.spec import Dask

__all__ = ["Backend", "dask_backend", "local_backend"]


@dataclass(frozen=True)
class Backend:
    """Somewhere to send runs to.

    `stop` ends the runs of a group there, `threads` is how many each may use: None if only the worker knows.
    """

    executor: Executor
    stop: Callable[[str], None]
    threads: int | None
    name: str


@contextmanager
def local_backend(workers: int) -> Iterator[Backend]:
    """Do runs on this machine, so many side by side, each in a kernel process that a thread waits for.

    What a run costs this process is a few hundredths of a second, so it needs no processes of its own besides kernels.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="sweep") as executor:
        yield Backend(executor, stop_kernels, max(1, processor_cores() // workers), f"{workers} on this machine")


@contextmanager
def dask_backend(dask: Dask) -> Iterator[Backend]:
    """Do runs on the workers of a Dask cluster, one for each thread that a worker has."""
    if dask.cluster is None:
        connection = scheduler_client(str(dask.scheduler))
    else:
        connection = cluster_client(dask.cluster, dask.jobs, dask.options)
    cores = dask.options.get("cores") if dask.cluster not in (None, "local") else None
    with connection as client, dask_executor(client) as executor:
        address = client.scheduler_info(n_workers=0)["address"]
        yield Backend(executor, partial(client.run, stop_kernels), cores, address)
