"""One image's segmentation against its annotation, and several pooled."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_label_map, check_positive
from nanolab.images.labels import relabel, remove_small
from nanolab.measurement.comparison import size_distances
from nanolab.measurement.particles import equivalent_diameter
from nanolab.metrics.coco import CocoScores, coco_scores
from nanolab.metrics.instance import InstanceScores, PanopticScores, match_overlaps, overlaps, panoptic_scores
from nanolab.metrics.pixel import BoundaryScores, PixelScores, boundary_scores, pixel_scores, ratio
from nanolab.metrics.topology import WarpingScores, warping_scores

__all__ = ["IOU", "CompareOptions", "Scores", "SegmentationComparison", "compare", "pooled"]

#: What `evaluate` gives: ready for JSON, None where a score is undefined.
Scores = dict[str, float | int | None]
#: At which intersection over union two particles are the same, unless told otherwise.
IOU = 0.5
Sizes = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SegmentationComparison:
    """What one image, or several pooled by `+`, contribute to the scores.

    Attributes
    ----------
    pixels, instances, panoptic, coco, boundary
        What is counted for each kind of score.
    warping
        Likewise for the warping error; None where it was not asked for.
    ecd_found, ecd_annotated
        Shape (particles,): equivalent circular diameters in `unit`.
    unit
        "nm", "px" where the pixel size is unknown, or None where images of both kinds were pooled.
    boundary_px
        Tolerance of `boundary`.
    images, miscounted
        Number of images, and the sum over them of |found - annotated| particles.
    """

    pixels: PixelScores
    instances: InstanceScores
    panoptic: PanopticScores
    coco: CocoScores
    boundary: BoundaryScores
    warping: WarpingScores | None
    ecd_found: Sizes
    ecd_annotated: Sizes
    unit: str | None
    boundary_px: float
    images: int
    miscounted: int

    def __add__(self, other: "SegmentationComparison") -> "SegmentationComparison":
        return pooled([self, other])

    def scores(self, iou: float) -> Scores:
        """Return the scores, ready for JSON, under the names listed at `nanolab.metrics.evaluate.evaluate`.

        Parameters
        ----------
        iou
            The threshold at which the instances were matched; it is part of their names: `instance_f1_50`.
        """
        scores = {
            **self._of_pixels(),
            **self._of_particles(f"{100 * iou:g}"),
            **self._of_shape(f"{self.boundary_px:g}px"),
            **self._of_counts(),
            **self._of_sizes(),
        }
        return {key: None if math.isnan(value) else value for key, value in scores.items()}

    def _of_pixels(self) -> dict[str, float]:
        names = ("dice", "precision", "recall", "accuracy", "iou", "miou", "mdice", "kappa")
        return {name: getattr(self.pixels, name) for name in names}

    def _of_particles(self, percent: str) -> dict[str, float]:
        return {
            f"instance_precision_{percent}": self.instances.precision,
            f"instance_recall_{percent}": self.instances.recall,
            f"instance_f1_{percent}": self.instances.f1,
            f"stardist_ap_{percent}": self.instances.stardist_ap,
            "panoptic_quality": self.panoptic.panoptic_quality,
            "coco_ap": self.coco.ap,
            "coco_ap_50": self.coco.ap_50,
            "coco_ap_75": self.coco.ap_75,
        }

    def _of_shape(self, tolerance: str) -> dict[str, float]:
        scores = {
            f"boundary_precision_{tolerance}": self.boundary.precision,
            f"boundary_recall_{tolerance}": self.boundary.recall,
            f"boundary_f1_{tolerance}": self.boundary.f1,
        }
        if self.warping is not None:
            scores |= {"warping_error": self.warping.error, "n_warping_errors": self.warping.places}
        return scores

    def _of_counts(self) -> dict[str, float]:
        found, annotated = len(self.ecd_found), len(self.ecd_annotated)
        return {
            "n_found": found,
            "n_annotated": annotated,
            "count_error": found - annotated,
            "count_error_relative": ratio(found - annotated, annotated),
            "count_error_absolute_mean": self.miscounted / self.images,
        }

    def _of_sizes(self) -> dict[str, float]:
        if self.unit is None:
            return {}
        ks, wasserstein = size_distances(self.ecd_found, self.ecd_annotated)
        return {
            f"median_ecd_found_{self.unit}": _median(self.ecd_found),
            f"median_ecd_annotated_{self.unit}": _median(self.ecd_annotated),
            f"ecd_wasserstein_{self.unit}": wasserstein,
            "ecd_ks": ks,
        }


class CompareOptions(TypedDict, total=False):
    """What can be chosen of a comparison; see `compare`."""

    iou: float
    min_area_px: int
    boundary_px: float
    warping: bool


def compare(
    truth: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    *,
    pixel_size_nm: float | None,
    iou: float = IOU,
    min_area_px: int = 0,
    boundary_px: float = 2,
    warping: bool = True,
    scores: npt.NDArray[np.floating] | None = None,
) -> SegmentationComparison:
    """Compare two label maps, shape (height, width).

    Parameters
    ----------
    pixel_size_nm
        Edge of a pixel; None where it is unknown, the diameters then are in px.
    iou
        Threshold for matching particles, 0 < iou <= 1.
    min_area_px
        Particles of fewer pixels are left out of what is counted, matched, outlined, warped and measured, in both
        label maps. The pixel scores always take both as they are.
    boundary_px
        How far outlines may lie apart and still agree.
    warping
        Whether the warping error is wanted, which takes longest.
    scores
        Shape (found,): how sure the network is of each particle found, in the order of ascending labels; for COCO's
        average precision (see `nanolab.metrics.coco.coco_scores`).

    Examples
    --------
    >>> truth, found = np.zeros((2, 8, 8), dtype=np.int32)
    >>> truth[1:5, 1:5], found[1:5, 1:4] = 1, 1
    >>> scores = compare(truth, found, pixel_size_nm=2.0)
    >>> scores.pixels.precision, scores.pixels.recall, scores.instances.f1
    (1.0, 0.75, 1.0)
    """
    if pixel_size_nm is not None:
        check_positive(pixel_size_nm, "pixel size", "nm")
    pixels = pixel_scores(truth, predicted)
    annotated, found = remove_small(truth, min_area_px), remove_small(predicted, min_area_px)
    both = overlaps(annotated, found)
    sizes = _diameters(found, pixel_size_nm), _diameters(annotated, pixel_size_nm)
    return SegmentationComparison(
        pixels,
        match_overlaps(both, iou),
        panoptic_scores(match_overlaps(both, 0.5)),
        coco_scores(both, None if scores is None else _kept(scores, predicted, min_area_px)),
        boundary_scores(annotated, found, boundary_px),
        warping_scores(annotated, found) if warping else None,
        *sizes,
        "px" if pixel_size_nm is None else "nm",
        boundary_px,
        images=1,
        miscounted=abs(len(sizes[0]) - len(sizes[1])),
    )


def pooled(comparisons: Iterable[SegmentationComparison]) -> SegmentationComparison:
    """Add up the counts and particles of several images, at least one, so that each particle weighs the same."""
    terms = list(comparisons)
    if not terms:
        raise InputError("comparisons: at least one image is needed to pool, got none")
    units, tolerances = {each.unit for each in terms}, {each.boundary_px for each in terms}
    if len(tolerances) > 1:
        raise InputError(f"boundary_px: must be one for all pooled images, got {sorted(tolerances)}")
    warpings = [each.warping for each in terms if each.warping is not None]
    return SegmentationComparison(
        PixelScores.pooled([each.pixels for each in terms]),
        InstanceScores.pooled([each.instances for each in terms]),
        PanopticScores.pooled([each.panoptic for each in terms]),
        CocoScores.pooled([each.coco for each in terms]),
        BoundaryScores.pooled([each.boundary for each in terms]),
        WarpingScores.pooled(warpings) if len(warpings) == len(terms) else None,
        np.concatenate([each.ecd_found for each in terms]),
        np.concatenate([each.ecd_annotated for each in terms]),
        units.pop() if len(units) == 1 else None,
        tolerances.pop(),
        images=sum(each.images for each in terms),
        miscounted=sum(each.miscounted for each in terms),
    )


def _median(values: Sizes) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _diameters(labels: npt.NDArray[np.int32], pixel_size_nm: float | None) -> Sizes:
    return equivalent_diameter(np.bincount(labels.ravel())[1:]) * (pixel_size_nm or 1)


def _kept(
    scores: npt.NDArray[np.floating], predicted: npt.NDArray[np.integer], min_area_px: int
) -> npt.NDArray[np.floating]:
    check_label_map(predicted, "prediction")
    areas = np.bincount(relabel(predicted).ravel())[1:]
    scores = np.asarray(scores)
    if scores.shape != areas.shape:
        raise InputError(f"scores: must be {len(areas)} numbers, one a particle found, got shape {scores.shape}")
    return scores[areas >= min_area_px]
