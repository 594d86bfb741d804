"""Pixel sizes that microscopes and programs leave in the tags of a TIFF.

Each reader returns a `Calibration`, or None where its record is absent. Where a record is there but does not fit the
image, it raises `Undecided`: a wrong scale is worse than none.
"""

import math
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tifffile

from nanolab.core.checks import InputError
from nanolab.images.tiff import first_pages

__all__ = [
    "Calibration",
    "Undecided",
    "has_other_tags",
    "image_page",
    "jeol_calibration",
    "length_nm",
    "positive",
    "require_width",
    "seconds",
    "tiff_calibration",
]

_NM_PER = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e9),
    "cm": 1e7,
    "mm": 1e6,
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), 1e3),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1.0),
    **dict.fromkeys(("\u00e5", "\u212b", "angstrom", "angstroms", "a"), 0.1),
    "pm": 1e-3,
    "fm": 1e-6,
}
_SECONDS_PER = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
_SIS = 33560  # tag of Olympus SIS
_COARSEST_PLAIN_NM = 1000.0  # a bare TIFF resolution coarser than this is meant for a printer or is a film scanner's


@dataclass(frozen=True)
class Calibration:
    """Width and height of a pixel in nm, and the record they stand in."""

    x_nm: float
    y_nm: float
    detail: str


class Undecided(InputError):
    """A record of the pixel size that cannot be trusted; the message says why. The pixel size is then unknown."""


def length_nm(value: float, unit: str) -> float | None:
    """Convert a length to nm; None for a unit that is no length, such as 1/nm or pixel."""
    factor = _NM_PER.get(unit.strip(" []").replace("_", "").lower())  # Berkeley's EMD writes n_m, in brackets or not
    return None if factor is None else value * factor


def seconds(unit: str) -> float | None:
    """Return how long a unit of time is, in s; None for another unit."""
    return _SECONDS_PER.get(unit.strip(" []").lower())


def positive(value: object) -> float | None:
    """Read a positive finite number as a file holds it, as number or text; None for anything else."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def require_width(recorded: object, actual: int, record: str) -> None:
    """Require the image to be as wide as `record` says it was when its pixel size was recorded, if it says so."""
    width = positive(recorded)
    if width is not None and width != actual:
        raise Undecided(
            f"{record} is of an image {width:g} px wide, this one has {actual} px: resized or cropped since"
        )


def image_page(tif: tifffile.TiffFile) -> Any:
    """Return the page that holds the image: the first, but for Olympus SIS the one with the tag, next to a picture."""
    pages = first_pages(tif)
    return next((page for page in pages if _SIS in page.tags), pages[0])


def tiff_calibration(tif: tifffile.TiffFile) -> Calibration | None:
    """Return the first pixel size a TIFF records, vendors' tags before general ones.

    Raises
    ------
    Undecided
        If there is a record that does not fit the image.
    """
    return next((found for reader in _READERS if (found := reader(tif))), None)


def has_other_tags(tif: tifffile.TiffFile) -> bool:
    """Tell whether a TIFF has tags of Gatan, JEOL SightX or TVIPS, which are left to RosettaSciIO."""
    page = tif.pages.first
    jeol = page.tags.valueof("Make") == "JEOL Ltd."
    return bool(jeol or page.is_tvips or 65009 in page.tags)


def _zeiss(tif: tifffile.TiffFile) -> Calibration | None:
    """SmartSEM. Of its two pixel sizes "Image Pixel Size" belongs to the stored image, "Pixel Size" to the screen.

    The unnamed numbers at the head of the tag hold the pixel size of a 1024 px wide screen with all its digits.
    """
    tags = tif.sem_metadata
    if not tags:
        return None
    record, width = "Zeiss tag 34118 (CZ_SEM)", tif.pages.first.imagewidth
    store = re.match(r"\d+", str(tags.get("dp_image_store", ("", ""))[1]))
    require_width(store and store.group(), width, record)
    head, entry = tags.get("", ()), tags.get("ap_image_pixel_size", ())
    screen_m = positive(head[3]) if len(head) > 3 else None
    precise = screen_m * 1e9 * 1024 / width if screen_m else None
    size = positive(entry[1]) if len(entry) == 3 else None
    rounded = length_nm(size, entry[2]) if size else None
    if precise and rounded and not math.isclose(precise, rounded, rel_tol=1e-3):  # the text has four digits
        precise = rounded
    nm = precise or rounded
    name = "Image Pixel Size" if rounded else "pixel size of the screen"
    return Calibration(nm, nm, f"{record}, {name}") if nm else None


def _fei(tif: tifffile.TiffFile) -> Calibration | None:
    """FEI and Thermo scanning instruments: metres a pixel of the scan, or the beam's field in metres."""
    tags = tif.fei_metadata
    if not tags:
        return None
    record, image = "FEI tag 34680/34682", tags.get("Image", {})
    require_width(image.get("ResolutionX"), tif.pages.first.imagewidth, record)
    shape = positive(image.get("ResolutionX")), positive(image.get("ResolutionY"))
    for section, x_key, y_key, columns, rows in (
        ("Scan", "PixelWidth", "PixelHeight", 1.0, 1.0),
        *((beam, "HFW", "VFW", *shape) for beam in ("EBeam", "IBeam", "IRBeam")),
    ):
        entries = tags.get(section, {})
        x_m, y_m = positive(entries.get(x_key)), positive(entries.get(y_key))
        if x_m and y_m and columns and rows:
            return Calibration(x_m * 1e9 / columns, y_m * 1e9 / rows, f"{record}, [{section}] {x_key}")
    return None


def _xml(text: str, root: str, record: str) -> ET.Element | None:
    """Parse the XML element `root` out of a tag's text; whatever declares entities stands before it and is left out."""
    start, end = text.find(f"<{root}"), text.rfind(">")
    if start < 0:
        return None
    try:
        return ET.fromstring(text[start : end + 1])  # noqa: S314  no entities, see above
    except ET.ParseError as error:
        raise Undecided(f"{record} holds broken XML ({error})") from error


def _tag_xml(tif: tifffile.TiffFile, code: int, root: str) -> ET.Element | None:
    value = tif.pages.first.tags.valueof(code, default="")
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return _xml(text, root, f"TIFF tag {code}")


def _quantity_nm(root: ET.Element, path: str) -> float | None:
    """Length in nm of ``<A units="um">5</A>`` or, as Orion writes it, ``<A><Value>5</Value><Units>um</Units></A>``."""
    element = root.find(path)
    if element is None:
        return None
    value = positive(element.findtext("Value") or element.text)
    unit = element.get("units") or element.get("unit") or element.findtext("Units") or ""
    return length_nm(value, unit) if value else None


def _from_field(tif: tifffile.TiffFile, pixel_nm: float | None, field_nm: float | None, record: str) -> float | None:
    """Pixel width from a field of view, else as stated; where both are there they must agree within 1 %."""
    if field_nm is None:
        return pixel_nm
    nm: float = field_nm / tif.pages.first.imagewidth
    if pixel_nm is not None and not math.isclose(nm, pixel_nm, rel_tol=0.01):
        raise Undecided(f"{record} contradicts itself: {pixel_nm:g} nm a pixel, {nm:g} nm by its field of view")
    return nm


def _fibics(tif: tifffile.TiffFile) -> Calibration | None:
    """Fibics NPVE and Atlas, as on helium ion microscopes: field of view, image width and pixel vectors."""
    root = _tag_xml(tif, 51023, "Fibics")
    if root is None:
        return None
    record = "Fibics tag 51023"
    require_width(root.findtext("Image/Width"), tif.pages.first.imagewidth, record)
    x_nm = _from_field(tif, _quantity_nm(root, "Scan/Ux"), _quantity_nm(root, "Scan/FOV_X"), record)
    return Calibration(x_nm, _quantity_nm(root, "Scan/Vy") or x_nm, f"{record}, FOV_X") if x_nm else None


def _orion(tif: tifffile.TiffFile) -> Calibration | None:
    """Zeiss Orion helium ion microscopes: field of view, and scaling a pixel."""
    root = _tag_xml(tif, 65000, "ImageTags")
    if root is None:
        return None
    record = "Zeiss Orion tag 65000"
    columns = root.findtext("ImageWidth/Value") or root.findtext("ImageWidth")
    require_width(columns, tif.pages.first.imagewidth, record)
    field_nm = _quantity_nm(root, "Fov") or _quantity_nm(root, "GFIS/FieldOfView")
    x_nm = _from_field(tif, _quantity_nm(root, "ScalingX"), field_nm, record)
    return Calibration(x_nm, _quantity_nm(root, "ScalingY") or x_nm, f"{record}, Fov") if x_nm else None


def _thermo(tif: tifffile.TiffFile) -> Calibration | None:
    """Thermo XML: ``PixelSize`` with X and Y from transmission instruments, ``pixelWidth`` from the Phenom."""
    for name, x_path, y_path in (
        ("Metadata", ".//PixelSize/X", ".//PixelSize/Y"),
        ("FeiImage", "pixelWidth", "pixelHeight"),
    ):
        root = _tag_xml(tif, 34683, name)
        x_nm = None if root is None else _quantity_nm(root, x_path)
        if root is not None and x_nm:
            return Calibration(x_nm, _quantity_nm(root, y_path) or x_nm, f"Thermo tag 34683, {x_path.strip('./')}")
    return None


def _ome(tif: tifffile.TiffFile) -> Calibration | None:
    """OME-XML: PhysicalSizeX and Y; the unit is the micrometre where none is written."""
    root = _xml(tif.ome_metadata or "", "OME", "the image description")
    pixels = None if root is None else root.find(".//{*}Pixels")
    size = None if pixels is None else positive(pixels.get("PhysicalSizeX"))
    if pixels is None or size is None:
        return None
    x_nm = length_nm(size, pixels.get("PhysicalSizeXUnit", "um"))
    y_nm = length_nm(positive(pixels.get("PhysicalSizeY")) or size, pixels.get("PhysicalSizeYUnit", "um"))
    return Calibration(x_nm, y_nm, "OME-XML PhysicalSizeX") if x_nm and y_nm else None


def _resolution(tif: tifffile.TiffFile, nm_per_unit: float, record: str) -> Calibration | None:
    """Read the resolution tags, which hold pixels per unit as two fractions."""
    pairs = [tif.pages.first.tags.valueof(code) for code in ("XResolution", "YResolution")]
    if any(pair is None or 0 in pair for pair in pairs):
        return None
    x_nm, y_nm = (nm_per_unit * below / above for above, below in pairs)
    return Calibration(x_nm, y_nm, record)


def _imagej(tif: tifffile.TiffFile) -> Calibration | None:
    """ImageJ and Fiji: the unit stands in the description. Inch and pixel are what an uncalibrated image has."""
    unit = str((tif.imagej_metadata or {}).get("unit", ""))
    unit = re.sub(r"\\u([0-9a-fA-F]{4})", lambda escaped: chr(int(escaped[1], 16)), unit)  # as Fiji writes them
    factor = length_nm(1, unit)
    return _resolution(tif, factor, f"ImageJ description, unit={unit}") if factor else None


def _sis(tif: tifffile.TiffFile) -> Calibration | None:
    """Olympus SIS (iTEM): metres, on the page of the data, which is the second where the first is a picture."""
    tag = image_page(tif).tags.get(_SIS)
    if tag is None:
        return None
    sizes = tag.value if isinstance(tag.value, dict) else {}
    x_m, y_m = positive(sizes.get("pixelsizex")), positive(sizes.get("pixelsizey"))
    if x_m is None:  # some files count the place of the sizes from the tag, not from the start of the file
        tif.filehandle.seek(tag.valueoffset)
        data = tif.filehandle.read(min(tag.count, 4096))
        place = int.from_bytes(data[60:64], "little") + 12
        if 64 <= place <= len(data) - 16:
            x_m, y_m = (positive(size) for size in struct.unpack_from("<dd", data, place))
    return Calibration(x_m * 1e9, y_m * 1e9, "Olympus SIS tag 33560") if x_m and y_m else None


def _tescan(tif: tifffile.TiffFile) -> Calibration | None:
    """Tescan: a chain of blocks, one of them text with metres a pixel."""
    data = tif.pages.first.tags.valueof(50431, default=b"")
    text = bytes(data).decode("latin-1")
    found = (re.search(rf"PixelSize{axis}\s*=\s*([\d.eE+-]+)", text) for axis in "XY")
    x_m, y_m = (positive(each and each[1]) for each in found)
    return Calibration(x_m * 1e9, (y_m or x_m) * 1e9, "Tescan tag 50431, PixelSizeX") if x_m else None


def _jeol_note(tif: tifffile.TiffFile) -> Calibration | None:
    """JEOL's newer instruments put their text into the Exif MakerNote."""
    exif = tif.pages.first.tags.valueof(34665, default={})
    note = exif.get("MakerNote", b"") if isinstance(exif, dict) else b""
    text = note.removeprefix(b"UNICODE\0").decode("utf-16-le", "replace") if isinstance(note, bytes) else str(note)
    return jeol_calibration(text, tif.pages.first.imagewidth, "JEOL MakerNote")


def jeol_calibration(text: str, width: int, record: str) -> Calibration | None:
    """Return the pixel size in JEOL's text: as stated, by the field of view, or by the bar in whole pixels.

    Raises
    ------
    Undecided
        If the text is about an image of another width.
    """
    entries = dict(re.findall(r"(\$+\w+)[ =]+([^\t\r\n]*)", text))
    size = re.match(r"\d+", entries.get("$CM_FULL_SIZE", "") or entries.get("$CM_IMAGE_SIZE", ""))
    for key, pattern, pixels in (
        ("$CM_PIXEL_SIZE", r"([\d.]+)\s*([^\d\s/]+)/pixel", 1.0),
        ("$CM_FIELD_OF_VIEW", r"([\d.]+)\s+[\d.]+\s*(\D+)", width),
        ("$$SM_MICRON_MARKER", r"([\d.]+)\s*(\D+)", positive(entries.get("$$SM_MICRON_BAR"))),
        ("$SM_MICRON_MARKER", r"([\d.]+)\s*(\D+)", positive(entries.get("$SM_MICRON_BAR"))),
    ):
        found = re.fullmatch(pattern, entries.get(key, "").strip())
        value = positive(found[1]) if found else None
        length = length_nm(value, found[2]) if found and value else None
        if length and pixels:
            require_width(size and size.group(), width, record)
            return Calibration(length / pixels, length / pixels, f"{record}, {key.strip('$').replace('MARKER', 'BAR')}")
    return None


def _plain(tif: tifffile.TiffFile) -> Calibration | None:
    """Baseline resolution in inch or cm, a calibration only where no printer or scanner could be meant."""
    factor = {2: 2.54e7, 3: 1e7}.get(int(tif.pages.first.tags.valueof("ResolutionUnit", default=1)))
    found = _resolution(tif, factor, "TIFF resolution tags") if factor and not tif.imagej_metadata else None
    return found if found and max(found.x_nm, found.y_nm) < _COARSEST_PLAIN_NM else None


_Reader = Callable[[tifffile.TiffFile], Calibration | None]
_READERS: tuple[_Reader, ...] = (
    *(_zeiss, _fei, _fibics, _orion, _thermo, _sis, _tescan, _jeol_note),
    *(_ome, _imagej, _plain),
)
