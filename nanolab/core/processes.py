"""Processes that work side by side, and end with the one that started them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import current_process, get_context

from nanolab.core.checks import InputError, check_between

__all__ = ["MOST_WORKERS", "check_main_is_guarded", "processor_cores", "worker_count", "worker_pool"]

MOST_WORKERS = 1024  # threads or processes that a number asks for; no machine has more cores for one task

_GUARD = 'a script must start such work under `if __name__ == "__main__":`, because other processes import it'


def processor_cores() -> int:
    """Return how many cores this process may keep busy: $NANOLAB_THREADS, or all that the machine has."""
    if given := os.environ.get("NANOLAB_THREADS"):
        return worker_count(int(given) if given.isdecimal() else given, "$NANOLAB_THREADS")
    return os.cpu_count() or 1


def worker_count(asked: object, name: str = "workers") -> int:
    """Return how many workers are asked for, from 1 to `MOST_WORKERS`; one for each core if None."""
    if asked is None:
        return processor_cores()
    check_between(asked, name, 1, MOST_WORKERS)
    return int(asked)  # type: ignore[call-overload]  # a number


@contextmanager
def worker_pool(workers: int) -> Iterator[Executor]:
    """Give an executor of so many new processes; waiting jobs are dropped when the block ends early.

    The processes leave Ctrl-C to this one and end if it is killed. They are started afresh, so functions must be
    importable, and arguments and results must pickle; a script that comes here must do so under
    `if __name__ == "__main__":`, because each process imports it.

    Raises
    ------
    InputError
        If one of the processes has ended before its work.
    """
    check_main_is_guarded()
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise InputError(
            f"a process that worked next to this one has ended before its work: {_GUARD}; if it does, there was too "
            "little memory, so lower the number of processes ($NANOLAB_THREADS) or the size of the work"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def check_main_is_guarded() -> None:
    """Check that this is no process that was started to help and now runs the script that started it once more.

    Raises
    ------
    InputError
        If it is; it would wait for what the first one holds, or start helpers of its own.
    """
    if getattr(current_process(), "_inheriting", False):  # as multiprocessing tells it to itself
        raise InputError(_GUARD)


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end if the parent is killed: then nobody would collect the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
