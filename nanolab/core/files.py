"""Files that are complete or absent: atomic writing, JSON, hashes."""

import errno
import hashlib
import json
import math
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from nanolab.core.checks import InputError, check_file

__all__ = [
    "atomic",
    "digest",
    "locked",
    "output_folder",
    "parse_json",
    "read_json",
    "read_record",
    "sha256",
    "write_json",
]


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Give a temporary path next to `path` that takes its place once the block ends without an error.

    The temporary name keeps the suffix of `path`, because writers choose their format by it.

    Raises
    ------
    InputError
        If the folder cannot be written or the disk is full; nothing half-written stays.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the process is named for `output_folder`; of the stem as much as any file system takes
        prefix = f".{path.stem[:40]}.{platform.node()}-{os.getpid()}."
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=f".part{path.suffix}", dir=path.parent)
    except (OSError, ValueError) as error:  # a null character in the name
        raise _explained(error, path) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def _explained(error: OSError | ValueError, path: Path) -> InputError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"{path}: no space left on the disk; free some or choose another folder")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return InputError(f"{path}: there is a file where a folder is needed; choose another name")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path}: is a folder; give the name of a file")
    why = getattr(error, "strerror", None) or error
    return InputError(f"{str(path)[:500]}: cannot be written ({why}); choose a folder you may write to")


def output_folder(path: Path | str) -> Path:
    """Make the folder `path`, check that files can be written to it, and return it.

    Half-written files of processes of this machine that were killed are removed.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        for part in path.glob(".*.part*"):
            writer = re.search(rf"\.{re.escape(platform.node())}-(\d+)\.\w+\.part[^.]*(\.|$)", part.name)
            if writer and not psutil.pid_exists(int(writer[1])):
                part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise _explained(error, path) from error
    return path


@contextmanager
def locked(folder: Path | str, what: str) -> Iterator[None]:
    """Keep other processes that do the same from working in a folder while the block lasts; `what` they do there.

    The lock of a killed process is free.

    Raises
    ------
    InputError
        If another process has it.
    """
    lock = output_folder(folder) / ".lock"
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
    except Timeout as error:
        raise InputError(
            f"{folder}: another process {what} here; wait until it ends, or choose another folder"
        ) from error


def write_json(path: Path | str, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN is refused because JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic(path) as temporary:
        # a file name that is not UTF-8 becomes an escape that JSON knows, and is the same when it is read
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_json(path: Path | str) -> Any:
    """Read a JSON file; a broken one is an InputError that names the line."""
    return parse_json(check_file(path, "JSON file").read_bytes(), str(path))


def parse_json(text: str | bytes, where: str, mend: str = "make it again", *, nan: bool = False) -> Any:
    """Return what a JSON text in UTF-8 holds.

    Parameters
    ----------
    where
        What to call it in an error.
    mend
        What the error advises.
    nan
        Take NaN and infinities: scores in checkpoints, outputs of notebooks and single regions may have them.

    Raises
    ------
    InputError
        If it is not UTF-8, not JSON (which has no NaN and no infinity), gives a key twice, is nested beyond reason, or
        has numbers of thousands of digits.
    """
    try:
        number = float if nan else _finite
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        return json.loads(decoded, object_pairs_hook=_given_once, parse_constant=number, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error}); {mend}") from error


def _given_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in content if keys.count(key) > 1)!r} is given twice")
    return content


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no finite number")
    return number


def read_record(path: Path | str, *keys: str) -> dict[str, Any]:
    """Return the mapping in a JSON file that has at least these `keys`.

    Raises
    ------
    InputError
        If the file is not valid JSON, holds no mapping, or lacks one of the keys.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold a mapping of keys to values, got {type(content).__name__}; make it again")
    if missing := [key for key in keys if key not in content]:
        raise InputError(f"{path}: has no key {missing[0]}; make it again")
    return content


def sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content: Any) -> str:
    """Return the SHA-256 of anything that JSON can hold; the order of keys does not matter.

    Examples
    --------
    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
