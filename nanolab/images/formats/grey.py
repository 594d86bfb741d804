"""Stored picture values to grey float32 in [0, 1]."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError

__all__ = ["resolve_palette", "robust_range", "stretch", "to_grey"]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_BLOCK = 2**22  # values converted at a time, so that no second copy of a large image is made


def to_grey(
    stored: npt.NDArray[np.generic], where: str, limits: tuple[float, float] | None = None
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Turn a stored picture into grey values, shape (height, width), float32 in [0, 1].

    8-bit pictures keep the range of their type: 255 becomes 1. Others rarely use theirs (a 12-bit detector in a 16-bit
    file), so `robust_range` becomes [0, 1] and what lies beyond is clipped.

    Parameters
    ----------
    stored
        Shape (height, width) or (height, width, channels): grey, grey and transparency, RGB, or RGB and transparency.
        Colour becomes luma; transparency is left out.
    where
        What to call the picture in an error: its path.
    limits
        Stored values that become 0 and 1, where they are known.

    Returns
    -------
    pixels, record
        The grey values, and a mapping with ``dtype``, ``grey_range`` (the stored values that became 0 and 1) and
        ``stretched`` (whether that range was found in the values).

    Raises
    ------
    InputError
        If the shape is another, or the values are complex, not finite, or all the same.
    """
    if (
        stored.dtype.kind not in "buif"
        or stored.ndim not in (2, 3)
        or stored.shape[2:] not in ((), (1,), (2,), (3,), (4,))
    ):
        raise InputError(
            f"{where}: must be one grey or colour image, shape (height, width), "
            f"got {stored.shape} {stored.dtype}; save one image of it as 8- or 16-bit TIFF"
        )
    if min(stored.shape[:2]) < 2:
        raise InputError(f"{where}: must be at least 2x2 pixels, got {stored.shape[:2]}; it holds no picture")
    grey = np.empty(stored.shape[:2], np.float32)
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite, which is refused
        for rows in _blocks(stored):
            grey[rows] = _luma(stored[rows])
            if not np.isfinite(grey[rows]).all():
                raise InputError(f"{where}: the image holds NaN or infinite values; export it again without them")
    if grey.min() == grey.max():
        raise InputError(f"{where}: all pixels have one value, {grey[0, 0]:g}; it holds no picture, export it again")
    limits = limits or {"bool": (0.0, 1.0), "uint8": (0.0, 255.0)}.get(stored.dtype.name)
    used = limits or robust_range(grey)
    stretch(grey, used)
    return grey, {"dtype": str(stored.dtype), "grey_range": used, "stretched": limits is None}


def _blocks(array: npt.NDArray[np.generic]) -> Iterator[slice]:
    """Cut an array into slices of rows of about `_BLOCK` values."""
    rows = max(1, _BLOCK // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield slice(start, min(start + rows, len(array)))


def _luma(block: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Grey of some rows, in stored units; exactly the channels' value where they agree."""
    if block.ndim == 2:
        return block.astype(np.float32)
    if block.shape[2] < 3:
        return block[..., 0].astype(np.float32)
    red, green, blue = (block[..., channel].astype(np.float32) for channel in range(3))
    if (red == green).all() and (red == blue).all():
        return red
    return red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]


def robust_range(grey: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Least and greatest value of the 3x3 median of an image: its range but for single hot and dead pixels.

    Percentiles would not do: a few small particles may be all that is bright, and cover less than any percentile.
    """
    import cv2

    extremes = []
    for rows in _blocks(grey):
        first = max(0, rows.start - 1)  # with a row from each neighbour, because a median needs it
        medians = cv2.medianBlur(np.ascontiguousarray(grey[first : rows.stop + 1]), 3)[rows.start - first :]
        extremes += [float(limit(medians[: rows.stop - rows.start])) for limit in (np.min, np.max)]
    low, high = min(extremes), max(extremes)
    return (low, high) if low < high else (float(grey.min()), float(grey.max()))


def stretch(grey: npt.NDArray[np.float32], limits: tuple[float, float]) -> None:
    """Map `limits` to 0 and 1 in place and clip what lies beyond."""
    low, high = limits
    if low:
        grey -= np.float32(low)
    grey /= np.float32(high - low)
    np.clip(grey, 0, 1, out=grey)


def resolve_palette(indices: npt.NDArray[np.integer], colormap: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Replace palette indices by 8-bit grey where all colours in use are grey, else by RGB.

    Parameters
    ----------
    indices
        Shape (height, width).
    colormap
        Shape (3, colours), uint16, as TIFF stores it.
    """
    colours = (colormap >> 8).astype(np.uint8)
    used = np.bincount(indices.ravel(), minlength=colours.shape[1])[: colours.shape[1]] > 0
    if (colours[:, used] == colours[0, used]).all():
        return colours[0][indices]
    return np.stack([channel[indices] for channel in colours], axis=-1)
