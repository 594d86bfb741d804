"""How many particles are found, each for itself, and how well their areas fit."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array

from nanolab.core.checks import InputError, check_label_map, check_same_shape
from nanolab.core.typing import FloatArray
from nanolab.metrics.pixel import Counts, ratio

__all__ = ["InstanceScores", "Overlaps", "PanopticScores", "match", "match_overlaps", "overlaps", "panoptic_scores"]


Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class InstanceScores(Counts):
    """Counts of particles; a sum pools images.

    Attributes
    ----------
    pairs
        Shape (matched, 2): the label in the truth and the label in the prediction. A sum has those of its terms one
        after the other.
    ious
        Shape (matched,): intersection over union of each pair.
    fp
        Particles found that match none of the truth.
    fn
        Particles of the truth that none found matches.
    """

    pairs: Indices = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    ious: FloatArray = field(default_factory=lambda: np.empty(0))
    fp: int = 0
    fn: int = 0

    @property
    def tp(self) -> int:
        """Matched particles."""
        return len(self.ious)

    @property
    def precision(self) -> float:
        """Share of the found particles that match; NaN where none was found."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the true particles that are matched; NaN where there are none."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), not the TP / (TP + FP + FN) some call AP; NaN where there are no particles."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def stardist_ap(self) -> float:
        """TP / (TP + FP + FN), which StarDist (10.1007/978-3-030-00934-2_30) calls average precision.

        It is no area under a curve; for that see `nanolab.metrics.coco`. NaN where there are no particles.
        """
        return ratio(self.tp, self.tp + self.fp + self.fn)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The particles of two label maps, and which of them overlap how much.

    Attributes
    ----------
    true_labels, found_labels
        Shape (particles,): the labels of truth and prediction, ascending.
    rows, cols, ious
        Shape (pairs,): position in `true_labels`, in `found_labels`, and intersection over union of each pair that
        shares a pixel.
    """

    true_labels: Indices
    found_labels: Indices
    rows: Indices
    cols: Indices
    ious: FloatArray


def match(truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], iou: float = 0.5) -> InstanceScores:
    """Match the particles of two label maps, each with at most one of the other.

    Of all matchings whose pairs reach the threshold, the one with the most pairs is taken, and among those the one
    with the largest sum of intersections over union.

    Parameters
    ----------
    truth, predicted
        Shape (height, width), 0 = background.
    iou
        Threshold, 0 < iou <= 1; a pair counts if its intersection over union is equal or larger.
    """
    return match_overlaps(overlaps(truth, predicted), iou)


def match_overlaps(both: Overlaps, iou: float) -> InstanceScores:
    """Do what `match` does with overlaps that are known already."""
    if not 0 < iou <= 1:
        raise InputError(f"iou: the threshold must be above 0 and at most 1, got {iou}")
    reach = both.ious >= iou
    rows, cols, ious = _best(both.rows[reach], both.cols[reach], both.ious[reach])
    return InstanceScores(
        pairs=np.stack([both.true_labels[rows], both.found_labels[cols]], axis=1),
        ious=ious,
        fp=len(both.found_labels) - len(ious),
        fn=len(both.true_labels) - len(ious),
    )


def overlaps(truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer]) -> Overlaps:
    """Return which particles of two label maps, shape (height, width), overlap how much."""
    check_same_shape(truth, predicted, "truth and prediction")
    check_label_map(truth, "truth")
    check_label_map(predicted, "prediction")
    true_labels, true_at = _numbered(truth)
    found_labels, found_at = _numbered(predicted)
    shape = (len(true_labels), len(found_labels))
    pixels = coo_array((np.ones(truth.size, dtype=np.int64), (true_at, found_at)), shape=shape)
    table = pixels.tocsr().tocoo()  # adds up equal pairs without sorting all pixels
    true_area, found_area = table.sum(axis=1), table.sum(axis=0)
    particles = (true_labels[table.row] != 0) & (found_labels[table.col] != 0)
    rows, cols, common = table.row[particles], table.col[particles], table.data[particles]
    ious = common / (true_area[rows] + found_area[cols] - common)
    return Overlaps(
        true_labels[true_labels != 0].astype(np.int64),
        found_labels[found_labels != 0].astype(np.int64),
        rows - np.count_nonzero(true_labels == 0),  # positions without that of the background
        cols - np.count_nonzero(found_labels == 0),
        ious,
    )


def _numbered(labels: npt.NDArray[np.integer]) -> tuple[Indices, Indices]:
    """Return what np.unique does with return_inverse, without sorting where the labels are no larger than the image."""
    flat = labels.ravel()
    if not flat.size or flat.max() >= flat.size:
        present, at = np.unique(flat, return_inverse=True)
        return present, at
    is_present = np.bincount(flat) > 0
    return np.flatnonzero(is_present), (np.cumsum(is_present) - 1)[flat]


def _best(rows: Indices, cols: Indices, ious: FloatArray) -> tuple[Indices, Indices, FloatArray]:
    """Choose among candidate pairs those of the optimal matching.

    Pairs whose partners have no other candidate, nearly all of them, are taken at once; only the rest is assigned,
    so that thousands of particles need no matrix of all with all.
    """
    if not len(ious):
        return rows, cols, ious
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(cols)[cols] == 1)
    chosen = alone.copy()
    contested = np.flatnonzero(~alone)
    _, row_at = np.unique(rows[contested], return_inverse=True)
    _, col_at = np.unique(cols[contested], return_inverse=True)
    if len(contested):
        gain = np.zeros((row_at.max() + 1, col_at.max() + 1))
        gain[row_at, col_at] = len(contested) + ious[contested]  # one pair more outweighs any sum of IoU
        taken = np.zeros(gain.shape, dtype=bool)
        taken[linear_sum_assignment(gain, maximize=True)] = True
        chosen[contested] = taken[row_at, col_at]
    return rows[chosen], cols[chosen], ious[chosen]


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
