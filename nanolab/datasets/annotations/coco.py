"""COCO's JSON: one file for many images, particles as polygons or run lengths."""

from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from nanolab.core.checks import InputError
from nanolab.datasets.annotations.annotation import (
    Annotation,
    Coordinate,
    Lenient,
    Regions,
    read_json,
    unreadable,
    validated,
)
from nanolab.datasets.annotations.shapes import Bitmap, Polygon, Shape
from nanolab.images.labels import check_shape
from nanolab.images.rle import run_lengths

__all__ = ["read_coco"]

Side = Annotated[int, Field(ge=1, le=10**6)]


class _Image(Lenient):
    id: int | str
    file_name: str
    width: Side | None = None
    height: Side | None = None


class _Runs(Lenient):
    size: tuple[Side, Side]
    counts: str | list[Annotated[int, Field(ge=0)]]


class _Particle(Lenient):
    segmentation: list[Annotated[list[Coordinate], Field(min_length=6)]] | _Runs


class _File(Lenient):
    images: list[Any]
    annotations: list[Any]


def read_coco(path: Path) -> list[Annotation]:
    """Read a COCO file of instances: polygons, and run lengths compressed or not.

    A mask that is marked as a crowd is one particle: CVAT marks all so that are painted with its brush.

    Raises
    ------
    InputError
        If the file is not COCO's, or two images have one number.
    """
    content = validated(_File, read_json(path), str(path))
    images: dict[int | str, Regions] = {}
    unread = []
    for number, each in enumerate(content.images, start=1):
        try:
            image = validated(_Image, each, f"{path}: image {number}")
        except InputError as error:
            unread.append(unreadable(f"{path}: image {number}", error))
            continue
        if image.id in images:
            raise InputError(f"{path}: two images have the number {image.id}; export it again")
        size = (image.height, image.width) if image.height and image.width else None
        images[image.id] = Regions(PureWindowsPath(image.file_name).name, f"{path}: {image.file_name}", size)
    for number, each in enumerate(content.annotations, start=1):
        _add(each, number, images, path)
    return [regions.annotation() for regions in images.values()] + unread


def _add(content: Any, number: int, images: dict[int | str, Regions], path: Path) -> None:
    """Add an annotation to the regions of its image; one that the file does not list gets some of its own."""
    said = content if isinstance(content, dict) else {}
    where, image = f"{path}: annotation {said.get('id', number)}", said.get("image_id")
    key = image if isinstance(image, int | str) else ""
    regions = images.setdefault(
        key, Regions("", f"{path}: annotations of the image {image}, which its list of images has not")
    )
    regions.add(partial(_shape, content, regions.size, where))
    if said.get("iscrowd"):
        regions.remarks.append(f"{where}: is marked as a crowd, was taken for one particle")


def _shape(content: Any, size: tuple[int, int] | None, where: str) -> list[Shape]:
    if isinstance(content, dict) and not content.get("segmentation"):
        has = next((kind for kind in ("bbox", "keypoints") if content.get(kind)), "nothing")
        raise InputError(f"{where}: has no outline, only {has}; draw the outline")
    particle = validated(_Particle, content, where).segmentation
    if isinstance(particle, _Runs):
        check_shape(particle.size, size, where)
        return [Bitmap(run_lengths(particle.counts, particle.size, where), particle.size, where)]
    if any(len(ring) % 2 for ring in particle):
        raise InputError(f"{where}: must have polygons of x and y in turn, or run lengths; export it again")
    return [Polygon((np.array(ring).reshape(-1, 2),)) for ring in particle]
