"""Regions that were drawn become the label maps that were meant; what is no particle is left out and said."""

import base64
import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
from helpers.annotated_files import (
    RECTANGLE,
    SHAPE,
    TRIANGLE,
    coco_content,
    expected,
    shape,
    write_coco,
    write_labelme,
    write_regions,
    write_via,
    write_via_csv,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.datasets.annotations.coco import read_coco
from nanolab.datasets.annotations.imagej import read_imagej
from nanolab.datasets.annotations.labelme import read_labelme
from nanolab.datasets.annotations.shapes import Ellipse, Polygon, draw_particles
from nanolab.datasets.annotations.via import read_via, read_via_csv


@given(
    angle=st.floats(0, np.pi),
    x=st.floats(60, 90),
    y=st.floats(60, 90),
    first=st.floats(10, 50),
    second=st.floats(10, 50),
)
def test_shapes_have_their_areas(angle: float, x: float, y: float, first: float, second: float) -> None:
    labels = draw_particles([[Ellipse((x, y), (first, second), angle)]], (150, 150))
    # Pixels at the edge are in or out at random: the error grows with the root of their number.
    perimeter = 2 * np.pi * max(first, second)
    assert labels.sum() == pytest.approx(np.pi * first * second, abs=3 * np.sqrt(perimeter))
    corners = np.array([[-first, -second], [first, -second], [first, second], [-first, second]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    labels = draw_particles([[Polygon((corners @ turn + (x, y),))]], (150, 150))
    # Along a side parallel to the pixels a whole row is in or out.
    assert labels.sum() == pytest.approx(4 * first * second, abs=2 * (first + second) + 2)


def test_later_particles_lie_on_top_and_hidden_ones_get_no_label() -> None:
    small, large = Ellipse((20, 20), (5, 5)), Ellipse((20, 20), (9, 9))
    assert draw_particles([[large], [small]], (40, 40)).max() == 2
    assert draw_particles([[small], [large]], (40, 40)).max() == 1
    outside = Polygon((np.array([[-50.0, -50.0], [-10.0, -50.0], [-10.0, -10.0]]),))
    assert draw_particles([[outside], [small]], (40, 40)).max() == 1


def test_shapes_of_a_group_are_one_particle(tmp_path: Path) -> None:
    halves = [shape("rectangle", [[5, 5], [10, 10]], 3), shape("rectangle", [[20, 5], [25, 10]], 3)]
    alone = shape("rectangle", [[40, 5], [45, 10]])
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [*halves, alone], "imagePath": "a.tif"}))
    (annotation,) = read_labelme(tmp_path / "a.json")
    assert (annotation.particles, annotation.size) == (2, None)
    assert np.bincount(annotation.labels(SHAPE).ravel()).tolist() == [4800 - 75, 50, 25]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([shape("line", [[1, 1], [2, 2]])], "shape 1: must enclose a particle, got a line"),
        ([shape("polygon", [[1, 1], [2, 2]])], "shape 1: a polygon cannot have 2 points"),
        ([shape("polygon", [[1, 1], [2, 2], [3]])], r"points\.2\.1: Field required"),
        ([shape("polygon", [[1, 1], [2, 1e300], [3, 3]])], "less than or equal to 1000000"),
        ("no list", "shapes: Input should be a valid list"),
    ],
)
def test_wrong_labelme_files_are_refused(tmp_path: Path, shapes: Any, message: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.tif"}))
    with pytest.raises(InputError, match=rf"(?s)a\.json: .*{message}"):
        read_labelme(tmp_path / "a.json")[0].labels(SHAPE)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\xff", '{"shapes": NaN}', "1" * 5000])
@pytest.mark.parametrize("read", [read_labelme, read_via, read_coco])
def test_broken_files_are_refused(tmp_path: Path, text: str, read: Callable[[Path], Any]) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.json: "):
        read(tmp_path / "a.json")[0].labels(SHAPE)


def test_via_files_of_all_kinds(tmp_path: Path) -> None:
    ellipse = {"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 10, "theta": 0.5}
    plain = {"a.tif1": {"filename": "http://host/a.tif", "regions": {"0": {"shape_attributes": ellipse}}}}
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    (annotation,) = read_via(tmp_path / "plain.json")
    assert annotation.image == "a.tif"
    assert annotation.labels(SHAPE).sum() == pytest.approx(np.pi * 200, rel=0.02)
    for first in ("", "#"):
        (tmp_path / "old.csv").write_text(first + 'filename,region_shape_attributes\na.tif,"{}"\n')
        assert [each.image for each in read_via_csv(tmp_path / "old.csv")] == ["a.tif"]
    (tmp_path / "empty.csv").write_text('filename,region_shape_attributes\na.tif,"{}"\n')
    assert [each.particles for each in read_via_csv(tmp_path / "empty.csv")] == [0]
    for attributes, message in (
        ({"name": "point", "cx": 1, "cy": 1}, "got a point"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "as many x as y"),
    ):
        text = json.dumps(attributes).replace('"', '""')
        (tmp_path / "a.csv").write_text(f'filename,region_shape_attributes\na.tif,"{text}"\n')
        with pytest.raises(InputError, match=rf"a\.csv: line 2: .*{message}"):
            read_via_csv(tmp_path / "a.csv")[0].labels(SHAPE)
    (tmp_path / "a.csv").write_text("name,area\na,5\n")
    with pytest.raises(InputError, match="VIA's CSV has the column filename, this one has not"):
        read_via_csv(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"segmentation": [[1, 1, 2, 2, 3, 3, 4]]}, "polygons of x and y in turn"),
        ({"segmentation": [[1, 1, 2, 2]]}, "at least 6 items"),
        ({"segmentation": []}, "annotation 0: has no outline, only nothing"),
        ({"segmentation": [], "bbox": [1, 1, 5, 5]}, "annotation 0: has no outline, only bbox; draw the outline"),
        (
            {"segmentation": {"size": [5, 5], "counts": [25]}},
            "the size of its image, 80 x 60 pixels, got 5 x 5",
        ),
        ({"segmentation": {"size": list(SHAPE), "counts": [25]}}, "run lengths must add up"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": "0"}}, "less than or equal to 1000000"),
    ],
)
def test_wrong_coco_files_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    content = coco_content("a.tif", [[RECTANGLE.ravel().tolist()]])
    content["annotations"][0] |= changed
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_coco(tmp_path / "a.json")[0].labels(SHAPE)


def test_what_is_marked_as_a_crowd_is_one_particle_and_said(tmp_path: Path) -> None:
    brushed = {"size": list(SHAPE), "counts": [100, 50, 4650]}
    content = coco_content("a.tif", [brushed])
    content["annotations"][0]["iscrowd"] = 1
    (tmp_path / "a.json").write_text(json.dumps(content))
    (annotation,) = read_coco(tmp_path / "a.json")
    assert annotation.labels(SHAPE).sum() == 50
    assert annotation.remarks == (f"{tmp_path}/a.json: annotation 0: is marked as a crowd, was taken for one particle",)


def test_annotations_of_an_image_that_coco_does_not_list_are_no_part_of_others(tmp_path: Path) -> None:
    content = coco_content("a.tif", [[RECTANGLE.ravel().tolist()]] * 2)
    content["annotations"][1]["image_id"] = 8
    content["images"].append({"id": 9})
    (tmp_path / "a.json").write_text(json.dumps(content))
    listed, other, broken = read_coco(tmp_path / "a.json")
    assert np.array_equal(listed.labels(SHAPE), expected() == 1)
    assert other.where.endswith("annotations of the image 8, which its list of images has not")
    with pytest.raises(InputError, match=r"(?s)image 2: .*file_name: Field required"):
        broken.labels(SHAPE)
    content["images"].append(content["images"][0])
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="two images have the number 7"):
        read_coco(tmp_path / "a.json")


def one_good_and(write: Callable[[Path, str], None], path: Path, change: Callable[[Any], Any]) -> Path:
    """Write an annotation and spoil it with `change` of its JSON."""
    write(path, "a.tif")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


POINT = {"shape_attributes": {"name": "point", "cx": 3, "cy": 3}}
BOX = {"id": 9, "image_id": 7, "bbox": [1, 1, 5, 5], "segmentation": []}
RUNS = {"id": 9, "image_id": 7, "segmentation": {"size": list(SHAPE), "counts": "zzz"}}


@pytest.mark.parametrize("bad", [None, 5, [], {}, shape("point", [[1, 1]]), shape("polygon", [[1, float("nan")]] * 3)])
def test_one_bad_region_among_good_ones_is_left_out_and_said(tmp_path: Path, bad: Any) -> None:
    files = {
        read_labelme: one_good_and(write_labelme, tmp_path / "l.json", lambda each: each["shapes"].append(bad)),
        read_via: one_good_and(
            write_via,
            tmp_path / "v.json",
            lambda each: each["_via_img_metadata"]["a.tif4711"]["regions"].append(bad or POINT),
        ),
        read_coco: one_good_and(
            write_coco, tmp_path / "c.json", lambda each: each["annotations"].append(BOX if bad is None else RUNS)
        ),
    }
    write_via_csv(tmp_path / "v.csv", "a.tif")
    with (tmp_path / "v.csv").open("a") as file:
        csv.writer(file).writerow(["a.tif", 4711, "{}", 4, 3, json.dumps(bad or POINT)])
    write_regions(tmp_path / "a.zip", "a.tif")
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("9.roi", b"Iout" + json.dumps(bad).encode())
    for read, path in {**files, read_via_csv: tmp_path / "v.csv", read_imagej: tmp_path / "a.zip"}.items():
        (annotation,) = read(path)
        assert np.array_equal(annotation.labels(SHAPE), expected())
        (remark,) = annotation.remarks
        assert remark.startswith(f"left out: {path}: ")


def test_labelmes_masks_holes_and_closed_lines_are_particles(tmp_path: Path) -> None:
    blot = np.zeros((4, 6), dtype=np.uint8)
    blot[1:3, 1:5] = 1
    png = io.BytesIO()
    Image.fromarray(blot.astype(bool)).save(png, format="PNG")
    painted = shape("mask", [[70, 2], [75, 5]]) | {"mask": base64.b64encode(png.getvalue()).decode()}
    outer = shape("polygon", [[5, 5], [25, 5], [25, 25], [5, 25]], 1)
    hole = shape("polygon", [[10, 10], [20, 10], [20, 20], [10, 20]], 1)
    line = [[40, 30], [50, 30], [50, 40], [40, 40]]
    shapes = [painted, hole, outer, shape("linestrip", [*line, [40, 31]]), shape("linestrip", line)]
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.tif"}))
    (annotation,) = read_labelme(tmp_path / "a.json")
    labels = annotation.labels(SHAPE)
    assert np.argwhere(labels == 1).tolist() == [[row, col] for row in (3, 4) for col in range(71, 75)]
    assert (labels == 2).sum() == 20**2 - 10**2
    assert abs((labels == 3).sum() - 100) <= 10  # the last corner is a pixel away from the first
    assert [remark.split(": ", 2)[2] for remark in annotation.remarks] == [
        "shape 5: must enclose a particle, got a line whose ends are 10 px apart; close it"
    ]
    assert np.array_equal(annotation.labels((5, 73)) > 0, labels[:5, :73] > 0)  # a mask may reach beyond the image


@pytest.mark.parametrize("mask", [None, "", "no base64", base64.b64encode(b"no PNG").decode()])
def test_a_labelme_mask_that_is_none_is_refused(tmp_path: Path, mask: str | None) -> None:
    content = {"shapes": [shape("mask", [[1, 1], [2, 2]]) | {"mask": mask}], "imagePath": "a.tif"}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="shape 1: not a readable mask"):
        read_labelme(tmp_path / "a.json")[0].labels(SHAPE)


def test_lines_that_close_are_outlines_in_via_and_imagej_too(tmp_path: Path) -> None:
    corners = np.array([*RECTANGLE.tolist(), RECTANGLE[0].tolist()])
    line = {"name": "polyline", "all_points_x": corners[:, 0].tolist(), "all_points_y": corners[:, 1].tolist()}
    (tmp_path / "a.json").write_text(json.dumps({"a": {"filename": "a.tif", "regions": [{"shape_attributes": line}]}}))
    roi = roifile.ImagejRoi.frompoints(corners)
    roi.roitype = roifile.ROI_TYPE.POLYLINE
    (tmp_path / "a.roi").write_bytes(roi.tobytes())
    for annotation in (*read_via(tmp_path / "a.json"), *read_imagej(tmp_path / "a.roi")):
        assert np.array_equal(annotation.labels(SHAPE), expected() == 1)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.roi", bytes(2**25))
    assert (tmp_path / "bomb.zip").stat().st_size < 2**16

    def never(*_: Any, **__: Any) -> bytes:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    with pytest.raises(InputError, match="unpacks to 1 regions of 33554432 bytes"):
        read_imagej(tmp_path / "bomb.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_BZIP2) as archive:
        monkeypatch.undo()
        archive.writestr("0.roi", bytes(100))
    with pytest.raises(InputError, match="not compressed as ImageJ does it"):
        read_imagej(tmp_path / "other.zip")


def test_a_zip_that_understates_what_it_holds_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "honest.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.roi", bytes(2**25))
    true, false = (size.to_bytes(4, "little") for size in (2**25, 100))
    (tmp_path / "liar.zip").write_bytes((tmp_path / "honest.zip").read_bytes().replace(true, false))
    tracemalloc.start()
    with pytest.raises(InputError, match="not a readable zip of regions"):
        read_imagej(tmp_path / "liar.zip")
    assert tracemalloc.get_traced_memory()[1] < 2**20  # far below what the zip holds
    tracemalloc.stop()


def test_wrong_regions_are_refused(tmp_path: Path) -> None:
    line = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.LINE, x1=1, y1=1, x2=5, y2=5)
    text = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT, subtype=roifile.ROI_SUBTYPE.TEXT, left=1, top=1, right=9, bottom=9
    )
    good = roifile.ImagejRoi.frompoints(TRIANGLE.astype(np.float32)).tobytes()
    for content, message in (
        (line.tobytes(), "must enclose an area, got a line"),
        (text.tobytes(), "must enclose a particle, got a text"),
        (b"Iout" + bytes(10), "not a readable region"),
        (good[:70], "not a readable region"),
        (b"PK not a region", "not a readable region"),
        (roifile.ImagejRoi.frompoints(np.array([[1, 1], [2, 2]])).tobytes(), "has no outline of at least 3 corners"),
    ):
        (tmp_path / "a.roi").write_bytes(content)
        with pytest.raises(InputError, match=rf"a\.roi: {message}"):
            read_imagej(tmp_path / "a.roi")[0].labels(SHAPE)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(InputError, match="not a readable zip of regions"):
        read_imagej(tmp_path / "a.zip")
