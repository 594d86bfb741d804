"""How long each step of a job took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopwatch"]


class Stopwatch:
    """Adds up the seconds that each named step takes.

    Examples
    --------
    >>> clock = Stopwatch()
    >>> with clock("render"):
    ...     pass
    >>> list(clock.seconds)
    ['render']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Count the time within the block for `step`, also when it ends with an error."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] = round(self.seconds.get(step, 0.0) + time.perf_counter() - start, 2)
