"""How well the outlines are found, with a tolerance in pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_label_map, check_same_shape
from nanolab.metrics.pixel import Counts, ratio

__all__ = ["BoundaryScores", "boundary_scores", "outlines"]


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
    if not (np.isfinite(tolerance_px) and tolerance_px >= 0):
        raise InputError(f"boundary tolerance: must be a number of px, 0 or above, got {tolerance_px}")
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
