"""A dataset in the forms of other programs: COCO JSON, ImageJ's regions, StarDist's folders, masks of classes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy import ndimage

from nanolab.core.checks import InputError, check_choice
from nanolab.core.files import output_folder
from nanolab.core.typing import AnyLabelMap, LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.annotations.imagej import write_imagej_rois
from nanolab.datasets.dataset import KINDS, Dataset
from nanolab.images.coco import coco_particle, coco_particles, write_coco
from nanolab.images.labels import relabel, remove_small, write_labels
from nanolab.images.masks import semantic, three_class
from nanolab.images.rle import decode_columns
from nanolab.images.tiff import write_tiff

__all__ = ["ExportFormat", "export", "star_convex_labels", "to_coco"]

ExportFormat = Literal["coco", "imagej", "semantic", "three-class", "stardist"]

# Smaller pieces of a particle are no objects that a network could find the outline of.
_SMALLEST_PX = 4
# What else COCO's annotations say of a particle, if the dataset knows it, and to how many digits.
_KNOWN = {"visible_fraction": 4, "diameter_nm": 3, "z_nm": 3}


def export(
    dataset: Dataset, format: ExportFormat, out: Path | str, *, amodal: bool = False, erosion_px: int | None = None
) -> Path:
    """Write the annotation of a dataset in a format of other programs; return the path.

    Parameters
    ----------
    format
        "coco": one JSON file. "imagej": a zip of regions for the ROI Manager for each image. "semantic", "three-class":
        a mask `NAME.tif` of two or three classes for each image, see `nanolab.images.masks`. "stardist": images and
        label maps as StarDist's training examples read them, `images/NAME.tif` and `masks/NAME.tif`, calibrated for
        Fiji; see `star_convex_labels` for what differs from the dataset's label maps.
    out
        The file to write for "coco", a folder for the others.
    amodal
        For "coco": whole outlines, see `to_coco`.
    erosion_px
        For masks of classes: by how much particles recede; where None, 0 for "semantic" and 1 for "three-class".

    Raises
    ------
    InputError
        If the format does not know an option, the folder is the dataset's own or cannot be written, or an image has no
        annotation.
    """
    check_choice(format, "format", get_args(ExportFormat))
    if amodal and format != "coco":
        raise InputError(f"amodal: whole outlines overlap, which only coco can hold, got {format}; leave it out")
    if erosion_px is not None and format not in ("semantic", "three-class"):
        raise InputError(f"erosion_px: is for semantic and three-class masks, got {format}; leave it out")
    if erosion_px is not None and erosion_px < 0:
        raise InputError(f"erosion_px must be at least 0, got {erosion_px}")
    if format == "coco":
        return to_coco(dataset, out, amodal=amodal)
    if Path(out).resolve() in [(dataset.folder / name).resolve() for name in ("", *KINDS)]:
        raise InputError(f"{out}: must not be the dataset's own folder; choose another")
    folder = output_folder(out)
    for image in dataset:
        _export_image(image, _annotated(image), format, folder, erosion_px)
    return folder


def _export_image(
    image: AnnotatedImage, labels: LabelMap, format: ExportFormat, folder: Path, erosion_px: int | None
) -> None:
    name, nm = f"{image.name}.tif", image.pixel_size.nm
    match format:
        case "imagej":
            write_imagej_rois(folder / f"{image.name}.zip", labels)
        case "semantic":
            write_tiff(folder / name, semantic(labels, erosion_px or 0), pixel_size_nm=nm)
        case "three-class":
            mask = three_class(labels, 1 if erosion_px is None else erosion_px)
            write_tiff(folder / name, mask, pixel_size_nm=nm)
        case "stardist":
            levels = np.rint(image.image * (2**16 - 1)).astype(np.uint16)
            write_tiff(folder / "images" / name, levels, pixel_size_nm=nm)
            write_labels(folder / "masks" / name, star_convex_labels(labels), pixel_size_nm=nm)


def to_coco(images: Iterable[AnnotatedImage], path: Path | str, *, amodal: bool = False) -> Path:
    """Write the particles of annotated images as one COCO file, masks as compressed run lengths; return its path.

    Parameters
    ----------
    amodal
        False: what is visible of each particle. True: its whole outline within the image, also where others hide it,
        of every particle that can be seen in part; `visible_fraction` goes with it, and of a rendered one `diameter_nm`
        and `z_nm` (of its centre above the substrate). Only a `Dataset` that was rendered or pasted knows them.

    Raises
    ------
    InputError
        If an image has no annotation, or whole outlines are not known.
    """
    if not amodal:
        visible = ((each.path.name, _annotated(each).shape, coco_particles(_annotated(each))) for each in images)
        return write_coco(path, visible)
    table = images.particles() if isinstance(images, Dataset) else pd.DataFrame()
    if not {"image", "label", "amodal_rle"} <= set(table):
        raise InputError(f"{path}: the particles have no whole outlines; make the data set again, or leave amodal out")
    rows = dict(tuple(table[table["label"] > 0].groupby("image", sort=False)))
    whole = ((each, _whole_particles(rows.get(each.name, table[:0]), each)) for each in images)
    return write_coco(path, ((each.path.name, each.image.shape, particles) for each, particles in whole))


def _whole_particles(rows: pd.DataFrame, image: AnnotatedImage) -> Iterator[dict[str, Any]]:
    height, width = image.image.shape
    for row in rows.itertuples():
        cols, mask = decode_columns(row.amodal_rle, (height, width), f"{image.name}: particle {row.label}")
        lines = np.flatnonzero(mask.any(axis=1))
        top, bottom = (lines[0], lines[-1] + 1) if lines.size else (0, 0)
        whole = coco_particle(mask[top:bottom], (height, width), (int(top), cols.start))
        known = {name: round(getattr(row, name), digits) for name, digits in _KNOWN.items() if name in rows}
        yield whole | known


def star_convex_labels(labels: AnyLabelMap) -> LabelMap:
    """Return a label map whose objects are in one piece each and without holes, numbered 1..N.

    Rays from a centre cannot follow a particle that another one cuts in two: its pieces become objects of their own,
    those of fewer than 4 pixels none. Holes that lie wholly in one object are filled.
    """
    pieces = np.zeros(labels.shape, dtype=np.int32)
    count = 0
    numbered = relabel(labels)
    for label, box in enumerate(ndimage.find_objects(numbered), start=1):
        parts, found = ndimage.label(numbered[box] == label)
        for part in range(1, found + 1):
            whole = ndimage.binary_fill_holes(parts == part)
            free = (pieces[box] == 0) & ((numbered[box] == label) | (numbered[box] == 0))
            count += 1
            pieces[box][whole & free] = count
    return remove_small(pieces, _SMALLEST_PX)


def _annotated(sample: AnnotatedImage) -> LabelMap:
    if sample.labels is None:
        raise InputError(f"{sample.path}: has no annotation to export; annotate it, or take it out of the dataset")
    return sample.labels
