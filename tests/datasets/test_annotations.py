"""Annotations of every format become the label maps that were drawn, and label maps go out and come back."""

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
import numpy.typing as npt
import pytest
import roifile
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.annotations.coco import export_coco, read_coco
from nanolab.datasets.annotations.imagej import export_imagej_rois, read_imagej, write_imagej_rois
from nanolab.datasets.annotations.importing import import_labels
from nanolab.datasets.annotations.labelme import read_labelme
from nanolab.datasets.annotations.maskfiles import read_mask
from nanolab.datasets.annotations.outlines import outlines
from nanolab.datasets.annotations.shapes import Ellipse, Polygon, draw_particles
from nanolab.datasets.annotations.via import read_via, read_via_csv
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.public import public_images
from nanolab.images.labels import relabel, write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.rle import decode_rle, encode_rle
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


# Each of these writes the annotation of one image, rectangle, triangle and circle, in one format.


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


@pytest.mark.parametrize("format_", WRITERS)
@pytest.mark.parametrize("told", [True, False])
def test_every_format_becomes_the_same_dataset(image_folder: Path, tmp_path: Path, format_: str, told: bool):
    name, write = WRITERS[format_]
    source = tmp_path / "annotations"
    source.mkdir()
    write(source / name, "a.tif")
    dataset = import_labels(
        source, image_folder, tmp_path / "set", format_.removesuffix(" csv") if told else "auto", progress=False
    )
    dataset.verify()
    assert dataset.names == ("a",)
    found = dataset[0]
    # A binary mask is numbered by the first row of each particle, which is the order here as well.
    assert np.array_equal(found.labels, expected())
    assert np.array_equal(np.rint(found.image * 255), tifffile.imread(image_folder / "a.tif"))
    assert found.pixel_size.nm == pytest.approx(2.5)
    assert dataset.manifest is not None
    assert dataset.manifest["records"]["a"]["particles"] == 3


def test_annotations_may_lie_beside_the_images(image_folder: Path, tmp_path: Path):
    write_labelme(image_folder / "a.json", "a.tif")
    write_regions(image_folder / "b.zip", "b.tif")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a", "b")
    assert np.array_equal(dataset[0].labels, dataset[1].labels)


def test_a_folder_of_images_and_masks_is_understood(image_folder: Path, tmp_path: Path):
    image_folder.rename(tmp_path / "images")
    write_labels(tmp_path / "masks" / "b.tif", expected() * 5, pixel_size_nm=None)
    dataset = import_labels(tmp_path, None, tmp_path / "set", progress=False)
    assert dataset.names == ("b",)
    assert np.array_equal(dataset[0].labels, expected())


def test_an_import_is_completed_and_not_repeated(image_folder: Path, tmp_path: Path):
    for name in ("a", "b"):
        write_labelme(image_folder / f"{name}.json", f"{name}.tif")
    whole = import_labels(image_folder, None, tmp_path / "set", progress=False)
    files = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*.tif")}
    again = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert {path: path.stat().st_mtime_ns for path in again.folder.rglob("*.tif")} == files
    (whole.folder / "masks/b.tif").write_bytes(b"II*")
    with pytest.raises(InputError, match=r"masks/b\.tif"):
        whole.verify()
    import_labels(image_folder, None, tmp_path / "set", progress=False).verify()
    assert whole.manifest == Dataset(whole.folder).manifest
    assert (whole.folder / "images/a.tif").stat().st_mtime_ns == files[whole.folder / "images/a.tif"]
    write_labelme(image_folder / "b.json", "a.tif")
    (image_folder / "a.json").unlink()
    with pytest.raises(InputError, match="made of other files"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)


def test_what_cannot_be_used_is_left_out_and_comes_in_when_it_is_mended(image_folder: Path, tmp_path: Path):
    write_labelme(image_folder / "a.json", "a.tif")
    write_labelme(image_folder / "b.json", "b.tif", size=(61, 80))
    write_labelme(image_folder / "c.json", "c.tif")
    (image_folder / "d.json").write_text("{")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert dataset.manifest is not None
    left_out = {Path(where).name: why for where, why in dataset.manifest["left_out"].items()}
    assert sorted(left_out) == ["b.json", "c.json", "d.json"]
    assert "is of an image of 80 x 61 pixels" in left_out["b.json"]
    assert "b.tif has 80 x 60" in left_out["b.json"]
    assert "its image c.tif is not in" in left_out["c.json"]
    assert "not valid JSON" in left_out["d.json"]
    stamp = (tmp_path / "set/images/a.tif").stat().st_mtime_ns
    write_labelme(image_folder / "b.json", "b.tif")
    for name in ("c", "d"):
        (image_folder / f"{name}.json").unlink()
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    dataset.verify()
    assert dataset.names == ("a", "b")
    assert dataset.manifest is not None
    assert dataset.manifest["left_out"] == {}
    assert (tmp_path / "set/images/a.tif").stat().st_mtime_ns == stamp
    assert not list(dataset.folder.glob("**/.*"))


def test_an_image_whose_annotation_was_spoilt_is_taken_out_again(image_folder: Path, tmp_path: Path):
    write_labelme(image_folder / "a.json", "a.tif")
    write_labelme(image_folder / "b.json", "b.tif")
    (image_folder / "c.json").write_text("{")
    assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("a", "b")
    (image_folder / "b.json").write_text("{")
    assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("a",)
    assert [path.name for path in (tmp_path / "set").glob("*/*.tif")] == ["a.tif"] * 2


def test_an_import_of_nothing_is_refused(image_folder: Path, tmp_path: Path):
    write_labelme(image_folder / "b.json", "b.tif", size=(61, 80))
    with pytest.raises(InputError, match=r"b\.json: is of an image of 80 x 61 pixels"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert not list((tmp_path / "set").rglob("*.tif"))
    write_labelme(image_folder / "b.json", "b.tif")
    assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("b",)
    (tmp_path / "none.json").write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(InputError, match=r"none\.json: annotates no image"):
        import_labels(tmp_path / "none.json", image_folder, tmp_path / "other", progress=False)


def test_a_typed_pixel_size_goes_over_that_of_the_file(image_folder: Path, tmp_path: Path):
    write_labelme(image_folder / "a.json", "a.tif")
    dataset = import_labels(image_folder, None, tmp_path / "set", pixel_size_nm=7.5, progress=False)
    assert dataset[0].pixel_size.nm == pytest.approx(7.5)
    assert tifffile.imread(tmp_path / "set/masks/a.tif").shape == SHAPE
    with pytest.raises(InputError, match="other files or settings"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)
    with pytest.raises(InputError, match="pixel_size_nm must be a number of nm above 0"):
        import_labels(image_folder, None, tmp_path / "set", pixel_size_nm=-1, progress=False)


def test_masks_may_lie_beside_their_images(image_folder: Path, tmp_path: Path):
    write_binary(image_folder / "a_mask.png", "a.tif")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert np.array_equal(dataset[0].labels, expected())
    # the same by the mask's name, and with the folder named twice
    alone = import_labels(image_folder / "a_mask.png", None, tmp_path / "alone", progress=False)
    assert np.array_equal(alone[0].labels, expected())
    assert import_labels(image_folder, image_folder, tmp_path / "twice", "binary", progress=False).names == ("a",)


def test_a_folder_that_holds_something_else_is_refused(image_folder: Path, tmp_path: Path):
    write_labelme(image_folder / "a.json", "a.tif")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/recipe.yaml").write_text("name: tio2_sem\n")
    with pytest.raises(InputError, match="holds something else"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert (tmp_path / "set/recipe.yaml").read_text() == "name: tio2_sem\n"


@pytest.mark.parametrize("path", ["../../secret.tif", "/etc/passwd", "C:\\Users\\me\\a.tif", "images\\a.tif", ".."])
def test_only_the_name_of_a_path_within_a_file_counts(image_folder: Path, tmp_path: Path, path: str):
    write_tiff(tmp_path.parent / "secret.tif", np.eye(60, 80, dtype=np.uint8), pixel_size_nm=None)
    write_labelme(image_folder / "x.json", path)
    if path.endswith("a.tif"):
        assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("a",)
    else:
        with pytest.raises(InputError, match=r"is not in .*micrographs"):
            import_labels(image_folder, None, tmp_path / "set", progress=False)
        assert not (tmp_path / "set").exists()


def test_mistakes_with_folders_are_explained(image_folder: Path, tmp_path: Path):
    out = tmp_path / "set"
    with pytest.raises(InputError, match=r"no annotation there, which would end in .*_mask\.png or the like"):
        import_labels(image_folder, None, out)
    with pytest.raises(InputError, match="not found; name an annotation file"):
        import_labels(tmp_path / "absent", None, out)
    with pytest.raises(InputError, match=r"which would end in _mask\.png or the like; where .* name both"):
        import_labels(image_folder, None, out, "binary")
    with pytest.raises(InputError, match="format must be one of auto, labelme"):
        import_labels(image_folder, None, out, "pascal")  # type: ignore[arg-type]
    write_labelme(image_folder / "a.json", "a.tif")
    write_labelme(image_folder / "other.json", "a.tif")
    with pytest.raises(InputError, match=r"a\.tif is annotated in .*a\.json, too"):
        import_labels(image_folder, None, out)
    with pytest.raises(InputError, match="must be the folder of the images"):
        import_labels(image_folder / "a.json", tmp_path / "nowhere", out)
    (image_folder / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.tif: shares its name with a\.png"):
        import_labels(image_folder / "a.json", None, out)
    (image_folder / "a.png").unlink()
    (tmp_path / "strange.json").write_text('{"file": {}}')
    with pytest.raises(InputError, match="neither labelme's JSON nor COCO's"):
        import_labels(tmp_path / "strange.json", image_folder, out)


def test_masks_of_another_size_are_refused_before_they_are_read(tmp_path: Path):
    write_labels(tmp_path / "a.tif", expected(), pixel_size_nm=None)
    Image.fromarray(np.zeros((70, 70), np.uint8)).save(tmp_path / "a.png")
    for name, size in (("a.tif", "80 x 60"), ("a.png", "70 x 70")):
        (annotation,) = read_mask(tmp_path / name)
        with pytest.raises(InputError, match=f"must have the size of its image, 50 x 40 pixels, got {size}"):
            annotation.labels((40, 50))


def test_masks_that_are_none_are_refused(tmp_path: Path):
    tifffile.imwrite(tmp_path / "half.tif", np.full(SHAPE, 0.5, np.float32))
    tifffile.imwrite(tmp_path / "minus.tif", np.full(SHAPE, -1, np.int16))
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, *SHAPE), np.uint8), photometric="minisblack")
    write_colours(tmp_path / "colours.png", "")
    for name, kind, message in (
        ("half.tif", "auto", "all pixels have the value 0.5"),
        ("minus.tif", "instance", "must not hold negative labels"),
        ("stack.tif", "auto", "must hold one mask, got 3 pages"),
        ("colours.png", "binary", "must be grey, got colours"),
    ):
        with pytest.raises(InputError, match=message):
            read_mask(tmp_path / name, kind)[0].labels(SHAPE)  # type: ignore[arg-type]


def test_binary_masks_are_cut_by_lines_of_one_pixel(tmp_path: Path):
    mask = np.full((9, 9), 255, dtype=np.uint8)
    mask[4] = 0
    mask[:, 4] = 0
    mask[0, 0] = 0
    np.fill_diagonal(mask[5:, 5:], 0)  # a diagonal line separates, too
    Image.fromarray(mask).save(tmp_path / "a.png")
    labels = read_mask(tmp_path / "a.png")[0].labels((9, 9))
    assert np.bincount(labels.ravel()).tolist() == [81 - 15 - 16 - 16 - 6 - 6, 15, 16, 16, 6, 6]


def test_label_maps_of_any_numbers_are_renumbered_in_order(tmp_path: Path):
    values = np.zeros((4, 6), dtype=np.uint32)
    values[:, 2:4], values[:, 4:] = 4_000_000_000, 17
    tifffile.imwrite(tmp_path / "a.tif", values)
    labels = read_mask(tmp_path / "a.tif")[0].labels((4, 6))
    assert labels[0].tolist() == [0, 0, 2, 2, 1, 1]


def test_without_black_the_most_frequent_colour_is_background(tmp_path: Path):
    colours = np.full((10, 10, 3), 255, dtype=np.uint8)
    colours[2:4, 2:4], colours[6:9, 6:9] = (10, 0, 0), (0, 10, 0)
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "a.png")
    labels = read_mask(tmp_path / "a.png")[0].labels((10, 10))
    assert sorted(np.bincount(labels.ravel()).tolist()) == [4, 9, 87]
    assert labels[0, 0] == 0


def test_of_a_palette_the_colours_count_and_in_a_label_map_the_indices(tmp_path: Path):
    picture = Image.fromarray(expected().astype(np.uint8), mode=None)
    picture.putpalette([255, 255, 255, 200, 0, 0, 0, 0, 0, 0, 0, 200])  # index 2 is black, so background
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png", "instance")[0].labels(SHAPE), expected())
    for kind in ("auto", "colour"):
        labels = read_mask(tmp_path / "a.png", kind)[0].labels(SHAPE)  # type: ignore[arg-type]
        assert np.array_equal(labels == 0, expected() == 2)


@given(labels=label_maps())
def test_label_maps_come_back_from_imagej(tmp_path_factory, labels: Labels):
    path = write_imagej_rois(tmp_path_factory.mktemp("rois") / "a.zip", labels)
    (annotation,) = read_imagej(path)
    assert annotation.particles == labels.max(initial=0)
    assert np.array_equal(annotation.labels(labels.shape), labels)


@given(labels=label_maps())
def test_label_maps_come_back_from_coco(tmp_path_factory, labels: Labels):
    path = export_coco([sample(labels)], tmp_path_factory.mktemp("coco") / "coco.json")
    (annotation,) = read_coco(path)
    assert (annotation.image, annotation.size) == ("a.tif", labels.shape)
    assert np.array_equal(annotation.labels(labels.shape), labels)


def test_cocos_own_tools_read_what_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = export_coco([sample(expected(), "a"), sample(expected()[::-1], "b")], tmp_path / "coco.json")
    dataset = COCO(str(path))
    assert [dataset.imgs[k]["file_name"] for k in (1, 2)] == ["a.tif", "b.tif"]
    for label, particle in enumerate(dataset.loadAnns(dataset.getAnnIds(imgIds=[1])), start=1):
        mask = dataset.annToMask(particle)
        assert np.array_equal(mask, expected() == label)
        assert particle["area"] == mask.sum()
        assert particle["bbox"] == coco_mask.toBbox(dataset.annToRLE(particle)).tolist()


def test_the_same_labels_give_the_same_regions(tmp_path: Path):
    first, second = (
        export_imagej_rois([sample(expected())], tmp_path / folder)[0].read_bytes() for folder in ("x", "y")
    )
    assert first == second


def test_imagej_measures_the_areas_of_the_label_map(tmp_path: Path):
    labels = expected()
    for label, roi in enumerate(roifile.roiread(write_imagej_rois(tmp_path / "a.zip", labels)), start=1):
        x, y = roi.coordinates().T.astype(float)
        # ImageJ's area of a traced outline is that of the polygon, by the shoelace formula.
        assert abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2 == (labels == label).sum()
        assert roi.roitype == roifile.ROI_TYPE.TRACED
        assert roi.name == f"{label:05d}"


def test_what_imagej_cannot_say_is_refused(tmp_path: Path):
    wide = np.zeros((1, 40_000), dtype=np.int32)
    with pytest.raises(InputError, match="reach to 32767 px"):
        write_imagej_rois(tmp_path / "a.zip", wide)
    unlabelled = AnnotatedImage("a", np.zeros((2, 2), np.float32), None, PixelSize.unknown("test"), Path("a.tif"))
    for export in (export_imagej_rois, export_coco):
        with pytest.raises(InputError, match=r"a\.tif: has no annotation to export"):
            export([unlabelled], tmp_path / "x")


@given(mask=arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_outlines_enclose_the_pixels_and_nothing_else(mask: npt.NDArray[np.bool_]):
    rings = outlines(mask)
    areas = [np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) for x, y in (ring.T for ring in rings)]
    assert abs(sum(areas)) / 2 == mask.sum()  # holes run the other way
    if rings:
        drawn = draw_particles([[Polygon(tuple(ring.astype(float) for ring in rings))]], mask.shape)
        assert np.array_equal(drawn > 0, mask)


@given(mask=arrays.arrays(bool, (7, 5)), row=st.integers(0, 3), col=st.integers(0, 4))
def test_run_lengths_are_cocos(mask: npt.NDArray[np.bool_], row: int, col: int):
    whole = np.zeros((10, 9), dtype=np.uint8)
    whole[row : row + 7, col : col + 5] = mask
    counts = encode_rle(mask, (10, 9), (row, col))
    assert counts == coco_mask.encode(np.asfortranarray(whole))["counts"].decode()
    assert np.array_equal(decode_rle(counts, (10, 9), "test"), whole)
    flat = whole.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    assert np.array_equal(decode_rle([0, *runs] if flat[0] else runs, (10, 9), "test"), whole)


@pytest.mark.parametrize("counts", ["", "0", "zzz", "\x7f", "oooooooooooooooooooo0", "é", [5], [-5, 105], "1" * 1000])
def test_wrong_run_lengths_are_refused(counts: str | list[int]):
    with pytest.raises(InputError, match=r"here: (run lengths must add up|not compressed run lengths)"):
        decode_rle(counts, (10, 10), "here")


@given(
    angle=st.floats(0, np.pi),
    x=st.floats(60, 90),
    y=st.floats(60, 90),
    first=st.floats(10, 50),
    second=st.floats(10, 50),
)
def test_shapes_have_their_areas(angle: float, x: float, y: float, first: float, second: float):
    labels = draw_particles([[Ellipse((x, y), (first, second), angle)]], (150, 150))
    # Pixels at the edge are in or out at random: the error grows with the root of their number.
    perimeter = 2 * np.pi * max(first, second)
    assert labels.sum() == pytest.approx(np.pi * first * second, abs=3 * np.sqrt(perimeter))
    corners = np.array([[-first, -second], [first, -second], [first, second], [-first, second]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    labels = draw_particles([[Polygon((corners @ turn + (x, y),))]], (150, 150))
    # Along a side parallel to the pixels a whole row is in or out.
    assert labels.sum() == pytest.approx(4 * first * second, abs=2 * (first + second) + 2)


def test_later_particles_lie_on_top_and_hidden_ones_get_no_label():
    small, large = Ellipse((20, 20), (5, 5)), Ellipse((20, 20), (9, 9))
    assert draw_particles([[large], [small]], (40, 40)).max() == 2
    assert draw_particles([[small], [large]], (40, 40)).max() == 1
    outside = Polygon((np.array([[-50.0, -50.0], [-10.0, -50.0], [-10.0, -10.0]]),))
    assert draw_particles([[outside], [small]], (40, 40)).max() == 1


def test_shapes_of_a_group_are_one_particle(tmp_path: Path):
    halves = [shape("rectangle", [[5, 5], [10, 10]], 3), shape("rectangle", [[20, 5], [25, 10]], 3)]
    alone = shape("rectangle", [[40, 5], [45, 10]])
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [*halves, alone], "imagePath": "a.tif"}))
    (annotation,) = read_labelme(tmp_path / "a.json")
    assert (annotation.particles, annotation.size) == (2, None)
    assert np.bincount(annotation.labels(SHAPE).ravel()).tolist() == [4800 - 75, 50, 25]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([shape("line", [[1, 1], [2, 2]])], "shape 1: must be a polygon, circle or rectangle, got a line"),
        ([shape("polygon", [[1, 1], [2, 2]])], "shape 1: a polygon cannot have 2 points"),
        ([shape("polygon", [[1, 1], [2, 2], [3]])], r"shapes\.0\.points\.2\.1: Field required"),
        ([shape("polygon", [[1, 1], [2, 1e300], [3, 3]])], "less than or equal to 1000000"),
        ("no list", "shapes: Input should be a valid list"),
    ],
)
def test_wrong_labelme_files_are_refused(tmp_path: Path, shapes: Any, message: str):
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.tif"}))
    with pytest.raises(InputError, match=rf"(?s)a\.json: .*{message}"):
        read_labelme(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\xff", '{"shapes": NaN}', "1" * 5000])
@pytest.mark.parametrize("read", [read_labelme, read_via, read_coco])
def test_broken_files_are_refused(tmp_path: Path, text: str, read: Callable[[Path], Any]):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.json: "):
        read(tmp_path / "a.json")


def test_via_files_of_all_kinds(tmp_path: Path):
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
            read_via_csv(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("name,area\na,5\n")
    with pytest.raises(InputError, match="VIA's CSV has the column filename, this one has not"):
        read_via_csv(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"segmentation": [[1, 1, 2, 2, 3, 3, 4]]}, "polygons of x and y in turn"),
        ({"segmentation": [[1, 1, 2, 2]]}, "at least 6 items"),
        ({"segmentation": []}, "polygons of x and y in turn"),
        ({"image_id": 8}, "belongs to image 8, which the file has not"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": "0"}}, "less than or equal to 1000000"),
    ],
)
def test_wrong_coco_files_are_refused(tmp_path: Path, changed: dict[str, Any], message: str):
    content = coco_content("a.tif", [[RECTANGLE.ravel().tolist()]])
    content["annotations"][0] |= changed
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_coco(tmp_path / "a.json")


def test_coco_masks_must_fit_and_crowds_are_no_particles(tmp_path: Path):
    content = coco_content("a.tif", [{"size": [5, 5], "counts": [25]}, [RECTANGLE.ravel().tolist()]])
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is for an image of 5 x 5 pixels, the image has 80 x 60"):
        read_coco(tmp_path / "a.json")[0].labels(SHAPE)
    content["annotations"][0]["iscrowd"] = 1
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert np.array_equal(read_coco(tmp_path / "a.json")[0].labels(SHAPE), expected() == 1)


def test_images_that_nobody_annotated_need_not_be_there(image_folder: Path, tmp_path: Path):
    content = coco_content("a.tif", [[RECTANGLE.ravel().tolist()]])
    content["images"].append({"id": 9, "file_name": "elsewhere.tif", "height": 5, "width": 5})
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert import_labels(tmp_path / "coco.json", image_folder, tmp_path / "set", progress=False).names == ("a",)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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


def test_a_zip_that_understates_what_it_holds_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "honest.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.roi", bytes(2**25))
    true, false = (size.to_bytes(4, "little") for size in (2**25, 100))
    (tmp_path / "liar.zip").write_bytes((tmp_path / "honest.zip").read_bytes().replace(true, false))
    tracemalloc.start()
    with pytest.raises(InputError, match="not a readable zip of regions"):
        read_imagej(tmp_path / "liar.zip")
    assert tracemalloc.get_traced_memory()[1] < 2**20  # far below what the zip holds
    tracemalloc.stop()


def test_wrong_regions_are_refused(tmp_path: Path):
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
            read_imagej(tmp_path / "a.roi")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(InputError, match="not a readable zip of regions"):
        read_imagej(tmp_path / "a.zip")


def test_the_bam_masks_are_read_as_by_the_catalog(bam_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.parent))
    datasets = bam_folder / "Datasets"
    name = public_images("bam-tio2").names[0]
    mask = datasets / "Electron Microscopy Image Masks/TiO2_Masks_Manual_4connected" / f"{name}_m.tif"
    dataset = import_labels(mask, datasets / "Electron Microscopy Images/SEM", tmp_path / "set", progress=False)
    real = public_images("bam-tio2")[0]
    assert dataset.names == (name,)
    assert np.array_equal(relabel(dataset[0].labels[:704]), real.labels)
    assert np.array_equal(dataset[0].image[:704], real.image)
    assert dataset[0].pixel_size.nm == pytest.approx(7.34375)


def test_real_annotations_survive_imagej_and_coco(emps_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NANOLAB_DATA", str(emps_folder.parent))
    for real in public_images("emps")[:3]:
        assert real.labels is not None
        (regions,) = read_imagej(write_imagej_rois(tmp_path / f"{real.name}.zip", real.labels))
        (runs,) = read_coco(export_coco([real], tmp_path / f"{real.name}.json"))
        for annotation in (regions, runs):
            assert np.array_equal(annotation.labels(real.labels.shape), real.labels)
