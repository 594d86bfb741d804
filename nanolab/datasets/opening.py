"""Micrographs, annotated or not, opened from wherever they are."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage, LazyImages, read_annotated
from nanolab.datasets.annotations.importing import read_pair
from nanolab.datasets.annotations.pairing import Pair, find_pairs
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.looked_at import read_looked_at
from nanolab.datasets.public import PUBLIC, public_images
from nanolab.images.folders import LABEL_SUFFIXES, by_stem, image_files, label_files

__all__ = ["open_images"]

logger = logging.getLogger(__name__)


def open_images(where: Path | str, *, labels: Path | str | None = None, annotated: bool = False) -> LazyImages:
    """Open micrographs, with their annotation where there is one, read when asked for.

    Parameters
    ----------
    where
        The name of a public set (`nanolab data list`), a data set that nanolab made, or a folder of images, alone or
        with their annotation, which is found by its name, as `nanolab import-labels` does: next to the images, or in
        `masks/` where they lie in `images/`. The data bar of one's own images is cut off. `looked_at/<stem>.png` in the
        folder, where there is one, is 255 where somebody looked at the annotation, and 0 elsewhere.
    labels
        Folder of label maps, `<stem>.labels.tif` as `nanolab segment` writes them or `<stem>` with any suffix, that
        say where the particles are in a folder of images. Images without one stay without.
    annotated
        Only images that have an annotation.

    Raises
    ------
    InputError
        If there is nothing of the kind, no image is annotated that must be, or labels are given for a set that has its
        own.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from nanolab.images.tiff import write_tiff
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tiff(Path(folder, "a.tif"), np.eye(32, dtype=np.uint8), pixel_size_nm=2.0)
    ...     [(image.name, image.image.shape) for image in open_images(folder)]
    [('a', (32, 32))]
    """
    folder = Path(where)
    if not folder.exists() and str(where) in PUBLIC:
        return _own_labels(public_images(str(where)), labels)
    if not folder.is_dir():
        raise InputError(f"{where}: must be a folder or one of {', '.join(PUBLIC)}; check the path")
    inside = folder / "images"
    if inside.is_dir() and (labels or any((folder / name).exists() for name in ("manifest.json", "recipe.yaml"))):
        return _own_labels(Dataset(folder), labels)
    images = by_stem(image_files(inside if inside.is_dir() else folder))
    found: Mapping[str, Path | Pair]
    if labels is None:
        found, unused = _annotations(folder)
    else:
        found, unused = by_stem(label_files(labels), lambda path: path.stem.removesuffix(".labels")), []
    opened = LazyImages(images, partial(_read, folder, images, found))
    if not annotated:
        return opened
    if not found.keys() & images.keys():
        raise InputError(
            f"{where}: needs annotated images, found no annotation of its {len(images)}; save masks next to them, such "
            f"as {next(iter(images))}_mask.png, or files of labelme, VIA, COCO or ImageJ"
            + "".join(f"\nnot used: {each}" for each in unused)
        )
    return opened.without(*(images.keys() - found.keys()))


def _own_labels(images: LazyImages, labels: Path | str | None) -> LazyImages:
    if labels is not None:
        raise InputError(f"{labels}: label maps go with a folder of images; this set has its own")
    return images


def _annotations(folder: Path) -> tuple[dict[str, Path | Pair], list[str]]:
    """Return the annotation of each image that has one, a mask as its path, and what cannot be used, and why."""
    try:
        pairs, left_out = find_pairs(folder, None, "auto")
    except InputError:  # the images have been found, so it is the annotation that is not there
        return {}, []
    if pairs and left_out:
        logger.warning("Annotation that is not used: %s", "; ".join(left_out.values()))
    masks = LABEL_SUFFIXES  # these may lack the rows of the data bar
    return {pair.name: pair.file if pair.file.suffix.lower() in masks else pair for pair in pairs}, [*left_out.values()]


def _read(
    folder: Path, images: Mapping[str, Path], annotations: Mapping[str, Path | Pair], name: str
) -> AnnotatedImage:
    annotation = annotations.get(name)
    if isinstance(annotation, Pair):
        micrograph, labels = read_pair(annotation)
        opened = AnnotatedImage(name, micrograph.pixels, labels, micrograph.pixel_size, micrograph.path)
    else:
        opened = replace(read_annotated(images[name], annotation), name=name)
    return replace(opened, looked_at=read_looked_at(folder, name, opened.image))
