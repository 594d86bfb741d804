"""A visitor's own temporary folder, and the models that are loaded once for all visitors."""

import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.dashboard.workbench import Finder, Found
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.magnification import Magnification

if TYPE_CHECKING:
    from nanolab.segmentation.segmenter import Segmenter

__all__ = ["Models", "Progress", "VisitorFolder"]

Progress = Callable[[float], object]

_ASK_S = 0.5

_OWN = "nanolab's own"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")


class VisitorFolder:
    """A folder under the system's temporary one that holds a visitor's files, and goes when the visit ends.

    Files are numbered; of the names that the browser sends only the suffix is kept, because some formats are known by
    it alone.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="nanolab-visitor-"))
        self._goes = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)  # at the latest with Python
        self._count = 0

    def keep(self, content: bytes, given: str) -> Path:
        """Write a file that came from the browser and return its path."""
        self._count += 1
        found = _SUFFIX.search(given)
        path = self.path / f"upload-{self._count:05d}{found.group().lower() if found else ''}"
        path.write_bytes(content)
        return path

    def new(self) -> Path:
        """Make a folder within it."""
        return Path(tempfile.mkdtemp(dir=self.path))

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        self._goes()


class _SharedFinder:
    """A network that visitors share: it works for one of them at a time, as one image takes all cores."""

    def __init__(self, segmenter: "Segmenter", working: threading.Lock, progress: Progress) -> None:
        self._segmenter, self._working, self._progress = segmenter, working, progress

    def find(self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None) -> Found:
        while not self._working.acquire(timeout=_ASK_S):  # who waits may leave
            self._progress(0.0)
        try:
            with self._segmenter.on_tile(image.shape, self._progress):
                return self._segmenter.find(image, pixel_size_nm=pixel_size_nm)
        finally:
            self._working.release()


class Models:
    """The networks to choose from, by name, each loaded when it is first used; the one that ships comes first.

    Parameters
    ----------
    trainings
        Folders of trainings, or checkpoints of one epoch.

    Raises
    ------
    InputError
        If one of them is not there, or there is none and the network that ships is missing as well.
    """

    def __init__(self, trainings: Sequence[Path | str] = ()) -> None:
        self._paths: dict[str, Path] = {}
        self._for_all = {_OWN}  # networks that must do for particles of any size
        try:
            self._paths[_OWN] = shipped_model()
        except InputError:
            if not trainings:
                raise
        for path in map(Path, trainings):
            if not path.exists():
                raise InputError(f"{path}: no such training; check the name, or train one with `nanolab train`")
            self._paths[str(path)] = path
        self._loaded: dict[tuple[Path, float | None, Magnification], Segmenter] = {}
        self._loading, self._working = threading.Lock(), threading.Lock()

    @property
    def names(self) -> list[str]:
        """What the visitor chooses from."""
        return list(self._paths)

    def path(self, name: str) -> Path:
        """Return the training or the file of a network."""
        return self._paths[name]

    def taught(self, name: str, path: Path, start_from: str) -> "Models":
        """Return these and one more, which has gone on learning from one of them; those loaded stay loaded."""
        more = copy(self)
        more._paths = {**self._paths, name: path}
        more._for_all = self._for_all | ({name} if start_from in self._for_all else set())
        return more

    def get(
        self, name: str, dynamic: float | None = None, *, quick: bool = False, progress: Progress = lambda done: None
    ) -> Finder:
        """Return a network, ready to find particles.

        Parameters
        ----------
        dynamic
            The `Segmenter`'s.
        quick
            See the image once, as it is, and choose no magnification.
        progress
            Called with the part of an image that is done, from 0 to 1; what it raises ends the search.

        Raises
        ------
        InputError
            If its files are damaged, or it knows no `dynamic`.
        """
        from nanolab.segmentation.segmenter import Segmenter

        magnification: Magnification = "auto" if name in self._for_all and not quick else 1.0
        key = (self._paths[name], dynamic, magnification)
        with self._loading:
            if key not in self._loaded:
                self._loaded[key] = Segmenter(self._paths[name], magnification=magnification, dynamic=dynamic)
        return _SharedFinder(self._loaded[key], self._working, progress)
