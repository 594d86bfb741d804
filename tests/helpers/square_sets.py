"""A set of squares, and label maps whose errors against it are known exactly."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff

COUNT = 64


def squares(side_px: int = 16, count: int = COUNT) -> npt.NDArray[np.int32]:
    """Number the first so many of 8 x 8 squares, 24 px apart."""
    labels = np.zeros((192, 192), dtype=np.int32)
    for k in range(count):
        row, col = 24 * (k // 8), 24 * (k % 8)
        labels[row : row + side_px, col : col + side_px] = k + 1
    return labels


#: What is found: all of it; squares of 17 px in place of 16; every one, but for a quarter that is missed.
FOUND = {"exact": squares(), "large": squares(17), "missed": squares(count=48)}


def write_set(folder: Path) -> Path:
    """Write an annotated set of three such images, with noise: an even strip below them would be a data bar."""
    noise = np.random.default_rng(0).integers(0, 30, (192, 192))
    for name in FOUND:
        grey = (squares() > 0) * 99 + 50 + noise
        write_tiff(folder / f"images/{name}.tif", grey.astype(np.uint8), pixel_size_nm=2.0)
        write_labels(folder / f"masks/{name}.tif", squares(), pixel_size_nm=2.0)
    return folder


def write_found(folder: Path) -> Path:
    """Write what is found in these images."""
    for name, labels in FOUND.items():
        write_labels(folder / f"{name}.labels.tif", labels)
    return folder
