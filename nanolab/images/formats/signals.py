"""The formats that RosettaSciIO reads, and the TIFF tags that it knows better: the only module that imports it."""

import importlib
import logging
import math
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.core.checks import InputError
from nanolab.images.formats.vendors import Calibration, length_nm
from nanolab.images.tiff import quiet

__all__ = ["SIGNAL_SUFFIXES", "axes_calibration", "image_of", "is_single", "open_signals", "stacked_shape"]

_MODULES = {".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".emd": "emd", ".ser": "tia", ".mrc": "mrc"}
_SQUEEZED, _FEW = 1032, 2**12  # what deflate makes of one byte at most; bytes that need no question
_SHORT_PLACES = 528  # version of a SER up to which places take 4 bytes
SIGNAL_SUFFIXES = frozenset(_MODULES)
_MOST_CHANNELS = 4


def open_signals(path: Path) -> list[dict[str, Any]]:
    """Open the images and stacks of images in a DM3, DM4, EMD, SER or MRC file; anything else is taken for a TIFF.

    Returns
    -------
    signals
        RosettaSciIO's dictionaries: ``data`` (not yet loaded but for a TIFF), shape (..., height, width), ``axes``,
        ``original_metadata`` and more.

    Raises
    ------
    InputError
        If the file cannot be read or holds no image.
    """
    name = _MODULES.get(path.suffix.lower(), "tiff")
    module = importlib.import_module(f"rsciio.{name}")
    problem = ""
    signals: list[dict[str, Any]] = []
    with quiet(logging.getLogger("rsciio")), warnings.catch_warnings(action="ignore"):
        try:
            _check_promise(path)
            signals = _emd_signals(path) if name == "emd" else _signals(module.file_reader, path, lazy=name != "tiff")
            if name not in {"emd", "tiff"}:  # these may be compressed
                _check_held(path, sum(math.prod(signal["data"].shape) for signal in signals))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # its parsers of binary formats raise anything on a broken file
            problem = repr(error)  # kept as text, so that the files which the parser left open are closed here
    if problem:
        raise InputError(f"{path}: not a readable {path.suffix[1:].upper()} file ({problem}); export the image as TIFF")
    images = [dict(signal) for signal in signals if _shows_images(signal)]
    if not images:
        shapes = ", ".join(str(signal["data"].shape) for signal in signals) or "nothing"
        raise InputError(f"{path}: must hold an image, shape (height, width), got {shapes}; export one as TIFF")
    return images


def is_single(signal: dict[str, Any]) -> bool:
    """Tell one image from a stack of several."""
    return bool(np.prod(stacked_shape(signal)) == 1)


def stacked_shape(signal: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of the stack that a signal is; few values behind height and width are channels."""
    shape: tuple[int, ...] = signal["data"].shape
    return () if len(shape) == 3 and shape[2] <= _MOST_CHANNELS else shape[:-2]


def image_of(signal: dict[str, Any], index: int) -> Any:
    """Return one image of a stack of any number of dimensions, not yet loaded."""
    shape = stacked_shape(signal)
    return signal["data"][np.unravel_index(index, shape)] if shape else signal["data"]


def _signals(reader: Callable[..., Any], path: Path, *, lazy: bool) -> list[dict[str, Any]]:
    """Read a file without its data, where RosettaSciIO can; a lazy TIFF would stay open."""
    try:
        return list(reader(str(path), lazy=lazy))
    except ValueError as error:
        if "RGBA" not in str(error):
            raise
        return list(reader(str(path), lazy=False))  # DigitalMicrograph's colours


def _check_promise(path: Path) -> None:
    """Refuse a file that promises more values than it has half bytes; RosettaSciIO would make room for all of them."""
    if promised := _PROMISED.get(path.suffix.lower()):
        _check_held(path, promised(path))


def _check_held(path: Path, values: int) -> None:
    if values > 2 * (held := path.stat().st_size):
        problem = f"not a readable file (promises {values} values, holds {held} bytes)"
        raise InputError(f"{path}: {problem}; copy or export it again")


def _in_series(path: Path) -> int:
    """Return how many values a SER file promises: those of its first image, for each one; or letters of its header."""
    with path.open("rb") as file:

        def number(kind: str = "I") -> int:
            return int(struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0])

        version, images = struct.unpack("<4xH12xI", file.read(22))
        place = "I" if version <= _SHORT_PLACES else "Q"
        table = number(place)
        for _ in range(number()):  # dimensions, each with two texts
            for before in (24, 0):
                file.seek(before, 1)
                file.seek(number(), 1)
        described = file.tell()
        file.seek(table)
        file.seek(number(place) + 42)  # the first image
        return max(described, images * number() * number())


def _in_map(path: Path) -> int:
    """Return how many values an MRC file promises."""
    with path.open("rb") as file:
        return abs(math.prod(struct.unpack("<3i", file.read(12))))


_PROMISED: dict[str, Callable[[Path], int]] = {".ser": _in_series, ".mrc": _in_map}


def _shows_images(signal: dict[str, Any]) -> bool:
    """Tell images from spectra, which are stepped along one of the last two axes, or have an energy on the last."""
    last = signal["axes"][-2:]
    units = {str(axis.get("units")) for axis in last}
    flat = signal["data"].ndim == 2
    return len(last) == 2 and not any(axis.get("navigate") for axis in last) and (flat or len(units) == 1)


def _emd_signals(path: Path) -> list[dict[str, Any]]:
    """Read an EMD; of Velox's only the images, because its spectra need a package more and are not wanted."""
    import h5py  # type: ignore[import-untyped]
    from rsciio.emd import file_reader  # type: ignore[import-untyped]
    from rsciio.emd._emd_velox import FeiEMDReader  # type: ignore[import-untyped]

    class Images(FeiEMDReader):  # type: ignore[misc]
        def _check_im_type(self) -> None:
            self.im_type = "Image"

    file = h5py.File(path, "r")  # stays open for as long as the data are not loaded
    _check_held_here(file, path)
    if "Version" not in file or "Data/Image" not in file:
        file.close()
        return list(file_reader(str(path), lazy=True))
    reader = Images(lazy=True, select_type="images")
    reader.read_file(file)
    return list(reader.dictionaries)


def _check_held_here(file: Any, path: Path) -> None:
    """Refuse an HDF5 file whose links or data lie in other files, or nowhere: its reader would follow."""
    import h5py

    def leads_out(name: str, link: Any) -> str | None:
        return name if isinstance(link, h5py.ExternalLink) else None

    def lies_outside(name: str, thing: Any) -> str | None:
        return name if isinstance(thing, h5py.Dataset) and (thing.external or thing.is_virtual) else None

    def boasts(name: str, thing: Any) -> str | None:
        if not isinstance(thing, h5py.Dataset) or not (thing.ndim == 1 or name.endswith("/Metadata")):
            return None  # images and spectra are not read before their size is known
        return name if thing.size > _SQUEEZED * (thing.id.get_storage_size() + _FEW) else None

    outside = file.visititems_links(leads_out) or file.visititems(lies_outside)
    for name, why in (
        (outside, "lies in another file, which is not read"),
        (file.visititems(boasts), "promises more values than it holds"),
    ):
        if name is not None:
            file.close()
            raise InputError(f"{path}: {name} {why}; export the image as TIFF")


def axes_calibration(signal: dict[str, Any], what: str) -> Calibration | None:
    """Return the pixel size on the axes of `what`; None where they carry no unit of length."""
    axes = signal["axes"][-2:]
    y_nm, x_nm = (length_nm(float(axis["scale"]), str(axis.get("units") or "")) for axis in axes)
    return Calibration(x_nm, y_nm, f"{what} axis in {axes[1]['units']}") if x_nm and y_nm else None
