"""Files damaged as disks, transfers and wrong programs damage them, and bounds on what reading one may cost."""

import json
import resource
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

GIB = 2**30
SECONDS = 20

_JSON_VALUES = (None, [], {}, "x", -1, 1e308, 10**30, [[]], {"x": {"x": []}}, True)


class TooLongError(BaseException):
    """Reading took too long; no reader takes it for a damaged file, as it would any `Exception`."""


def damaged(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Give a file's bytes in ways that files come: cut short, with wrong bytes, as another kind, or not at all."""
    size = len(content)
    yield "empty", b""
    yield "its first four bytes", content[:4]
    for part in (0.1, 0.5, 0.9):
        yield f"its first {part:.0%}", content[: int(size * part)]
    yield "without its last byte", content[:-1]
    yield "without its first byte", content[1:]
    yield "twice", content * 2
    yield "zeros", bytes(size)
    yield "its beginning with zeros", content[:16] + bytes(max(0, size - 16))
    yield "as text of another kind", b"a,b\n1,2\n" * 8
    for number in range(6):
        flipped = np.frombuffer(content, dtype=np.uint8).copy()
        where = rng.integers(0, min(size, 400 if number < 4 else size), 4)  # most of them in the header
        flipped[where] = rng.integers(0, 256, 4)
        yield f"four wrong bytes, {number}", flipped.tobytes()


def boastful(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Give a binary file with a promise of far more than it holds at each place of its header."""
    for place in range(0, min(len(content), 240) - 8, 2):
        for number, kind in ((100_000, "<2I"), (100_000, ">2I"), (2**31 - 1, "<I"), (2**40, ">Q")):
            promise = struct.pack(kind, *[number] * (2 if kind[1] == "2" else 1))
            yield f"{kind} {number} at {place}", content[:place] + promise + content[place + len(promise) :]


def damaged_json(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Give a JSON file with each of its first values replaced by something that no reader wants."""
    places = list(_places(json.loads(content), ()))[:40]
    for index, place in enumerate(places):
        changed = json.loads(content)
        *path, last = place
        part = changed
        for key in path:
            part = part[key]
        part[last] = _JSON_VALUES[index % len(_JSON_VALUES)]
        yield f"{'.'.join(map(str, place))} = {part[last]!r}", json.dumps(changed).encode()
    for value in _JSON_VALUES:
        yield f"just {value!r}", json.dumps(value).encode()
    yield "nested", b"[" * 100_000


def _places(value: Any, before: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, item in list(items)[:4]:
        yield (*before, key)
        yield from _places(item, (*before, key))


@contextmanager
def bounded() -> Iterator[None]:
    """Let the block take two more GiB of memory and twenty seconds of the processor's time."""
    used = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line).split()[1])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    handler = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    resource.setrlimit(resource.RLIMIT_DATA, (used * 1024 + 2 * GIB, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)


def _too_long(*_: object) -> None:
    raise TooLongError(f"took more than {SECONDS} s")
