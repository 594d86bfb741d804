"""At which magnifications a network should see an image: those at which it agrees with itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod
from typing import Literal

import cv2
import numpy as np
from scipy import ndimage
from skimage.segmentation import relabel_sequential

from nanolab.core.checks import InputError, check_between
from nanolab.core.typing import FloatArray, Image, LabelMap
from nanolab.images.labels import remove_small
from nanolab.metrics.instance import match, overlaps

__all__ = [
    "MAGNIFICATIONS",
    "MAGNIFICATION_RANGE",
    "Fused",
    "Magnification",
    "best_of",
    "fused",
    "in_shape",
    "magnified",
    "parse_magnification",
    "pixels_seen",
    "steadiest",
    "survey",
    "worth_looking",
]


#: Magnifications in steps of the square root of two, the highest first; the first and the last are only compared with.
MAGNIFICATIONS = tuple(float(2 ** (-step / 2)) for step in range(-2, 7))

#: Between these an image is still seen, and fits into memory.
MAGNIFICATION_RANGE = (0.02, 16)

#: A factor, or the choice of one for each image.
Magnification = float | Literal["auto"]

_LEAST_SIDE_PX = 48  # below, there is no context left to see
_SAMPLE_PX = 2048  # the middle of a larger image decides for all of it
_IOU = 0.5
_BELIEVED, _CAUTION = 0.65, 4.0  # chosen on 47 images of EMPS and those of BAM, see DECISIONS.md
_SHARED = 0.25  # of a particle, at most, lies on those taken before


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


def survey(look: Callable[[Image, float], LabelMap], image: Image) -> dict[float, float]:
    """Return how well the particles found at each magnification agree with those found at its neighbours, 0 to 1.

    A network finds particles that have about the size of those it was trained on. Far larger ones fall to pieces and
    far smaller ones run together, into other pieces at each magnification, while particles that suit it are the same
    at the next higher and the next lower one. Agreement is F1 over particles at an IoU of 0.5, the mean of that with
    both neighbours; no annotation is needed. The two ends have one neighbour and are not among the answers: at the
    lowest, the few large pieces that are left agree with those before by chance. Magnifications above 1 cost most: each
    is looked at only where the one below it may be the best.

    Parameters
    ----------
    look
        Returns the particles in a part of the image, seen at a magnification, as a label map of the part's shape.
    image
        Shape (height, width); of an image above 2048 px its middle decides.
    """
    middle = tuple(slice(max(0, (side - _SAMPLE_PX) // 2), (side + _SAMPLE_PX) // 2) for side in image.shape)
    sample = image[middle]
    finest, finer, *others = MAGNIFICATIONS
    steps = [each for each in others if each == 1 or each * min(sample.shape) >= _LEAST_SIDE_PX]
    found = {each: look(sample, each) for each in steps}
    with_next = {each: _agreement(found[each], found[lower]) for each, lower in pairwise(steps)}
    if best_of(_means(with_next | {finer: 1.0})) != 1:  # even if 1 agreed wholly with the next higher
        return _means(with_next)
    found[finer] = look(sample, finer)
    with_next[finer] = _agreement(found[finer], found[1])
    if best_of(_means(with_next)) == 1:
        with_next[finest] = _agreement(look(sample, finest), found[finer])
    return _means(with_next)


def best_of(agreement: Mapping[float, float]) -> float:
    """Return the magnification of the highest agreement, of equals the one nearest to 1; 1 if there is none."""
    return max(agreement, key=lambda each: (agreement[each], min(each, 1 / each)), default=1.0)


def worth_looking(agreement: Mapping[float, float]) -> list[float]:
    """Return the magnifications, highest first, at which particles may be believed, and their neighbours."""
    if len(agreement) < 2 or not any(agreement.values()):
        return [best_of(agreement)]
    best = max(agreement.values())
    believed = [each for each in agreement if 1 + _CAUTION * (agreement[each] - best) >= _BELIEVED]
    return [other for other in MAGNIFICATIONS if any(0.7 < other / each < 1.5 for each in believed)]


@dataclass(frozen=True, eq=False)
class Fused:
    """The particles of several magnifications in one label map, numbered 1 to N.

    Attributes
    ----------
    labels
        Shape (height, width).
    scores
        Shape (N,), by which each was preferred to others; NaN where there was nothing to choose from.
    """

    labels: LabelMap
    scores: FloatArray

    def without_small(self, min_area_px: int) -> "Fused":
        """Return the particles of at least so many pixels."""
        areas = np.bincount(self.labels.ravel(), minlength=len(self.scores) + 1)[1:]
        return Fused(remove_small(self.labels, min_area_px), self.scores[areas >= max(min_area_px, 1)])


def fused(
    found: Mapping[float, LabelMap], scores: Mapping[float, FloatArray], shape: tuple[int, ...], least: float = 0.0
) -> Fused:
    """Return the particles of highest score, from whichever magnification, that do not lie on those taken before.

    Parameters
    ----------
    found
        Label map of each magnification, numbered 1 to N.
    scores
        Of each particle, shape (N,).
    shape
        Of all label maps, (height, width).
    least
        Score that a particle needs.
    """
    ranked = sorted(
        (
            (score, each, label)
            for each, of_it in scores.items()
            for label, score in enumerate(of_it.tolist(), start=1)
            if score >= least
        ),
        reverse=True,
    )
    boxes = {each: ndimage.find_objects(found[each]) for each in scores}
    result = np.zeros(shape, dtype=np.int32)
    for number, (_, each, label) in enumerate(ranked, start=1):
        box = boxes[each][label - 1] if label <= len(boxes[each]) else None
        if box is None:  # nothing is left of it in this shape
            continue
        mask = found[each][box] == label
        there = result[box]
        if np.count_nonzero(there[mask]) <= _SHARED * np.count_nonzero(mask):
            there[mask & (there == 0)] = number
    labels, _, taken = relabel_sequential(result)
    return Fused(
        labels.astype(np.int32, copy=False), np.array([ranked[number - 1][0] for number in np.asarray(taken)[1:]])
    )


def steadiest(found: Mapping[float, LabelMap], agreement: Mapping[float, float]) -> Fused:
    """Return the particles that are steady from one magnification to the next, each from where it is steadiest.

    One magnification serves particles of one size; of others, what is found there at neighbouring magnifications as
    well is right more often than what is found once. A particle's steadiness is its largest IoU with a particle of a
    neighbouring magnification, less `4` times what its own magnification agrees worse than the best one does. From the
    steadiest on, particles are taken that do not lie on those taken before, down to a steadiness of 0.65. The idea is
    that of maximally stable regions (Matas et al., 10.1016/j.imavis.2004.02.006).

    Parameters
    ----------
    found
        Label map of each magnification, all of one shape (height, width).
    agreement
        Of `survey`; only of its magnifications particles are taken.
    """
    if len(found) == 1:
        labels = next(iter(found.values()))
        return Fused(labels, np.full(int(labels.max(initial=0)), np.nan))
    order = sorted(found, reverse=True)
    best, likeness = max(agreement.values()), _likeness(found, order)
    scores = {each: likeness[each] + _CAUTION * (agreement[each] - best) for each in order if each in agreement}
    return fused(found, scores, found[order[0]].shape, _BELIEVED)


def _likeness(found: Mapping[float, LabelMap], order: list[float]) -> dict[float, FloatArray]:
    """Return for each particle of each magnification the largest IoU with one of a neighbouring magnification."""
    result = {each: np.zeros(int(found[each].max(initial=0)) + 1) for each in order}
    for higher, lower in pairwise(order):
        both = overlaps(found[higher], found[lower])
        np.maximum.at(result[higher], both.true_labels[both.rows], both.ious)
        np.maximum.at(result[lower], both.found_labels[both.cols], both.ious)
    return {each: of_it[1:] for each, of_it in result.items()}


def pixels_seen(shape: tuple[int, ...], magnification: Magnification) -> float:
    """Return about how many pixels a network sees of an image of this shape at the most: progress is told by them."""
    if magnification != "auto":
        return prod(shape) * magnification**2
    sample = tuple(min(side, _SAMPLE_PX) for side in shape)
    again = 0 if sample == shape else prod(shape)  # what was seen of a whole image is kept
    return (prod(sample) + again) * sum(each**2 for each in MAGNIFICATIONS)


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


def _agreement(one: LabelMap, other: LabelMap) -> float:
    both = match(one, other, _IOU)
    return 2 * both.tp / (2 * both.tp + both.fp + both.fn + 1)


def _means(with_next: dict[float, float]) -> dict[float, float]:
    """Return the mean agreement with both neighbours, from that of each magnification with the next lower one."""
    steps = sorted(with_next, reverse=True)
    return {each: (with_next[higher] + with_next[each]) / 2 for higher, each in pairwise(steps)}
