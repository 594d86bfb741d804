"""TIFFs come back as written, calibrated, and complete or not at all."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nanolab.core.checks import InputError
from nanolab.images.pixel_size import pixel_size_from_metadata
from nanolab.images.tiff import open_tiff, read_description, read_tiff, write_tiff

DTYPES = ("uint8", "uint16", "uint32", "float32")


@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_arrays_come_back_exactly(tmp_path_factory, data, dtype):
    shape = arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)
    array = data.draw(arrays.arrays(dtype, shape, elements={"allow_nan": False} if dtype == "float32" else None))
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    write_tiff(path, array, pixel_size_nm=None)
    back = read_tiff(path)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@given(pixel_size_nm=st.floats(1e-3, 1e5))
def test_pixel_size_comes_back(tmp_path_factory, pixel_size_nm):
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    write_tiff(path, np.eye(3, dtype=np.uint8), pixel_size_nm=pixel_size_nm)
    found = pixel_size_from_metadata(path)
    # A resolution is a fraction of two 32-bit integers: at least nine digits in this range.
    assert found.nm == pytest.approx(pixel_size_nm, rel=1e-8)
    assert (found.source, found.detail) == ("metadata", "ImageJ description, unit=nm")


@pytest.mark.parametrize("dtype", DTYPES)
def test_file_is_what_fiji_expects(tmp_path, dtype):
    # ij.io.TiffDecoder takes the pixel width from 1 / XResolution and the unit from the description, for every depth.
    write_tiff(tmp_path / "a.tif", np.eye(300, dtype=dtype), pixel_size_nm=7.34375)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        page = tif.pages.first
        assert page.description.startswith("ImageJ=")
        assert tif.imagej_metadata["unit"] == "nm"
        assert page.tags["XResolution"].value == page.tags["YResolution"].value == (32, 235)  # 235 / 32 = 7.34375
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert len(tif.pages) == 1


def test_label_maps_beyond_16_bits_keep_every_label(tmp_path):
    labels = np.arange(300 * 300, dtype=np.uint32).reshape(300, 300)
    write_tiff(tmp_path / "labels.tif", labels, pixel_size_nm=2.5)
    np.testing.assert_array_equal(read_tiff(tmp_path / "labels.tif"), labels)
    assert pixel_size_from_metadata(tmp_path / "labels.tif").nm == pytest.approx(2.5, rel=1e-9)


def test_unknown_pixel_size_is_not_written(tmp_path):
    write_tiff(tmp_path / "a.tif", np.eye(3, dtype=np.uint8), pixel_size_nm=None)
    assert pixel_size_from_metadata(tmp_path / "a.tif").source == "unknown"


def test_description_comes_back(tmp_path):
    description = {"recipe": "a=b\nc", "unit": "µm", "seed": 3, "list": [1.5, None]}
    write_tiff(tmp_path / "a.tif", np.eye(3, dtype=np.uint8), pixel_size_nm=1.0, description=description)
    assert read_description(tmp_path / "a.tif") == description
    assert pixel_size_from_metadata(tmp_path / "a.tif").nm == 1.0
    write_tiff(tmp_path / "b.tif", np.eye(3, dtype=np.uint8), pixel_size_nm=1.0)
    assert read_description(tmp_path / "b.tif") == {}


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((2, 2, 3), np.uint8), r"\(2, 2, 3\) uint8"),
        (np.zeros((2, 2), np.int32), r"\(2, 2\) int32"),
        (np.zeros((2, 2), np.float64), r"\(2, 2\) float64"),
    ],
)
def test_what_a_tiff_cannot_hold_is_refused(tmp_path, array, got):
    with pytest.raises(InputError, match=rf"a\.tif: .* got {got}; convert"):
        write_tiff(tmp_path / "a.tif", array, pixel_size_nm=1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pixel_size_nm", [0.0, -1.0, np.nan, np.inf])
def test_impossible_pixel_sizes_are_refused(tmp_path, pixel_size_nm):
    with pytest.raises(InputError, match="pixel_size_nm must be a number of nm above 0"):
        write_tiff(tmp_path / "a.tif", np.eye(3, dtype=np.uint8), pixel_size_nm=pixel_size_nm)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    write_tiff(path, np.eye(3, dtype=np.uint8), pixel_size_nm=1.0)

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(InputError, match="no space left"):
        write_tiff(path, np.zeros((3, 3), np.uint8), pixel_size_nm=1.0)
    np.testing.assert_array_equal(read_tiff(path), np.eye(3))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_truncated_files_are_refused(tmp_path, rng, compression, share):
    path: Path = tmp_path / "a.tif"
    tifffile.imwrite(path, rng.integers(0, 255, (200, 200), np.uint8), compression=compression)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.tif: .*(truncated|not a readable)"):
        read_tiff(path)


def test_damaged_pixels_are_refused(tmp_path, rng):
    path = tmp_path / "a.tif"
    write_tiff(path, rng.integers(0, 255, (200, 200), np.uint8), pixel_size_nm=1.0)
    data = bytearray(path.read_bytes())
    data[5000:6000] = bytes(1000)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif: not a readable TIFF"):
        read_tiff(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="not found"):
        read_tiff(tmp_path / "missing.tif")
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(InputError, match=r"text\.tif: not a readable TIFF"):
        read_tiff(tmp_path / "text.tif")
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((4, 20, 20), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="must hold one grey image, got 4 pages"):
        read_tiff(tmp_path / "stack.tif")


def test_nothing_is_logged(tmp_path, caplog, capfd):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(9, dtype=np.uint8), extratags=[(34118, 2, 0, b"\xff\xfe", True)])
    with caplog.at_level(logging.DEBUG), open_tiff(tmp_path / "a.tif") as tif:
        assert tif.pages.first.shape == (9, 9)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
