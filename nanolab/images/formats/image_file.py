"""Image files of every supported format: TIFF, PNG, JPEG, BMP, and through RosettaSciIO DM3, DM4, EMD, SER, MRC."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile

from nanolab.core.checks import InputError, check_file, reading
from nanolab.images.formats.frames import (
    Frame,
    frames_of,
    one_frame,
    page_of_many,
    refusal,
    signal_frames,
    tiff_frames,
)
from nanolab.images.formats.grey import resolve_palette, to_grey
from nanolab.images.formats.signals import SIGNAL_SUFFIXES, image_of, is_single, open_signals
from nanolab.images.formats.vendors import image_page
from nanolab.images.limits import check_size
from nanolab.images.tiff import SOFTWARE, check_complete, first_pages, open_tiff

__all__ = [
    "IMAGE_SUFFIXES",
    "Kind",
    "file_kind",
    "list_frames",
    "open_picture",
    "oriented",
    "page_values",
    "read_grey",
    "signals_grey",
]

#: Suffixes of the files that can be read, in lower case.
IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"} | SIGNAL_SUFFIXES)

Kind = Literal["tiff", "picture", "signal"]
Grey = tuple[npt.NDArray[np.float32], dict[str, Any]]

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
_DIRECT_MODES = ("L", "LA", "RGB", "RGBA", "I", "I;16", "F")  # Pillow's; the others are palettes and print colours


def list_frames(path: Path | str) -> list[Frame]:
    """Return the images in a file: pages of a TIFF, images and stacks of an EMD, DM3, DM4, SER or MRC file.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no image.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tifffile.imwrite(Path(folder, "movie.tif"), np.zeros((3, 32, 48), np.uint8), photometric="minisblack")
    ...     [frame.number for frame in list_frames(Path(folder, "movie.tif"))]
    [0, 1, 2]
    """
    path = Path(path)
    kind = file_kind(path)
    if kind == "picture":
        with open_picture(path) as picture:
            return [Frame(0, "", (picture.height, picture.width), None, (0, None))]
    return tiff_frames(path) if kind == "tiff" else signal_frames(path)


def read_grey(path: Path | str, frame: int | str | None = None) -> Grey:
    """Read one image as grey values, shape (height, width), float32 in [0, 1], with what its file says.

    `nanolab.images.formats.grey.to_grey` says how values become grey; a TIFF that nanolab wrote keeps the range of its
    type. Of a TIFF with smaller pictures behind the first (thumbnails) the first is read; a stack is refused. Of a file
    with several signals, such as an EMD, the first image is read. `frame` chooses another, by its number counted from 0
    or its name.

    Returns
    -------
    pixels, metadata
        ``metadata`` has ``format``, the record of `to_grey` (``dtype`` is the one stored), and ``vendor``: what the
        instrument wrote, as parsed. Where there are several images, also ``frame``, the number of the one asked for, or
        ``images``, how many there are, if none was.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, of another type, too large for the free memory, or holds something
        else than one grey or colour image with finite values that are not all the same.
    """
    path = Path(path)
    readers: dict[Kind, Callable[[Path, Frame | None], Grey]] = {
        "tiff": _read_tiff,
        "picture": _read_picture,
        "signal": _read_signal,
    }
    with reading(path, "image"):
        kind = file_kind(path)
        chosen = None if frame is None else one_frame(list_frames(path), frame, path)
        pixels, metadata = readers[kind](path, chosen)
        return pixels, metadata if chosen is None else {**metadata, "frame": chosen.number}


def file_kind(path: Path | str) -> Kind:
    """Tell by its first bytes how a file is to be read; by its suffix for RosettaSciIO's formats.

    Raises
    ------
    InputError
        If it is missing, empty, or of no supported type.
    """
    path = check_file(path, "image")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_TIFF_STARTS):
        return "tiff"
    if start.startswith(_PICTURE_STARTS):
        return "picture"
    if path.suffix.lower() in SIGNAL_SUFFIXES:
        return "signal"
    raise InputError(
        f"{path}: must be a TIFF, PNG, JPEG, BMP, DM3, DM4, EMD, SER or MRC image, "
        f"got a file that starts with {start!r}; export the image as TIFF"
    )


def _read_tiff(path: Path, frame: Frame | None) -> Grey:
    with open_tiff(path) as tif:
        page: Any = image_page(tif) if frame is None else tif.pages[frame.place[0]]
        check_complete(page, path)
        if frame is None:
            _refuse_stack(tif, page, path)
        one_of = None if frame is None else frame.place[1]
        array = page_values(page, path) if one_of is None else page_of_many(page, one_of, path)
        own = page.software == SOFTWARE and array.dtype.kind == "u"
        pixels, record = to_grey(array, str(path), (0.0, float(np.iinfo(array.dtype).max)) if own else None)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            np.subtract(1, pixels, out=pixels)
            record["grey_range"] = record["grey_range"][::-1]
        vendor = tif.sem_metadata or tif.fei_metadata or tif.imagej_metadata or {}
        return pixels, {"format": "TIFF", **record, "dtype": str(page.dtype), "vendor": vendor}


def page_values(
    page: tifffile.TiffPage, path: Path, *, bytes_per_pixel: int = 4, colours: bool = True
) -> npt.NDArray[Any]:
    """Return what a page of a TIFF holds, as it is to be seen: channels last, and of a palette its `colours`."""
    if page.dtype is None:
        raise InputError(f"{path}: holds a kind of number nothing can read; export it as 8- or 16-bit TIFF")
    check_size(page.shape, page.dtype, str(path), bytes_per_pixel=bytes_per_pixel)
    array = page.asarray()
    if page.axes == "SYX":
        array = np.moveaxis(array, 0, -1)
    if colours and page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        array = resolve_palette(array, page.colormap)
    return oriented(array, page.tags.valueof("Orientation", default=1))


def _refuse_stack(tif: tifffile.TiffFile, first: tifffile.TiffPage, path: Path) -> None:
    """Refuse several pages of one size; smaller ones behind the first are thumbnails."""
    alike = sum(page.shape == first.shape for page in first_pages(tif))
    images = max(alike, first.imagedepth, int((tif.imagej_metadata or {}).get("images", 1)))
    if images > 1:
        raise refusal(tiff_frames(path), path)


def oriented(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn and mirror stored rows and columns as the tag of that name says they are to be seen (1 to 8)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows, columns = (-1 if orientation in those else 1 for those in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return array[::rows, ::columns]


@contextmanager
def open_picture(path: Path) -> Iterator[Any]:
    """Open a PNG, JPEG or BMP as a PIL image, not yet decoded; what is broken in it becomes an InputError."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # it guards against images too large for the memory, which `check_size` does
    try:
        with (
            reading(path, "image"),
            warnings.catch_warnings(action="ignore"),
            Image.open(path, formats=("PNG", "JPEG", "BMP")) as picture,
        ):
            yield picture
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _read_picture(path: Path, _: Frame | None) -> Grey:
    from PIL import ImageOps

    with open_picture(path) as picture:
        check_size((picture.height, picture.width, len(picture.getbands())), np.uint8, str(path))
        upright = ImageOps.exif_transpose(picture)
        array = np.asarray(upright if picture.mode in _DIRECT_MODES else upright.convert("RGB"))
        pixels, record = to_grey(array, str(path))
        return pixels, {"format": picture.format, **record, "vendor": {}}


def _read_signal(path: Path, frame: Frame | None) -> Grey:
    pixels, metadata = signal_grey(open_signals(path), signal_frames(path), frame, path)
    return pixels, {"format": path.suffix[1:].upper(), **metadata}


def signal_grey(signals: list[dict[str, Any]], frames: list[Frame], frame: Frame | None, path: Path) -> Grey:
    """Read one image of signals, the first that is none of a stack if no `frame` is asked for."""
    several = {} if frame or len(frames) == 1 else {"images": len(frames)}
    frame = frame or _first_image(signals, frames, path)
    signal, within = signals[frame.place[0]], frame.place[1] or 0
    data = image_of(signal, within)
    check_size(data.shape, data.dtype, str(path))
    array = np.asarray(data)
    if {*"RGB"} <= {*(array.dtype.names or ())}:  # DigitalMicrograph's colours are a record each
        array = np.stack([array[channel] for channel in "RGB"], axis=-1)
    pixels, record = to_grey(array, str(path))
    return pixels, {**record, "vendor": dict(signal["original_metadata"]), **several}


def signals_grey(signals: list[dict[str, Any]], which: int | str | None, path: Path) -> Grey:
    """Read one image of signals in memory, see `read_grey`."""
    frames = frames_of(signals)
    chosen = None if which is None else one_frame(frames, which, path)
    pixels, metadata = signal_grey(signals, frames, chosen, path)
    return pixels, {"format": "signal", **metadata, **({} if chosen is None else {"frame": chosen.number})}


def _first_image(signals: list[dict[str, Any]], frames: list[Frame], path: Path) -> Frame:
    """Return the first image that is none of a stack; where there is none, somebody has to choose."""
    first = next((frame for frame in frames if is_single(signals[frame.place[0]])), None)
    if first is None:
        raise refusal(frames, path)
    return first
