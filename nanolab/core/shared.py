"""Work that several runs need, done once: a folder for each content, made by whoever comes first."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from nanolab.core.files import digest, output_folder, write_json
from nanolab.core.processes import check_main_is_guarded
from nanolab.core.results import plain_name
from nanolab.core.versions import versions

__all__ = ["made_once"]

ROOT = Path("data/synthetic")


def made_once(name: str, settings: Mapping[str, Any], make: Callable[[Path], object], *, root: Path = ROOT) -> Path:
    """Return the folder that `make` fills, filled once for the same settings and version of nanolab.

    Any number of processes may ask at the same time, on machines that share the file system too: one makes it, the
    others wait. Where that one is killed the next goes on in the same folder, so `make` should complete what is there.

    Parameters
    ----------
    name
        What the folder's name begins with, for people.
    settings
        Everything that decides about the content; JSON must be able to hold it.
    make
        Called with the folder, unless it is complete.
    root
        Where such folders are kept.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = made_once("squares", {"n": 3}, lambda folder: (folder / "made").touch(), root=Path(root))
    ...     (folder / "made").exists()
    True
    """
    folder, about = shared_folder(name, settings, root)
    with alone(folder):
        if not (folder / "shared.json").exists():
            make(output_folder(folder))
            write_json(folder / "shared.json", about)
    return folder


def shared_folder(name: str, settings: Mapping[str, Any], root: Path) -> tuple[Path, dict[str, Any]]:
    about = {"name": plain_name(name, "name"), "settings": dict(settings), "nanolab": versions()["nanolab"]}
    return root / f"{name}-{digest(about)[:12]}", about


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    check_main_is_guarded()  # the process that holds the lock would wait for this one
    with FileLock(output_folder(folder.parent) / f".{folder.name}.lock"):
        yield
