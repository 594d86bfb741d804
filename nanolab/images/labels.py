"""Label maps: from masks, from files, to files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.segmentation import relabel_sequential

from nanolab.core.checks import InputError, check_file, check_label_map, reading
from nanolab.core.typing import LabelMap
from nanolab.images.formats.image_file import file_kind, open_picture, page_values
from nanolab.images.label_values import MaskKind, labels_from_mask, labels_from_values
from nanolab.images.limits import check_size
from nanolab.images.panels import Box
from nanolab.images.pixel_size import ImageRecord, PixelSize, image_record, pixel_size_from_metadata
from nanolab.images.tiff import SOFTWARE, description_of, first_pages, open_tiff, write_tiff
from nanolab.images.trust import Trust

__all__ = [
    "LabelFile",
    "MaskKind",
    "check_shape",
    "labels_from_mask",
    "only",
    "read_label_file",
    "read_labels",
    "relabel",
    "remove_small",
    "write_labels",
]

_ORIENTATION = 274  # tag of Exif
_BYTES_PER_PIXEL = 24  # that telling what a mask means may need


def relabel(labels: npt.NDArray[np.integer]) -> LabelMap:
    """Return the label map with its particles numbered 1..N, their order kept."""
    check_label_map(labels, "label map")
    return relabel_sequential(labels)[0].astype(np.int32, copy=False)


def remove_small(labels: npt.NDArray[np.integer], min_area_px: int) -> LabelMap:
    """Return the label map without the particles of fewer than `min_area_px` pixels, the others renumbered 1..N."""
    check_label_map(labels, "label map")
    if labels.max(initial=0) > labels.size:  # numbers too large to count by; otherwise sorting all pixels takes longest
        labels = relabel(labels)
    areas = np.bincount(labels.ravel().astype(np.intp, copy=False), minlength=1)
    return only(labels, areas[1:] >= max(min_area_px, 1))


def only(labels: npt.NDArray[np.integer], keep: npt.NDArray[np.bool_]) -> LabelMap:
    """Return the label map with the particles 1 to N of which `keep`, shape (N,), says so, renumbered."""
    numbers = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)])
    return numbers.astype(np.int32)[labels]


@dataclass(frozen=True, eq=False)
class LabelFile:
    """A label map on disk with what it carries about its image.

    Attributes
    ----------
    labels
        Shape (height, width), 0 = background.
    pixel_size
        Edge of a pixel in nm and where that number came from when the image was segmented.
    image
        Where the image is, from the folder of the label map, or its name alone; empty where the file does not say.
    image_rows
        Rows above the data bar, which the label map may go on to; None where the file does not say.
    made_by
        What has found the particles, in words.
    trust
        How far they can be believed; None where the file does not say.
    frame
        Which of several images of the file, counted from 0, if it is one of these.
    panel
        Which part of the image, if it is a panel of a figure.
    """

    labels: LabelMap
    pixel_size: PixelSize
    image: str = ""
    image_rows: int | None = None
    made_by: str = ""
    trust: Trust | None = None
    frame: int | None = None
    panel: Box | None = None


def read_labels(path: Path | str, *, kind: MaskKind = "auto", shape: tuple[int, int] | None = None) -> LabelMap:
    """Read a label map or a mask from a TIFF, PNG, BMP or JPEG file.

    See `nanolab.images.label_values.labels_from_values` for what is understood. A map that nanolab wrote keeps its
    numbers, as do others of more than one number. Of a palette the colours count, unless `kind` is "instance".

    Parameters
    ----------
    path
        The mask.
    kind
        What its values are, where "auto" would not tell.
    shape
        Height and width it must have: those of its image.

    Returns
    -------
    labels
        Shape (height, width), 0 = background.

    Raises
    ------
    InputError
        If the file cannot be read, has another size or more than one page, or its values are no mask.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_labels(Path(folder, "a.labels.tif"), np.diag([0, 1, 0, 2]))
    ...     read_labels(Path(folder, "a.labels.tif")).max()
    2
    """
    path = check_file(path, "label map")
    reader = _tiff_values if file_kind(path) == "tiff" else _picture_values
    with reading(path, "label map"):
        values, kind = reader(path, kind, shape)
        return labels_from_values(values, str(path), kind)


def read_label_file(path: Path | str) -> LabelFile:
    """Read a label map (see `read_labels`) with what it carries about its image."""
    path = check_file(path, "label map")
    labels, pixel_size = read_labels(path), pixel_size_from_metadata(path)
    record = image_record(path) or ImageRecord()
    if record.trust and len(record.trust.particles) < labels.max(initial=0):
        raise InputError(
            f"{path}: its trust must be of all {labels.max()} particles, got {len(record.trust.particles)}; "
            "segment the image again"
        )
    about = record.model_dump(exclude={"pixel_size", "trust"})
    return LabelFile(labels, pixel_size, trust=record.trust, **about)


def write_labels(
    path: Path | str,
    labels: npt.NDArray[np.integer],
    *,
    pixel_size_nm: float | None = None,
    pixel_size: PixelSize | None = None,
    image: str = "",
    image_rows: int | None = None,
    made_by: str = "",
    trust: Trust | None = None,
    frame: int | None = None,
    panel: Box | None = None,
) -> None:
    """Write a label map as a calibrated TIFF, atomically: uint16, or uint32 beyond 65535 particles.

    Parameters
    ----------
    path, labels
        The file and what it shall hold, shape (height, width), 0 = background.
    pixel_size_nm
        Edge of a pixel, where nothing else is known of it.
    pixel_size
        The same with its source, which the file then carries.
    image, image_rows, made_by, trust, frame, panel
        Carried by the file, see `LabelFile`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_labels(Path(folder, "a.labels.tif"), np.eye(8, dtype=np.int32), pixel_size_nm=2.5)
    ...     read_label_file(Path(folder, "a.labels.tif")).pixel_size.nm
    2.5
    """
    check_label_map(labels, str(path))
    largest = labels.max() if labels.size else 0
    record = ImageRecord(
        image=image,
        image_rows=image_rows,
        pixel_size=pixel_size,
        made_by=made_by,
        trust=trust,
        frame=frame,
        panel=panel,
    )
    write_tiff(
        path,
        labels.astype(np.uint16 if largest < 2**16 else np.uint32),
        pixel_size_nm=pixel_size.nm if pixel_size else pixel_size_nm,
        description={"labels": record.model_dump()},
    )


_Values = tuple[npt.NDArray[Any], MaskKind]


def _tiff_values(path: Path, kind: MaskKind, shape: tuple[int, int] | None) -> _Values:
    with open_tiff(path) as tif:
        page, *more = first_pages(tif)
        stored, turned = (page.imagelength, page.imagewidth), page.tags.valueof("Orientation", default=1) > 4
        check_shape(stored[::-1] if turned else stored, shape, path)
        if more or page.imagedepth != 1:
            raise InputError(f"{path}: must hold one mask, got {1 + len(more)} pages; save each by itself")
        if kind == "auto" and page.software == SOFTWARE and page.dtype in (np.uint16, np.uint32):
            kind = "instance" if "labels" in description_of(tif) else "own"
        return page_values(page, path, bytes_per_pixel=_BYTES_PER_PIXEL, colours=kind != "instance"), kind


def _picture_values(path: Path, kind: MaskKind, shape: tuple[int, int] | None) -> _Values:
    from PIL import ImageOps

    with open_picture(path) as picture:
        stored = picture.height, picture.width, len(picture.getbands())
        check_size(stored, np.uint8, str(path), bytes_per_pixel=_BYTES_PER_PIXEL)  # first: Exif of a PNG is at its end
        check_shape(picture.size if picture.getexif().get(_ORIENTATION, 1) > 4 else picture.size[::-1], shape, path)
        if picture.format == "JPEG":
            if kind not in ("auto", "binary"):
                raise InputError(f"{path}: JPEG changes the values of a label map; save it as TIFF or PNG")
            kind = "soft"
        coloured = picture.mode in ("CMYK", "YCbCr") or (picture.mode in ("P", "PA") and kind != "instance")
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(upright.convert("RGB") if coloured else upright), kind


def check_shape(found: tuple[int, int], shape: tuple[int, int] | None, where: Path | str) -> None:
    """Refuse an annotation whose height and width are other than those of its image, where these are known."""
    if shape is not None and found != shape:
        raise InputError(
            f"{where}: must have the size of its image, {shape[1]} x {shape[0]} pixels, got {found[1]} x {found[0]}; "
            "take the image that was annotated"
        )
