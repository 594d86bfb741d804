"""How large a picture may be: asked before its pixels are decoded, whatever its format."""

import os

import numpy as np
import numpy.typing as npt
import psutil  # type: ignore[import-untyped]

from nanolab.core.checks import InputError

__all__ = ["check_size"]

_VARIABLE, _MEGAPIXELS = "NANOLAB_MAX_MEGAPIXELS", 1000.0
_WORKSPACE = 2**28  # bytes that reading may need besides the arrays


def check_size(shape: tuple[int, ...], dtype: npt.DTypeLike, where: str, *, bytes_per_pixel: int = 4) -> None:
    """Require a picture to have no more pixels than allowed, and its arrays to fit into the free memory.

    A file of few bytes may promise any number of pixels. The environment variable ``NANOLAB_MAX_MEGAPIXELS`` sets how
    many millions are read, 1000 by default.

    Parameters
    ----------
    shape, dtype
        Of the array as stored: height, width and perhaps channels, in any order.
    where
        What to call the picture in an error: its path.
    bytes_per_pixel
        What is needed next to the stored array: 4 for the grey values.
    """
    text = os.environ.get(_VARIABLE, "")
    if text and not (text.replace(".", "", 1).isdecimal() and float(text) > 0):
        raise InputError(f"the environment variable {_VARIABLE} must be a number above 0, got {text!r}")
    most = float(text or _MEGAPIXELS)
    pixels, values = (int(np.prod(sides, dtype=np.float64)) for sides in (sorted(shape)[-2:], shape))
    if pixels > most * 1e6:
        raise InputError(
            f"{where}: must have at most {most:g} megapixels, got shape {shape}; crop or bin it, "
            f"or set {_VARIABLE} to {pixels / 1e6 + 1:.0f}"
        )
    needed = values * np.dtype(dtype).itemsize + pixels * bytes_per_pixel + _WORKSPACE
    available = psutil.virtual_memory().available
    if needed > available:
        raise InputError(
            f"{where}: an image of shape {shape} needs {needed / 2**30:.1f} GiB of memory, "
            f"{available / 2**30:.1f} GiB are free; crop or bin it first"
        )
