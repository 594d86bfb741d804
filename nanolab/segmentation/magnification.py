"""At which magnification a network should see an image: the one at which it agrees with itself."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil, prod
from typing import Literal

import cv2
import numpy as np
from scipy import ndimage

from nanolab.core.checks import InputError, check_between
from nanolab.core.typing import Image, LabelMap
from nanolab.metrics.instance import match

__all__ = [
    "MAGNIFICATIONS",
    "MAGNIFICATION_RANGE",
    "Magnification",
    "choose_magnification",
    "in_shape",
    "magnified",
    "parse_magnification",
    "pixels_seen",
]


#: Magnifications in steps of the square root of two, the highest first; the first and the last are only compared with.
MAGNIFICATIONS = tuple(float(2 ** (-step / 2)) for step in range(-2, 7))

#: Between these an image is still seen, and fits into memory.
MAGNIFICATION_RANGE = (0.02, 16)

#: A factor, or the choice of one for each image.
Magnification = float | Literal["auto"]

_LEAST_SIDE_PX = 48  # below, there is no context left to see
_SAMPLE_PX = 2048  # the middle of a larger image decides for all of it
_ENOUGH = 30  # particles in the middle of an image, whose agreement stands for that of all
_IOU = 0.5


def magnified(image: Image, magnification: float) -> Image:
    """Return an image, shape (height, width), enlarged or made smaller by a factor."""
    if magnification == 1:
        return image
    shape = [max(round(side * magnification), 1) for side in image.shape[::-1]]
    method = cv2.INTER_AREA if magnification < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, shape, interpolation=method), dtype=np.float32)


def parse_magnification(text: str) -> Magnification:
    """Return the number that a text stands for, or "auto".

    Raises
    ------
    InputError
        If it is neither, or not in `MAGNIFICATION_RANGE`.
    """
    if text == "auto":
        return "auto"
    try:
        magnification = float(text)
    except ValueError as error:
        raise InputError(f"magnification: must be a number or auto, got {text!r}") from error
    check_between(magnification, "magnification", *MAGNIFICATION_RANGE)
    return magnification


def choose_magnification(look: Callable[[Image, float], LabelMap], image: Image) -> float:
    """Return one of `MAGNIFICATIONS`: that at which the particles found agree best with those at its neighbours.

    A network finds particles that have about the size of those it was trained on. Far larger ones fall to pieces and
    far smaller ones run together, into other pieces at each magnification, while particles that suit it are the same
    at the next higher and the next lower one. Agreement is F1 over particles at an IoU of 0.5, the sum of that with
    both neighbours; no annotation is needed. Only a magnification that has two neighbours can be chosen: at the lowest,
    the few large pieces that are left agree with those before by chance. Those above 1 cost most: each is looked at
    only where the one below it may be the best, and in the middle alone where that shows enough particles.

    Parameters
    ----------
    look
        Returns the particles in a part of the image, seen at a magnification, as a label map of the part's shape.
    image
        Shape (height, width); of an image above 2048 px its middle decides.
    """
    sample = image[_middle(image.shape, [min(side, _SAMPLE_PX) for side in image.shape])]
    finest, finer, *others = MAGNIFICATIONS
    steps = [each for each in others if each == 1 or each * min(sample.shape) >= _LEAST_SIDE_PX]
    found = {each: look(sample, each) for each in steps}
    with_next = {each: _agreement(found[each], found[lower]) for each, lower in pairwise(steps)}
    best = _steadiest(with_next | {finer: 1.0})  # if 1 agreed wholly with the next higher
    if best != 1:
        return best
    part = _middle(sample.shape, [side // 2 for side in sample.shape])
    if len(np.unique(found[1][part])) <= _ENOUGH:
        part = (slice(None), slice(None))
    higher = look(sample[part], finer)
    with_next[finer] = _agreement(higher, found[1][part])
    if _steadiest(with_next) == 1:
        with_next[finest] = _agreement(look(sample[part], finest), higher)
    return _steadiest(with_next)


def pixels_seen(shape: tuple[int, ...], magnification: Magnification) -> float:
    """Return about how many pixels a network sees of an image of this shape at the most: progress is told by them."""
    if magnification != "auto":
        return prod(shape) * magnification**2
    sample = prod(min(side, _SAMPLE_PX) for side in shape)
    return prod(shape) + sample * sum(each**2 for each in MAGNIFICATIONS)


def in_shape(labels: LabelMap, shape: tuple[int, ...]) -> LabelMap:
    """Return a label map in another shape (height, width), the outlines of the particles interpolated.

    Each particle's mask is interpolated, and a pixel belongs to the one with the largest value, if that is above half.
    """
    if labels.shape == tuple(shape):
        return labels
    result = np.zeros(shape, dtype=np.int32)
    largest = np.full(shape, 0.5, dtype=np.float32)
    y, x = (new / old for new, old in zip(shape, labels.shape, strict=True))
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        top, left = (max(side.start - 1, 0) for side in box)
        mask = (labels[top : box[0].stop + 1, left : box[1].stop + 1] == label).astype(np.float32)
        row, column = int(top * y), int(left * x)
        height = min(ceil(mask.shape[0] * y) + 1, shape[0] - row)
        width = min(ceil(mask.shape[1] * x) + 1, shape[1] - column)
        # pixel k of the result has its middle at (k + 1/2) / x - 1/2 in the label map
        there = np.array([[1 / x, 0, (column + 0.5) / x - 0.5 - left], [0, 1 / y, (row + 0.5) / y - 0.5 - top]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        value = cv2.warpAffine(mask, there, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
        part = (slice(row, row + height), slice(column, column + width))
        more = value > largest[part]
        result[part][more] = label
        largest[part][more] = value[more]
    return result


def _middle(shape: Sequence[int], sides: Sequence[int]) -> tuple[slice, ...]:
    """Return the part of these sides in the middle of an array."""
    return tuple(slice((whole - side) // 2, (whole + side) // 2) for whole, side in zip(shape, sides, strict=True))


def _agreement(one: LabelMap, other: LabelMap) -> float:
    return float(np.nan_to_num(match(one, other, _IOU).f1))


def _steadiest(with_next: dict[float, float]) -> float:
    """Return the magnification that agrees best with both neighbours, of equals the one nearest to 1.

    Parameters
    ----------
    with_next
        Agreement of each magnification with the next lower one.
    """
    steps = sorted(with_next, reverse=True)
    both = {each: with_next[higher] + with_next[each] for higher, each in pairwise(steps)}
    return max(both, key=lambda each: (both[each], min(each, 1 / each)), default=1.0)
