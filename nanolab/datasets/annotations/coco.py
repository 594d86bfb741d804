"""COCO's JSON: one file for many images, particles as polygons or run lengths."""

from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.files import write_json
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.annotations.annotation import (
    Annotation,
    Coordinate,
    Lenient,
    drawn,
    read_text,
    text_as_json,
    validated,
)
from nanolab.datasets.annotations.shapes import Bitmap, Polygon, Shape
from nanolab.images.rle import encode_rle

__all__ = ["export_coco", "read_coco"]

Side = Annotated[int, Field(ge=1, le=10**6)]


class _Image(Lenient):
    id: int
    file_name: str
    width: Side
    height: Side


class _Runs(Lenient):
    size: tuple[Side, Side]
    counts: str | list[Annotated[int, Field(ge=0)]]


class _Particle(Lenient):
    id: int | str = ""
    image_id: int
    segmentation: list[Annotated[list[Coordinate], Field(min_length=6)]] | _Runs
    iscrowd: int = 0


class _File(Lenient):
    images: list[_Image]
    annotations: list[_Particle]


def read_coco(path: Path) -> list[Annotation]:
    """Read a COCO file of instances: polygons, and run lengths compressed or not. Crowds are no particles.

    Raises
    ------
    InputError
        If the file is not COCO's, or an annotation belongs to no image.
    """
    content = validated(_File, text_as_json(read_text(path), str(path)), str(path))
    particles: dict[int, list[list[Shape]]] = {image.id: [] for image in content.images}
    for particle in content.annotations:
        where = f"{path}: annotation {particle.id}"
        if particle.image_id not in particles:
            raise InputError(f"{where}: belongs to image {particle.image_id}, which the file has not; export it again")
        if not particle.iscrowd:
            particles[particle.image_id].append(_shapes(particle, where))
    return [
        drawn(PureWindowsPath(image.file_name).name, f"{path}: {image.file_name}", (image.height, image.width), shapes)
        for image, shapes in zip(content.images, particles.values(), strict=True)
    ]


def _shapes(particle: _Particle, where: str) -> list[Shape]:
    if isinstance(particle.segmentation, _Runs):
        return [Bitmap(particle.segmentation.counts, particle.segmentation.size, where)]
    if not particle.segmentation or any(len(ring) % 2 for ring in particle.segmentation):
        raise InputError(f"{where}: must have polygons of x and y in turn, or run lengths; export it again")
    return [Polygon((np.array(ring).reshape(-1, 2),)) for ring in particle.segmentation]


def export_coco(samples: Iterable[AnnotatedImage], path: Path | str) -> Path:
    """Write the label maps of annotated images as one COCO file, particles as compressed run lengths; return its path.

    Raises
    ------
    InputError
        If an image has no annotation.
    """
    images: list[dict[str, Any]] = []
    particles: list[dict[str, Any]] = []
    for number, sample in enumerate(samples, start=1):
        if sample.labels is None:
            raise InputError(f"{sample.path}: has no annotation to export; annotate it, or take it out of the dataset")
        height, width = sample.labels.shape
        images.append({"id": number, "file_name": sample.path.name, "width": width, "height": height})
        for label, box in enumerate(ndimage.find_objects(sample.labels), start=1):
            if box is not None:
                mask = sample.labels[box] == label
                top, left = (side.start for side in box)
                particles.append(
                    {
                        "id": len(particles) + 1,
                        "image_id": number,
                        "category_id": 1,
                        "iscrowd": 0,
                        "area": int(mask.sum()),
                        "bbox": [left, top, mask.shape[1], mask.shape[0]],
                        "segmentation": {
                            "size": [height, width],
                            "counts": encode_rle(mask, (height, width), (top, left)),
                        },
                    }
                )
    write_json(path, {"images": images, "annotations": particles, "categories": [{"id": 1, "name": "particle"}]})
    return Path(path)
