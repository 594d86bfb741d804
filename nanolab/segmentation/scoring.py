"""How well a network segments annotated images, one by one and in groups."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.labels import write_labels
from nanolab.metrics.comparison import SegmentationComparison, compare, pooled
from nanolab.segmentation.segmenter import Segmenter

__all__ = ["compare_images", "score_groups"]


def compare_images(
    segmenter: Segmenter,
    samples: Iterable[AnnotatedImage],
    *,
    min_area_px: int,
    iou: float = 0.5,
    found_in: Path | None = None,
    progress: bool = True,
) -> dict[str, SegmentationComparison]:
    """Segment annotated images and compare what is found with the annotation, by name of the image.

    Parameters
    ----------
    min_area_px
        Smaller particles, annotated or found, are not counted.
    found_in
        Folder for the label maps that are found, `<image>.tif` each; they are not kept if None.

    Raises
    ------
    InputError
        If an image has no annotation.
    """
    comparisons = {}
    for sample in tqdm(samples, desc="segment", unit="image", disable=not progress):
        if sample.labels is None:
            raise InputError(f"{sample.path}: has no annotation to compare with; leave it out")
        found = segmenter.find(sample.image, pixel_size_nm=sample.pixel_size.nm)
        if found_in is not None:
            write_labels(found_in / f"{Path(sample.name).name}.tif", found.labels, pixel_size=sample.pixel_size)
        comparisons[sample.name] = compare(
            sample.labels,
            found.labels,
            pixel_size_nm=sample.pixel_size.nm,
            iou=iou,
            min_area_px=min_area_px,
            scores=found.scores,
        )
    return comparisons


def score_groups(
    comparisons: Mapping[str, SegmentationComparison], groups: Mapping[str, str] | None = None, *, iou: float = 0.5
) -> pd.DataFrame:
    """Return the pooled scores of each group of images and of all, one row each; column `images` counts them.

    Parameters
    ----------
    comparisons
        Of `compare_images`, with the same `iou`.
    groups
        Group of an image by its name; images without one count among all only.
    """
    members: dict[str, list[SegmentationComparison]] = {}
    for name, comparison in comparisons.items():
        if groups and name in groups:
            members.setdefault(groups[name], []).append(comparison)
    members = dict(sorted(members.items())) | {"all": list(comparisons.values())}
    rows = {group: {"images": len(of), **pooled(of).scores(iou)} for group, of in members.items()}
    return pd.DataFrame.from_dict(rows, orient="index")
