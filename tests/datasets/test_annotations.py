"""Annotations of every format become the label maps that were drawn, and label maps go out and come back."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import roifile
import tifffile
from helpers.annotated_files import (
    SHAPE,
    Labels,
    expected,
    label_maps,
    sample,
    write_colours,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.annotations.coco import read_coco
from nanolab.datasets.annotations.imagej import outlines, read_imagej, write_imagej_rois
from nanolab.datasets.annotations.pairing import read_mask
from nanolab.datasets.annotations.shapes import Polygon, draw_particles
from nanolab.datasets.exports import to_coco
from nanolab.datasets.public import public_images
from nanolab.images.labels import write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.rle import decode_rle, encode_rle


def test_masks_of_another_size_are_refused_before_they_are_read(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", expected(), pixel_size_nm=None)
    Image.fromarray(np.zeros((70, 70), np.uint8)).save(tmp_path / "a.png")
    for name, size in (("a.tif", "80 x 60"), ("a.png", "70 x 70")):
        (annotation,) = read_mask(tmp_path / name)
        with pytest.raises(InputError, match=f"must have the size of its image, 50 x 40 pixels, got {size}"):
            annotation.labels((40, 50))


def test_masks_that_are_none_are_refused(tmp_path: Path) -> None:
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


def test_binary_masks_are_cut_by_lines_of_one_pixel(tmp_path: Path) -> None:
    mask = np.full((9, 9), 255, dtype=np.uint8)
    mask[4] = 0
    mask[:, 4] = 0
    mask[0, 0] = 0
    np.fill_diagonal(mask[5:, 5:], 0)  # a diagonal line separates, too
    Image.fromarray(mask).save(tmp_path / "a.png")
    labels = read_mask(tmp_path / "a.png")[0].labels((9, 9))
    assert np.bincount(labels.ravel()).tolist() == [81 - 15 - 16 - 16 - 6 - 6, 15, 16, 16, 6, 6]


def test_label_maps_of_any_numbers_are_renumbered_in_order(tmp_path: Path) -> None:
    values = np.zeros((4, 6), dtype=np.uint32)
    values[:, 2:4], values[:, 4:] = 4_000_000_000, 17
    tifffile.imwrite(tmp_path / "a.tif", values)
    labels = read_mask(tmp_path / "a.tif")[0].labels((4, 6))
    assert labels[0].tolist() == [0, 0, 2, 2, 1, 1]


def test_without_black_the_most_frequent_colour_is_background(tmp_path: Path) -> None:
    colours = np.full((10, 10, 3), 255, dtype=np.uint8)
    colours[2:4, 2:4], colours[6:9, 6:9] = (10, 0, 0), (0, 10, 0)
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "a.png")
    labels = read_mask(tmp_path / "a.png")[0].labels((10, 10))
    assert sorted(np.bincount(labels.ravel()).tolist()) == [4, 9, 87]
    assert labels[0, 0] == 0


def test_of_a_palette_the_colours_count_and_in_a_label_map_the_indices(tmp_path: Path) -> None:
    picture = Image.fromarray(expected().astype(np.uint8), mode=None)
    picture.putpalette([255, 255, 255, 200, 0, 0, 0, 0, 0, 0, 0, 200])  # index 2 is black, so background
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png", "instance")[0].labels(SHAPE), expected())
    for kind in ("auto", "colour"):
        labels = read_mask(tmp_path / "a.png", kind)[0].labels(SHAPE)  # type: ignore[arg-type]
        assert np.array_equal(labels == 0, expected() == 2)


@given(labels=label_maps())
def test_label_maps_come_back_from_imagej(tmp_path_factory, labels: Labels) -> None:
    path = write_imagej_rois(tmp_path_factory.mktemp("rois") / "a.zip", labels)
    (annotation,) = read_imagej(path)
    assert annotation.particles == labels.max(initial=0)
    assert np.array_equal(annotation.labels(labels.shape), labels)


@given(labels=label_maps())
def test_label_maps_come_back_from_coco(tmp_path_factory, labels: Labels) -> None:
    path = to_coco([sample(labels)], tmp_path_factory.mktemp("coco") / "coco.json")
    (annotation,) = read_coco(path)
    assert (annotation.image, annotation.size) == ("a.tif", labels.shape)
    assert np.array_equal(annotation.labels(labels.shape), labels)


def test_cocos_own_tools_read_what_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = to_coco([sample(expected(), "a"), sample(expected()[::-1], "b")], tmp_path / "coco.json")
    dataset = COCO(str(path))
    assert [dataset.imgs[k]["file_name"] for k in (1, 2)] == ["a.tif", "b.tif"]
    for label, particle in enumerate(dataset.loadAnns(dataset.getAnnIds(imgIds=[1])), start=1):
        mask = dataset.annToMask(particle)
        assert np.array_equal(mask, expected() == label)
        assert particle["area"] == mask.sum()
        assert particle["bbox"] == coco_mask.toBbox(dataset.annToRLE(particle)).tolist()


def test_the_same_labels_give_the_same_regions(tmp_path: Path) -> None:
    first, second = (write_imagej_rois(tmp_path / name, expected()).read_bytes() for name in ("x.zip", "y.zip"))
    assert first == second


def test_imagej_measures_the_areas_of_the_label_map(tmp_path: Path) -> None:
    labels = expected()
    for label, roi in enumerate(roifile.roiread(write_imagej_rois(tmp_path / "a.zip", labels)), start=1):
        x, y = roi.coordinates().T.astype(float)
        # ImageJ's area of a traced outline is that of the polygon, by the shoelace formula.
        assert abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2 == (labels == label).sum()
        assert roi.roitype == roifile.ROI_TYPE.TRACED
        assert roi.name == f"{label:05d}"


def test_what_imagej_cannot_say_is_refused(tmp_path: Path) -> None:
    wide = np.zeros((1, 40_000), dtype=np.int32)
    with pytest.raises(InputError, match="reach to 32767 px"):
        write_imagej_rois(tmp_path / "a.zip", wide)
    unlabelled = AnnotatedImage("a", np.zeros((2, 2), np.float32), None, PixelSize.unknown("test"), Path("a.tif"))
    with pytest.raises(InputError, match=r"a\.tif: has no annotation to export"):
        to_coco([unlabelled], tmp_path / "x")


@given(mask=arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_outlines_enclose_the_pixels_and_nothing_else(mask: npt.NDArray[np.bool_]) -> None:
    rings = outlines(mask)
    areas = [np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) for x, y in (ring.T for ring in rings)]
    assert abs(sum(areas)) / 2 == mask.sum()  # holes run the other way
    if rings:
        drawn = draw_particles([[Polygon(tuple(ring.astype(float) for ring in rings))]], mask.shape)
        assert np.array_equal(drawn > 0, mask)


@given(mask=arrays.arrays(bool, (7, 5)), row=st.integers(0, 3), col=st.integers(0, 4))
def test_run_lengths_are_cocos(mask: npt.NDArray[np.bool_], row: int, col: int) -> None:
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
def test_wrong_run_lengths_are_refused(counts: str | list[int]) -> None:
    with pytest.raises(InputError, match=r"here: (run lengths must add up|not compressed run lengths)"):
        decode_rle(counts, (10, 10), "here")


def test_real_annotations_survive_imagej_and_coco(
    emps_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(emps_folder.parent))
    for real in public_images("emps")[:3]:
        assert real.labels is not None
        (regions,) = read_imagej(write_imagej_rois(tmp_path / f"{real.name}.zip", real.labels))
        (runs,) = read_coco(to_coco([real], tmp_path / f"{real.name}.json"))
        for annotation in (regions, runs):
            assert np.array_equal(annotation.labels(real.labels.shape), real.labels)
