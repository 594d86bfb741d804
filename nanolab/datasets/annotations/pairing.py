"""Which annotation belongs to which image, and which format a file has."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from nanolab.core.checks import InputError
from nanolab.datasets.annotations.annotation import Annotation, read_text, text_as_json
from nanolab.datasets.annotations.coco import read_coco
from nanolab.datasets.annotations.imagej import read_imagej
from nanolab.datasets.annotations.labelme import read_labelme
from nanolab.datasets.annotations.maskfiles import read_mask
from nanolab.datasets.annotations.via import read_via, read_via_csv
from nanolab.images.formats.signals import SIGNAL_SUFFIXES

__all__ = ["Format", "Pair", "find_pairs"]

Format = Literal["auto", "labelme", "via", "coco", "imagej", "binary", "instance", "colour"]

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
_SUFFIXES: dict[str, frozenset[str]] = {
    "labelme": frozenset({".json"}),
    "via": frozenset({".json", ".csv"}),
    "coco": frozenset({".json"}),
    "imagej": frozenset({".zip", ".roi"}),
    **dict.fromkeys(("binary", "instance", "colour"), _PICTURES),
}
# What may follow an image's name in that of its annotation.
_ENDINGS = ("_m", "_mask", "_masks", "_label", "_labels", ".labels", "_seg", "_gt", "_rois", "_RoiSet", "-mask")


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
        If a folder or the format is wrong, or an image is annotated twice.
    """
    if format not in get_args(Format):
        raise InputError(f"format must be one of {', '.join(get_args(Format))}, got {format!r}")
    if images is None and (source / "masks").is_dir() and (source / "images").is_dir():
        source, images = source / "masks", source / "images"
    folder = images if images is not None else (source if source.is_dir() else source.parent)
    if not folder.is_dir():
        raise InputError(f"{folder}: must be the folder of the images, is no folder; check the path")
    apart = not (source.is_dir() and source.samefile(folder))
    files = _files(source, format) if apart else _files_beside(source, format)
    return _pairs(files, _images(folder, set(files)), folder, format)


def _files(source: Path, format: Format) -> list[Path]:
    """Return the annotation files of a folder without images, or the one that is named."""
    if not source.exists():
        raise InputError(f"{source}: not found; name an annotation file, or a folder of them")
    suffixes = _SUFFIXES[format] if format != "auto" else frozenset[str]().union(*_SUFFIXES.values())
    found = [source] if source.is_file() else _with_suffix(source, suffixes)
    if not found:
        raise InputError(f"{source}: no annotation there, which would end in {', '.join(sorted(suffixes))}")
    return found


def _files_beside(folder: Path, format: Format) -> list[Path]:
    """Return the annotation files of a folder that holds the images as well; masks only if there are no others."""
    kinds = [format] if format != "auto" else list(_SUFFIXES)
    suffixes = frozenset[str]().union(*(_SUFFIXES[kind] for kind in kinds))
    pictures = _with_suffix(folder, suffixes & _PICTURES)
    stems = {path.stem for path in _with_suffix(folder, _PICTURES | SIGNAL_SUFFIXES)}
    masks = [path for path in pictures if any(stem in stems for stem in _shorter(path.stem))]
    found = _with_suffix(folder, suffixes - _PICTURES) or masks
    if not found:
        listed = [*sorted(suffixes - _PICTURES), *(["_mask.png or the like"] if suffixes & _PICTURES else [])]
        raise InputError(
            f"{folder}: no annotation there, which would end in {', '.join(listed)}; "
            "where images and annotations lie in different folders, name both"
        )
    return found


def _with_suffix(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return [path for path in sorted(folder.glob("[!.]*")) if path.suffix.lower() in suffixes and path.is_file()]


def _shorter(name: str) -> list[str]:
    """Return what is left of an annotation's name without the endings that it may have beyond the image's."""
    return [name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)]


def _pairs(
    files: Iterable[Path], there: dict[str, Path], folder: Path, format: Format
) -> tuple[list[Pair], dict[str, str]]:
    pairs: dict[str, Pair] = {}
    left_out: dict[str, str] = {}
    for file in files:
        try:
            annotations = _reader(file, format)(file)
        except InputError as error:
            left_out[str(file)] = str(error)
            continue
        for annotation in annotations:
            image = _image(annotation, there)
            if image is None:
                if annotation.particles != 0:  # a file for many images lists those nobody annotated, too
                    left_out[annotation.where] = (
                        f"{annotation.where}: its image {annotation.image} is not in {folder}; "
                        "name the folder of the images"
                    )
            elif image.stem in pairs:
                raise InputError(f"{annotation.where}: {image.name} is annotated in {pairs[image.stem].file}, too")
            else:
                pairs[image.stem] = Pair(image, annotation, file)
    return [pairs[name] for name in sorted(pairs)], left_out


def _images(folder: Path, annotations: set[Path]) -> dict[str, Path]:
    """Return the image files of a folder by their names, with and without the suffix."""
    found: dict[str, Path] = {}
    stems: dict[str, Path] = {}
    for path in _with_suffix(folder, _PICTURES | SIGNAL_SUFFIXES):
        if path in annotations:
            continue
        if path.stem in stems:
            raise InputError(f"{path}: shares its name with {stems[path.stem].name}; rename one of them")
        found[path.name] = stems[path.stem] = path
    return stems | found


def _image(annotation: Annotation, there: dict[str, Path]) -> Path | None:
    """Return the image of an annotation, by its name alone; None if it is not there."""
    name = annotation.image
    candidates = [name, *_shorter(name), Path(name).stem]
    return next((there[candidate] for candidate in candidates if candidate in there), None)


def _reader(file: Path, format: Format) -> Callable[[Path], list[Annotation]]:
    suffix = file.suffix.lower()
    if format == "auto":
        if suffix in _PICTURES:
            return read_mask
        format = _json_format(file) if suffix == ".json" else "imagej" if suffix in _SUFFIXES["imagej"] else "via"
    match format:
        case "labelme":
            return read_labelme
        case "via":
            return read_via_csv if suffix == ".csv" else read_via
        case "coco":
            return read_coco
        case "imagej":
            return read_imagej
        case "binary" | "instance" | "colour":
            return lambda path: read_mask(path, format)
    raise AssertionError(format)


def _json_format(file: Path) -> Format:
    content = text_as_json(read_text(file), str(file))
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
