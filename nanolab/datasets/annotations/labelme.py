"""labelme's JSON: one file per image."""

import base64
import io
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from nanolab.core.checks import InputError, reading
from nanolab.datasets.annotations.annotation import Annotation, Coordinate, Lenient, Regions, read_json, validated
from nanolab.datasets.annotations.shapes import Ellipse, Polygon, Shape, Stamp, closed, with_holes

__all__ = ["read_labelme"]

# Corners that a shape must have; labelme turns rectangles into four of them.
_POLYGONS = {"polygon": (3, 10**9), "linestrip": (4, 10**9), "rotation": (4, 4), "oriented_rectangle": (4, 4)}
_CORNERS = _POLYGONS | {"circle": (2, 2), "rectangle": (2, 4), "mask": (2, 2)}


class _Shape(Lenient):
    label: str = ""
    points: list[tuple[Coordinate, Coordinate]]
    shape_type: str = "polygon"
    group_id: int | str | None = None
    mask: str | None = None


class _File(Lenient):
    shapes: list[Any]
    imagePath: str = ""
    imageHeight: int | None = None
    imageWidth: int | None = None


def read_labelme(path: Path) -> list[Annotation]:
    """Read the polygons, circles, rectangles, masks and closed line strips of a labelme file.

    Those of one group are one particle; a polygon of it that lies within another one is a hole.

    Raises
    ------
    InputError
        If the file is not labelme's.
    """
    content = validated(_File, read_json(path), str(path))
    # The path in the file is that of another machine, if not a trap; only the name counts.
    name = PureWindowsPath(content.imagePath).name or path.stem
    size = (content.imageHeight, content.imageWidth) if content.imageHeight and content.imageWidth else None
    regions = Regions(name, str(path), size)
    for number, each in enumerate(content.shapes, start=1):
        said = each if isinstance(each, dict) else {}
        group = None if said.get("group_id") is None else str((said.get("label"), said["group_id"]))
        regions.add(partial(_shapes, each, f"{path}: shape {number}"), group)
    return [regions.annotation(with_holes)]


def _shapes(content: Any, where: str) -> list[Shape]:
    shape = validated(_Shape, content, where)
    points = np.array(shape.points, dtype=np.float64).reshape(-1, 2)
    if shape.shape_type not in _CORNERS:
        raise InputError(f"{where}: must enclose a particle, got a {shape.shape_type}; draw its outline")
    least, most = _CORNERS[shape.shape_type]
    if not least <= len(points) <= most:
        raise InputError(f"{where}: a {shape.shape_type} cannot have {len(points)} points; draw it again")
    match shape.shape_type:
        case "circle":
            radius = float(np.hypot(*(points[1] - points[0])))
            return [Ellipse((points[0, 0], points[0, 1]), (radius, radius))]
        case "mask":
            return [_stamp(shape.mask, points, where)]
        case "linestrip":
            return [Polygon((closed(points, where),))]
        case "rectangle" if len(points) == 2:
            (left, top), (right, bottom) = points
            points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return [Polygon((points,))]


def _stamp(text: str | None, points: Any, where: str) -> Stamp:
    """Decode a mask: a PNG in base64, of the box between two points, both of which belong to it."""
    (left, top), (right, bottom) = np.rint(points).astype(int).tolist()
    size = (right - left + 1, bottom - top + 1)
    with reading(where, "mask", "draw it again"):
        content = io.BytesIO(base64.b64decode(text or "", validate=True))
        with Image.open(content, formats=("PNG",)) as picture:
            if picture.size != size:
                raise InputError(f"{where}: its mask must have the size of its box, {size}, got {picture.size}")
            mask = np.asarray(picture.convert("L")) > 0
    return Stamp((top, left), mask)
