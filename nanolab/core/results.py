"""What a run leaves behind: results as JSON, figures, and plain names for both."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.core.checks import InputError
from nanolab.core.files import atomic, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plain_name", "save_figure", "save_results"]


def plain_name(name: str, what: str) -> str:
    """Return `name` if it can be a folder of its own: neither a path nor hidden."""
    if not re.fullmatch(r"\w[\w .,=+-]{0,99}", name) or name.endswith((".", " ")):
        raise InputError(f"{what}: must be a plain name of letters, digits and . , _ - + =, got {name!r}")
    return name


def save_results(run_folder: Path | str, results: Mapping[str, Any]) -> Path:
    """Write `results.json` in a run's folder, atomically, and return its path.

    NumPy values become Python's, a path its text, and NaN or infinity, which JSON lacks, becomes null.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(save_results(folder, {"f1": np.float32(0.5), "undefined": float("nan")}).read_text())
    {
      "f1": 0.5,
      "undefined": null
    }
    <BLANKLINE>
    """
    path = Path(run_folder) / "results.json"
    write_json(path, _as_json(results))
    return path


def _as_json(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_as_json(item) for item in value]
        case np.ndarray() | np.generic():
            return _as_json(value.tolist())
        case float() if not math.isfinite(value):
            return None
        case Path():
            return value.as_posix()
        case _:
            return value


def save_figure(run_folder: Path | str, name: str, figure: "Figure", *, dpi: int = 200) -> Path:
    """Write a figure as `<name>.png` in a run's folder, atomically, and return its path.

    The name may be any that a file can have, such as that of an image.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(folder, "sizes", Figure(), dpi=20).name
    'sizes.png'
    """
    if not re.fullmatch(r"[^./\\\0][^/\\\0]{0,199}", name):
        raise InputError(f"figure name: must be a plain name, neither a path nor hidden, got {name!r}")
    path = Path(run_folder) / f"{name}.png"
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return path
