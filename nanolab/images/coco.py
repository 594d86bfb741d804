"""Particles as COCO's JSON: one writer for label maps and for outlines that overlap."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanolab.core.files import write_json
from nanolab.core.typing import AnyLabelMap
from nanolab.images.rle import encode_rle

__all__ = ["coco_particle", "coco_particles", "write_coco"]

# Of one image: the name of its file, its height and width, and its particles.
CocoImage = tuple[str, tuple[int, ...], Iterable[dict[str, Any]]]


def write_coco(path: Path | str, images: Iterable[CocoImage]) -> Path:
    """Write one COCO file of instances, masks as compressed run lengths; return its path.

    Parameters
    ----------
    images
        Of each the name of its file, its shape (height, width), and what `coco_particle` returned for its particles;
        iterated once, so that they can be read one by one.
    """
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, shape, particles) in enumerate(images, start=1):
        height, width = shape
        listed.append({"id": number, "file_name": name, "width": width, "height": height})
        for each in particles:
            about = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            annotations.append(about | each)
    write_json(path, {"images": listed, "annotations": annotations, "categories": [{"id": 1, "name": "particle"}]})
    return Path(path)


def coco_particle(mask: npt.NDArray[Any], shape: tuple[int, int], corner: tuple[int, int]) -> dict[str, Any]:
    """Return what COCO says of one particle.

    Parameters
    ----------
    mask
        Shape (rows, columns), a box around the particle.
    shape
        Height and width of the image.
    corner
        Row and column of the mask's first pixel in the image.
    """
    return {
        "area": int(np.count_nonzero(mask)),
        "bbox": [corner[1], corner[0], mask.shape[1], mask.shape[0]],
        "segmentation": {"size": list(shape), "counts": encode_rle(mask, shape, corner)},
    }


def coco_particles(labels: AnyLabelMap) -> Iterator[dict[str, Any]]:
    """Return what COCO says of each particle of a label map, shape (height, width)."""
    height, width = labels.shape
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            yield coco_particle(labels[box] == label, (height, width), (box[0].start, box[1].start))
