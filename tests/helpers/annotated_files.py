"""The annotation of one image, rectangle, triangle and circle, as the programs write it."""

import base64
import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import roifile
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as coco_mask

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.labels import relabel, write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.tiff import write_tiff

Labels = npt.NDArray[np.int32]


SHAPE = (60, 80)


RECTANGLE = np.array([[10, 5], [30, 5], [30, 25], [10, 25]])  # (x, y)


TRIANGLE = np.array([[40.5, 10.2], [70.3, 12.9], [50.1, 50.6]])


CIRCLE = (20.0, 45.0, 9.0)  # x, y, radius


def label_maps(largest: int = 4) -> st.SearchStrategy[Labels]:
    """Any label map, particles in pieces and with holes among them, numbered without gaps."""
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)
    return shapes.flatmap(lambda shape: arrays.arrays(np.int32, shape, elements=st.integers(0, largest))).map(relabel)


def sample(labels: Labels, name: str = "a") -> AnnotatedImage:
    return AnnotatedImage(
        name, np.zeros(labels.shape, np.float32), labels, PixelSize.unknown("test"), Path(f"{name}.tif")
    )


def expected() -> Labels:
    """The label map of rectangle, triangle and circle, from the distance or the side on which pixel centres lie."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    labels = np.zeros(SHAPE, dtype=np.int32)
    labels[(x > 10) & (x < 30) & (y > 5) & (y < 25)] = 1
    sides = [
        (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        for (x1, y1), (x2, y2) in zip(TRIANGLE, np.roll(TRIANGLE, -1, axis=0), strict=True)
    ]
    labels[np.all(sides, axis=0) & (np.min(sides, axis=0) > 0)] = 2
    labels[np.hypot(x - CIRCLE[0], y - CIRCLE[1]) < CIRCLE[2]] = 3
    return labels


def write_labelme(path: Path, image: str, size: tuple[int, int] = SHAPE) -> None:
    x, y, radius = CIRCLE
    content = {
        "version": "5.4.1",
        "shapes": [
            shape("rectangle", [RECTANGLE[0].tolist(), RECTANGLE[2].tolist()]),
            shape("polygon", TRIANGLE.tolist()),
            shape("circle", [[x, y], [x + radius * 0.6, y - radius * 0.8]]),
        ],
        "imagePath": image,
        "imageData": base64.b64encode(b"anything").decode(),
        "imageHeight": size[0],
        "imageWidth": size[1],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def shape(kind: str, points: list[Any], group: int | None = None) -> dict[str, Any]:
    return {"label": "particle", "points": points, "group_id": group, "shape_type": kind, "flags": {}}


def via_regions() -> list[dict[str, Any]]:
    x, y, radius = CIRCLE
    attributes: list[dict[str, Any]] = [
        {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 20},
        {"name": "polygon", "all_points_x": TRIANGLE[:, 0].tolist(), "all_points_y": TRIANGLE[:, 1].tolist()},
        {"name": "circle", "cx": x, "cy": y, "r": radius},
    ]
    return [{"shape_attributes": each, "region_attributes": {}} for each in attributes]


def write_via(path: Path, image: str) -> None:
    entry = {"filename": image, "size": 4711, "regions": via_regions(), "file_attributes": {}}
    project = {"_via_settings": {}, "_via_img_metadata": {image + "4711": entry}, "_via_attributes": {}}
    path.write_text(json.dumps(project), encoding="utf-8")


def write_via_csv(path: Path, image: str) -> None:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["filename", "file_size", "file_attributes", "region_count", "region_id", "region_shape_attributes"])
    for number, region in enumerate(via_regions()):
        rows.writerow([image, 4711, "{}", 3, number, json.dumps(region["shape_attributes"])])
    path.write_text(text.getvalue(), encoding="utf-8")


def coco_content(image: str, segmentations: list[Any], size: tuple[int, int] = SHAPE) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": image, "height": size[0], "width": size[1]}],
        "annotations": [
            {"id": k, "image_id": 7, "category_id": 1, "segmentation": each, "iscrowd": 0}
            for k, each in enumerate(segmentations)
        ],
        "categories": [{"id": 1, "name": "particle"}],
    }


def write_coco(path: Path, image: str) -> None:
    circle = np.asfortranarray((expected() == 3).astype(np.uint8))
    runs = coco_mask.encode(circle)
    segmentations = [
        [RECTANGLE.ravel().tolist()],
        [TRIANGLE.ravel().tolist()],
        {"size": list(SHAPE), "counts": runs["counts"].decode()},
    ]
    path.write_text(json.dumps(coco_content(image, segmentations)), encoding="utf-8")


def write_regions(path: Path, image: str) -> None:
    x, y, radius = (round(value) for value in CIRCLE)
    oval = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.OVAL, left=x - radius, top=y - radius, right=x + radius, bottom=y + radius
    )
    box = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, left=10, top=5, right=30, bottom=25)
    rois = [box, roifile.ImagejRoi.frompoints(TRIANGLE.astype(np.float32)), oval]
    with zipfile.ZipFile(path, "w") as archive:
        for number, roi in enumerate(rois):
            archive.writestr(f"{number}.roi", roi.tobytes())


def write_binary(path: Path, image: str) -> None:
    Image.fromarray(((expected() > 0) * 255).astype(np.uint8)).save(path)


def write_colours(path: Path, image: str) -> None:
    colours = np.array([[0, 0, 0], [200, 10, 10], [10, 200, 10], [10, 10, 200]], dtype=np.uint8)
    Image.fromarray(colours[expected()]).save(path)


WRITERS: dict[str, tuple[str, Callable[[Path, str], None]]] = {
    "labelme": ("a.json", write_labelme),
    "via": ("via.json", write_via),
    "via csv": ("via.csv", write_via_csv),
    "coco": ("coco.json", write_coco),
    "imagej": ("a_RoiSet.zip", write_regions),
    "binary": ("a_m.png", write_binary),
    "instance": ("a.labels.tif", lambda path, image: write_labels(path, expected(), pixel_size_nm=None)),
    "colour": ("a.png", write_colours),
}


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """One annotated image, of 2.5 nm pixels, and one that nobody annotated."""
    for name in ("a", "b"):
        pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
        write_tiff(tmp_path / "micrographs" / f"{name}.tif", pixels, pixel_size_nm=2.5)
    return tmp_path / "micrographs"
