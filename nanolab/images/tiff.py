"""TIFFs that nanolab writes: complete or absent, compressed, and calibrated for Fiji."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from nanolab.core.checks import InputError, check_file, check_positive, reading
from nanolab.core.files import atomic, parse_json
from nanolab.images.limits import check_size

__all__ = [
    "SOFTWARE",
    "check_complete",
    "description_of",
    "first_pages",
    "open_tiff",
    "quiet",
    "read_description",
    "read_tiff",
    "write_tiff",
]

SOFTWARE = "nanolab"  # in the tag of that name of the TIFFs written here
WRITABLE = ("uint8", "uint16", "uint32", "float32")
_DESCRIPTION_KEY = "nanolab"
_MOST_PAGES = 16  # that are looked at: thumbnails and masks are fewer, and a stack is a stack after two
_LARGEST_RATIONAL = 2**31 - 1  # TIFF stores a resolution as two 32-bit integers; some readers take them as signed


def write_tiff(
    path: Path | str,
    array: npt.NDArray[np.generic],
    *,
    pixel_size_nm: float | None,
    description: dict[str, Any] | None = None,
) -> None:
    """Write an image or label map, shape (height, width), as a deflate-compressed TIFF, atomically.

    Fiji opens it calibrated: the pixel size stands where ImageJ puts it, a resolution in pixels per unit next to
    ``unit=nm`` in the image description. That holds for uint32 label maps too, which ImageJ itself cannot write
    but opens as 32-bit images.

    Parameters
    ----------
    path
        File to write; its folder is made if needed.
    array
        Shape (height, width), dtype uint8, uint16, uint32 or float32.
    pixel_size_nm
        Edge of a pixel in nm, or None where it is not known; then no calibration is written.
    description
        Anything JSON can hold, kept in the image description; `read_description` gives it back.

    Raises
    ------
    InputError
        If the array has another shape or dtype, or the file cannot be written.
    """
    if array.ndim != 2 or array.dtype.name not in WRITABLE:
        raise InputError(
            f"{path}: a TIFF must be written from shape (height, width) and dtype {', '.join(WRITABLE)}, "
            f"got {array.shape} {array.dtype}; convert the array first"
        )
    if pixel_size_nm is not None:
        check_positive(pixel_size_nm, f"{path}: pixel_size_nm", "nm")
    per_nm = _rational(1 / pixel_size_nm) if pixel_size_nm else (1, 1)
    with atomic(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            photometric="minisblack",
            compression="zlib",
            resolution=(per_nm, per_nm),
            resolutionunit="NONE",
            description=_imagej_description(pixel_size_nm is not None, description),
            metadata=None,  # tifffile would add a description of its own
            software=SOFTWARE,
        )


def _rational(value: float) -> tuple[int, int]:
    """Return `value` as numerator and denominator below 2**31, to better than 1e-9 between 1e-9 and 1e9."""
    if value > 1:
        denominator, numerator = _rational(1 / value)
        return numerator, denominator
    inverse = Fraction(1 / value).limit_denominator(max(1, int(_LARGEST_RATIONAL * value)))
    return inverse.denominator, inverse.numerator


def _imagej_description(calibrated: bool, description: dict[str, Any] | None) -> str:
    lines = ["ImageJ=1.54f"]
    if calibrated:
        lines.append("unit=nm")
    if description is not None:
        lines.append(f"{_DESCRIPTION_KEY}={json.dumps(description, allow_nan=False)}")  # ASCII, as TIFF asks
    return "\n".join(lines) + "\n"


def read_tiff(path: Path | str) -> npt.NDArray[Any]:
    """Read the array of a one-page TIFF that nanolab wrote, shape (height, width), dtype as stored.

    Micrographs from elsewhere are read by `nanolab.images.micrograph.read`, which also converts them.

    Raises
    ------
    InputError
        If the file is missing, is no TIFF, is truncated, or holds something else than one grey image.
    """
    with open_tiff(path) as tif:
        page, *more = first_pages(tif)
        if more or page.ndim != 2:
            raise InputError(
                f"{path}: must hold one grey image, got {1 + len(more)} pages of shape {page.shape}; "
                "save one channel of one page"
            )
        check_size(page.shape, page.dtype, str(path), bytes_per_pixel=0)
        return page.asarray()


def first_pages(tif: tifffile.TiffFile, most: int = _MOST_PAGES) -> list[tifffile.TiffPage]:
    """Return the pages of a TIFF, of many only the first; directories that run in a circle are refused."""
    pages: list[Any] = []
    offsets: set[int] = set()
    for index in range(most):
        try:
            page = tif.pages[index]
        except IndexError:
            break
        if page.offset in offsets:
            raise ValueError("its directories run in a circle")
        offsets.add(page.offset)
        pages.append(page)
    return pages


def read_description(path: Path | str) -> dict[str, Any]:
    """Return what `write_tiff` was given as `description`; empty if the TIFF carries none."""
    with open_tiff(path) as tif:
        return description_of(tif)


def description_of(tif: tifffile.TiffFile) -> dict[str, Any]:
    """Return what `write_tiff` was given as `description` for an open TIFF; empty if it carries none."""
    for line in tif.pages.first.description.splitlines():
        key, _, text = line.partition("=")
        if key == _DESCRIPTION_KEY:
            return dict(parse_json(text, "ImageDescription"))
    return {}


@contextmanager
def open_tiff(path: Path | str) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF for reading, quietly; whatever is broken in it becomes an InputError naming the file."""
    path = check_file(path, "TIFF")
    with reading(path, "TIFF"), quiet(tifffile.logger()), tifffile.TiffFile(path) as tif:
        check_complete(tif.pages.first, path)
        yield tif


@contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a library from logging what nanolab raises or does not need (odd tags of microscope vendors)."""
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def check_complete(page: tifffile.TiffPage, path: Path) -> None:
    """Require the file to reach as far as a page says; tifffile may pad a shorter one with zeros."""
    end = max((start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
    size = path.stat().st_size
    if end == 0 or end > size:
        raise InputError(f"{path}: truncated TIFF, its pixels need {end} bytes, got {size}; copy or export it again")
