"""The formats that RosettaSciIO reads, and the TIFF tags that it knows better: the only module that imports it."""

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nanolab.core.checks import InputError
from nanolab.images.formats.vendors import Calibration, length_nm

__all__ = ["SIGNAL_SUFFIXES", "open_signal", "signal_calibration"]

_MODULES = {".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".emd": "emd", ".ser": "tia", ".mrc": "mrc"}
SIGNAL_SUFFIXES = frozenset(_MODULES)


def open_signal(path: Path) -> dict[str, Any]:
    """Open the first image in a DM3, DM4, EMD, SER or MRC file; anything else is taken for a TIFF.

    Returns
    -------
    signal
        RosettaSciIO's dictionary: ``data`` (not yet loaded but for a TIFF), ``axes``, ``original_metadata`` and more.

    Raises
    ------
    InputError
        If the file cannot be read or holds no image.
    """
    name = _MODULES.get(path.suffix.lower(), "tiff")
    module = importlib.import_module(f"rsciio.{name}")
    problem, signals = "", []
    with _quiet():
        try:
            signals = module.file_reader(str(path), lazy=name != "tiff")  # a lazy TIFF would stay open
        except Exception as error:  # its parsers of binary formats raise anything on a broken file
            problem = repr(error)  # kept as text, so that the files which the parser left open are closed here
    if problem:
        raise InputError(f"{path}: not a readable {path.suffix[1:].upper()} file ({problem}); export the image as TIFF")
    images = [signal for signal in signals if signal["data"].ndim == 2]
    if not images:
        shapes = ", ".join(str(signal["data"].shape) for signal in signals) or "nothing"
        raise InputError(f"{path}: must hold an image, shape (height, width), got {shapes}; export one as TIFF")
    return dict(images[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep RosettaSciIO from logging and warning what becomes an error here or does not matter."""
    logger = logging.getLogger("rsciio")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


def signal_calibration(path: Path) -> Calibration | None:
    """Return the pixel size on the axes of the image; None where they carry no unit of length."""
    y_axis, x_axis = open_signal(path)["axes"][-2:]
    unit = str(x_axis.get("units") or "")
    x_nm, y_nm = (
        length_nm(float(x_axis["scale"]), unit),
        length_nm(float(y_axis["scale"]), str(y_axis.get("units") or "")),
    )
    return Calibration(x_nm, y_nm, f"{path.suffix[1:].upper()} axis in {unit}") if x_nm and y_nm else None
