"""Micrographs of every format, and what happens to files that are none."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import tifffile
from helpers.instrument_files import write_dm, write_emd, write_mrc, write_ser
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.images import limits
from nanolab.images.micrograph import Micrograph, PixelSize, read
from nanolab.images.tiff import write_tiff


@pytest.fixture
def picture(rng):
    """An 8-bit picture, shape (48, 64), with a gradient and noise."""
    return (np.add.outer(np.arange(48), np.arange(64)) * 2 + rng.integers(0, 20, (48, 64))).astype(np.uint8)


class TestFormats:
    @pytest.mark.parametrize("suffix", [".tif", ".png", ".bmp"])
    def test_8_bit_comes_back_exactly(self, tmp_path, picture, suffix):
        path = tmp_path / f"a{suffix}"
        tifffile.imwrite(path, picture) if suffix == ".tif" else Image.fromarray(picture).save(path)
        micrograph = read(path)
        np.testing.assert_array_equal(micrograph.pixels, picture / np.float32(255))
        assert micrograph.pixels.dtype == np.float32
        assert (micrograph.path, micrograph.name) == (path, "a")
        assert micrograph.metadata["grey_range"] == (0.0, 255.0)

    def test_jpeg(self, tmp_path, picture):
        smooth = cv2.GaussianBlur(picture, (0, 0), 3)
        Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
        # quality 95 keeps smooth images within two levels
        np.testing.assert_allclose(read(tmp_path / "a.jpg").pixels, smooth / 255, atol=2.5 / 255)

    @pytest.mark.parametrize(
        ("suffix", "write"),
        [
            ("mrc", write_mrc),
            ("emd", write_emd),
            ("ser", write_ser),
            ("dm3", write_dm),
            ("dm4", partial(write_dm, version=4)),
        ],
    )
    def test_rosettasciio(self, tmp_path, suffix, write):
        stored = np.zeros((48, 64), np.uint16)
        stored[10:20, 30:60], stored[30:40, :20] = 4000, 1000
        write(tmp_path / f"a.{suffix}", stored, 0.25)
        micrograph = read(tmp_path / f"a.{suffix}")
        np.testing.assert_allclose(micrograph.pixels, stored / 4000, atol=1e-6)  # rows and columns where they were
        assert micrograph.pixel_size_nm == pytest.approx(0.25, rel=1e-6)
        assert micrograph.metadata["format"] == suffix.upper()

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK"])
    def test_grey_in_colour_modes(self, tmp_path, picture, mode):
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        Image.fromarray(cv2.GaussianBlur(picture, (0, 0), 3)).convert(mode).save(path)
        expected = cv2.GaussianBlur(picture, (0, 0), 3) / 255
        # a JPEG of CMYK loses a few levels, the others none
        np.testing.assert_allclose(read(path).pixels, expected, atol=4 / 255 if mode == "CMYK" else 1e-6)

    @pytest.mark.parametrize("planar", ["CONTIG", "SEPARATE"])
    def test_colour_tiff(self, tmp_path, picture, planar):
        colour = np.stack([picture, picture, picture // 2], axis=-1)
        stored = colour if planar == "CONTIG" else np.moveaxis(colour, -1, 0)
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
        luma = colour @ np.array([0.299, 0.587, 0.114]) / 255
        np.testing.assert_allclose(read(tmp_path / "a.tif").pixels, luma, atol=1e-6)

    def test_white_is_zero(self, tmp_path, picture):
        tifffile.imwrite(tmp_path / "a.tif", picture, photometric="miniswhite")
        micrograph = read(tmp_path / "a.tif")
        np.testing.assert_allclose(micrograph.pixels, 1 - picture / 255, atol=1e-6)
        assert micrograph.metadata["grey_range"] == (255.0, 0.0)

    @pytest.mark.parametrize("compression", ["lzw", "packbits", "zlib", "jpeg"])
    def test_compressed_tiff(self, tmp_path, picture, compression):
        smooth = cv2.GaussianBlur(picture, (0, 0), 3)
        tifffile.imwrite(tmp_path / "a.tif", smooth, compression=compression)
        tolerance = 4 / 255 if compression == "jpeg" else 0
        np.testing.assert_allclose(read(tmp_path / "a.tif").pixels, smooth / np.float32(255), atol=tolerance)

    def test_16_bit_png(self, tmp_path):
        stored = np.tile(np.repeat(np.array([500, 4000, 2250], np.uint16), 10), (30, 1))
        Image.fromarray(stored).save(tmp_path / "a.png")
        micrograph = read(tmp_path / "a.png")
        np.testing.assert_allclose(micrograph.pixels[0, ::10], [0, 1, 0.5], atol=1e-6)
        assert micrograph.metadata["grey_range"] == (500.0, 4000.0)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_own_tiffs_keep_the_range_of_their_type(self, tmp_path, picture, dtype):
        write_tiff(tmp_path / "a.tif", picture.astype(dtype), pixel_size_nm=2.5)
        micrograph = read(tmp_path / "a.tif")
        np.testing.assert_allclose(micrograph.pixels, picture / np.iinfo(dtype).max, atol=1e-7)
        assert micrograph.pixel_size_nm == pytest.approx(2.5, rel=1e-9)

    def test_a_thumbnail_behind_the_image_does_not_matter(self, tmp_path, picture):
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            writer.write(picture)
            writer.write(picture[::4, ::4])
        np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, picture / np.float32(255))

    def test_the_type_is_told_by_content_not_by_name(self, tmp_path, picture):
        Image.fromarray(picture).save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / "a.tif")
        assert read(tmp_path / "a.tif").metadata["format"] == "PNG"


class TestPixelSize:
    def test_sources(self, tmp_path, picture):
        write_tiff(tmp_path / "known.tif", picture, pixel_size_nm=2.0)
        write_tiff(tmp_path / "unknown.tif", picture, pixel_size_nm=None)
        assert read(tmp_path / "known.tif").pixel_size.source == "metadata"
        assert read(tmp_path / "known.tif", pixel_size_nm=3).pixel_size == PixelSize.typed(3)
        unknown = read(tmp_path / "unknown.tif")
        assert (unknown.pixel_size_nm, unknown.pixel_size.source) == (None, "unknown")
        assert unknown.with_pixel_size(4.5).pixel_size == PixelSize.typed(4.5)

    def test_scale_bars_are_read_only_where_nothing_is_known(self, tmp_path, picture, monkeypatch):
        bar = PixelSize(7.0, "scale bar", "200 nm over 28.6 px", 0.9)
        monkeypatch.setattr("nanolab.images.lettering.read_lettering", lambda _pixels: (bar, ()))
        write_tiff(tmp_path / "known.tif", picture, pixel_size_nm=2.0)
        write_tiff(tmp_path / "unknown.tif", picture, pixel_size_nm=None)
        assert read(tmp_path / "known.tif", find_scale_bar=True).pixel_size_nm == pytest.approx(2.0)
        assert read(tmp_path / "unknown.tif", find_scale_bar=True).pixel_size == bar
        assert read(tmp_path / "unknown.tif", find_scale_bar=True, pixel_size_nm=1).pixel_size_nm == 1
        assert read(tmp_path / "unknown.tif").pixel_size_nm is None

    def test_why_nothing_was_found(self, tmp_path, picture, monkeypatch):
        monkeypatch.setattr(
            "nanolab.images.lettering.read_lettering", lambda _pixels: (PixelSize.unknown("no bar"), ())
        )
        write_tiff(tmp_path / "a.tif", picture, pixel_size_nm=None)
        found = read(tmp_path / "a.tif", find_scale_bar=True).pixel_size
        assert found == PixelSize.unknown("no pixel size in the file; no bar")

    @pytest.mark.parametrize("wrong", [0, -2.0, float("nan")])
    def test_impossible_numbers(self, tmp_path, picture, wrong):
        tifffile.imwrite(tmp_path / "a.tif", picture)
        with pytest.raises(InputError, match="pixel size must be a number of nm above 0"):
            read(tmp_path / "a.tif", pixel_size_nm=wrong)


class TestDataBar:
    def micrograph(self, tmp_path, rng, dtype):
        image = rng.normal(100, 10, (480, 640)).clip(0, 255)
        image[420:] = 0
        cv2.putText(image, "EHT = 20.00 kV   WD = 2.8 mm   Mag = 50.00 K X", (10, 455), 0, 0.5, 255, 1)
        tifffile.imwrite(tmp_path / "a.tif", (image * (1 if dtype is np.uint8 else 100)).astype(dtype))
        return read(tmp_path / "a.tif", pixel_size_nm=2.0)

    def test_rows_are_cut_and_recorded(self, tmp_path, rng):
        whole = self.micrograph(tmp_path, rng, np.uint8)
        cropped = whole.crop_data_bar()
        np.testing.assert_array_equal(cropped.pixels, whole.pixels[:420])
        assert cropped.metadata["data_bar_rows"] == (420, 480)
        assert "data_bar_rows" not in whole.metadata
        assert (cropped.pixel_size, cropped.path) == (whole.pixel_size, whole.path)
        assert cropped.crop_data_bar() is cropped

    def test_text_does_not_set_the_grey_range(self, tmp_path, rng):
        whole = self.micrograph(tmp_path, rng, np.uint16)
        cropped = whole.crop_data_bar()
        tifffile.imwrite(tmp_path / "b.tif", tifffile.imread(tmp_path / "a.tif")[:420])
        alone = read(tmp_path / "b.tif")
        assert cropped.metadata["grey_range"] == pytest.approx(alone.metadata["grey_range"], rel=1e-5)
        # twice rounded to single precision
        np.testing.assert_allclose(cropped.pixels, alone.pixels, atol=1e-5)

    def test_real_images(self, bam_folder):
        for path in sorted(bam_folder.glob("Datasets/Electron Microscopy Images/SEM/*.tif"))[:3]:
            micrograph = read(path)
            assert micrograph.crop_data_bar().metadata["data_bar_rows"] == (712, 768)
            assert micrograph.metadata["vendor"]["dp_detector_type"] == ("Detector", "InLens")


class TestBadInput:
    """Every file that is no micrograph gives one InputError that names it, and nothing is printed."""

    @pytest.fixture(autouse=True)
    def quiet(self, capfd, caplog):
        yield
        assert capfd.readouterr() == ("", "")
        assert [record for record in caplog.records if record.levelname != "DEBUG"] == []

    def fails(self, path: Path, why: str):
        with pytest.raises(InputError, match=why) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")

    @pytest.mark.parametrize("suffix", ["tif", "png", "jpg", "dm3", "dm4", "emd", "ser", "mrc"])
    def test_missing_empty_and_text(self, tmp_path, suffix):
        path = tmp_path / f"a.{suffix}"
        self.fails(path, "image not found; check the name")
        path.write_bytes(b"")
        self.fails(path, r"image is empty \(0 bytes\)")
        path.write_text("This is a letter, not a micrograph. " * 100)
        self.fails(path, "must be a TIFF, PNG|not a readable")

    def test_folder(self, tmp_path):
        self.fails(tmp_path, "must be a file, not a folder")

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
    @pytest.mark.parametrize("suffix", ["tif", "png", "jpg", "bmp", "dm3", "dm4", "emd", "ser", "mrc"])
    def test_truncated(self, tmp_path, rng, suffix, share):
        path, noise = tmp_path / f"a.{suffix}", rng.integers(0, 255, (150, 200), np.uint8)
        writers = {"tif": tifffile.imwrite, "mrc": write_mrc, "emd": write_emd, "ser": write_ser, "dm3": write_dm}
        writers["dm4"] = partial(write_dm, version=4)
        if suffix in ("png", "jpg", "bmp"):
            Image.fromarray(noise).save(path)
        elif suffix == "tif":
            tifffile.imwrite(path, noise)
        else:
            writers[suffix](path, noise.astype(np.uint16), 1.0)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        self.fails(path, "truncated|not a readable|damaged|must be a TIFF|must hold an image")

    @pytest.mark.parametrize("suffix", ["tif", "png"])
    @pytest.mark.parametrize("level", [0, 255])
    def test_one_colour(self, tmp_path, suffix, level):
        path, blank = tmp_path / f"a.{suffix}", np.full((20, 30), level, np.uint8)
        tifffile.imwrite(path, blank) if suffix == "tif" else Image.fromarray(blank).save(path)
        self.fails(path, f"all pixels have one value, {level}; it holds no picture")

    def test_stacks(self, tmp_path, picture):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.stack([picture] * 5), photometric="minisblack")
        listed = r"must hold one image, got 5 images: 0 to 4 \(64 x 48 px\); choose one with frame=0 in Python"
        self.fails(path, listed)
        tifffile.imwrite(path, np.stack([picture] * 5), imagej=True)
        self.fails(path, listed)
        write_emd(tmp_path / "a.emd", np.stack([picture] * 3), 1.0)
        self.fails(tmp_path / "a.emd", r"got 3 images: 0 to 2 \('image', 64 x 48 px\)")

    @pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1)])
    def test_lines_and_points(self, tmp_path, shape):
        tifffile.imwrite(tmp_path / "a.tif", np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
        self.fails(tmp_path / "a.tif", "at least 2x2")

    def test_not_a_number(self, tmp_path, picture):
        stored = picture.astype(np.float32)
        stored[3, 4] = np.nan
        tifffile.imwrite(tmp_path / "a.tif", stored)
        self.fails(tmp_path / "a.tif", "NaN or infinite values; export it again")

    def test_complex_numbers(self, tmp_path, picture):
        tifffile.imwrite(tmp_path / "a.tif", picture.astype(np.complex64))
        self.fails(tmp_path / "a.tif", "complex64; save one image")

    @pytest.mark.parametrize("suffix", ["tif", "png"])
    def test_too_large_for_the_memory(self, tmp_path, picture, suffix, monkeypatch):
        path = tmp_path / f"a.{suffix}"
        tifffile.imwrite(path, picture) if suffix == "tif" else Image.fromarray(picture).save(path)
        free = psutil.virtual_memory()._replace(available=2**20)
        monkeypatch.setattr(limits.psutil, "virtual_memory", lambda: free)
        self.fails(path, r"needs 0\.3 GiB of memory, 0\.0 GiB are free; crop or bin it first")

    def test_a_header_that_promises_more_than_there_is(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.arange(100, dtype=np.uint8).reshape(10, 10), compression="zlib")
        with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
            for name in ("ImageWidth", "ImageLength"):
                tif.pages.first.tags[name].overwrite(400_000, dtype="I")
        self.fails(tmp_path / "a.tif", "must have at most 1000 megapixels")


@pytest.mark.slow
def test_20000_pixels_square(tmp_path):
    """400 million pixels are read with no more than the file's bytes and the result in memory at a time."""
    path = tmp_path / "large.tif"
    with tifffile.TiffWriter(path) as writer:
        row = (np.arange(20_000) % 251).astype(np.uint8)
        writer.write(
            (np.tile(row, (1000, 1)) for _ in range(20)), shape=(20_000, 20_000), dtype=np.uint8, rowsperstrip=1000
        )
    code = (
        "import resource, sys; from nanolab.images.micrograph import read; m = read(sys.argv[1]);"
        "print(m.pixels.shape, float(m.pixels[19999, 250]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    shown = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True).stdout
    shape, value, peak_kib = shown.rsplit(maxsplit=2)
    assert (shape, float(value)) == ("(20000, 20000)", pytest.approx(250 / 255, abs=1e-6))
    # 0.4 GB of bytes, 1.6 GB of float32, and 0.3 GB for the interpreter, the libraries and a block
    assert int(peak_kib) * 1024 < 2.3e9


def test_repr():
    micrograph = Micrograph(np.zeros((3, 4), np.float32), PixelSize.typed(2.5), Path("folder/a.tif"))
    assert repr(micrograph) == "Micrograph('a', 4 x 3 px, pixel size 2.5 nm (typed))"


@pytest.mark.bench
def test_reading_is_quick(bam_folder):
    paths = sorted(bam_folder.glob("Datasets/Electron Microscopy Images/SEM/*.tif"))
    read(paths[0])
    start = time.process_time()  # of this process alone: others may be at work
    for path in paths:
        read(path).crop_data_bar()
    assert (time.process_time() - start) / len(paths) < 0.1


def test_importing_is_light():
    code = "import sys, nanolab.images.micrograph; print(*sys.modules)"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert {"rsciio", "rapidocr", "cv2", "dask", "h5py", "scipy"}.isdisjoint(shown.stdout.split())
