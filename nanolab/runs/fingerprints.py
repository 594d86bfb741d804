"""What a run depends on, in hashes: the code of its notebook and the content of the data that its parameters name."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nanolab.core.files import digest, sha256
from nanolab.runs.parameters import code_cells

__all__ = ["data_fingerprints", "notebook_fingerprint"]


def notebook_fingerprint(path: Path) -> str:
    """Return the SHA-256 of a notebook's code, so that another word of its text or another output changes nothing."""
    return digest([cell.code for cell in code_cells(path)])


def data_fingerprints(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of what the values of parameters name, by name: files, folders, public sets, shipped recipes.

    A path begins at `folder`. A folder's is that of the names and contents of all files in it, hidden ones left out;
    that of a data set nanolab made is its manifest's, which holds the hashes of the others.
    """
    named = {text: _named(text, folder) for value in values.values() for text in _texts(value)}
    return {text: _content(path, *_state(path)) for text, path in sorted(named.items()) if path is not None}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _named(text: str, folder: Path) -> Path | None:
    """Return the file or folder that a text stands for, None if it is a text like any other."""
    from nanolab.datasets.public import PUBLIC, locate  # late: every kernel that saves results imports this module

    if text in PUBLIC:
        return locate(text)
    if "\0" in text or "\n" in text or len(text) > 1000:
        return None
    path = folder / text
    if path.exists():
        return path
    return _shipped_recipes().get(text)


@lru_cache(maxsize=1)
def _shipped_recipes() -> dict[str, Path]:
    from nanolab.synthesis.recipe import shipped_recipes

    return shipped_recipes()


def _state(path: Path) -> tuple[int, int]:
    """Return size and time of the newest of a path's files, so that one that changes is read again."""
    states = [(each.stat().st_size, each.stat().st_mtime_ns) for each in _files(path)]
    return sum(size for size, _ in states), max((time for _, time in states), default=0)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / "manifest.json").is_file():
        return [path / "manifest.json"]
    files = (each for each in path.rglob("*") if each.is_file())
    return sorted(each for each in files if not any(part.startswith(".") for part in each.relative_to(path).parts))


@lru_cache(maxsize=1024)
def _content(path: Path, size: int, newest: int) -> str:  # noqa: ARG001  # keys of the cache
    if path.is_file():
        return sha256(path)
    return digest({each.relative_to(path).as_posix(): sha256(each) for each in _files(path)})
