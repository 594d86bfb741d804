"""Every record of a pixel size is found, named, and left alone where it cannot be right."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.instrument_files import write_dm, write_emd, write_mrc, write_ser

from nanolab.core.checks import InputError
from nanolab.images.formats.vendors import length_nm
from nanolab.images.labels import read_label_file
from nanolab.images.pixel_size import PixelSize, pixel_size_from_metadata
from nanolab.images.tiff import write_tiff

IMAGE = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)


def write(path, *tags, image=IMAGE, **options):
    """Write a TIFF with tags (code, text) and return its path."""
    extra = [(code, 2, 0, text.encode("latin-1") if isinstance(text, str) else text, True) for code, text in tags]
    tifffile.imwrite(path, image, photometric="minisblack", extratags=extra, metadata=None, **options)
    return path


def zeiss(*, head_m="7.343750e-009", image="Image Pixel Size = 117.5 nm", store="64 * 48"):
    """The text of a Zeiss tag as SmartSEM writes it; 117.5 nm = 7.34375 nm x 1024 / 64."""
    lines = ["0", "0", "0", head_m, "5.000000e+004", "DP_IMAGE_STORE", f"Store resolution = {store}", "AP_PIXEL_SIZE"]
    lines += ["Pixel Size = 7.344 nm", "AP_WIDTH", "Width = 7.52 µm"] + (
        ["AP_IMAGE_PIXEL_SIZE", image] if image else []
    )
    return "\r\n".join(lines) + "\r\n"


def fei(columns=64, rows=48, scan="PixelWidth=3.2e-009\r\nPixelHeight=3.2e-009"):
    return f"[User]\r\nDate=1\r\n[Scan]\r\n{scan}\r\n[Image]\r\nResolutionX={columns}\r\nResolutionY={rows}\r\n"


def fibics(columns=64, field="0.32", ux="0.005"):
    return (
        '<?xml version="1.0" encoding="iso-8859-1"?><Fibics version="1.0"><Application><Version>NPVE v4.5</Version>'
        f"</Application><Image><Width>{columns}</Width><Height>48</Height></Image>"
        f'<Scan><FOV_X units="um">{field}</FOV_X><Ux units="um">{ux}</Ux><Vy units="um">{ux}</Vy></Scan></Fibics>'
    )


def orion(columns=64, field="0.32"):
    return (
        f"<ImageTags><ImageWidth>{columns}</ImageWidth><Fov><Value>{field}</Value><Units>um</Units></Fov>"
        "<ScalingX><Value>5e-9</Value><Units>meter</Units></ScalingX></ImageTags>"
    )


OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="64" SizeY="48" SizeC="1" '
    'SizeZ="1" SizeT="1" PhysicalSizeX="2.5" PhysicalSizeXUnit="nm" PhysicalSizeY="2.5" PhysicalSizeYUnit="nm">'
    "<TiffData/></Pixels></Image></OME>"
)
JEOL_SIGHTX = (
    "<TemReporter><Eos><EosMode>eosTEM</EosMode></Eos><IlluminationSystem><ImageField>imfdBright</ImageField>"
    "</IlluminationSystem><ImageFormingSystem><ImageFormingMode>imfmMAG</ImageFormingMode><ModeString>MAG</ModeString>"
    "<SelectorString>x10000</SelectorString><SelectorValue>10000</SelectorValue></ImageFormingSystem></TemReporter>"
)
THERMO = '<Metadata><PixelSize><X unit="m">1.6e-10</X><Y unit="m">1.6e-10</Y></PixelSize></Metadata>'
PHENOM = '<FeiImage><pixelWidth unit="um">0.027</pixelWidth><pixelHeight unit="um">0.027</pixelHeight></FeiImage>'

RECORDS = {
    "zeiss": ([(34118, zeiss())], {}, 117.5, "Zeiss tag 34118 (CZ_SEM), Image Pixel Size"),
    "fei": ([(34682, fei())], {}, 3.2, "FEI tag 34680/34682, [Scan] PixelWidth"),
    "fei sfeg": ([(34680, fei())], {}, 3.2, "FEI tag 34680/34682, [Scan] PixelWidth"),
    "fei ion beam": (
        [(34682, fei(scan="Dwell=1") + "[IBeam]\r\nHFW=6.4e-007\r\nVFW=4.8e-007\r\n")],
        {},
        10.0,
        "FEI tag 34680/34682, [IBeam] HFW",
    ),
    "fibics": ([(51023, fibics())], {}, 5.0, "Fibics tag 51023, FOV_X"),
    "orion": ([(65000, orion())], {}, 5.0, "Zeiss Orion tag 65000, Fov"),
    "thermo": ([(34683, THERMO)], {}, 0.16, "Thermo tag 34683, PixelSize/X"),
    "phenom": ([(34683, PHENOM)], {}, 27.0, "Thermo tag 34683, pixelWidth"),
    "ome": ([], {"description": OME}, 2.5, "OME-XML PhysicalSizeX"),
    "imagej": (
        [],
        {"description": "ImageJ=1.54f\nunit=\\u00B5m\n", "resolution": (50, 50)},
        20.0,
        "ImageJ description, unit=µm",
    ),
    # 24 um pixels of the camera at 10,000 times: 2.4 nm
    "jeol sightx": (
        [(271, "JEOL Ltd.")],
        {"description": JEOL_SIGHTX, "resolution": (10000 / 24, 10000 / 24), "resolutionunit": "CENTIMETER"},
        2.4,
        "TIF axis in nm",
    ),
    "resolution in cm": ([], {"resolution": (5e6, 5e6), "resolutionunit": "CENTIMETER"}, 2.0, "TIFF resolution tags"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_tiff_records(tmp_path, name):
    tags, options, nm, detail = RECORDS[name]
    found = pixel_size_from_metadata(write(tmp_path / "a.tif", *tags, **options))
    # Fractions in the file are exact to more digits than that.
    assert found.nm == pytest.approx(nm, rel=1e-6)
    assert (found.source, found.detail, found.confidence) == ("metadata", detail, None)


def test_gatan_tags(tmp_path):
    doubles = [(code, 12, 1, 0.75, True) for code in (65009, 65010)]
    units = [(code, 2, 0, b"nm", True) for code in (65003, 65004)]
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, extratags=units + doubles, metadata=None)
    assert pixel_size_from_metadata(tmp_path / "a.tif") == PixelSize(0.75, "metadata", "TIF axis in nm")


class TestZeiss:
    """Of two pixel sizes the one of the stored image counts, with as many digits as there are."""

    def found(self, tmp_path, **record):
        return pixel_size_from_metadata(write(tmp_path / "a.tif", (34118, zeiss(**record))))

    def test_rounded_text_is_made_precise_by_the_head(self, tmp_path):
        assert self.found(tmp_path, image="Image Pixel Size = 0.1175 µm").nm == pytest.approx(117.5, rel=1e-9)
        assert self.found(tmp_path, head_m="7.345e-009").nm == pytest.approx(117.52, rel=1e-9)

    def test_text_wins_where_the_head_is_of_something_else(self, tmp_path):
        assert self.found(tmp_path, head_m="5.000000e-009").nm == 117.5

    def test_old_files_have_the_head_alone(self, tmp_path):
        found = self.found(tmp_path, image=None)
        assert found.nm == pytest.approx(117.5, rel=1e-9)
        assert found.detail.endswith("pixel size of the screen")

    def test_screen_pixel_size_is_not_used(self, tmp_path):
        assert self.found(tmp_path, image=None, head_m="0").source == "unknown"

    def test_resized_images_have_no_pixel_size(self, tmp_path):
        found = self.found(tmp_path, store="2048 * 1536")
        assert found == PixelSize.unknown(
            "Zeiss tag 34118 (CZ_SEM) is of an image 2048 px wide, this one has 64 px: resized or cropped since"
        )


UNTRUSTED = {
    "print resolution": ([], {"resolution": (300, 300), "resolutionunit": "INCH"}, "no pixel size in the file"),
    "uncalibrated imagej": ([], {"description": "ImageJ=1.54f\nunit=inch\n", "resolution": (72, 72)}, "no pixel size"),
    "no unit": ([], {"resolution": (4, 4), "resolutionunit": "NONE"}, "no pixel size in the file"),
    "zero": ([], {"description": "ImageJ=1.54f\nunit=nm\n", "resolution": ((0, 1), (0, 1))}, "no pixel size"),
    "not square": (
        [],
        {"description": "ImageJ=1.54f\nunit=nm\n", "resolution": ((1, 2), (1, 3))},
        "ImageJ description, unit=nm: pixels are not square, 2 by 3 nm",
    ),
    "implausible": (
        [],
        {"description": "ImageJ=1.54f\nunit=m\n", "resolution": (1, 1)},
        "says 1e\\+09 nm, which no microscope has",
    ),
    "fei resized": ([(34682, fei(columns=1536))], {}, "is of an image 1536 px wide, this one has 64 px"),
    "fibics resized": ([(51023, fibics(columns=2048))], {}, "is of an image 2048 px wide"),
    "fibics contradicts": ([(51023, fibics(ux="0.01"))], {}, "contradicts itself: 10 nm a pixel, 5 nm by its field"),
    "fibics broken": ([(51023, fibics()[:-20] + ">")], {}, "TIFF tag 51023 holds broken XML"),
    "orion resized": ([(65000, orion(columns=2048))], {}, "is of an image 2048 px wide"),
    "foreign xml": ([(51023, "<Other><Image/></Other>")], {}, "no pixel size in the file"),
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_records_that_cannot_be_trusted(tmp_path, name):
    tags, options, why = UNTRUSTED[name]
    found = pixel_size_from_metadata(write(tmp_path / "a.tif", *tags, **options))
    assert (found.nm, found.source) == (None, "unknown")
    assert re.search(why, found.detail)


HITACHI = "[SemImageFile]\r\nInstructName=SU8000\r\nDataSize=64x48\r\nPixelSize=9.921875\r\nMagnification=10000\r\n"
JEOL = "$CM_FORMAT JEOL\r\n$CM_MAG 50000\r\n$CM_FULL_SIZE 64 48\r\n$$SM_MICRON_BAR 25\r\n$$SM_MICRON_MARKER 100nm\r\n"


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize(
    ("text", "nm", "detail"),
    [
        (HITACHI.encode(), 9.921875, "Hitachi file a.txt, PixelSize"),
        (HITACHI.encode("utf-16"), 9.921875, "Hitachi file a.txt, PixelSize"),
        (JEOL.encode(), 4.0, "JEOL file a.txt, SM_MICRON_BAR"),
        (JEOL.replace("100nm", "1um").encode(), 40.0, "JEOL file a.txt, SM_MICRON_BAR"),
    ],
)
def test_text_beside_the_image(tmp_path, suffix, text, nm, detail):
    image(tmp_path / f"a{suffix}")
    (tmp_path / "a.txt").write_bytes(text)
    assert pixel_size_from_metadata(tmp_path / f"a{suffix}") == PixelSize(nm, "metadata", detail)


@pytest.mark.parametrize("text", [HITACHI.replace("64x48", "1280x960"), JEOL.replace("64 48", "1280 960")])
def test_text_about_another_size(tmp_path, text):
    image(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_text(text)
    assert "is of an image 1280 px wide" in pixel_size_from_metadata(tmp_path / "a.tif").detail


@pytest.mark.parametrize("text", ["", "my notes: 5 nm", "[SemImageFile]\nPixelSize=\n", "$$SM_MICRON_BAR 0\n"])
def test_text_without_a_pixel_size(tmp_path, text):
    image(tmp_path / "a.tif")
    (tmp_path / "a.txt").write_text(text)
    assert pixel_size_from_metadata(tmp_path / "a.tif").source == "unknown"


def image(path):
    if path.suffix == ".tif":
        return write(path)
    from PIL import Image

    Image.fromarray(IMAGE).save(path, dpi=(300, 300))
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_print_resolution_of_pictures_is_not_used(tmp_path, suffix):
    assert pixel_size_from_metadata(image(tmp_path / f"a{suffix}")) == PixelSize.unknown("no pixel size in the file")


WRITERS = {"mrc": write_mrc, "emd": write_emd, "ser": write_ser, "dm3": write_dm, "dm4": partial(write_dm, version=4)}


@pytest.mark.parametrize("suffix", WRITERS)
def test_formats_of_rosettasciio(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"a.{suffix}", IMAGE.astype(np.uint16), 0.25)
    found = pixel_size_from_metadata(tmp_path / f"a.{suffix}")
    assert found.nm == pytest.approx(0.25, rel=1e-6)  # DM and MRC keep single precision
    assert (found.source, found.detail) == ("metadata", f"{suffix.upper()} axis in nm")


@pytest.mark.parametrize(("suffix", "unit"), [("emd", "1/nm"), ("emd", ""), ("dm3", "1/nm"), ("dm4", "")])
def test_axes_that_are_no_lengths(tmp_path, suffix, unit):
    WRITERS[suffix](tmp_path / f"a.{suffix}", IMAGE, 0.25, unit)
    assert pixel_size_from_metadata(tmp_path / f"a.{suffix}") == PixelSize.unknown("no pixel size in the file")


def test_real_zeiss_images(bam_folder):
    paths = sorted(bam_folder.glob("Datasets/Electron Microscopy Images/SEM/*.tif"))
    assert len(paths) == 20
    for path in paths:
        # 7.52 um over 1024 px: the precise number, where the text is rounded to 7.344 nm
        assert pixel_size_from_metadata(path) == PixelSize(
            7.34375, "metadata", "Zeiss tag 34118 (CZ_SEM), Image Pixel Size"
        )


def test_typed_and_unknown():
    assert PixelSize.typed(2) == PixelSize(2.0, "typed", "typed by hand")
    assert str(PixelSize.typed(2)) == "2 nm (typed)"
    assert str(PixelSize.unknown("no tag")) == "unknown (no tag)"
    assert str(PixelSize(1.5, "metadata", "a tag")) == "1.5 nm (metadata: a tag)"
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="pixel size must be a number of nm above 0"):
            PixelSize.typed(wrong)


@pytest.mark.parametrize(
    ("value", "unit", "nm"),
    [(2, "nm", 2), (2, "µm", 2000), (2, "μm", 2000), (2, " um ", 2000), (1, "mm", 1e6), (1, "m", 1e9), (5, "Å", 0.5)],
)
def test_lengths(value, unit, nm):
    assert length_nm(value, unit) == pytest.approx(nm, rel=1e-12)


@pytest.mark.parametrize("unit", ["", "px", "1/nm", "inch", "s"])
def test_what_is_no_length(unit):
    assert length_nm(1, unit) is None


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"a\.tif: image not found"):
        pixel_size_from_metadata(tmp_path / "a.tif")


@pytest.mark.parametrize("nm", [1e300, 1e-300, 0.0, -2.0])
def test_no_pixel_size_is_beyond_what_microscopes_have_wherever_it_comes_from(tmp_path: Path, nm: float) -> None:
    """Squares of the others overflow or vanish."""
    with pytest.raises(InputError, match="pixel size must be a number"):
        PixelSize.typed(nm)
    record = {"labels": {"pixel_size": {"nm": nm, "source": "typed", "detail": "typed by hand"}}}
    write_tiff(tmp_path / "a.labels.tif", np.eye(8, dtype=np.uint16), pixel_size_nm=None, description=record)
    with pytest.raises(InputError, match="its record of the image is damaged"):
        read_label_file(tmp_path / "a.labels.tif")
