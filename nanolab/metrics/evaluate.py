"""Segmentation against annotation: one image, a folder, and both pooled."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.checks import InputError, check_positive
from nanolab.labels import read_labels, remove_small
from nanolab.metrics.instance import InstanceScores, match
from nanolab.metrics.pixel import PixelScores, pixel_scores
from nanolab.pixelsize import pixel_size_from_metadata
from nanolab.sizes import equivalent_diameter

__all__ = ["Comparison", "compare", "evaluate", "evaluate_folders", "pooled"]

_SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What one image, or several pooled by `+`, contribute to the scores.

    Attributes
    ----------
    pixels, instances
        Counts of pixels and of particles.
    ecd_found, ecd_annotated
        Shape (particles,): equivalent circular diameters in `unit`.
    unit
        "nm", "px" where the pixel size is unknown, or None where images of both kinds were pooled.
    """

    pixels: PixelScores
    instances: InstanceScores
    ecd_found: npt.NDArray[np.float64]
    ecd_annotated: npt.NDArray[np.float64]
    unit: str | None

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.pixels + other.pixels,
            self.instances + other.instances,
            np.concatenate([self.ecd_found, other.ecd_found]),
            np.concatenate([self.ecd_annotated, other.ecd_annotated]),
            self.unit if self.unit == other.unit else None,
        )

    def scores(self, iou: float) -> dict[str, float | int | None]:
        """Return the scores, ready for JSON; None where one is undefined.

        Parameters
        ----------
        iou
            The threshold at which the instances were matched; it is part of their names: `instance_f1_50`.
        """
        percent = f"{100 * iou:g}"
        scores = {
            "dice": self.pixels.dice,
            "precision": self.pixels.precision,
            "recall": self.pixels.recall,
            "accuracy": self.pixels.accuracy,
            "iou": self.pixels.iou,
            f"instance_precision_{percent}": self.instances.precision,
            f"instance_recall_{percent}": self.instances.recall,
            f"instance_f1_{percent}": self.instances.f1,
            "n_found": len(self.ecd_found),
            "n_annotated": len(self.ecd_annotated),
        }
        if self.unit is not None:
            scores[f"median_ecd_found_{self.unit}"] = _median(self.ecd_found)
            scores[f"median_ecd_annotated_{self.unit}"] = _median(self.ecd_annotated)
        return {key: None if math.isnan(value) else value for key, value in scores.items()}


def compare(
    truth: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    *,
    pixel_size_nm: float | None,
    iou: float = 0.5,
    min_area_px: int = 0,
) -> Comparison:
    """Compare two label maps, shape (height, width).

    Parameters
    ----------
    pixel_size_nm
        Edge of a pixel; None where it is unknown, the diameters then are in px.
    iou
        Threshold for matching particles, 0 < iou <= 1.
    min_area_px
        Particles of fewer pixels are left out of what is counted, matched and measured, in both label maps. The pixel
        scores always take both as they are.
    """
    if pixel_size_nm is not None:
        check_positive(pixel_size_nm, "pixel size", "nm")
    pixels = pixel_scores(truth, predicted)
    annotated, found = remove_small(truth, min_area_px), remove_small(predicted, min_area_px)
    return Comparison(
        pixels,
        match(annotated, found, iou),
        _diameters(found, pixel_size_nm),
        _diameters(annotated, pixel_size_nm),
        "px" if pixel_size_nm is None else "nm",
    )


def pooled(comparisons: Iterable[Comparison]) -> Comparison:
    """Add up the counts and particles of several images, at least one, so that each particle weighs the same."""
    return reduce(add, comparisons)


def evaluate(
    truth: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    *,
    pixel_size_nm: float | None,
    iou: float = 0.5,
    min_area_px: int = 0,
) -> dict[str, float | int | None]:
    """Return the scores of one image, ready for JSON; the parameters are those of `compare`.

    Returns
    -------
    scores
        Of the pixels `dice`, `precision`, `recall`, `accuracy`, `iou`; of the particles `instance_precision_50`,
        `instance_recall_50`, `instance_f1_50` (the number is the threshold in percent), `n_found`, `n_annotated`,
        and the median ECD of all particles, `median_ecd_found_nm` and `median_ecd_annotated_nm` (or `_px`).
    """
    comparison = compare(truth, predicted, pixel_size_nm=pixel_size_nm, iou=iou, min_area_px=min_area_px)
    return comparison.scores(iou)


def evaluate_folders(
    truth_dir: Path | str, pred_dir: Path | str, *, iou: float = 0.5, min_area_px: int = 0
) -> dict[str, Any]:
    """Compare the label maps of two folders by stem.

    The stem is the file name without `.tif`, `.tiff` or `.png`, and without a trailing `.labels` (what nanolab writes)
    or `_m` (what the BAM masks have). Where a folder holds files `*.labels.tif`, only these count. Binary masks
    are split into particles (see `nanolab.labels.read_labels`).

    Returns
    -------
    result
        `settings`; `images`, the scores of `evaluate` by stem; `pooled`, those of all images together; `errors`, a
        message by stem for what has no partner or cannot be compared, which does not stop the others.

    Raises
    ------
    InputError
        If a folder is missing or without label maps, or no image could be compared.
    """
    truth, predicted = _by_stem(Path(truth_dir)), _by_stem(Path(pred_dir))
    comparisons: dict[str, Comparison] = {}
    errors: dict[str, str] = {}
    for stem in sorted(truth.keys() | predicted.keys()):
        try:
            paths = _only(truth, stem, truth_dir), _only(predicted, stem, pred_dir)
            comparisons[stem] = _compare_files(*paths, iou=iou, min_area_px=min_area_px)
        except InputError as error:
            errors[stem] = str(error)
    if not comparisons:
        raise InputError(f"{truth_dir} and {pred_dir}: no image could be compared; {next(iter(errors.values()))}")
    return {
        "settings": {"iou": iou, "min_area_px": min_area_px},
        "images": {stem: each.scores(iou) for stem, each in comparisons.items()},
        "pooled": pooled(comparisons.values()).scores(iou),
        "errors": errors,
    }


def _median(values: npt.NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _diameters(labels: npt.NDArray[np.int32], pixel_size_nm: float | None) -> npt.NDArray[np.float64]:
    return equivalent_diameter(np.bincount(labels.ravel())[1:]) * (pixel_size_nm or 1)


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder of label maps, found none; check the path")
    files = [path for path in sorted(folder.glob("[!.]*")) if path.suffix.lower() in _SUFFIXES]
    files = [path for path in files if path.name.endswith(".labels.tif")] or files
    if not files:
        raise InputError(f"{folder}: must hold label maps ({', '.join(_SUFFIXES)}), found none; check the path")
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(path.stem.removesuffix(".labels").removesuffix("_m"), []).append(path)
    return found


def _only(files: Mapping[str, list[Path]], stem: str, folder: Path | str) -> Path:
    paths = files.get(stem, [])
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise InputError(f"{folder}: must hold one label map of {stem}, found {names}")
    return paths[0]


def _compare_files(truth: Path, predicted: Path, *, iou: float, min_area_px: int) -> Comparison:
    sizes = [pixel_size_from_metadata(path).nm for path in (predicted, truth)]
    pixel_size_nm = next((size for size in sizes if size is not None), None)
    labels = read_labels(truth), read_labels(predicted)
    if labels[0].shape != labels[1].shape:
        raise InputError(f"{predicted}: must have the size of {truth}, {labels[0].shape}, got {labels[1].shape}")
    return compare(*labels, pixel_size_nm=pixel_size_nm, iou=iou, min_area_px=min_area_px)
