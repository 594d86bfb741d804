"""Dask: jobs on the machines of a running scheduler, or on those that a cluster's queue gives."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from nanolab.core.checks import InputError
from nanolab.core.extras import optional

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ClusterKind", "cluster_client", "dask_executor", "scheduler_client", "scheduler_executor", "worker_threads"]

ClusterKind = Literal["slurm", "pbs", "lsf", "sge", "local"]
_CLUSTERS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
_PATIENCE_S = 15


@contextmanager
def scheduler_client(address: str) -> Iterator["Client"]:
    """Connect to the Dask scheduler at `address`, such as ``tcp://node1:8786``.

    Raises
    ------
    InputError
        If none answers there.
    """
    with optional():
        from distributed import Client
    try:
        client = Client(address, timeout=_PATIENCE_S)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{address}: no Dask scheduler answers there ({error}); start one with `dask scheduler`, and `dask worker "
            "ADDRESS --nthreads 1` on each machine"
        ) from error
    with client:
        yield client


@contextmanager
def cluster_client(kind: ClusterKind, jobs: int, options: Mapping[str, Any]) -> Iterator["Client"]:
    """Start a scheduler here and workers as `jobs` jobs of a cluster's queue, or as processes of this machine.

    Parameters
    ----------
    kind
        The queue, as dask-jobqueue knows it; "local" for this machine.
    jobs
        How many jobs to queue. Each takes one piece of work at a time and has all its cores for it.
    options
        Of dask-jobqueue's cluster of that kind, such as cores, memory, walltime and queue.

    Raises
    ------
    InputError
        If dask-jobqueue is not installed, lacks an option or does not know one, or the queue's command is missing.
    """
    with optional():
        from distributed import Client
    cluster = _local(jobs, options) if kind == "local" else _queued(kind, jobs, options)
    with cluster, Client(cluster) as client:
        yield client


def _local(jobs: int, options: Mapping[str, Any]) -> Any:
    from distributed import LocalCluster

    settings = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0, **options}
    return LocalCluster(n_workers=jobs, processes=True, **settings)


def _queued(kind: ClusterKind, jobs: int, options: Mapping[str, Any]) -> Any:
    with optional():
        import dask_jobqueue
    extra = [*options.get("worker_extra_args", []), "--nthreads", "1"]  # the last one counts
    try:
        cluster = getattr(dask_jobqueue, _CLUSTERS[kind])(**{**options, "processes": 1, "worker_extra_args": extra})
    except (TypeError, ValueError) as error:
        raise InputError(f"cluster {kind}: dask-jobqueue does not take these options: {error}") from error
    cluster.scale(jobs=jobs)
    return cluster


@contextmanager
def dask_executor(client: "Client") -> Iterator[Executor]:
    """Give the executor of a client; what it has not begun is dropped when the block ends early.

    A job is done elsewhere if its worker dies; one that has cost four workers their lives is given up. Functions must
    be importable on the workers, arguments and results must pickle.
    """
    executor = client.get_executor(pure=False)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False)


@contextmanager
def scheduler_executor(address: str | None) -> Iterator[Executor | None]:
    """Give the executor of the Dask scheduler at `address`, or None for no address."""
    if address is None:
        yield None
        return
    with scheduler_client(address) as client, dask_executor(client) as executor:
        yield executor


def worker_threads() -> int:
    """Return how many threads one piece of work may use on this Dask worker: its share of the cores."""
    from dask.system import CPU_COUNT
    from distributed import get_worker

    return max(1, CPU_COUNT // get_worker().state.nthreads)
