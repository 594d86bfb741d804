"""Which part of an image a person looked at, where corrections cover some of it: `looked_at/<stem>.png`, 255 or 0."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image

from nanolab.core.checks import check_same_shape
from nanolab.core.files import atomic
from nanolab.images.labels import read_labels

__all__ = ["LOOKED_AT", "read_looked_at", "write_looked_at"]

#: The folder, next to those of a data set's images and masks.
LOOKED_AT = "looked_at"


def read_looked_at(folder: Path, name: str, image: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_] | None:
    """Return where somebody looked at an image of a data set, of its shape; None where all of it counts.

    Parameters
    ----------
    folder
        The data set's folder.
    name
        Stem of the image's file.
    image
        Shape (height, width), without its data bar, whose rows the file may still have.

    Raises
    ------
    InputError
        If the file cannot be read, or has another size than the image.
    """
    path = folder / LOOKED_AT / f"{name}.png"
    if not path.exists():
        return None
    looked_at = read_labels(path, kind="binary")[: len(image)] > 0
    check_same_shape(image, looked_at, f"{path} and its image")
    return looked_at


def write_looked_at(folder: Path, name: str, looked_at: npt.NDArray[np.bool_]) -> Path:
    """Write what `read_looked_at` reads, atomically, and return its path."""
    path = folder / LOOKED_AT / f"{name}.png"
    with atomic(path) as temporary:
        PIL.Image.fromarray(np.where(looked_at, 255, 0).astype(np.uint8)).save(temporary)
    return path
