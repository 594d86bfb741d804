"""Micrographs, annotated or not, opened from wherever they are."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage, read_annotated
from nanolab.datasets.dataset import Dataset, LazyImages
from nanolab.datasets.public import PUBLIC, public_images
from nanolab.images.folders import by_stem, image_files, label_files

__all__ = ["open_images"]


def open_images(where: Path | str, *, labels: Path | str | None = None) -> LazyImages:
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
    if (folder / "images").is_dir():
        return _own_labels(Dataset(folder), labels)
    if not folder.is_dir():
        raise InputError(f"{where}: must be a folder or one of {', '.join(PUBLIC)}; check the path")
    images = by_stem(image_files(folder))
    maps = {} if labels is None else by_stem(label_files(labels), lambda path: path.stem.removesuffix(".labels"))
    return LazyImages(images, partial(_read, images, maps))


def _own_labels(images: LazyImages, labels: Path | str | None) -> LazyImages:
    if labels is not None:
        raise InputError(f"{labels}: label maps go with a folder of images; this set has its own")
    return images


def _read(images: dict[str, Path], labels: dict[str, Path], name: str) -> AnnotatedImage:
    return replace(read_annotated(images[name], labels.get(name)), name=name)
