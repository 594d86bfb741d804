"""ImageJ's regions of interest: one `.roi` file, or many in a `.zip`, for one image."""

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi
from scipy import ndimage
from skimage.measure import find_contours

from nanolab.core.checks import InputError, check_file, check_label_map, reading
from nanolab.core.files import atomic
from nanolab.datasets.annotations.annotation import Annotation, Regions
from nanolab.datasets.annotations.shapes import Ellipse, Polygon, Shape, closed

__all__ = ["outlines", "read_imagej", "write_imagej_rois"]

# A region is its corners; a zip that unpacks to more than this holds something else.
_MOST_REGIONS, _MOST_BYTES_EACH, _MOST_BYTES = 100_000, 2**24, 2**30
# ImageJ keeps corners as 16-bit numbers.
_MOST_PX = 2**15 - 1
_FARTHEST_PX = 1e6  # no image is as large
_OUTLINED = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
_LINES = (ROI_TYPE.POLYLINE, ROI_TYPE.FREELINE)
_WRITTEN_ON = (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE)  # rectangles to ImageJ
# ImageJ writes these; others are unpacked without regard to how much is asked for.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_imagej(path: Path) -> list[Annotation]:
    """Read the outlines, ovals, rectangles, composites and closed lines of a `.zip` or `.roi` file.

    Raises
    ------
    InputError
        If the file is not ImageJ's, is damaged, or unpacks to too much.
    """
    regions = Regions(path.stem, str(path))
    for where, content in _contents(path):
        regions.add(partial(_shapes, content, where))
    return [regions.annotation()]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    check_file(path, "annotation")
    if path.suffix.lower() == ".roi":
        if path.stat().st_size > _MOST_BYTES_EACH:
            raise InputError(f"{path}: {path.stat().st_size} bytes are too many for a region; save it again")
        yield str(path), path.read_bytes()
        return
    with reading(path, "zip of regions", "save the regions again"), zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.filename.lower().endswith(".roi")]
        sizes = [each.file_size for each in members]
        if len(members) > _MOST_REGIONS or max(sizes, default=0) > _MOST_BYTES_EACH or sum(sizes) > _MOST_BYTES:
            raise InputError(
                f"{path}: unpacks to {len(members)} regions of {sum(sizes)} bytes, more than outlines need; "
                "save the regions again"
            )
        if any(each.compress_type not in _COMPRESSIONS for each in members):
            raise InputError(f"{path}: not compressed as ImageJ does it; save the regions again")
        for member in members:
            with archive.open(member) as file:  # reads no more than it is told, whatever the header says
                yield f"{path}: {member.filename}", file.read(member.file_size)


def _shapes(content: bytes, where: str) -> list[Shape]:
    with reading(where, "region", "save it again"), np.errstate(invalid="raise"):  # a NaN as a whole number
        roi = ImagejRoi.frombytes(content)
        rings = [np.asarray(ring, dtype=np.float64) for ring in roi.coordinates(multi=True)]
    if roi.subtype in _WRITTEN_ON:
        raise InputError(f"{where}: must enclose a particle, got a {roi.subtype.name.lower()}; delete it")
    if roi.roitype == ROI_TYPE.OVAL and np.abs(_rectangle(roi)).max() <= _FARTHEST_PX:
        left, top, width, height = _rectangle(roi)
        return [Ellipse((left + width / 2, top + height / 2), (width / 2, height / 2))]
    if roi.roitype == ROI_TYPE.RECT and not roi.composite:
        left, top, width, height = _rectangle(roi)
        rings = [np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])]
    elif roi.roitype in _LINES:
        rings = [closed(ring, where) for ring in rings]
    elif roi.roitype not in _OUTLINED and not roi.composite:
        raise InputError(f"{where}: must enclose an area, got a {roi.roitype.name.lower()}; draw its outline")
    rings = [ring for ring in rings if len(ring) >= 3 and (np.abs(ring) <= _FARTHEST_PX).all()]
    if not rings:
        raise InputError(f"{where}: has no outline of at least 3 corners; draw it again")
    return [Polygon(tuple(rings))]


def _rectangle(roi: ImagejRoi) -> tuple[float, float, float, float]:
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.widthd, roi.heightd
    return roi.left, roi.top, roi.right - roi.left, roi.bottom - roi.top


def write_imagej_rois(path: Path | str, labels: npt.NDArray[np.integer]) -> Path:
    """Write a label map, shape (height, width), as a zip of regions for ImageJ's ROI Manager; return its path.

    Outlines run along the edges of pixels, so ImageJ measures the areas that the label map has. A particle in several
    pieces, or with holes, is one composite region. The same labels give the same bytes.

    Raises
    ------
    InputError
        If the label map is wider or higher than 32767 px, which ImageJ's corners cannot say.
    """
    check_label_map(labels, str(path))
    if max(labels.shape) > _MOST_PX:
        raise InputError(f"{path}: ImageJ's regions reach to {_MOST_PX} px, got an image of {labels.shape}; crop it")
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            if box is not None:
                corner = np.array([box[1].start, box[0].start])
                rings = [ring + corner for ring in outlines(labels[box] == label)]
                member = zipfile.ZipInfo(f"{label:05d}.roi")  # of 1980, so that no time is in it
                archive.writestr(member, _region(f"{label:05d}", rings), zipfile.ZIP_DEFLATED)
    return Path(path)


def outlines(mask: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the rings that enclose the pixels of a mask: outer ones of its 4-connected pieces, and of its holes.

    Parameters
    ----------
    mask
        Shape (height, width).

    Returns
    -------
    rings
        Corners (x, y) of each, shape (corners, 2), whole numbers from the upper left corner of the mask; rings of holes
        run the other way. The area they enclose is the number of pixels.

    Examples
    --------
    >>> sorted(outlines(np.ones((1, 2)))[0].tolist())
    [[0, 0], [0, 1], [2, 0], [2, 1]]
    """
    padded = np.pad(np.asarray(mask, dtype=np.float64), 1)
    return [_along_edges(ring) for ring in find_contours(padded, 0.5, fully_connected="low")]


def _along_edges(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Turn a contour through the middles of pixel edges into one along the edges, by the corner between each two."""
    middles = ring[:-1] - 0.5  # rows and columns of the mask, without the padding, from the pixels' edges
    after = np.roll(middles, -1, axis=0)
    whole, whole_after = (np.isclose(each, np.rint(each), atol=0.1) for each in (middles, after))
    corners = np.where(whole, middles, np.where(whole_after, after, (middles + after) / 2))
    corners = np.rint(corners).astype(np.int64)[:, ::-1]
    before, beyond = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * beyond[:, 1] != before[:, 1] * beyond[:, 0]
    return np.asarray(corners[turns])


def _region(name: str, rings: list[npt.NDArray[np.int64]]) -> bytes:
    if len(rings) == 1:
        roi = ImagejRoi.frompoints(rings[0], name=name)
        roi.roitype, roi.options = ROI_TYPE.TRACED, ROI_OPTIONS(0)
        (roi.left, roi.top), (roi.right, roi.bottom) = rings[0].min(axis=0).tolist(), rings[0].max(axis=0).tolist()
        return roi.tobytes()
    corners = np.concatenate(rings)
    path = np.concatenate([_path(ring) for ring in rings]).astype(np.float32)
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, name=name, shape_roi_size=len(path), multi_coordinates=path)
    (roi.left, roi.top), (roi.right, roi.bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return roi.tobytes()


def _path(ring: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a ring as java.awt.geom's path: move (0), lines (1), close (4)."""
    steps = np.column_stack([np.r_[0, np.ones(len(ring) - 1, dtype=np.int64)], ring])
    return np.append(steps.ravel(), 4)
