"""labelme's JSON: one file an image."""

from pathlib import Path, PureWindowsPath

import numpy as np

from nanolab.core.checks import InputError
from nanolab.datasets.annotations.annotation import (
    Annotation,
    Coordinate,
    Lenient,
    drawn,
    read_text,
    text_as_json,
    validated,
)
from nanolab.datasets.annotations.shapes import Ellipse, Polygon, Shape

__all__ = ["read_labelme"]


class _Shape(Lenient):
    label: str = ""
    points: list[tuple[Coordinate, Coordinate]]
    shape_type: str = "polygon"
    group_id: int | None = None


class _File(Lenient):
    shapes: list[_Shape]
    imagePath: str = ""
    imageHeight: int | None = None
    imageWidth: int | None = None


def read_labelme(path: Path) -> list[Annotation]:
    """Read the polygons, circles and rectangles of a labelme file; those of one group are one particle.

    Raises
    ------
    InputError
        If the file is not labelme's, or has another kind of shape.
    """
    content = validated(_File, text_as_json(read_text(path), str(path)), str(path))
    particles: dict[object, list[Shape]] = {}
    for number, shape in enumerate(content.shapes):
        key = number if shape.group_id is None else (shape.label, shape.group_id)
        particles.setdefault(key, []).append(_shape(shape, f"{path}: shape {number + 1}"))
    size = (content.imageHeight, content.imageWidth) if content.imageHeight and content.imageWidth else None
    # The path in the file is that of another machine, if not a trap; only the name counts.
    name = PureWindowsPath(content.imagePath).name or path.stem
    return [drawn(name, str(path), size, list(particles.values()))]


def _shape(shape: _Shape, where: str) -> Shape:
    points = np.array(shape.points, dtype=np.float64).reshape(-1, 2)
    needed = {"polygon": (3, 10**9), "circle": (2, 2), "rectangle": (2, 4)}
    if shape.shape_type not in needed:
        raise InputError(f"{where}: must be a polygon, circle or rectangle, got a {shape.shape_type}; draw its outline")
    least, most = needed[shape.shape_type]
    if not least <= len(points) <= most:
        raise InputError(f"{where}: a {shape.shape_type} cannot have {len(points)} points; draw it again")
    if shape.shape_type == "circle":
        radius = float(np.hypot(*(points[1] - points[0])))
        return Ellipse((points[0, 0], points[0, 1]), (radius, radius))
    if shape.shape_type == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Polygon((points,))
