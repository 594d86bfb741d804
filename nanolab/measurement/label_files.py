"""Label maps on disk, with what belongs to them: their images, the pixel size, the table of the segmentation."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from nanolab.core.checks import InputError
from nanolab.images.folders import find_files, label_files
from nanolab.images.formats.image_file import IMAGE_SUFFIXES
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import PixelSize, Source, pixel_size_from_metadata
from nanolab.measurement.summary import MeasuredImage, measure_image

__all__ = ["measure_files"]

_SUFFIX = ".labels"


def measure_files(
    paths: Iterable[Path | str],
    *,
    images: Path | str | None = None,
    pixel_size_nm: float | None = None,
) -> tuple[list[MeasuredImage], dict[str, str]]:
    """Measure label maps, such as those that `nanolab segment` has written.

    Parameters
    ----------
    paths
        Label maps, or folders of them.
    images
        Folder of their micrographs, of the same names; for grey values and to show. A data bar at the bottom does not
        belong to the image. Without images, the `particles.csv` beside a label map says where the data bar begins.
    pixel_size_nm
        Typed by hand, over what the label maps, or else the images, say.

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


def _measured(path: Path, images: Path | str | None, pixel_size_nm: float | None) -> MeasuredImage:
    labels = read_labels(path)
    name = path.stem.removesuffix(_SUFFIX)
    pixel_size = pixel_size_from_metadata(path) if pixel_size_nm is None else PixelSize.typed(pixel_size_nm)
    if images is None:
        source, height = _segmented(path, name)
        if pixel_size_nm is None and pixel_size.nm is not None and source is not None:
            pixel_size = PixelSize(pixel_size.nm, source, f"as {path.with_name('particles.csv')} says")
        return measure_image(name, labels[:height], pixel_size=pixel_size)
    micrograph = read(_image_of(name, Path(images)))
    cropped = micrograph.crop_data_bar()
    if labels.shape not in (micrograph.pixels.shape, cropped.pixels.shape):
        raise InputError(
            f"{path}: must be of the size of {micrograph.path}, got {labels.shape} and {micrograph.pixels.shape} "
            "(height, width)"
        )
    pixel_size = micrograph.pixel_size if pixel_size.nm is None else pixel_size
    return measure_image(name, labels[: len(cropped.pixels)], pixel_size=pixel_size, image=cropped.pixels)


def _segmented(path: Path, name: str) -> tuple[Source | None, int | None]:
    """Return what the table of the segmentation beside a label map says: source of the scale, rows above the bar."""
    table = path.with_name("particles.csv")
    if not (path.stem.endswith(_SUFFIX) and table.is_file()):
        return None, None
    try:
        rows = pd.read_csv(table, dtype={"image": str}, usecols=["image", "scale_source", "image_height_px"])
    except ValueError:  # a table of something else
        return None, None
    rows = rows[rows["image"].str.removeprefix("'") == name]
    if not len(rows) or not np.isfinite(rows["image_height_px"].iloc[0]):
        return None, None
    said: dict[str, Source] = {"typed": "typed", "scale bar": "scale bar"}  # what a label map's metadata do not keep
    return said.get(str(rows["scale_source"].iloc[0])), int(rows["image_height_px"].iloc[0])


def _image_of(name: str, folder: Path) -> Path:
    """Return the image of that name; `nanolab segment` adds the suffix to the name where two images share a stem."""
    inside = find_files(folder, IMAGE_SUFFIXES)
    found = [each for each in inside if each.stem == name] or [
        each for each in inside if each.name.replace(".", "_") == name
    ]
    if len(found) != 1:
        what = "no image" if not found else f"{len(found)} images"
        raise InputError(f"{folder}: must have one image named {name}, got {what}; check --images")
    return found[0]
