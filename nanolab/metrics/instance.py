"""How many particles are found, each for itself."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array

from nanolab.checks import InputError, check_label_map, check_same_shape
from nanolab.metrics.pixel import ratio

__all__ = ["InstanceScores", "match"]

Indices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def _no_pairs() -> Indices:
    return np.empty((0, 2), dtype=np.int64)


def _no_ious() -> Values:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class InstanceScores:
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

    pairs: Indices = field(default_factory=_no_pairs)
    ious: Values = field(default_factory=_no_ious)
    fp: int = 0
    fn: int = 0

    def __add__(self, other: "InstanceScores") -> "InstanceScores":
        pairs, ious = np.concatenate([self.pairs, other.pairs]), np.concatenate([self.ious, other.ious])
        return InstanceScores(pairs, ious, self.fp + other.fp, self.fn + other.fn)

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
    check_same_shape(truth, predicted, "truth and prediction")
    check_label_map(truth, "truth")
    check_label_map(predicted, "prediction")
    if not 0 < iou <= 1:
        raise InputError(f"iou: the threshold must be above 0 and at most 1, got {iou}")
    true_labels, true_at = np.unique(truth, return_inverse=True)
    found_labels, found_at = np.unique(predicted, return_inverse=True)
    rows, cols, ious = _overlaps(true_at.ravel(), found_at.ravel(), true_labels != 0, found_labels != 0)
    reach = ious >= iou
    rows, cols, ious = _best(rows[reach], cols[reach], ious[reach])
    return InstanceScores(
        pairs=np.stack([true_labels[rows], found_labels[cols]], axis=1).astype(np.int64),
        ious=ious,
        fp=int(np.count_nonzero(found_labels)) - len(ious),
        fn=int(np.count_nonzero(true_labels)) - len(ious),
    )


def _overlaps(
    true_at: Indices, found_at: Indices, is_true: npt.NDArray[np.bool_], is_found: npt.NDArray[np.bool_]
) -> tuple[Indices, Indices, Values]:
    """Return each overlapping pair of particles, as indices of their labels, and its intersection over union."""
    shape = (len(is_true), len(is_found))
    table = coo_array((np.ones(true_at.size, dtype=np.int64), (true_at, found_at)), shape=shape)
    table.sum_duplicates()
    true_area, found_area = table.sum(axis=1), table.sum(axis=0)
    particles = is_true[table.row] & is_found[table.col]
    rows, cols, common = table.row[particles], table.col[particles], table.data[particles]
    return rows, cols, common / (true_area[rows] + found_area[cols] - common)


def _best(rows: Indices, cols: Indices, ious: Values) -> tuple[Indices, Indices, Values]:
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
