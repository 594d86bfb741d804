"""Label maps on disk, with what belongs to them: their images and the pixel size."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.core.words import count_words
from nanolab.images.folders import find_files, label_files
from nanolab.images.formats.frames import frame_name
from nanolab.images.formats.image_file import IMAGE_SUFFIXES
from nanolab.images.labels import LabelFile, read_label_file
from nanolab.images.micrograph import Micrograph, read
from nanolab.images.pixel_size import PixelSize
from nanolab.images.scale_table import typed_scale
from nanolab.measurement.summary import MeasuredImage, measure_image

__all__ = ["measure_files"]

_SUFFIX = ".labels"


def measure_files(
    paths: Iterable[Path | str],
    *,
    images: Path | str | None = None,
    pixel_size_nm: float | Mapping[str, float] | None = None,
) -> tuple[list[MeasuredImage], dict[str, str]]:
    """Measure label maps, such as those that `nanolab segment` has written.

    Parameters
    ----------
    paths
        Label maps, or folders of them.
    images
        Folder of their micrographs, of the same names; for grey values and to show. A data bar at the bottom does not
        belong to the image. Without it, the images that label maps name are taken where they still are.
    pixel_size_nm
        Typed by hand, of all or by the name of the image, over what the label maps, or else the images, say.

    Returns
    -------
    measure_image
        One a label map that could be used.
    failures
        What was wrong with the others, by path.
    """
    done: list[MeasuredImage] = []
    failures: dict[str, str] = {}
    for path in label_files(*paths):
        try:
            done.append(_measured(path, images, pixel_size_nm))
        except InputError as error:
            failures[str(path)] = str(error) if str(path) in str(error) else f"{path}: {error}"
    return done, failures


def _measured(
    path: Path, images: Path | str | None, pixel_size_nm: float | Mapping[str, float] | None
) -> MeasuredImage:
    file, name = read_label_file(path), path.stem.removesuffix(_SUFFIX)
    micrograph = _recorded(path, file) if images is None else _named(name, Path(images), file)
    known = file.pixel_size if file.pixel_size.nm is not None or micrograph is None else micrograph.pixel_size
    nm = typed_scale(pixel_size_nm, name, Path(file.image).name)
    pixel_size = known if nm is None else PixelSize.typed(nm)
    if micrograph is None:
        rows = file.image_rows
        return measure_image(name, file.labels[:rows], pixel_size=pixel_size, made_by=file.made_by, trust=file.trust)
    cropped = micrograph.crop_data_bar()
    if file.labels.shape not in (micrograph.pixels.shape, cropped.pixels.shape):
        raise InputError(
            f"{path}: must be of the size of {micrograph.path}, got {file.labels.shape} and {micrograph.pixels.shape} "
            "(height, width)"
        )
    rows = file.image_rows or len(cropped.pixels)
    seen = cropped if rows == len(cropped.pixels) else micrograph
    pixels = seen.pixels[:rows]
    return measure_image(
        name, file.labels[:rows], pixel_size=pixel_size, image=pixels, made_by=file.made_by, trust=file.trust
    )


def _recorded(path: Path, file: LabelFile) -> Micrograph | None:
    """Return the image that a label map names, if it is still there and as it was; sizes do not need it."""
    image = path.parent / file.image
    if not (file.image and image.suffix.lower() in IMAGE_SUFFIXES and image.is_file()):
        return None
    try:
        micrograph = _part(read(image, frame=file.frame), file)
    except InputError:
        return None
    return micrograph if micrograph.pixels.shape == file.labels.shape else None


def _named(name: str, folder: Path, file: LabelFile) -> Micrograph:
    stem = name if file.panel is None else name.rpartition("_p")[0]
    return _part(read(_image_of(stem.removesuffix(frame_name("", file.frame)), folder), frame=file.frame), file)


def _part(micrograph: Micrograph, file: LabelFile) -> Micrograph:
    return micrograph if file.panel is None else micrograph.crop_panel(0, file.panel)


def _image_of(name: str, folder: Path) -> Path:
    """Return the image of that name; `nanolab segment` adds the suffix to the name where two images share a stem."""
    inside = find_files(folder, IMAGE_SUFFIXES)
    found = [each for each in inside if each.stem == name] or [
        each for each in inside if each.name.replace(".", "_") == name
    ]
    if len(found) != 1:
        what = "no image" if not found else count_words(len(found), "image")
        raise InputError(f"{folder}: must have one image named {name}, got {what}; check --images")
    return found[0]
