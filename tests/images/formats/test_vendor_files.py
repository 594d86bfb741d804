"""Records of the pixel size that are easily missed, files that lead elsewhere, and pictures that are stored turned."""

import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from helpers.instrument_files import write_dm, write_emd, write_ser
from PIL import Image
from rsciio import tia

from nanolab.core.checks import InputError
from nanolab.images.formats.sidecars import sidecar_calibration
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import pixel_size_from_metadata

GREY = np.random.default_rng(0).integers(0, 255, (96, 128), dtype=np.uint8)


def write_velox(path: Path, spectra: bool) -> None:
    record = {
        "BinaryResult": {"PixelSize": {"width": "1e-9", "height": "1e-9"}, "PixelUnitX": "m", "PixelUnitY": "m"},
        **{key: {} for key in ("Scan", "Core", "Instrument", "Acquisition", "Optics", "Stage", "CustomProperties")},
        "Detectors": {"Detector-0": {"DetectorName": "HAADF", "DetectorType": "ScanningDetector"}},
    }
    record["BinaryResult"] |= {"Offset": {"x": "0", "y": "0"}, "DetectorIndex": "0"}
    raw, text = np.zeros((60000, 1), np.uint8), json.dumps(record).encode()
    raw[: len(text), 0] = np.frombuffer(text, np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "Version", data=[json.dumps({"format": "Velox", "version": "11"})], dtype=h5py.string_dtype()
        )
        file.create_dataset("Info", data=["{}"], dtype=h5py.string_dtype())
        file.create_dataset("Data/Image/aa/Data", data=GREY[:, :, None].astype(np.uint16), chunks=(96, 128, 1))
        file["Data/Image/aa/Metadata"] = raw
        if spectra:
            for group in ("Data/SpectrumImage/bb", "Data/SpectrumStream/cc", "Displays/ImageDisplay"):
                file.create_group(group)


@pytest.mark.parametrize("spectra", [False, True])
def test_the_image_of_a_velox_file_is_read_whatever_spectra_are_in_it(tmp_path: Path, spectra: bool) -> None:
    write_velox(tmp_path / "a.emd", spectra)
    image = read(tmp_path / "a.emd")
    assert (image.pixels.shape, image.pixel_size_nm) == ((96, 128), pytest.approx(1.0))


@pytest.mark.parametrize("unit", ["nm", "[nm]", "n_m", "[n_m]"])
def test_units_of_berkeley_files_need_no_brackets(tmp_path: Path, unit: str) -> None:
    write_emd(tmp_path / "a.emd", GREY.astype(np.float32), 0.5, unit)
    assert pixel_size_from_metadata(tmp_path / "a.emd").nm == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("unit", "nm"), [("\\u00B5m", 500), ("\\u00C5", 0.05), ("A", 0.05), ("\\u212B", 0.05), ("nm", 0.5)]
)
def test_units_escaped_by_fiji(tmp_path: Path, unit: str, nm: float) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", GREY, resolution=(2, 2), description=f"ImageJ=1.54f\nunit={unit}\n", metadata=None
    )
    assert pixel_size_from_metadata(tmp_path / "a.tif").nm == pytest.approx(nm)


def test_tescan(tmp_path: Path) -> None:
    text = b"AccFrames=1\r\nDevice=MIRA3\r\nPixelSizeX=2.5e-9\r\nPixelSizeY=2.5e-9\r\n\0"
    block = struct.pack("<IH", len(text) + 2, 2) + text
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None, extratags=[(50431, "B", len(block), block, True)])
    assert pixel_size_from_metadata(tmp_path / "a.tif").nm == pytest.approx(2.5)


JEOL = {
    "$CM_FIELD_OF_VIEW=256 192nm\t$CM_PIXEL_SIZE=2.00nm/pixel": 2.0,
    "$CM_FIELD_OF_VIEW=256 192nm": 2.0,
    "$CM_FIELD_OF_VIEW 256 192nm": 2.0,
    "$CM_FORMAT=JEOL/FE": 100 / 49,
}


@pytest.mark.parametrize("stated", JEOL)
def test_what_jeol_states_beats_its_bar_of_whole_pixels(tmp_path: Path, stated: str) -> None:
    text = f"$CM_IMAGE_SIZE=128 96\t$SM_MICRON_MARKER=100nm\t$SM_MICRON_BAR=49\t{stated}"
    note = b"UNICODE\0" + text.encode("utf-16-le")
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None, extratags=[(34666, "I", 1, 0, True)])
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        where = tif.pages.first.tags[34666].offset
    data += b"\0" * (len(data) % 2)
    at = len(data)  # an Exif directory of one entry, MakerNote
    data += struct.pack("<H", 1) + struct.pack("<HHII", 37500, 7, len(note), at + 18) + struct.pack("<I", 0) + note
    data[where : where + 2], data[where + 8 : where + 12] = struct.pack("<H", 34665), struct.pack("<I", at)
    (tmp_path / "a.tif").write_bytes(data)
    assert pixel_size_from_metadata(tmp_path / "a.tif").nm == pytest.approx(JEOL[stated])
    (tmp_path / "b.txt").write_text(text.replace("\t", "\n"))
    found = sidecar_calibration(tmp_path / "b.png", 128)
    assert found is not None
    assert found.x_nm == pytest.approx(JEOL[stated])


def test_olympus_keeps_image_and_scale_on_the_second_page(tmp_path: Path) -> None:
    tag = bytearray(300)
    tag[:4] = b"SIS0"
    struct.pack_into("<l", tag, 60, 100)
    struct.pack_into("<hddd", tag, 110, -9, 0.5e-9, 0.5e-9, 0)
    data = GREY.astype(np.uint16) * 200
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.stack([GREY] * 3, axis=-1), photometric="rgb", metadata=None)
        file.write(data, metadata=None, extratags=[(33560, "B", len(tag), bytes(tag), True)])
    image = read(tmp_path / "a.tif")
    assert (image.pixel_size_nm, image.metadata["dtype"]) == (pytest.approx(0.5), "uint16")


@pytest.mark.parametrize("way", ["external storage", "virtual", "link"])
def test_data_in_another_file_are_not_read(tmp_path: Path, way: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(range(256)) * 48)
    write_emd(tmp_path / "other.emd", GREY.astype(np.float32), 0.5)
    write_emd(tmp_path / "a.emd", GREY.astype(np.float32), 0.5)
    with h5py.File(tmp_path / "a.emd", "r+") as file:
        del file["data/image/data"]
        if way == "link":
            file["data/image/data"] = h5py.ExternalLink(str(tmp_path / "other.emd"), "data/image/data")
        elif way == "virtual":
            layout = h5py.VirtualLayout((128, 96), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.emd"), "data/image/data", (128, 96))
            file.create_virtual_dataset("data/image/data", layout)
        else:
            external = [(str(tmp_path / "secret.bin"), 0, 128 * 96)]
            file.create_dataset("data/image/data", (128, 96), "u1", external=external)
    for reader in (read, pixel_size_from_metadata):
        with pytest.raises(InputError, match="data/image/data lies in another file, which is not read"):
            reader(tmp_path / "a.emd")


def test_a_directory_that_points_to_itself_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        first = tif.pages.first.offset
        struct.pack_into("<I", data, first + 2 + 12 * len(tif.pages.first.tags), first)
    (tmp_path / "a.tif").write_bytes(data)
    for reader in (read, read_labels):
        with pytest.raises(InputError, match="its directories run in a circle"):
            reader(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stored_turned_or_mirrored_are_read_upright(tmp_path: Path, orientation: int) -> None:
    picture = Image.fromarray(GREY)
    exif = picture.getexif()
    exif[0x112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata=None, extratags=[(274, "H", 1, orientation, True)])
    turned = [read(tmp_path / name).pixels for name in ("a.png", "a.tif")]
    assert np.array_equal(*turned)
    assert turned[0].shape == ((96, 128) if orientation < 5 else (128, 96))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_stored_turned_or_mirrored_lie_on_their_images(tmp_path: Path, orientation: int) -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[10:30, 15:25], mask[60:90, 100:120] = 255, 255
    picture = Image.fromarray(mask)
    exif = picture.getexif()
    exif[0x112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    tifffile.imwrite(tmp_path / "a.tif", mask, metadata=None, extratags=[(274, "H", 1, orientation, True)])
    for name in ("a.png", "a.tif"):
        labels = read_labels(tmp_path / name, shape=(96, 128) if orientation < 5 else (128, 96))
        assert np.array_equal(labels > 0, read(tmp_path / name).pixels > 0.5)
        assert labels.max() == 2


def test_emd_files_are_refused_by_their_size_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "a.emd", "w") as file:  # some kB that promise 2.5 GB
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", shape=(50_000, 50_000), dtype="u1", chunks=(1000, 1000), compression="gzip")
        for number, name in enumerate("xy", start=1):
            group.create_dataset(f"dim{number}", data=np.arange(50_000.0)).attrs.update({"name": name, "units": "nm"})
    write_velox(tmp_path / "b.emd", spectra=False)
    write_dm(tmp_path / "c.dm3", GREY.astype(np.float32), 1.0)
    with pytest.raises(InputError, match="must have at most 1000 megapixels"):
        read(tmp_path / "a.emd")
    monkeypatch.setenv("NANOLAB_MAX_MEGAPIXELS", "0.01")  # 96 x 128 are more
    for name in ("b.emd", "c.dm3"):
        with pytest.raises(InputError, match=r"must have at most 0\.01 megapixels"):
            read(tmp_path / name)


def test_an_emd_whose_axis_promises_more_than_it_holds_is_refused_before_room_is_made(tmp_path: Path) -> None:
    write_emd(tmp_path / "a.emd", np.arange(6.0).reshape(2, 3), 1.0)
    with h5py.File(tmp_path / "a.emd", "a") as file:
        about = dict(file["data/image/dim1"].attrs)
        del file["data/image/dim1"]
        file.create_dataset("data/image/dim1", (10**10,), "f8", chunks=(2**20,)).attrs.update(about)
    with pytest.raises(InputError, match="dim1 promises more values than it holds"):
        read(tmp_path / "a.emd")


def test_colours_of_digitalmicrograph_become_grey(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    write_dm(tmp_path / "a.dm3", colours, 0.5)
    image = read(tmp_path / "a.dm3")
    np.testing.assert_allclose(image.pixels, colours @ [0.299, 0.587, 0.114] / 255, atol=1e-6)  # single precision
    assert image.pixel_size_nm == pytest.approx(0.5)


def test_a_line_of_spectra_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ser(tmp_path / "a.ser", GREY.astype(np.uint16), 1.0)
    axes = [{"navigate": True, "scale": 1.0, "units": "nm"}, {"navigate": False, "scale": 1.0, "units": "eV"}]
    monkeypatch.setattr(tia, "file_reader", lambda *_args, **_options: [{"data": GREY, "axes": axes}])
    with pytest.raises(InputError, match="must hold an image"):
        read(tmp_path / "a.ser")


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((8, 8), np.dtype([("r", "u1"), ("g", "u1")])),
        np.zeros((8, 8), np.dtype([("R", "u1"), ("G", "u1")])),
        np.full((8, 8), b"ab"),
    ],
    ids=["records", "two colours", "texts"],
)
def test_what_is_stored_as_no_numbers_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    write_emd(tmp_path / "a.emd", GREY.astype(np.float32), 2.0)
    with h5py.File(tmp_path / "a.emd", "r+") as file:
        del file["data/image/data"]
        file["data/image/data"] = values
    with pytest.raises(InputError, match=r"must be one grey or colour image|not a readable EMD file"):
        read(tmp_path / "a.emd")
