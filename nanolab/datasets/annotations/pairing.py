"""Which annotation belongs to which image, and which format a file has."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote

from nanolab.core.checks import InputError, check_choice, check_file, reading
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotations.annotation import Annotation, read_json, shortened
from nanolab.datasets.annotations.coco import read_coco
from nanolab.datasets.annotations.imagej import read_imagej
from nanolab.datasets.annotations.labelme import read_labelme
from nanolab.datasets.annotations.via import read_via, read_via_csv
from nanolab.images.folders import LABEL_SUFFIXES, bare_stems, by_stem, find_files, image_files
from nanolab.images.formats.image_file import IMAGE_SUFFIXES
from nanolab.images.labels import MaskKind, read_labels, relabel

__all__ = ["Format", "Pair", "find_pairs", "read_mask"]

Format = Literal["auto", "labelme", "via", "coco", "imagej", "binary", "instance", "colour"]

_SUFFIXES: dict[str, frozenset[str]] = {
    "labelme": frozenset({".json"}),
    "via": frozenset({".json", ".csv"}),
    "coco": frozenset({".json"}),
    "imagej": frozenset({".zip", ".roi"}),
    **dict.fromkeys(("binary", "instance", "colour"), LABEL_SUFFIXES),
}
_READERS = {"labelme": read_labelme, "via": read_via, "coco": read_coco, "imagej": read_imagej}
_LABEL_STUDIO = re.compile(r"^[0-9a-f]{8}-")
_NAMELESS = re.compile(r"RoiSet|task-\d+(-annotation-\d+)?(-.*)?")  # ImageJ's, and Label Studio's of brushes


@dataclass(frozen=True)
class Pair:
    """An image file, and the annotation of it in a file."""

    image: Path
    annotation: Annotation
    file: Path

    @property
    def name(self) -> str:
        """The image's name without its suffix."""
        return self.image.stem


def find_pairs(source: Path, images: Path | None, format: Format) -> tuple[list[Pair], dict[str, str]]:
    """Find the annotated images; see `import_labels` for the parameters.

    Returns
    -------
    pairs, left_out
        Each annotated image with its annotation, sorted by name; and by the annotations that cannot be used, why.

    Raises
    ------
    InputError
        If a folder or the format is wrong.
    """
    check_choice(format, "format", get_args(Format))
    if images is None and (source / "images").is_dir():
        source, images = source / "masks" if (source / "masks").is_dir() else source, source / "images"
    folder = images if images is not None else (source if source.is_dir() else source.parent)
    if not folder.is_dir():
        raise InputError(f"{folder}: must be the folder of the images, is no folder; check the path")
    suffixes = _SUFFIXES[format] if format != "auto" else frozenset[str]().union(*_SUFFIXES.values())
    apart = not (source.is_dir() and source.samefile(folder))
    kinds = [find_files(source, suffixes, "annotations")] if apart else _files_next_to_images(source, suffixes)
    taken = set(chain.from_iterable(kinds))
    there = by_stem(path for path in image_files(folder) if path not in taken)
    left_out: dict[str, str] = {}
    for files in kinds:
        pairs, unused = _pairs(files, there, folder, format)
        left_out |= unused
        if pairs:
            break
    return pairs, left_out


def _files_next_to_images(folder: Path, suffixes: frozenset[str]) -> list[list[Path]]:
    """Return the annotation files of a folder that holds the images as well: masks count if the others are of none."""
    images = set(image_files(folder))
    files = [path for path in find_files(folder, suffixes | IMAGE_SUFFIXES) if path.suffix.lower() in suffixes]
    others = [path for path in files if path.suffix.lower() not in LABEL_SUFFIXES]
    masks = [path for path in files if path.suffix.lower() in LABEL_SUFFIXES and path not in images]
    found = [kind for kind in (others, masks) if kind]
    if not found:
        listed = [*sorted(suffixes - LABEL_SUFFIXES), *(["_mask.png or the like"] if suffixes & LABEL_SUFFIXES else [])]
        raise InputError(
            f"{folder}: no annotation there, which would end in {', '.join(listed)}; "
            "where images and annotations lie in different folders, name both"
        )
    return found


def _pairs(
    files: Iterable[Path], there: dict[str, Path], folder: Path, format: Format
) -> tuple[list[Pair], dict[str, str]]:
    found: dict[Path, list[Pair]] = {}
    left_out: dict[str, str] = {}
    for file in files:
        try:
            with reading(file, "annotation"):
                annotations = _reader(file, format)(file)
        except InputError as error:
            left_out[str(file)] = str(error)
            continue
        for annotation in annotations:
            image = _image(annotation.image, there)
            if image is not None:
                found.setdefault(image, []).append(Pair(image, annotation, file))
            elif annotation.particles != 0 or annotation.remarks:  # a file for many images lists those nobody annotated
                left_out[annotation.where] = _unpaired(annotation, folder)
    for image, pairs in found.items():
        if len(pairs) > 1:
            files_named = sorted({str(pair.file) for pair in pairs})
            left_out[str(image)] = f"{image}: is annotated {len(pairs)} times, in {', '.join(files_named)}; keep one"
    return [pairs[0] for _, pairs in sorted(found.items()) if len(pairs) == 1], left_out


def _image(name: str, there: dict[str, Path]) -> Path | None:
    """Return the image that an annotation names, by its name alone; None if it is not there.

    Label Studio puts eight digits before the name. What does not name its image, ImageJ's `RoiSet` and Label Studio's
    `task-1-annotation-1-by-1-tag-particle-0`, belongs to the only image there is.
    """
    names = [name, unquote(name), _LABEL_STUDIO.sub("", unquote(name))]
    stems = [stem for each in names for stem in (each, *bare_stems(each), Path(each).stem)]
    found = next((there[stem] for stem in stems if stem in there), None)
    return next(iter(there.values())) if found is None and _NAMELESS.fullmatch(name) and len(there) == 1 else found


def _unpaired(annotation: Annotation, folder: Path) -> str:
    if not annotation.image and annotation.remarks:
        return shortened(annotation.remarks)
    remedy = "name the folder of the images"
    if annotation.particles is None or _NAMELESS.fullmatch(annotation.image):
        remedy = "call the file as its image, such as image_mask.png or image_RoiSet.zip for image.tif"
    return f"{annotation.where}: its image {annotation.image} is not in {folder}; {remedy}"


def _reader(file: Path, format: Format) -> Callable[[Path], list[Annotation]]:
    suffix = file.suffix.lower()
    if format == "auto":
        if suffix in LABEL_SUFFIXES:
            return read_mask
        format = _json_format(file) if suffix == ".json" else "imagej" if suffix in _SUFFIXES["imagej"] else "via"
    if format == "via" and suffix == ".csv":
        return read_via_csv
    return _READERS.get(format) or partial(read_mask, kind=cast(MaskKind, format))


def read_mask(path: Path, kind: MaskKind = "auto") -> list[Annotation]:
    """Prepare to read the mask of one image; its pixels are read when the label map is asked for.

    See `nanolab.images.label_values.labels_from_values` for the kinds.

    Raises
    ------
    InputError
        By `labels`: if the file is not readable or no mask, or of another size than the image.
    """

    def labels(shape: tuple[int, int]) -> LabelMap:
        return relabel(read_labels(path, kind=kind, shape=shape))

    check_file(path, "mask")
    return [Annotation(path.stem, str(path), None, None, labels)]


def _json_format(file: Path) -> Format:
    content = read_json(file)
    if isinstance(content, dict):
        if "shapes" in content:
            return "labelme"
        if "annotations" in content and "images" in content:
            return "coco"
        if "_via_img_metadata" in content or all(
            isinstance(each, dict) and "regions" in each for each in content.values()
        ):
            return "via"
    raise InputError(
        f"{file}: neither labelme's JSON nor COCO's nor that of VIA 2; export the annotation as one of them"
    )
