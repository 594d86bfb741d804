"""What every function that meets a user's input checks first, and the error it raises."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = [
    "InputError",
    "check_between",
    "check_choice",
    "check_file",
    "check_file_name",
    "check_image",
    "check_label_map",
    "check_positive",
    "check_same_shape",
    "reading",
]


class InputError(ValueError):
    """A mistake the user can mend.

    The message says what was expected, what was found and where, and what to do. The command line prints
    it without a traceback and ends with exit code 2.

    Examples
    --------
    >>> try:
    ...     check_positive(-1, "pixel size", "nm")
    ... except InputError as error:
    ...     print(error)
    pixel size must be a number of nm above 0, got -1
    """


def check_file(path: Path | str, what: str) -> Path:
    """Return `path` as a Path if it is an existing, non-empty file.

    Raises
    ------
    InputError
        If it does not exist, is a folder, or is empty.
    """
    path = Path(path)
    try:
        str(path).encode()  # tables take names in UTF-8 alone
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: {what} not found; check the name and the folder") from error
    except (OSError, ValueError) as error:  # of the name, or links in a circle
        raise InputError(f"{str(path)[:99]}: {what} cannot be read ({error}); rename it") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: {what} must be a file, not a folder")
    if found.st_size == 0:
        raise InputError(f"{path}: {what} is empty (0 bytes); copy or export it again")
    return path


@contextmanager
def reading(where: Path | str, what: str, remedy: str = "copy or export it again") -> Iterator[None]:
    """Make an InputError of whatever comes up while a file is read: libraries raise anything on a damaged one.

    Examples
    --------
    >>> with reading("a.zip", "zip"):
    ...     {}["index"]
    Traceback (most recent call last):
    nanolab.core.checks.InputError: a.zip: not a readable zip (KeyError('index')); copy or export it again
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{where}: does not fit into memory ({error}); crop or bin it first") from error
    except Exception as error:
        said = str(error) if isinstance(error, OSError | ValueError) and str(error) else repr(error)
        raise InputError(f"{where}: not a readable {what} ({said}); {remedy}") from error


def check_image(image: npt.NDArray[np.generic], where: str) -> None:
    """Require a grey image, shape (height, width), at least 2x2, finite values."""
    if image.ndim != 2 or min(image.shape) < 2:
        raise InputError(f"{where}: an image must have shape (height, width) of at least 2x2, got {image.shape}")
    if np.issubdtype(image.dtype, np.floating) and not np.isfinite(image).all():
        raise InputError(f"{where}: the image holds NaN or infinite values; export it again without them")


def check_label_map(labels: npt.NDArray[np.generic], where: str) -> None:
    """Require an integer label map, shape (height, width), 0 = background, no negative label."""
    if labels.ndim != 2:
        raise InputError(f"{where}: a label map must have shape (height, width), got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{where}: a label map must hold integers, got {labels.dtype}")
    if labels.size and labels.min() < 0:
        raise InputError(f"{where}: a label map must not hold negative labels, got {labels.min()}")


def check_same_shape(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic], where: str) -> None:
    """Require two arrays of one shape, such as an image and its mask."""
    if first.shape != second.shape:
        raise InputError(f"{where}: both must have one size, got {first.shape} and {second.shape} (height, width)")


def check_positive(value: float, name: str, unit: str) -> None:
    """Require a finite number above zero."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} must be a number of {unit} above 0, got {value!r}")


def check_file_name(name: str, where: str) -> None:
    """Require a file name no longer than file systems take."""
    if len(os.fsencode(name)) > 255:
        raise InputError(f"{where}: gives a file of a name longer than 255 bytes, {name[:40]}...; rename it")


def check_between(value: object, name: str, low: float, high: float) -> None:
    """Require a number from `low` to `high`."""
    if (
        not isinstance(value, int | float | np.integer | np.floating)
        or isinstance(value, bool)
        or not low <= value <= high
    ):
        raise InputError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")


def check_choice(value: str, name: str, choices: Iterable[str]) -> None:
    """Require one of some words."""
    if value not in (words := list(choices)):
        raise InputError(f"{name} must be one of {', '.join(words)}, got {value!r}")
