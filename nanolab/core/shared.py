"""Work that several runs need, done once: a folder for each content, made by whoever comes first."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from nanolab.core.files import output_folder, read_json, write_json
from nanolab.runs.fingerprints import digest
from nanolab.runs.notebook import plain_name
from nanolab.runs.record import versions
from nanolab.core.processes import check_main_is_guarded

if TYPE_CHECKING:
    from nanolab.datasets.dataset import LazySamples

__all__ = ["rendered", "shared"]

ROOT = Path("data/synthetic")


def shared(name: str, settings: Mapping[str, Any], make: Callable[[Path], object], *, root: Path = ROOT) -> Path:
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
    ...     folder = shared("squares", {"n": 3}, lambda folder: (folder / "made").touch(), root=Path(root))
    ...     (folder / "made").exists()
    True
    """
    folder, about = _folder(name, settings, root)
    with _alone(folder):
        if not (folder / "shared.json").exists():
            make(output_folder(folder))
            write_json(folder / "shared.json", about)
    return folder


def rendered(
    recipe: str | Path, count: int, *, seed: int, workers: int | None = None, root: Path = ROOT
) -> "LazySamples":
    """Return the first `count` micrographs that a recipe and a seed give, rendered unless another run has done so.

    All counts of one recipe and seed share a folder, because image k is the same in all: asking for 400 after 100
    renders 300.

    Parameters
    ----------
    recipe
        The name of a shipped recipe, or a .yaml file.
    workers
        See `nanolab.synthesis.generate.render_dataset`.
    """
    from nanolab.datasets.dataset import Dataset
    from nanolab.synthesis.generate import render_dataset
    from nanolab.synthesis.recipe import dump_recipe, load_recipe

    content = load_recipe(recipe)
    folder, about = _folder(content.name, {"recipe": dump_recipe(content), "seed": seed}, root)
    with _alone(folder):
        there = read_json(folder / "shared.json")["count"] if (folder / "shared.json").exists() else 0
        if there < count:
            render_dataset(content, folder, count, seed=seed, workers=workers)
            write_json(folder / "shared.json", {**about, "count": count})
    return Dataset(folder)[:count]


def _folder(name: str, settings: Mapping[str, Any], root: Path) -> tuple[Path, dict[str, Any]]:
    about = {"name": plain_name(name, "name"), "settings": dict(settings), "nanolab": versions()["nanolab"]}
    return root / f"{name}-{digest(about)[:12]}", about


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    check_main_is_guarded()  # the process that holds the lock would wait for this one
    with FileLock(output_folder(folder.parent) / f".{folder.name}.lock"):
        yield
