"""How well the particle area is found, pixel by pixel."""

import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import check_same_shape

__all__ = ["Counts", "PixelScores", "pixel_scores", "ratio"]


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN where nothing can be said because `whole` is 0."""
    return part / whole if whole else float("nan")


class Counts:
    """Counts in a dataclass; a sum pools images."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))  # type: ignore[arg-type]


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
        both = (self.iou, ratio(self.tn, self.tn + self.fp + self.fn))
        defined = [value for value in both if not math.isnan(value)]
        return sum(defined) / len(defined) if defined else math.nan

    @property
    def kappa(self) -> float:
        """Cohen's kappa (10.1177/001316446002000104), agreement beyond that by chance: 1 perfect, 0 chance.

        NaN where truth and prediction are both all particle or both all background.
        """
        n = self.tp + self.fp + self.fn + self.tn
        chance = (self.tp + self.fp) * (self.tp + self.fn) + (self.tn + self.fp) * (self.tn + self.fn)
        return ratio(n * (self.tp + self.tn) - chance, n * n - chance)


def pixel_scores(truth: npt.NDArray[np.generic], predicted: npt.NDArray[np.generic]) -> PixelScores:
    """Compare two masks or label maps, shape (height, width), every value other than 0 being particle."""
    check_same_shape(truth, predicted, "truth and prediction")
    true, found = truth != 0, predicted != 0
    tp = int(np.count_nonzero(true & found))
    fp = int(np.count_nonzero(found)) - tp
    fn = int(np.count_nonzero(true)) - tp
    return PixelScores(tp, fp, fn, true.size - tp - fp - fn)
