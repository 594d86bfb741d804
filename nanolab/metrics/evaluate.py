"""Segmentation against annotation: one image, many, or two folders."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.typing import AnyLabelMap
from nanolab.images.folders import bare_stems, label_files
from nanolab.images.labels import read_labels
from nanolab.images.pixel_size import pixel_size_from_metadata
from nanolab.metrics.bootstrap import intervals
from nanolab.metrics.comparison import IOU, CompareOptions, Scores, SegmentationComparison, compare, pooled

__all__ = ["evaluate", "evaluate_folders", "evaluate_many", "summarise"]


def evaluate(
    truth: AnyLabelMap,
    predicted: AnyLabelMap,
    *,
    pixel_size_nm: float | None,
    scores: npt.NDArray[np.floating] | None = None,
    **options: Unpack[CompareOptions],
) -> Scores:
    """Return the scores of one image, ready for JSON; the parameters are those of `compare`.

    Returns
    -------
    scores
        None where a score is undefined, such as a precision where nothing was found.

        Of the pixels `dice` (which is F1), `precision`, `recall`, `accuracy`, `iou`, `miou` and `mdice` (means of the
        IoU and the Dice of particle and of background) and Cohen's `kappa`.

        Of the particles, each matched with at most one, `instance_precision_50`, `instance_recall_50`,
        `instance_f1_50` and `stardist_ap_50` (TP / (TP + FP + FN), which StarDist calls AP); the number is the
        threshold `iou` in percent. Whatever `iou` is, `panoptic_quality` takes pairs above 0.5, and `coco_ap`,
        `coco_ap_50` and `coco_ap_75` are areas under the precision-recall curve.

        Of the outlines `boundary_precision_2px`, `boundary_recall_2px`, `boundary_f1_2px`; the number is `boundary_px`.
        Of the topology `warping_error`, the share of pixels that no warping can mend, and `n_warping_errors`, the
        places where they are.

        Of the counts `n_found`, `n_annotated`, `count_error` (found - annotated), `count_error_relative` (by annotated)
        and `count_error_absolute_mean` (mean of its absolute value over images).

        Of the sizes the median ECD of all particles, `median_ecd_found_nm` and `median_ecd_annotated_nm`, the
        Wasserstein distance of both distributions `ecd_wasserstein_nm` (all three end in `_px` where the pixel size is
        unknown) and their Kolmogorov-Smirnov distance `ecd_ks`.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.kron(np.array([[1, 0], [0, 2]]), np.ones((8, 8), int))
    >>> scores = evaluate(truth, np.where(truth == 1, 1, 0), pixel_size_nm=None)
    >>> scores["dice"], scores["instance_recall_50"], scores["count_error"]
    (0.6666666666666666, 0.5, -1)
    """
    comparison = compare(truth, predicted, pixel_size_nm=pixel_size_nm, scores=scores, **options)
    return comparison.scores(options.get("iou", IOU))


def evaluate_many(
    pairs: Mapping[str, tuple[AnyLabelMap, AnyLabelMap]] | Iterable[tuple[str, tuple[AnyLabelMap, AnyLabelMap]]],
    *,
    pixel_size_nm: float | Mapping[str, float | None] | None,
    seed: int = 0,
    **options: Unpack[CompareOptions],
) -> dict[str, Any]:
    """Compare the label maps of many images; the other parameters are those of `compare`.

    Parameters
    ----------
    pairs
        Truth and prediction by the name of the image, or such items one after the other, so that not all need be in
        memory.
    pixel_size_nm
        One for all, or by name.
    seed
        Of the bootstrap.

    Returns
    -------
    result
        See `summarise`.
    """
    comparisons = {}
    for name, (truth, predicted) in pairs.items() if isinstance(pairs, Mapping) else pairs:
        nm = pixel_size_nm[name] if isinstance(pixel_size_nm, Mapping) else pixel_size_nm
        comparisons[name] = compare(truth, predicted, pixel_size_nm=nm, **options)
    return summarise(comparisons, iou=options.get("iou", IOU), seed=seed)


def summarise(comparisons: Mapping[str, SegmentationComparison], *, iou: float = IOU, seed: int = 0) -> dict[str, Any]:
    """Return the scores of each image and of all, ready for JSON.

    Parameters
    ----------
    comparisons
        By the name of the image, each of `compare` with this `iou`.
    seed
        Of the bootstrap.

    Returns
    -------
    result
        `images`, the scores of `evaluate` by name; `pooled`, those of all images together, in which each pixel and
        each particle weighs the same; `intervals`, [low, high] of each pooled score: 95 % percentile intervals of a
        bootstrap over images (see `nanolab.metrics.bootstrap.intervals`), none for a single image.
    """
    return {
        "images": {name: each.scores(iou) for name, each in comparisons.items()},
        "pooled": pooled(comparisons.values()).scores(iou),
        "intervals": intervals(list(comparisons.values()), iou, seed=seed),
    }


def evaluate_folders(
    truth_dir: Path | str,
    pred_dir: Path | str,
    *,
    seed: int = 0,
    **options: Unpack[CompareOptions],
) -> dict[str, Any]:
    """Compare the label maps of two folders by stem; the other parameters are those of `compare`.

    The stem is the file name without its suffix and without the endings that annotations have: `.labels` (what nanolab
    writes), `_m` (what the BAM masks have), and the others of `nanolab.images.folders.bare_stems`. Where a folder holds
    files `*.labels.tif`, only these count. Binary masks are split into particles (see
    `nanolab.images.labels.read_labels`).

    Parameters
    ----------
    seed
        Of the bootstrap.

    Returns
    -------
    result
        `settings`; `images`, `pooled` and `intervals` as for `summarise`; `errors`, a message by stem for what has no
        partner or cannot be compared, which does not stop the others.

    Raises
    ------
    InputError
        If a setting is out of its range, a folder is missing or without label maps, or no image could be compared.
    """
    settings: CompareOptions = {"iou": IOU, "min_area_px": 0, "boundary_px": 2, "warping": True, **options}
    compare(*np.zeros((2, 2, 2), dtype=np.int32), pixel_size_nm=None, **settings)  # refuses settings before it reads
    truth, predicted = _by_stem(Path(truth_dir)), _by_stem(Path(pred_dir))
    comparisons: dict[str, SegmentationComparison] = {}
    errors: dict[str, str] = {}
    for stem in sorted(truth.keys() | predicted.keys()):
        try:
            comparisons[stem] = _compare_files(
                _only(truth, stem, truth_dir), _only(predicted, stem, pred_dir), **settings
            )
        except InputError as error:
            errors[stem] = str(error)
    if not comparisons:
        # what is wrong with a pair says more than what has no partner
        why = min(errors, key=lambda stem: stem not in truth or stem not in predicted)
        raise InputError(f"{truth_dir} and {pred_dir}: no image could be compared; {errors[why]}")
    return {
        "settings": {**settings, "seed": seed},
        **summarise(comparisons, iou=settings["iou"], seed=seed),
        "errors": errors,
    }


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in label_files(folder):
        found.setdefault(_bare(path.stem), []).append(path)
    return found


def _bare(stem: str) -> str:
    shorter = bare_stems(stem)
    return _bare(min(shorter, key=len)) if shorter else stem


def _only(files: Mapping[str, list[Path]], stem: str, folder: Path | str) -> Path:
    paths = files.get(stem, [])
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise InputError(f"{folder}: must hold one label map of {stem}, found {names}")
    return paths[0]


def _compare_files(truth: Path, predicted: Path, **settings: Unpack[CompareOptions]) -> SegmentationComparison:
    sizes = [pixel_size_from_metadata(path).nm for path in (predicted, truth)]
    pixel_size_nm = next((size for size in sizes if size is not None), None)
    labels = read_labels(truth), read_labels(predicted)
    if labels[0].shape != labels[1].shape:
        raise InputError(
            f"{predicted}: must have the size of {truth}, {labels[0].shape}, got {labels[1].shape}; segment the images "
            "that the annotation is of, such as those next to it in its data set"
        )
    return compare(*labels, pixel_size_nm=pixel_size_nm, **settings)
