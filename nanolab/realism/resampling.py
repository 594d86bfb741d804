"""The two sets to compare: opened from wherever they are, and brought to one pixel size."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from nanolab.datasets.public import PUBLIC
from nanolab.datasets.public import samples as public_samples
from nanolab.core.checks import InputError, check_same_shape
from nanolab.datasets.dataset import Dataset, LazySamples
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read_micrograph
from nanolab.images.formats.image_file import IMAGE_SUFFIXES
from nanolab.datasets.annotated import Sample

__all__ = ["SAME_SIZE", "open_samples", "resample", "typical_pixel_size"]

#: Pixel sizes this close are one: a microscope's magnification is not known better.
SAME_SIZE = 0.02


def open_samples(where: Path | str, *, labels: Path | str | None = None) -> LazySamples:
    """Open micrographs to compare, read when asked for.

    Parameters
    ----------
    where
        The name of a public set (`nanolab data list`), a dataset's folder, or a folder of images; of these the data
        bar is cut off.
    labels
        Folder of label maps, `<stem>.labels.tif` as `nanolab segment` writes them or `<stem>` with any suffix, that
        say where the particles are in a folder of images. Images without one stay without.

    Raises
    ------
    InputError
        If there is nothing of the kind, or labels are given for a set that has its own.
    """
    folder = Path(where)
    if not folder.exists() and str(where) in PUBLIC:
        return _own_labels(public_samples(str(where)), labels)
    if (folder / "images").is_dir():
        return _own_labels(Dataset(folder), labels)
    if not folder.is_dir():
        raise InputError(f"{where}: must be a folder or one of {', '.join(PUBLIC)}; check the path")
    images = _images(folder)
    return LazySamples(images, partial(_read, images, None if labels is None else Path(labels)))


def _images(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise InputError(f"{path}: shares its stem with {found[path.stem].name}; rename one of them")
        found[path.stem] = path
    if not found:
        raise InputError(
            f"{folder}: must hold images or a folder images/, found none; "
            f"a public set goes by its name ({', '.join(PUBLIC)})"
        )
    return found


def _own_labels(samples: LazySamples, labels: Path | str | None) -> LazySamples:
    if labels is not None:
        raise InputError(f"{labels}: label maps go with a folder of images; this set has its own")
    return samples


def _read(images: dict[str, Path], labels: Path | None, name: str) -> Sample:
    micrograph = read_micrograph(images[name]).crop_data_bar()
    found = None if labels is None else _label_file(labels, name)
    if found is None:
        return Sample(name, micrograph.pixels, None, micrograph.pixel_size, micrograph.path)
    label_map = read_labels(found)[: len(micrograph.pixels)]  # a map of the whole image reaches below the data bar
    check_same_shape(micrograph.pixels, label_map, f"{micrograph.path} and {found}")
    return Sample(name, micrograph.pixels, label_map, micrograph.pixel_size, micrograph.path)


def _label_file(folder: Path, name: str) -> Path | None:
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder of label maps, found none; check the path")
    return next(
        (path for path in sorted(folder.iterdir()) if path.name.removesuffix(path.suffix) in (f"{name}.labels", name)),
        None,
    )


def typical_pixel_size(samples: Sequence[Sample]) -> float | None:
    """Return the median pixel size of a set in nm, or None if one is unknown; the first twenty images speak for it."""
    sizes = [sample.pixel_size.nm for sample in samples[:20]]
    known = [size for size in sizes if size is not None]
    return float(np.median(known)) if known and len(known) == len(sizes) else None


def resample(sample: Sample, pixel_size_nm: float) -> Sample:
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
