"""Panoptic quality: how well the particles are found and how well their areas fit, in one number."""

from dataclasses import dataclass

import numpy as np

from nanolab.core.checks import InputError
from nanolab.metrics.instance import InstanceScores
from nanolab.metrics.pixel import Counts, ratio

__all__ = ["PanopticScores", "panoptic_scores"]


@dataclass(frozen=True)
class PanopticScores(Counts):
    """Counts of particles at an intersection over union (IoU) above 0.5; a sum pools images.

    Attributes
    ----------
    tp, fp, fn
        Pairs, particles found without a partner, and particles of the truth without one.
    iou_sum
        Sum of the pairs' IoU.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    iou_sum: float = 0.0

    @property
    def panoptic_quality(self) -> float:
        """Product of both others; 0 where there are particles and no pair, NaN where there are no particles."""
        return ratio(2 * self.iou_sum, 2 * self.tp + self.fp + self.fn)

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the pairs; NaN where there is none."""
        return ratio(self.iou_sum, self.tp)

    @property
    def recognition_quality(self) -> float:
        """TP / (TP + FP / 2 + FN / 2), the F1 of the particles; NaN where there are none."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def panoptic_scores(scores: InstanceScores) -> PanopticScores:
    """Return panoptic quality and its two factors for one class, particle (10.1109/CVPR.2019.00963, equations 1 and 2).

    There a pair counts if its IoU is above 0.5, and then each of the two has no other partner. `match` also keeps pairs
    at exactly 0.5; here such a pair is one particle too many and one missed.

    Parameters
    ----------
    scores
        Of `nanolab.metrics.instance.match` at its threshold 0.5, or a sum of such.

    Examples
    --------
    >>> import numpy as np
    >>> from nanolab.metrics.instance import match
    >>> scores = panoptic_scores(match(np.array([[1, 1, 1, 1, 2, 2]]), np.array([[1, 1, 1, 0, 2, 0]])))
    >>> scores.segmentation_quality, scores.recognition_quality, scores.panoptic_quality
    (0.75, 0.5, 0.375)
    """
    if (scores.ious < 0.5).any():
        raise InputError(
            f"panoptic quality: needs particles matched at an IoU of 0.5, got a pair at {scores.ious.min():.3g}; "
            "match them again with iou=0.5"
        )
    # A quotient of two counts of pixels is 0.5 in floating point only if it is 0.5, so that no tolerance is needed.
    above = scores.ious[scores.ious > 0.5]
    halves = scores.tp - len(above)
    return PanopticScores(len(above), scores.fp + halves, scores.fn + halves, float(np.sum(above)))
