"""Micrographs, annotated or not, opened from wherever they are."""

from functools import partial
from pathlib import Path

from nanolab.core.checks import InputError, check_same_shape
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.dataset import Dataset, LazyImages
from nanolab.datasets.public import PUBLIC
from nanolab.datasets.public import public_images as public_samples
from nanolab.images.formats.image_file import IMAGE_SUFFIXES
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read

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
    """
    folder = Path(where)
    if not folder.exists() and str(where) in PUBLIC:
        return _own_labels(public_samples(str(where)), labels)
    if (folder / "images").is_dir():
        return _own_labels(Dataset(folder), labels)
    if not folder.is_dir():
        raise InputError(f"{where}: must be a folder or one of {', '.join(PUBLIC)}; check the path")
    images = _images(folder)
    return LazyImages(images, partial(_read, images, None if labels is None else Path(labels)))


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


def _own_labels(samples: LazyImages, labels: Path | str | None) -> LazyImages:
    if labels is not None:
        raise InputError(f"{labels}: label maps go with a folder of images; this set has its own")
    return samples


def _read(images: dict[str, Path], labels: Path | None, name: str) -> AnnotatedImage:
    micrograph = read(images[name]).crop_data_bar()
    found = None if labels is None else _label_file(labels, name)
    if found is None:
        return AnnotatedImage(name, micrograph.pixels, None, micrograph.pixel_size, micrograph.path)
    label_map = read_labels(found)[: len(micrograph.pixels)]  # a map of the whole image reaches below the data bar
    check_same_shape(micrograph.pixels, label_map, f"{micrograph.path} and {found}")
    return AnnotatedImage(name, micrograph.pixels, label_map, micrograph.pixel_size, micrograph.path)


def _label_file(folder: Path, name: str) -> Path | None:
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder of label maps, found none; check the path")
    return next(
        (path for path in sorted(folder.iterdir()) if path.name.removesuffix(path.suffix) in (f"{name}.labels", name)),
        None,
    )
