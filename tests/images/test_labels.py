from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.images.labels import labels_from_mask, read_labels, relabel, remove_small, write_labels
from nanolab.images.pixel_size import pixel_size_from_metadata

label_maps = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 9))
CUT = np.array([[255, 255, 0, 0], [255, 0, 255, 255], [0, 0, 255, 255]], dtype=np.uint8)  # two, touching diagonally


def test_particles_that_touch_only_at_a_corner_are_two():
    labels = labels_from_mask(CUT)
    assert labels.dtype == np.int32
    assert labels.tolist() == [[1, 1, 0, 0], [1, 0, 2, 2], [0, 0, 2, 2]]


def test_a_mask_must_have_one_plane():
    with pytest.raises(InputError, match=r"shape \(height, width\), got \(2, 2, 3\)"):
        labels_from_mask(np.zeros((2, 2, 3)))


def test_annotated_masks_have_the_particles_that_were_counted_in_them(bam_folder: Path):
    masks = sorted((bam_folder / "Datasets" / "Electron Microscopy Image Masks").rglob("*_m.tif"))
    areas = np.concatenate([np.bincount(labels_from_mask(tifffile.imread(path)[:704]).ravel())[1:] for path in masks])
    # Counted once for the 20 masks above their data bars; 199 of the components are a single pixel.
    assert (len(masks), len(areas), (areas == 1).sum(), areas.sum()) == (20, 3256, 199, 1604064)


@given(label_maps)
def test_relabel_numbers_without_gaps_and_keeps_order_and_pixels(labels: np.ndarray):
    renumbered = relabel(labels)
    old, new = np.unique(labels[labels > 0]), np.unique(renumbered[renumbered > 0])
    assert new.tolist() == list(range(1, len(old) + 1))
    assert (np.append(0, old)[renumbered] == labels).all()


@given(label_maps, st.integers(0, 20))
def test_remove_small_keeps_whole_particles_of_at_least_the_area(labels: np.ndarray, min_area_px: int):
    large = [label for label in np.unique(labels[labels > 0]) if (labels == label).sum() >= min_area_px]
    assert (remove_small(labels, min_area_px) == relabel(np.where(np.isin(labels, large), labels, 0))).all()


def test_labels_far_beyond_the_number_of_pixels_take_no_memory():
    labels = np.array([[0, 2**31 - 1]], dtype=np.int32)
    assert remove_small(labels, 1).tolist() == [[0, 1]]


@pytest.mark.parametrize(("largest", "dtype"), [(65535, np.uint16), (65536, np.uint32)])
def test_written_labels_come_back_with_their_pixel_size(tmp_path: Path, largest: int, dtype: type):
    labels = np.array([[0, 1, 1], [largest, largest, 0]], dtype=np.int32)
    write_labels(tmp_path / "a.tif", labels, pixel_size_nm=7.34375)
    back = read_labels(tmp_path / "a.tif")
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype
    assert back.dtype == np.int32
    assert (back == labels).all()
    # The TIFF holds a ratio of two 32-bit integers.
    assert pixel_size_from_metadata(tmp_path / "a.tif").nm == pytest.approx(7.34375, rel=1e-8)


@pytest.mark.parametrize("name", ["mask.tif", "mask.png", "mask.bmp"])
def test_a_file_of_0_and_255_is_a_mask(tmp_path: Path, name: str):
    Image.fromarray(CUT).save(tmp_path / name)
    assert read_labels(tmp_path / name).max() == 2


def test_a_1_bit_file_is_a_mask(tmp_path: Path):
    Image.fromarray(CUT > 0).save(tmp_path / "mask.png")
    assert read_labels(tmp_path / "mask.png").max() == 2


def test_an_empty_mask_has_no_particles(tmp_path: Path):
    Image.fromarray(np.zeros_like(CUT)).save(tmp_path / "mask.png")
    assert not read_labels(tmp_path / "mask.png").any()


@pytest.mark.parametrize("palette", [False, True])
def test_a_picture_with_other_values_is_a_label_map_and_keeps_its_numbers(tmp_path: Path, palette: bool):
    labels = np.array([[0, 3], [255, 255]], dtype=np.uint8)
    picture = Image.fromarray(labels)
    if palette:
        picture.putpalette(list(range(255, -1, -1)) * 3)
    picture.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == labels.tolist()


def test_16_bit_png_label_maps_keep_their_numbers(tmp_path: Path):
    labels = np.array([[0, 300], [40000, 300]], dtype=np.uint16)
    Image.fromarray(labels).save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.float32), "must hold integers, got float32"),
        (np.full((2, 3), 2**31, np.uint32), "at most 2147483647, got 2147483648"),
        (np.full((2, 3), -1, np.int16), "must not hold negative labels"),
    ],
)
def test_what_is_no_label_map_is_refused_by_name(tmp_path: Path, array: np.ndarray, message: str):
    tifffile.imwrite(tmp_path / "a.tif", array)
    with pytest.raises(InputError, match=rf"a\.tif: .*{message}"):
        read_labels(tmp_path / "a.tif")


def test_pictures_that_cannot_hold_labels_are_refused_by_name(tmp_path: Path):
    Image.fromarray(CUT).save(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "rgb.png").read_bytes()[:40])
    for name, message in [("a.jpg", "JPEG changes"), ("rgb.png", "shape"), ("cut.png", "not a readable image")]:
        with pytest.raises(InputError, match=rf"{name}: .*{message}"):
            read_labels(tmp_path / name)
