"""VGG Image Annotator 2: projects and annotations as JSON, annotations as CSV; one file for many images."""

import csv
import io
from pathlib import Path, PureWindowsPath
from typing import Any

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

__all__ = ["read_via", "read_via_csv"]

_COLUMNS = ("filename", "region_shape_attributes")


class _Outline(Lenient):
    """The shape of a region; which of the values there are depends on its name."""

    name: str
    all_points_x: list[Coordinate] = []
    all_points_y: list[Coordinate] = []
    x: Coordinate = 0
    y: Coordinate = 0
    width: Coordinate = 0
    height: Coordinate = 0
    cx: Coordinate = 0
    cy: Coordinate = 0
    r: Coordinate = 0
    rx: Coordinate = 0
    ry: Coordinate = 0
    theta: Coordinate = 0


class _Region(Lenient):
    shape_attributes: _Outline


class _Image(Lenient):
    filename: str
    regions: list[_Region] | dict[str, _Region]


class _Project(Lenient):
    images: dict[str, _Image]


def read_via(path: Path) -> list[Annotation]:
    """Read a VIA 2 project or its annotations exported as JSON: polygons, circles, ellipses and rectangles.

    Raises
    ------
    InputError
        If the file is not VIA's, or has another kind of region.
    """
    content: Any = text_as_json(read_text(path), str(path))
    if isinstance(content, dict):
        content = content.get("_via_img_metadata", content)
    project = validated(_Project, {"images": content}, str(path))
    found = []
    for image in project.images.values():
        regions = image.regions if isinstance(image.regions, list) else list(image.regions.values())
        name, where = _name(image.filename), f"{path}: {image.filename}"
        shapes = [[_shape(region.shape_attributes, where)] for region in regions]
        found.append(drawn(name, where, None, shapes))
    return found


def read_via_csv(path: Path) -> list[Annotation]:
    """Read the annotations that VIA 2 exported as CSV, one region a line.

    Raises
    ------
    InputError
        If the file is not VIA's, or has another kind of region.
    """
    particles: dict[str, list[list[Shape]]] = {}
    rows = csv.DictReader(io.StringIO(read_text(path).removeprefix("#")))  # VIA 1 began with one
    try:
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise InputError(f"{path}: VIA's CSV has the column {missing[0]}, this one has not; export it again")
        for row in rows:
            where = f"{path}: line {rows.line_num}"
            outline = text_as_json(row["region_shape_attributes"] or "{}", where)
            shapes = particles.setdefault(row["filename"] or "", [])
            if outline:  # an image without regions has one line without any
                shapes.append([_shape(validated(_Outline, outline, where), where)])
    except csv.Error as error:
        raise InputError(f"{path}: not readable as CSV ({error}); export it again") from error
    return [drawn(_name(name), f"{path}: {name}", None, shapes) for name, shapes in particles.items()]


def _name(filename: str) -> str:
    """Return the name of a file that may be given with its path or address."""
    return PureWindowsPath(filename).name


def _shape(outline: _Outline, where: str) -> Shape:
    match outline.name:
        case "polygon" if len(outline.all_points_x) == len(outline.all_points_y) >= 3:
            return Polygon((np.column_stack([outline.all_points_x, outline.all_points_y]),))
        case "rect":
            right, bottom = outline.x + outline.width, outline.y + outline.height
            corners = [(outline.x, outline.y), (right, outline.y), (right, bottom), (outline.x, bottom)]
            return Polygon((np.array(corners),))
        case "circle":
            return Ellipse((outline.cx, outline.cy), (outline.r, outline.r))
        case "ellipse":
            return Ellipse((outline.cx, outline.cy), (outline.rx, outline.ry), outline.theta)
        case "polygon":
            raise InputError(f"{where}: a polygon needs as many x as y, at least 3; draw it again")
        case _:
            raise InputError(
                f"{where}: must be a polygon, circle, ellipse or rectangle, got a {outline.name}; draw its outline"
            )
