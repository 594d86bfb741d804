"""Masks painted into images: binary ones, label maps, a colour a particle."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_file, check_label_map
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotations.annotation import Annotation
from nanolab.images.formats.image_file import file_kind, open_picture
from nanolab.images.labels import labels_from_mask
from nanolab.images.tiff import open_tiff

__all__ = ["MaskKind", "read_mask"]


#: "auto" tells by the values: several channels that differ are colours, at most two values a binary mask.
MaskKind = Literal["auto", "binary", "instance", "colour"]


def read_mask(path: Path, kind: MaskKind = "auto") -> list[Annotation]:
    """Prepare to read the mask of one image; its pixels are read when the label map is asked for.

    "binary": every value other than 0 is particle, and particles are the 4-connected pieces; touching ones may be cut
    apart by lines one pixel wide. "instance": the values are the labels. "colour": each colour is a particle, black is
    background, or, where there is no black, the most frequent colour.

    Raises
    ------
    InputError
        By `labels`: if the file is not readable or no mask, or of another size than the image.
    """
    check_file(path, "mask")
    return [Annotation(path.stem, str(path), None, None, partial(_labels, path, kind))]


def _labels(path: Path, kind: MaskKind, shape: tuple[int, int]) -> LabelMap:
    values = _pixels(path, kind, shape)
    colours = values.ndim == 3 and bool((values != values[..., :1]).any())
    if kind == "colour" or (kind == "auto" and colours):
        return _of_colours(values, path)
    if colours:
        raise InputError(f"{path}: a mask of this kind must be grey, got colours; import it as colour")
    grey = values[..., 0] if values.ndim == 3 else values
    if kind == "binary" or (kind == "auto" and _two_values(grey)):
        return labels_from_mask(grey)
    check_label_map(grey, str(path))
    return _numbered(grey, 0)


def _numbered(values: npt.NDArray[Any], background: int) -> LabelMap:
    """Number the values other than `background` 1..N in their order; a table as long as the largest would be no use."""
    there, number = np.unique(values, return_inverse=True)
    label = np.where(there == background, 0, np.cumsum(there != background)).astype(np.int32)
    return np.asarray(label[number].reshape(values.shape))


def _two_values(grey: npt.NDArray[Any]) -> bool:
    high = grey.max()
    return bool(((grey == 0) | (grey == high)).all())


def _of_colours(values: npt.NDArray[Any], path: Path) -> LabelMap:
    if values.max() >= 2**16:
        raise InputError(f"{path}: colours must have 8 or 16 bits a channel, got {values.dtype}; convert the mask")
    packed = np.zeros(values.shape[:2], dtype=np.int64)
    for channel in np.atleast_3d(values).transpose(2, 0, 1):
        packed = packed << 16 | channel.astype(np.int64)
    colours, first, counts = np.unique(packed, return_index=True, return_counts=True)
    background = 0 if colours[0] == 0 else int(colours[counts.argmax()])
    order = np.argsort(first)
    position = np.empty(len(colours), dtype=np.int64)
    position[order] = np.arange(len(colours))
    seen = position[np.searchsorted(colours, packed)]  # colours by their first pixel, as pieces are numbered
    return _numbered(seen, int(position[np.searchsorted(colours, background)]))


def _pixels(path: Path, kind: MaskKind, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Read a mask's values, shape (height, width) or (height, width, channels), once its size is known to be right."""
    if file_kind(path) == "tiff":
        with open_tiff(path) as tif:
            page = tif.pages.first
            _check_size((page.imagelength, page.imagewidth), shape, path)
            if len(tif.pages) != 1 or page.imagedepth != 1:
                raise InputError(f"{path}: must hold one mask, got {len(tif.pages)} pages; save each by itself")
            values = page.asarray()
        values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
    else:
        with open_picture(path) as picture:
            _check_size((picture.height, picture.width), shape, path)
            if picture.format == "JPEG":
                raise InputError(f"{path}: JPEG changes the values of a mask; save it as TIFF or PNG")
            values = np.asarray(picture.convert("RGB") if _to_be_coloured(picture.mode, kind) else picture)
    if values.ndim == 3:
        values = values[..., : 1 if values.shape[2] == 2 else 3]  # without transparency
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if values.dtype.kind not in "iu":
        if not np.isfinite(values).all() or (values != np.rint(values)).any() or np.abs(values).max() >= 2**31:
            raise InputError(f"{path}: a mask must hold whole numbers, got {values.dtype}; save it as 8 or 16 bits")
        values = values.astype(np.int64)
    return values


def _to_be_coloured(mode: str, kind: MaskKind) -> bool:
    """Of a palette the indices are the labels of a label map; otherwise what is seen counts."""
    return mode in ("CMYK", "YCbCr") or (mode in ("P", "PA") and kind != "instance")


def _check_size(found: tuple[int, int], shape: tuple[int, int], path: Path) -> None:
    """Refuse a mask of another size than its image, before any memory is spent on it."""
    if found != shape:
        raise InputError(
            f"{path}: must have the size of its image, {shape[1]} x {shape[0]} pixels, got {found[1]} x {found[0]}; "
            "take the image that was annotated"
        )
