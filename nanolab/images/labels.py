"""Label maps: from masks, from files, to files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from nanolab.core.checks import InputError, check_file, check_label_map
from nanolab.core.typing import LabelMap
from nanolab.images.formats.image_file import file_kind, open_picture
from nanolab.images.tiff import read_tiff, write_tiff

__all__ = ["labels_from_mask", "read_labels", "relabel", "remove_small", "write_labels"]


_LARGEST = np.iinfo(np.int32).max


def labels_from_mask(mask: npt.NDArray[np.generic]) -> LabelMap:
    """Number the particles of a binary mask in which touching particles are cut apart by lines one pixel wide.

    Particles are the 4-connected components. With 8-connectivity they would join again across a diagonal cut.

    Parameters
    ----------
    mask
        Shape (height, width); every value other than 0 is particle.

    Returns
    -------
    labels
        Shape (height, width), 0 = background, 1..N in the order of each particle's first pixel, row by row.
    """
    if mask.ndim != 2:
        raise InputError(f"a mask must have shape (height, width), got {mask.shape}; export it as a grey image")
    labels = np.empty(mask.shape, dtype=np.int32)
    ndimage.label(mask != 0, output=labels)
    return labels


def relabel(labels: npt.NDArray[np.integer]) -> LabelMap:
    """Return the label map with its particles numbered 1..N, their order kept."""
    check_label_map(labels, "label map")
    return relabel_sequential(labels)[0].astype(np.int32, copy=False)


def remove_small(labels: npt.NDArray[np.integer], min_area_px: int) -> LabelMap:
    """Return the label map without the particles of fewer than `min_area_px` pixels, the others renumbered 1..N."""
    check_label_map(labels, "label map")
    if labels.max(initial=0) > labels.size:  # numbers too large to count by; otherwise sorting all pixels takes longest
        labels = relabel(labels)
    keep = np.bincount(labels.ravel().astype(np.intp, copy=False)) >= max(min_area_px, 1)
    keep[:1] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def read_labels(path: Path | str) -> LabelMap:
    """Read a label map or a binary mask from a TIFF, PNG or BMP file.

    A file that holds nothing but 0 and 255, or 1-bit values, is a binary mask and goes through
    `labels_from_mask`; everything else is a label map and keeps its numbers.

    Returns
    -------
    labels
        Shape (height, width), 0 = background.

    Raises
    ------
    InputError
        If the file cannot be read, or is not one plane of whole numbers from 0 to 2**31 - 1.
    """
    path = check_file(path, "label map")
    values = read_tiff(path) if file_kind(path) == "tiff" else _read_picture(path)
    if values.dtype == np.bool_ or _is_mask(values):
        return labels_from_mask(values)
    check_label_map(values, str(path))
    if values.size and values.max() > _LARGEST:
        raise InputError(f"{path}: labels must be at most {_LARGEST}, got {values.max()}; number the particles 1..N")
    return values.astype(np.int32, copy=False)


def write_labels(path: Path | str, labels: npt.NDArray[np.integer], *, pixel_size_nm: float | None) -> None:
    """Write a label map as a calibrated TIFF, atomically: uint16, or uint32 beyond 65535 particles."""
    check_label_map(labels, str(path))
    largest = labels.max() if labels.size else 0
    write_tiff(path, labels.astype(np.uint16 if largest < 2**16 else np.uint32), pixel_size_nm=pixel_size_nm)


def _is_mask(values: npt.NDArray[np.generic]) -> bool:
    return values.dtype == np.uint8 and set(np.unique(values)) in ({0, 255}, {255})


def _read_picture(path: Path) -> npt.NDArray[np.generic]:
    with open_picture(path) as picture:
        if picture.format == "JPEG":
            raise InputError(f"{path}: JPEG changes the values of a label map; save it as TIFF or PNG")
        return np.asarray(picture)  # of a palette the indices, which are the labels
