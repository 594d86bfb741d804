"""COCO's run-length encoding of masks: column by column, first the length of a run of background."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from nanolab.core.checks import InputError

__all__ = ["decode_columns", "decode_rle", "encode_rle", "run_lengths"]


def encode_rle(mask: npt.NDArray[Any], shape: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> str:
    """Encode a mask that lies in an image as COCO's compressed counts.

    Parameters
    ----------
    mask
        Shape (rows, columns); every value other than 0 is particle.
    shape
        Height and width of the image, which the counts alone do not tell.
    corner
        Row and column of the mask's first pixel in the image; all of the mask must lie in it.

    Examples
    --------
    >>> encode_rle(np.eye(2), (3, 3))
    '01301'
    """
    height, width = shape
    columns = np.zeros((mask.shape[1], height), dtype=np.bool_)  # those of the image in which the mask lies
    columns[:, corner[0] : corner[0] + len(mask)] = mask.T != 0
    edges = np.flatnonzero(np.diff(columns.ravel(), prepend=False, append=False)) + corner[1] * height
    counts = np.diff(edges, prepend=0, append=height * width)
    counts = counts[: len(counts) - (counts[-1] == 0)]
    packed = coco.frPyObjects({"counts": counts.tolist(), "size": [height, width]}, height, width)
    return str(packed["counts"].decode("ascii"))


def decode_rle(counts: str | list[int], shape: tuple[int, int], where: str) -> npt.NDArray[np.bool_]:
    """Decode COCO's counts, compressed or not, to a mask of the given shape (height, width).

    Raises
    ------
    InputError
        If the counts do not add up to the shape.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    cols, part = decode_columns(counts, shape, where)
    mask[:, cols] = part
    return mask


def decode_columns(counts: str | list[int], shape: tuple[int, int], where: str) -> tuple[slice, npt.NDArray[np.bool_]]:
    """Decode what `decode_rle` does to the columns in which the mask lies, and the mask in them: much less of an image.

    Raises
    ------
    InputError
        If the counts do not add up to the shape.
    """
    height = shape[0]
    runs = run_lengths(counts, shape, where)
    ends = np.cumsum(runs)
    filled = np.flatnonzero(runs[1::2]) * 2 + 1  # the runs of particle that are not empty
    if not filled.size:
        return slice(0, 0), np.zeros((height, 0), dtype=np.bool_)
    first, last = int(ends[filled[0] - 1]) // height, -(-int(ends[filled[-1]]) // height)
    values = np.arange(len(runs)) % 2 == 1
    lengths = np.diff(np.clip(ends, first * height, last * height), prepend=first * height)
    return slice(first, last), np.asarray(np.repeat(values, lengths).reshape(last - first, height).T)


def run_lengths(counts: str | list[int], shape: tuple[int, int], where: str) -> list[int]:
    """Return COCO's counts, compressed or not, as numbers that add up to the shape (height, width)."""
    height, width = shape
    runs = _unpacked(counts, where) if isinstance(counts, str) else counts
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise InputError(f"{where}: run lengths must add up to the image's {width} x {height} pixels, got {sum(runs)}")
    return runs


def _unpacked(text: str, where: str) -> list[int]:
    """Undo COCO's compression: groups of 5 bits, the lowest first; from the fourth on, differences to the last but one.

    pycocotools would return whatever is in memory where the counts are too few.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 40:
            raise InputError(f"{where}: not compressed run lengths, at {character!r}; export the annotation again")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        value -= (group & 16) << (shift - 4)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
