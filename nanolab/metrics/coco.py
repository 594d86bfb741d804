"""The average precision of COCO, for label maps of any number of particles.

Its definition is the code of pycocotools. That one takes Python loops over all pairs of particles at each threshold,
and at most 100 detections an image unless told otherwise; this one looks only at particles that overlap, has no such
limit, and gives the same number, which the tests see to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.metrics.instance import Overlaps
from nanolab.metrics.pixel import Counts, ratio

__all__ = ["COCO_IOUS", "CocoScores", "coco_scores"]

#: 0.50, 0.55, ..., 0.95, written as pycocotools computes them.
COCO_IOUS = np.linspace(0.5, 0.95, 10)

_RECALLS = np.linspace(0, 1, 101)
_HIGHEST_IOU = 1 - 1e-10  # pycocotools lets an IoU of 1 pass any threshold despite rounding


@dataclass(frozen=True, eq=False)
class CocoScores(Counts):
    """What is needed for the average precision; a sum pools images as COCO does, in one ranking of all detections.

    Attributes
    ----------
    hits
        Shape (10, found), whether each detection is matched at each of `COCO_IOUS`.
    ranks
        Shape (found,): the score of each detection, or None where the network gave none.
    n_true
        Annotated particles.
    """

    hits: npt.NDArray[np.bool_]
    ranks: npt.NDArray[np.float64] | None
    n_true: int

    @classmethod
    def pooled(cls, terms: "Sequence[CocoScores]") -> "CocoScores":
        """Return the sum of several, at least one.

        Raises
        ------
        InputError
            If some come with a ranking and others without.
        """
        ranks = [each.ranks for each in terms if each.ranks is not None]
        if len(ranks) not in (0, len(terms)):
            raise InputError(f"scores: of {len(terms)} pooled images, {len(ranks)} have some; must be all or none")
        hits = np.concatenate([each.hits for each in terms], axis=1)
        return cls(hits, np.concatenate(ranks) if ranks else None, sum(each.n_true for each in terms))

    @cached_property
    def by_iou(self) -> npt.NDArray[np.float64]:
        """Average precision at each of `COCO_IOUS`, shape (10,); NaN where no particle is annotated."""
        if not self.n_true:
            return np.full(len(COCO_IOUS), np.nan)
        if self.ranks is None:
            return np.array([self._without_ranks(int(row.sum())) for row in self.hits])
        order = np.argsort(-self.ranks, kind="stable")
        return np.array([self._area(row) for row in self.hits[:, order]])

    @property
    def ap(self) -> float:
        """AP, the mean over the thresholds 0.50, 0.55, ..., 0.95."""
        return float(self.by_iou.mean())

    @property
    def ap_50(self) -> float:
        """AP50, at an IoU of 0.50."""
        return float(self.by_iou[0])

    @property
    def ap_75(self) -> float:
        """AP75, at an IoU of 0.75."""
        return float(self.by_iou[5])

    def _area(self, hits: npt.NDArray[np.bool_]) -> float:
        """Return the mean, over 101 recalls, of the highest precision at that recall or beyond."""
        found = np.cumsum(hits)
        precision = found / np.arange(1, len(hits) + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(found / self.n_true, _RECALLS, side="left")
        return float(np.append(best, 0.0)[at].mean())

    def _without_ranks(self, tp: int) -> float:
        """Return the area where all detections rank the same and so enter the curve together."""
        return ratio(tp, self.hits.shape[1]) * float((tp / self.n_true >= _RECALLS).mean()) if tp else 0.0


def coco_scores(
    both: Overlaps,
    scores: npt.NDArray[np.floating] | None = None,
) -> CocoScores:
    """Match the particles of two label maps as COCO does (10.1007/978-3-319-10602-1_48).

    Parameters
    ----------
    both
        See `nanolab.metrics.instance.overlaps`.
    scores
        Shape (found,): how sure the network is of each particle, in the order of ascending labels. Without, no order
        of the particles is better than another, and they all enter the precision-recall curve at once, which is what
        pycocotools gives where the wrong ones come first: precision times recall, the latter rounded down to percent.

    Raises
    ------
    InputError
        If there is not one finite score for each particle found.
    """
    n_found = len(both.found_labels)
    if scores is None:
        return CocoScores(_hits(both, np.arange(n_found)), None, len(both.true_labels))
    ranks = np.asarray(scores, dtype=np.float64)
    if ranks.shape != (n_found,) or not np.isfinite(ranks).all():
        raise InputError(f"scores: must be {n_found} finite numbers, one a particle, got shape {ranks.shape}")
    return CocoScores(_hits(both, np.argsort(-ranks, kind="stable")), ranks, len(both.true_labels))


def _hits(both: Overlaps, order: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Give each detection, the surest first, the best particle that is left, at each threshold for itself."""
    thresholds = np.minimum(COCO_IOUS, _HIGHEST_IOU)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    near = np.flatnonzero(both.ious >= thresholds[0])
    near = near[
        np.lexsort((-both.rows[near], -both.ious[near], place[both.cols[near]]))
    ]  # of equals, the last particle
    hits = np.zeros((len(thresholds), len(both.found_labels)), dtype=bool)
    taken = np.zeros((len(thresholds), len(both.true_labels)), dtype=bool)
    for row, col, iou in zip(both.rows[near], both.cols[near], both.ious[near], strict=True):
        pair = (iou >= thresholds) & ~taken[:, row] & ~hits[:, col]
        taken[pair, row] = hits[pair, col] = True
    return hits
