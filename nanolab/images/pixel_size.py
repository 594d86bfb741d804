"""The size of a pixel and where that number comes from."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from nanolab.core.checks import InputError, check_between, check_positive, reading
from nanolab.core.validation import validated
from nanolab.images.formats.frames import frames_of
from nanolab.images.formats.image_file import file_kind, open_picture
from nanolab.images.formats.sidecars import sidecar_calibration
from nanolab.images.formats.signals import axes_calibration, is_single, open_signals
from nanolab.images.formats.vendors import Calibration, Undecided, has_other_tags, tiff_calibration
from nanolab.images.panels import Box
from nanolab.images.tiff import open_tiff, read_description
from nanolab.images.trust import Trust

__all__ = [
    "ImageRecord",
    "PixelSize",
    "Source",
    "image_record",
    "parse_nm",
    "pixel_size_from_metadata",
    "pixel_size_of_signals",
]

Source = Literal["metadata", "scale bar", "typed", "unknown"]

# Relative, by source: half a pixel at either end of a bar of 150 px; what makers state of a calibrated magnification.
_UNCERTAINTY: dict[Source, float] = {"scale bar": 0.003, "metadata": 0.01, "typed": 0.01, "unknown": 0.0}
_PLAUSIBLE_NM = (1e-4, 1e6)  # from a hundredth of an atom to a millimetre


@dataclass(frozen=True)
class PixelSize:
    """Edge of a square pixel in nm, with its provenance.

    Attributes
    ----------
    nm
        Length in nm, or None where it is not known.
    source
        Where it comes from: file metadata, a scale bar read from the picture, typed by hand, or nowhere.
    detail
        The tag it was read from, the scale bar's text and length, or why it is unknown.
    confidence
        Between 0 and 1 for a scale bar; None otherwise.

    Examples
    --------
    >>> PixelSize.typed(2.5)
    PixelSize(nm=2.5, source='typed', detail='typed by hand', confidence=None)
    """

    nm: float | None
    source: Source
    detail: str
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no microscope has, from wherever it comes."""
        if self.nm is not None:
            check_positive(self.nm, "pixel size", "nm")
            check_between(self.nm, "pixel size", *_PLAUSIBLE_NM)

    def __str__(self) -> str:
        """The number, its unit and its source, for people."""
        if self.nm is None:
            return f"unknown ({self.detail})"
        source = "typed" if self.source == "typed" else f"{self.source}: {self.detail}"
        return f"{self.nm:.6g} nm ({source})"

    @property
    def uncertainty(self) -> float:
        """Standard uncertainty, relative, that its source lets expect; 0 where lengths are in pixels."""
        return _UNCERTAINTY[self.source]

    @classmethod
    def typed(cls, nm: float) -> "PixelSize":
        """Return a pixel size given by hand, in nm."""
        return cls(float(nm), "typed", "typed by hand")

    @classmethod
    def unknown(cls, why: str) -> "PixelSize":
        """Return that there is no pixel size, and why."""
        return cls(None, "unknown", why)


def parse_nm(text: str, what: str = "pixel size") -> float:
    """Return the pixel size in nm that somebody typed, with a point or a comma before its decimals.

    Raises
    ------
    InputError
        If it is no number that a pixel size can be, or could be two: 1,500.
    """
    plain = text.strip().removesuffix("nm").strip()
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", plain):
        one, other = plain.replace(",", "."), plain.replace(",", "")
        raise InputError(f"{what}: {plain} can be read in two ways; type {one} or {other}")
    number = plain.replace(",", ".")
    if not re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", number) or not float(number):
        raise InputError(f"{what} must be a number of nm above 0, such as 2.5, got {text[:20]!r}")
    check_between(float(number), what, *_PLAUSIBLE_NM)
    return float(number)


class ImageRecord(BaseModel):
    """What a label map carries about its image, see `nanolab.images.labels.LabelFile`."""

    image: str = ""
    image_rows: int | None = None
    pixel_size: PixelSize | None = None
    made_by: str = ""
    trust: Trust | None = None
    frame: int | None = None
    panel: Box | None = None


def image_record(path: Path) -> ImageRecord | None:
    """Return what a label map that nanolab wrote carries about its image; None if the file is another.

    Raises
    ------
    InputError
        If the record is damaged.
    """
    record = read_description(path).get("labels") if file_kind(path) == "tiff" else None
    where = f"{path}: its record of the image is damaged; write it again"
    return None if record is None else validated(ImageRecord, record, where)


def pixel_size_from_metadata(path: Path | str, frame: int | None = None) -> PixelSize:
    """Return the pixel size that an image file, or an instrument's text file next to it, records.

    A label map that nanolab wrote carries the pixel size with the source it once had: typed, scale bar, metadata.

    Unknown, with the reason, where there is no record or where it cannot be right: pixels that are not square, an image
    resized since, a resolution meant for a printer. Print resolutions of PNG and JPEG are never used. `frame` is the
    number of one of several images, the signals of which have pixel sizes of their own.

    Raises
    ------
    InputError
        If the file is missing, empty, unreadable or of no supported type.
    """
    path = Path(path)
    record = image_record(path)
    if record and record.pixel_size:
        return record.pixel_size
    readers: dict[str, Callable[[Path], Calibration | None]]
    readers = {"tiff": _of_tiff, "picture": _of_picture, "signal": partial(_of_signal, frame=frame)}
    try:
        with reading(path, "image"):
            found = readers[file_kind(path)](path)
    except Undecided as why:
        return PixelSize.unknown(str(why))
    return PixelSize.unknown("no pixel size in the file") if found is None else _square(found)


def _of_tiff(path: Path) -> Calibration | None:
    with open_tiff(path) as tif:
        found = tiff_calibration(tif) or sidecar_calibration(path, tif.pages.first.imagewidth)
        others = found is None and has_other_tags(tif)
    return _of_signal(path) if others else found


def _of_picture(path: Path) -> Calibration | None:
    with open_picture(path) as picture:
        return sidecar_calibration(path, picture.width)


def pixel_size_of_signals(signals: list[dict[str, Any]], frame: int | None) -> PixelSize:
    """Return the pixel size on the axes of signals in memory, as `pixel_size_from_metadata`."""
    found = _of_signals(signals, frame, "signal")
    return PixelSize.unknown("no length on the axes of the signal") if found is None else _square(found)


def _of_signal(path: Path, frame: int | None = None) -> Calibration | None:
    return _of_signals(open_signals(path), frame, path.suffix[1:].upper())


def _of_signals(signals: list[dict[str, Any]], frame: int | None, what: str) -> Calibration | None:
    if frame is None:
        signal = next((each for each in signals if is_single(each)), signals[0])
    else:
        signal = signals[frames_of(signals)[frame].place[0]]
    return axes_calibration(signal, what)


def _square(found: Calibration) -> PixelSize:
    """Require square pixels of a size that can be; both lengths may be rounded, so 0.5 % are let pass."""
    low, high = _PLAUSIBLE_NM
    if not (low <= found.x_nm <= high and low <= found.y_nm <= high):
        return PixelSize.unknown(f"{found.detail} says {found.x_nm:g} nm, which no microscope has")
    if not math.isclose(found.x_nm, found.y_nm, rel_tol=0.005):
        return PixelSize.unknown(f"{found.detail}: pixels are not square, {found.x_nm:g} by {found.y_nm:g} nm")
    return PixelSize(found.x_nm, "metadata", found.detail)
