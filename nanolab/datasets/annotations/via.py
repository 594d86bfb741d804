"""VGG Image Annotator 2: projects and annotations as JSON, annotations as CSV; one file for many images."""

import csv
import io
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from nanolab.core.checks import InputError
from nanolab.core.files import parse_json
from nanolab.datasets.annotations.annotation import (
    Annotation,
    Coordinate,
    Lenient,
    Regions,
    read_json,
    read_text,
    unreadable,
    validated,
)
from nanolab.datasets.annotations.shapes import Ellipse, Polygon, Shape, closed

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


class _Image(Lenient):
    filename: str
    regions: list[Any] | dict[str, Any]


def read_via(path: Path) -> list[Annotation]:
    """Read a VIA 2 project or its annotations exported as JSON: polygons, circles, ellipses, rectangles, closed lines.

    Raises
    ------
    InputError
        If the file is not VIA's.
    """
    content: Any = read_json(path)
    if isinstance(content, dict):
        content = content.get("_via_img_metadata", content)
    if not isinstance(content, dict):
        raise InputError(f"{path}: VIA's JSON is a mapping of images, got a {type(content).__name__}; export it again")
    return [_image(each, f"{path}: {key}", path) for key, each in content.items()]


def _image(content: Any, where: str, path: Path) -> Annotation:
    try:
        image = validated(_Image, content, where)
    except InputError as error:
        return unreadable(where, error)
    regions = Regions(_name(image.filename), f"{path}: {image.filename}")
    each_region = image.regions if isinstance(image.regions, list) else list(image.regions.values())
    for number, region in enumerate(each_region, start=1):
        outline = region.get("shape_attributes") if isinstance(region, dict) else None
        regions.add(partial(_shapes, outline, f"{regions.where}: region {number}"))
    return regions.annotation()


def read_via_csv(path: Path) -> list[Annotation]:
    """Read the annotations that VIA 2 exported as CSV, one region per line.

    Raises
    ------
    InputError
        If the file is not VIA's.
    """
    images: dict[str, Regions] = {}
    rows = csv.DictReader(io.StringIO(read_text(path).removeprefix("#")))  # VIA 1 began with one
    try:
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise InputError(f"{path}: VIA's CSV has the column {missing[0]}, this one has not; export it again")
        for row in rows:
            name, text = row["filename"] or "", row["region_shape_attributes"]
            regions = images.setdefault(name, Regions(_name(name), f"{path}: {name}"))
            if text and text.strip() != "{}":  # an image without regions has one line without any
                regions.add(partial(_shapes_of_text, text, f"{path}: line {rows.line_num}"))
    except csv.Error as error:
        raise InputError(f"{path}: not readable as CSV ({error}); export it again") from error
    return [regions.annotation() for regions in images.values()]


def _name(filename: str) -> str:
    """Return the name of a file that may be given with its path or address."""
    return PureWindowsPath(filename).name


def _shapes_of_text(text: str, where: str) -> list[Shape]:
    return _shapes(parse_json(text, where, "export the annotation again", nan=True), where)


def _shapes(content: Any, where: str) -> list[Shape]:
    outline = validated(_Outline, content, where)
    match outline.name:
        case "polygon" | "polyline":
            if not len(outline.all_points_x) == len(outline.all_points_y) >= 3:
                raise InputError(f"{where}: a {outline.name} needs as many x as y, at least 3; draw it again")
            points = np.column_stack([outline.all_points_x, outline.all_points_y])
            return [Polygon((points if outline.name == "polygon" else closed(points, where),))]
        case "rect":
            right, bottom = outline.x + outline.width, outline.y + outline.height
            corners = [(outline.x, outline.y), (right, outline.y), (right, bottom), (outline.x, bottom)]
            return [Polygon((np.array(corners),))]
        case "circle":
            return [Ellipse((outline.cx, outline.cy), (outline.r, outline.r))]
        case "ellipse":
            return [Ellipse((outline.cx, outline.cy), (outline.rx, outline.ry), outline.theta)]
        case _:
            raise InputError(f"{where}: must enclose a particle, got a {outline.name}; draw its outline")
