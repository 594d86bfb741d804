"""Folders of images and label maps: one way to list them, whoever asks."""

from collections.abc import Callable, Collection, Iterable
from itertools import chain
from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.images.formats.frames import split_frame
from nanolab.images.formats.image_file import IMAGE_SUFFIXES

__all__ = ["LABEL_SUFFIXES", "bare_stems", "by_stem", "find_files", "image_files", "label_files"]

#: Suffixes of the files that can hold a label map, in lower case.
LABEL_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg"})

_OWN_LABELS = ".labels"
# What may follow an image's stem in that of its annotation: nanolab's, BAM's, Cellpose's, ImageJ's and plain words.
_ENDINGS = (
    *(_OWN_LABELS, "_m", "_cp_masks", "_mask", "_masks", "-mask", "_label", "_labels", "_seg", "_gt"),
    *("_rois", "_RoiSet"),
)


def find_files(
    where: Path | str, suffixes: Collection[str], what: str = "images", *, recursive: bool = False
) -> list[Path]:
    """Return the files that a path names, sorted: of a folder those with one of the suffixes, hidden ones left out.

    Parameters
    ----------
    where
        A folder, a pattern such as ``run*/*.tif``, a file, or an image of one, ``movie.tif[3]``; whether that can be
        read is for its reader to say.
    suffixes
        In lower case; files may have them in upper case.
    what
        What is sought, for the message.
    recursive
        Also look into the folders of the folder.

    Raises
    ------
    InputError
        If there is no such folder or file, or nothing of the kind.
    """
    path = Path(where)
    root = path
    if split_frame(path)[1] is not None:
        return [path]
    if path.is_dir():
        found = path.rglob("*") if recursive else path.iterdir()
    elif not path.exists() and any(sign in str(where) for sign in "*?["):
        root = Path(path.anchor)
        found = root.glob(str(path.relative_to(root)))
    elif path.exists() or path.suffix.lower() in suffixes:
        return [path]
    else:
        raise InputError(f"{where}: must be a folder of {what}, found none; check the path")
    seen = (each for each in found if not any(part.startswith(".") for part in each.relative_to(root).parts))
    files = sorted(each for each in seen if each.suffix.lower() in suffixes and each.is_file())
    if not files:
        raise InputError(f"{where}: must hold {what} ({', '.join(sorted(suffixes))}), found none; check the path")
    return files


def image_files(*where: Path | str, recursive: bool = False) -> list[Path]:
    """Return the images that paths name, as `find_files`, each once; masks that lie next to their image are none."""
    return _each_once(_images(one, recursive) for one in where)


def _images(where: Path | str, recursive: bool) -> list[Path]:
    files = find_files(where, IMAGE_SUFFIXES, recursive=recursive)
    there = {each.with_name(each.stem) for each in files}
    return [each for each in files if not any(each.with_name(stem) in there for stem in bare_stems(each.stem))]


def label_files(*where: Path | str, recursive: bool = False) -> list[Path]:
    """Return the label maps that paths name, as `find_files`, each once; of a folder with `*.labels.tif` only these."""
    return _each_once(_label_maps(one, recursive) for one in where)


def _label_maps(where: Path | str, recursive: bool) -> list[Path]:
    files = find_files(where, LABEL_SUFFIXES, "label maps", recursive=recursive)
    return [each for each in files if each.stem.endswith(_OWN_LABELS)] or files


def _each_once(files: Iterable[list[Path]]) -> list[Path]:
    return list(dict.fromkeys(chain.from_iterable(files)))


def by_stem(files: Iterable[Path], stem_of: Callable[[Path], str] = lambda path: path.stem) -> dict[str, Path]:
    """Return files by their stems.

    Raises
    ------
    InputError
        If two share one.
    """
    found: dict[str, Path] = {}
    for path in files:
        if (other := found.setdefault(stem_of(path), path)) is not path:
            raise InputError(f"{path}: shares its stem with {other.name}; rename one of them")
    return found


def bare_stems(stem: str) -> list[str]:
    """Return what an image may be called whose annotation has this stem, other than that stem.

    Examples
    --------
    >>> bare_stems("a_cp_masks")
    ['a', 'a_cp']
    """
    return [stem.removesuffix(ending) for ending in _ENDINGS if stem.endswith(ending) and stem != ending]
