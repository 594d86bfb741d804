from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from nanolab.core.checks import InputError
from nanolab.images.labels import labels_from_mask, read_label_file, read_labels, relabel, remove_small, write_labels
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import PixelSize, pixel_size_from_metadata
from nanolab.images.tiff import write_tiff

label_maps = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 9))
CUT = np.array([[255, 255, 0, 0], [255, 0, 255, 255], [0, 0, 255, 255]], dtype=np.uint8)  # two, touching diagonally


def test_particles_that_touch_only_at_a_corner_are_two() -> None:
    labels = labels_from_mask(CUT)
    assert labels.dtype == np.int32
    assert labels.tolist() == [[1, 1, 0, 0], [1, 0, 2, 2], [0, 0, 2, 2]]


def test_a_mask_must_have_one_plane() -> None:
    with pytest.raises(InputError, match=r"shape \(height, width\), got \(2, 2, 3\)"):
        labels_from_mask(np.zeros((2, 2, 3)))


def test_annotated_masks_have_the_particles_that_were_counted_in_them(bam_folder: Path) -> None:
    masks = sorted((bam_folder / "Datasets" / "Electron Microscopy Image Masks").rglob("*_m.tif"))
    areas = np.concatenate([np.bincount(labels_from_mask(tifffile.imread(path)[:704]).ravel())[1:] for path in masks])
    # Counted once for the 20 masks above their data bars; 199 of the components are a single pixel.
    assert (len(masks), len(areas), (areas == 1).sum(), areas.sum()) == (20, 3256, 199, 1604064)


@given(label_maps)
def test_relabel_numbers_without_gaps_and_keeps_order_and_pixels(labels: np.ndarray) -> None:
    renumbered = relabel(labels)
    old, new = np.unique(labels[labels > 0]), np.unique(renumbered[renumbered > 0])
    assert new.tolist() == list(range(1, len(old) + 1))
    assert (np.append(0, old)[renumbered] == labels).all()


@given(label_maps, st.integers(0, 20))
def test_remove_small_keeps_whole_particles_of_at_least_the_area(labels: np.ndarray, min_area_px: int) -> None:
    large = [label for label in np.unique(labels[labels > 0]) if (labels == label).sum() >= min_area_px]
    assert (remove_small(labels, min_area_px) == relabel(np.where(np.isin(labels, large), labels, 0))).all()


def test_labels_far_beyond_the_number_of_pixels_take_no_memory() -> None:
    labels = np.array([[0, 2**31 - 1]], dtype=np.int32)
    assert remove_small(labels, 1).tolist() == [[0, 1]]


@pytest.mark.parametrize(("largest", "dtype"), [(65535, np.uint16), (65536, np.uint32)])
def test_written_labels_come_back_with_their_pixel_size(tmp_path: Path, largest: int, dtype: type) -> None:
    labels = np.array([[0, 1, 1], [largest, largest, 0]], dtype=np.int32)
    write_labels(tmp_path / "a.tif", labels, pixel_size_nm=7.34375)
    back = read_labels(tmp_path / "a.tif")
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype
    assert back.dtype == np.int32
    assert (back == labels).all()
    # The TIFF holds a ratio of two 32-bit integers.
    assert pixel_size_from_metadata(tmp_path / "a.tif").nm == pytest.approx(7.34375, rel=1e-8)


def test_a_label_file_carries_what_is_known_of_its_image(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 1], [2, 2, 0], [0, 0, 0]], dtype=np.int32)
    pixel_size = PixelSize(2.5, "scale bar", "200 nm over 80.0 px", 0.93)
    write_labels(tmp_path / "a.tif", labels, pixel_size=pixel_size, image="a.jpg", image_rows=2)
    found = read_label_file(tmp_path / "a.tif")
    assert (found.labels == labels).all()
    assert (found.pixel_size, found.image, found.image_rows) == (pixel_size, "a.jpg", 2)
    assert pixel_size_from_metadata(tmp_path / "a.tif") == pixel_size  # not "metadata": nobody measured it anew
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:  # and Fiji finds what it needs
        assert tif.imagej_metadata is not None
        assert tif.imagej_metadata["unit"] == "nm"


def test_what_a_label_file_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.eye(3, dtype=np.int32), pixel_size_nm=2.0)
    found = read_label_file(tmp_path / "a.tif")
    assert (found.pixel_size.source, found.image, found.image_rows) == ("metadata", "", None)
    assert found.pixel_size.nm == pytest.approx(2, rel=1e-8)  # a ratio of two 32-bit integers
    write_labels(tmp_path / "b.tif", np.eye(3, dtype=np.int32), pixel_size=PixelSize.unknown("no label was read"))
    assert read_label_file(tmp_path / "b.tif").pixel_size == PixelSize.unknown("no label was read")
    Image.fromarray(CUT).save(tmp_path / "c.png")
    assert read_label_file(tmp_path / "c.png").pixel_size.nm is None


def test_a_damaged_record_is_refused_by_name(tmp_path: Path) -> None:
    labels = np.eye(3, dtype=np.uint16)
    for record in ({"pixel_size": {"nm": "wide"}}, {"image_rows": "all"}, [1, 2]):
        write_tiff(tmp_path / "a.tif", labels, pixel_size_nm=None, description={"labels": record})
        with pytest.raises(InputError, match=r"a\.tif: its record of the image is damaged"):
            read_label_file(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["mask.tif", "mask.png", "mask.bmp"])
def test_a_file_of_0_and_255_is_a_mask(tmp_path: Path, name: str) -> None:
    Image.fromarray(CUT).save(tmp_path / name)
    assert read_labels(tmp_path / name).max() == 2


def test_a_1_bit_file_is_a_mask(tmp_path: Path) -> None:
    Image.fromarray(CUT > 0).save(tmp_path / "mask.png")
    assert read_labels(tmp_path / "mask.png").max() == 2


def test_own_label_maps_keep_a_particle_in_pieces_and_foreign_ones_of_one_number_are_masks(tmp_path: Path) -> None:
    labels = np.zeros((20, 40), dtype=np.uint16)
    labels[5:15, 5:15] = labels[5:15, 25:35] = 1
    write_labels(tmp_path / "own.tif", labels, pixel_size_nm=None)
    write_tiff(tmp_path / "older.tif", labels, pixel_size_nm=None)  # as nanolab wrote them before they carried a record
    tifffile.imwrite(tmp_path / "foreign.tif", labels)
    assert [read_labels(tmp_path / f"{name}.tif").max() for name in ("own", "older", "foreign")] == [1, 1, 2]


def test_a_label_map_keeps_its_numbers_and_of_a_palette_the_colours_count(tmp_path: Path) -> None:
    labels = np.kron(np.array([[0, 3], [255, 255]], dtype=np.uint8), np.ones((4, 4), dtype=np.uint8))
    picture = Image.fromarray(labels)
    picture.save(tmp_path / "a.png")
    assert (read_labels(tmp_path / "a.png") == labels).all()
    picture.putpalette([colour for grey in range(255, -1, -1) for colour in (grey, 0, 0)])  # index 255 is black
    picture.save(tmp_path / "a.png")
    assert ((read_labels(tmp_path / "a.png") == 0) == (labels == 255)).all()
    assert (read_labels(tmp_path / "a.png", kind="instance") == labels).all()


def test_16_bit_png_label_maps_keep_their_numbers(tmp_path: Path) -> None:
    labels = np.kron(np.array([[0, 300], [40000, 300]], dtype=np.uint16), np.ones((3, 3), dtype=np.uint16))
    Image.fromarray(labels).save(tmp_path / "a.png")
    assert (read_labels(tmp_path / "a.png") == labels).all()


@pytest.mark.parametrize(
    "start", [b"II*\0", b"MM\0*", b"II+\0", b"II*\0\x08\0\0\0", b"\x89PNG\r\n\x1a\n", b"BM", b"\0\0\0\0"]
)
def test_files_of_a_few_bytes_are_refused(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(start)
    with pytest.raises(InputError, match=r"a\.tif: "):
        read_labels(tmp_path / "a.tif")


def test_pictures_that_cannot_hold_labels_are_refused_by_name(tmp_path: Path) -> None:
    Image.fromarray(CUT).save(tmp_path / "a.jpg")
    Image.fromarray(CUT).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:40])
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 20, 20), np.uint8), photometric="minisblack")
    for name, kind, message in (
        ("a.jpg", "instance", "JPEG changes"),
        ("cut.png", "auto", "not a readable image"),
        ("stack.tif", "auto", "must hold one mask, got 3 pages"),
    ):
        with pytest.raises(InputError, match=rf"{name}: .*{message}"):
            read_labels(tmp_path / name, kind=kind)  # type: ignore[arg-type]


def test_a_promise_of_too_many_pixels_is_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.zeros((3000, 3000), bool)).save(tmp_path / "a.png")  # 1 bit a pixel, deflated: some 2 kB
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3000, 3000), np.uint8), compression="zlib")
    monkeypatch.setenv("NANOLAB_MAX_MEGAPIXELS", "8.9")
    monkeypatch.setattr(PngImageFile, "load", lambda _picture: pytest.fail("it was decoded"))
    for name in ("a.png", "a.tif"):
        for reader in (read_labels, read):
            with pytest.raises(
                InputError, match=r"must have at most 8\.9 megapixels.*set NANOLAB_MAX_MEGAPIXELS to 10"
            ):
                reader(tmp_path / name)
    monkeypatch.setenv("NANOLAB_MAX_MEGAPIXELS", "many")
    with pytest.raises(InputError, match="must be a number above 0, got 'many'"):
        read_labels(tmp_path / "a.png")
