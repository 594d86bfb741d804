"""Pixel sizes in the text files that Hitachi and JEOL microscopes write next to an image."""

import re
from pathlib import Path

from nanolab.images.formats.vendors import Calibration, jeol_calibration, positive, require_width

__all__ = ["sidecar_calibration"]

_LONGEST = 65536  # bytes; an instrument's file has a few thousand


def sidecar_calibration(image: Path, width: int) -> Calibration | None:
    """Return the pixel size in the text file that shares an image's name, if an instrument wrote it.

    Parameters
    ----------
    image
        Path of the image.
    width
        Its width in pixels.

    Raises
    ------
    Undecided
        If the text is about an image of another width.
    """
    beside = next((path for suffix in (".txt", ".TXT", ".Txt") if (path := image.with_suffix(suffix)).is_file()), None)
    if beside is None:
        return None
    with beside.open("rb") as file:
        text = _decoded(file.read(_LONGEST))
    return _hitachi(text, width, beside.name) or jeol_calibration(text, width, f"JEOL file {beside.name}")


def _decoded(data: bytes) -> str:
    """Decode what instruments of several ages write: UTF-16 with its mark, else a superset of ASCII."""
    return data.decode("utf-16", "replace") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data.decode("latin-1")


def _hitachi(text: str, width: int, name: str) -> Calibration | None:
    """``[SemImageFile]`` with the pixel size in nm."""
    if not re.search(r"^\[(Sem|Tem)ImageFile\]", text, re.MULTILINE):
        return None
    entries = dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    nm, record = positive(entries.get("PixelSize")), f"Hitachi file {name}"
    if nm is None:
        return None
    require_width(entries.get("DataSize", "").lower().split("x")[0], width, record)
    return Calibration(nm, nm, f"{record}, PixelSize")
