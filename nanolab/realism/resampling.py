"""The two sets to compare: opened from wherever they are, and brought to one pixel size."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage

__all__ = ["SAME_SIZE", "resample", "typical_pixel_size"]

#: Pixel sizes this close are one: a microscope's magnification is not known better.
SAME_SIZE = 0.02


def typical_pixel_size(samples: Sequence[AnnotatedImage]) -> float | None:
    """Return the median pixel size of a set in nm, or None if one is unknown; the first twenty images speak for it."""
    sizes = [sample.pixel_size.nm for sample in samples[:20]]
    known = [size for size in sizes if size is not None]
    return float(np.median(known)) if known and len(known) == len(sizes) else None


def resample(sample: AnnotatedImage, pixel_size_nm: float) -> AnnotatedImage:
    """Return a sample at another pixel size; itself if its own is the same to 2 %.

    Finer pixels are averaged over the area of a coarser one, which also averages their noise; coarser ones are
    interpolated. Each pixel keeps the label of the nearest one.

    Raises
    ------
    InputError
        If the pixel size of the sample is unknown.
    """
    if sample.pixel_size.nm is None:
        raise InputError(f"{sample.path}: its pixel size must be known to resample it; give it by hand or leave it out")
    factor = sample.pixel_size.nm / pixel_size_nm
    if abs(factor - 1) <= SAME_SIZE:
        return sample
    height, width = (max(1, round(side * factor)) for side in sample.image.shape)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    image = np.clip(cv2.resize(sample.image, (width, height), interpolation=method), 0, 1)
    labels = None
    if sample.labels is not None:
        rows = ((np.arange(height) + 0.5) / factor).astype(int).clip(max=sample.image.shape[0] - 1)
        columns = ((np.arange(width) + 0.5) / factor).astype(int).clip(max=sample.image.shape[1] - 1)
        labels = sample.labels[np.ix_(rows, columns)]
    source = replace(sample.pixel_size, nm=pixel_size_nm, detail=f"{sample.pixel_size.detail}; resampled")
    return replace(sample, image=image.astype(np.float32), labels=labels, pixel_size=source)
