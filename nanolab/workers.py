"""Processes that work side by side, and end with the one that started them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

__all__ = ["processor_cores", "worker_pool"]


def processor_cores() -> int:
    """Return how many cores this process may keep busy: $NANOLAB_THREADS, or all that the machine has."""
    given = os.environ.get("NANOLAB_THREADS", "")
    return max(1, int(given)) if given.isdecimal() else os.cpu_count() or 1


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor]:
    """Give an executor of so many new processes; waiting jobs are dropped when the block ends early.

    The processes leave Ctrl-C to this one and end if it is killed. They are started afresh, so functions must be
    importable, and arguments and results must pickle.
    """
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end if the parent is killed: then nobody would collect the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
