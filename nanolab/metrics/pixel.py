"""How well the particle area is found, pixel by pixel, and its outlines, with a tolerance in pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import check_between, check_label_map, check_same_shape

__all__ = ["BoundaryScores", "Counts", "PixelScores", "boundary_scores", "outlines", "pixel_scores", "ratio"]

_MOST_PX = 100  # farther apart outlines are not of one particle


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN where nothing can be said because `whole` is 0."""
    return part / whole if whole else float("nan")


class Counts:
    """Counts in a dataclass; a sum pools images: numbers are added, arrays joined."""

    def __add__(self, other: Self) -> Self:
        return self.pooled([self, other])

    @classmethod
    def pooled(cls, terms: Sequence[Self]) -> Self:
        """Return the sum of several, at least one."""
        columns = ([getattr(term, each.name) for term in terms] for each in fields(cls))  # type: ignore[arg-type]
        return cls(*(np.concatenate(each) if isinstance(each[0], np.ndarray) else sum(each) for each in columns))


@dataclass(frozen=True)
class PixelScores(Counts):
    """Counts of pixels, "positive" being particle; a sum pools images.

    Attributes
    ----------
    tp, fp, fn, tn
        True positive, false positive, false negative and true negative pixels.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @property
    def accuracy(self) -> float:
        """Share of pixels that are right."""
        return ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)

    @property
    def precision(self) -> float:
        """Share of the found area that is particle; NaN where nothing was found."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the particle area that was found; NaN where there is none."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def dice(self) -> float:
        """Dice coefficient, 2 TP / (2 TP + FP + FN), which for pixels is F1; NaN where both masks are empty."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """Intersection over union (Jaccard index) of the two areas; NaN where both masks are empty."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def miou(self) -> float:
        """Mean of the `iou` of particle and that of background; of the one there is where the image is all of a kind.

        It is the MIoU of 10.1371/journal.pone.0311228, equation 1, for two classes.
        """
        return _mean_of_defined(self.iou, ratio(self.tn, self.tn + self.fp + self.fn))

    @property
    def mdice(self) -> float:
        """Mean of the `dice` of particle and that of background; of the one there is where the image is all of a kind.

        It is what 10.1371/journal.pone.0311228 calls Dice: its MIoU, accuracy and kappa leave nothing else.
        """
        return _mean_of_defined(self.dice, ratio(2 * self.tn, 2 * self.tn + self.fp + self.fn))

    @property
    def kappa(self) -> float:
        """Cohen's kappa (10.1177/001316446002000104), agreement beyond that by chance: 1 perfect, 0 chance.

        NaN where truth and prediction are both all particle or both all background.
        """
        n = self.tp + self.fp + self.fn + self.tn
        chance = (self.tp + self.fp) * (self.tp + self.fn) + (self.tn + self.fp) * (self.tn + self.fn)
        return ratio(n * (self.tp + self.tn) - chance, n * n - chance)


def _mean_of_defined(*values: float) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def pixel_scores(truth: npt.NDArray[np.generic], predicted: npt.NDArray[np.generic]) -> PixelScores:
    """Compare two masks or label maps, shape (height, width), every value other than 0 being particle."""
    check_same_shape(truth, predicted, "truth and prediction")
    true, found = truth != 0, predicted != 0
    tp = int(np.count_nonzero(true & found))
    fp = int(np.count_nonzero(found)) - tp
    fn = int(np.count_nonzero(true)) - tp
    return PixelScores(tp, fp, fn, true.size - tp - fp - fn)


@dataclass(frozen=True)
class BoundaryScores(Counts):
    """Counts of outline pixels; a sum pools images.

    Attributes
    ----------
    found_near, found
        Pixels of the found outlines that lie near an annotated one, and all of them.
    true_near, true
        Pixels of the annotated outlines that lie near a found one, and all of them.
    """

    found_near: int = 0
    found: int = 0
    true_near: int = 0
    true: int = 0

    @property
    def precision(self) -> float:
        """Share of the found outlines near an annotated one; NaN where none was found."""
        return ratio(self.found_near, self.found)

    @property
    def recall(self) -> float:
        """Share of the annotated outlines near a found one; NaN where there is none."""
        return ratio(self.true_near, self.true)

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where only one side has outlines, NaN where none has."""
        if not (self.found and self.true):
            return 0.0 if self.found or self.true else float("nan")
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def boundary_scores(
    truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], tolerance_px: float
) -> BoundaryScores:
    """Compare the outlines of the particles of two label maps (10.5244/C.27.32).

    Parameters
    ----------
    truth, predicted
        Shape (height, width), 0 = background.
    tolerance_px
        An outline pixel is near another if their centres are at most so far apart.
    """
    check_same_shape(truth, predicted, "truth and prediction")
    check_label_map(truth, "truth")
    check_label_map(predicted, "prediction")
    check_between(tolerance_px, "boundary_px", 0, _MOST_PX)
    true, found = outlines(truth), outlines(predicted)
    return BoundaryScores(
        int(np.count_nonzero(found & _near(true, tolerance_px))),
        int(np.count_nonzero(found)),
        int(np.count_nonzero(true & _near(found, tolerance_px))),
        int(np.count_nonzero(true)),
    )


def outlines(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Return the particles' pixels with a 4-neighbour that is background or another particle.

    Where the border of the image cuts a particle it has no outline.
    """
    edge = np.zeros(labels.shape, dtype=bool)
    across, down = labels[:, :-1] != labels[:, 1:], labels[:-1] != labels[1:]
    edge[:, :-1] |= across
    edge[:, 1:] |= across
    edge[:-1] |= down
    edge[1:] |= down
    return edge & (labels != 0)


def _near(mask: npt.NDArray[np.bool_], distance_px: float) -> npt.NDArray[np.bool_]:
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    exact = np.sqrt(np.rint(away.astype(np.float64) ** 2))  # squared distances of centres are whole numbers
    return np.asarray(mask.any() & (exact <= distance_px))
