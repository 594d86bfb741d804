"""From a label map to a table of particles, in pixels and, where the pixel size is known, in nm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import KDTree

from nanolab.core.checks import InputError, check_label_map, check_same_shape
from nanolab.core.typing import FloatArray
from nanolab.images.micrograph import Micrograph
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.hidden import visible_fractions
from nanolab.measurement.regions import Regions, find_regions

__all__ = [
    "DESCRIPTORS",
    "LEAST_SHAPE_PX",
    "Descriptor",
    "check_length",
    "equivalent_diameter",
    "measure",
    "nearest_distances",
    "sizes_of",
]


def equivalent_diameter(area: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the equivalent circular diameter (ECD): that of the disc of the same projected area, sqrt(4 A / pi)."""
    return np.sqrt(4 / np.pi * np.asarray(area, dtype=np.float64))


@dataclass(frozen=True)
class Descriptor:
    """One quantity of the particle table.

    Attributes
    ----------
    dimension
        0 for a ratio or an angle (the column has the descriptor's name), 1 for a length (`_px`, `_nm`), 2 for an area
        (`_px` counts pixels, `_nm2`).
    meaning
        Its definition, in a line.
    """

    dimension: int
    meaning: str


#: Fewer pixels have no shape, and the table leaves ratios and angles empty. Of discs and squares drawn at random places
#: and angles, the middle 95 % of the circularity overlap below 50 px (at 15 to 20 px: 0.98 +- 0.08 and 0.89 +- 0.12);
#: discs reach 1.05 there, and 1.01 from here on.
LEAST_SHAPE_PX = 60

#: The quantities of the table in their order. Names and formulas are those of ISO 9276-6:2008 where "ISO" stands.
#: UTILE-Gen's list (10.1021/acsnanoscienceau.3c00020) is, under its names: area `area`, equivalent diameter `ecd`, size
#: in X and Y `box_width` and `box_height`, aspect ratio (width / height) `box_aspect_ratio`, solidity `solidity`,
#: orientation `orientation_deg`, extent `extent`, perimeter `perimeter`, roundness `circularity`. Mill et al.
#: (10.1002/smtd.202100223) give `sqrt_area`.
#: The perimeter is that of Vossepoel & Smeulders (Computer Graphics and Image Processing 20, 1982, 347-364), as DIPlib
#: has it: from 60 px on within 3 % for discs, whose circularity is 0.94 to 1.01; 5 % short for small squares along rows
#: and columns, 2 % for large ones. Convexity compares perimeters by Crofton's formula with four directions.
DESCRIPTORS: dict[str, Descriptor] = {
    "area": Descriptor(2, "projected area: the pixels of the particle (ISO)"),
    "ecd": Descriptor(1, "equivalent circular diameter, sqrt(4 area / pi) (ISO area-equivalent diameter)"),
    "visible_fraction": Descriptor(
        0, "estimated share of the area that is not beneath neighbours; what the image's edge cuts off is not counted"
    ),
    "ecd_whole": Descriptor(1, "equivalent circular diameter of the whole area, area / visible_fraction"),
    "sqrt_area": Descriptor(1, "square root of the area, the size in Mill et al. 2021"),
    "major_axis": Descriptor(1, "major axis of the ellipse of the same second moments"),
    "minor_axis": Descriptor(1, "minor axis of that ellipse"),
    "aspect_ratio": Descriptor(0, "major_axis / minor_axis (the inverse of ISO's ellipse ratio)"),
    "feret_max": Descriptor(
        1, "longest distance of two parallel lines that touch the hull of the pixels' corners (ISO)"
    ),
    "feret_min": Descriptor(1, "shortest such distance (ISO)"),
    "feret_ratio": Descriptor(0, "feret_min / feret_max (ISO aspect ratio)"),
    "perimeter": Descriptor(1, "length of the outline, by its steps and corners (Vossepoel & Smeulders)"),
    "circularity": Descriptor(0, "4 pi area / perimeter^2 (ISO form factor; the square of ISO circularity)"),
    "roundness": Descriptor(0, "4 area / (pi feret_max^2) (ISO)"),
    "solidity": Descriptor(0, "area / area of the convex hull, both counted in pixels (ISO)"),
    "convexity": Descriptor(0, "perimeter of the convex hull / perimeter, both by Crofton's formula (ISO)"),
    "extent": Descriptor(0, "area / (box_width box_height)"),
    "box_ratio": Descriptor(0, "area / area of the smallest rectangle around the particle, in any orientation (ISO)"),
    "orientation_deg": Descriptor(
        0, "angle of the major axis from the horizontal, counter-clockwise, 0 to 180; says nothing of a round particle"
    ),
    "box_width": Descriptor(1, "width of the box along rows and columns (horizontal Feret diameter)"),
    "box_height": Descriptor(1, "height of that box (vertical Feret diameter)"),
    "box_aspect_ratio": Descriptor(0, "box_width / box_height"),
    "nearest_neighbour": Descriptor(1, "distance of the centroid from the nearest other one in the image"),
}


def measure(
    labels: npt.NDArray[np.integer],
    image: Micrograph | npt.NDArray[np.floating] | None = None,
    *,
    pixel_size: PixelSize | None = None,
    name: str = "",
    classes: Mapping[int, str] | None = None,
) -> pd.DataFrame:
    """Measure every particle of a label map.

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    image
        The micrograph, which knows its pixel size, name and data bar; or grey values in [0, 1], shape (height, width).
        Adds the column `mean_intensity`. Particles cut by a data bar count as cut only where the micrograph is given.
    pixel_size
        Edge of a pixel and where it is known from, over what the micrograph says; nothing in nm is given where it is
        unknown.
    name
        Name of the image, for the first column; the micrograph's if empty.
    classes
        Class of each label, such as a shape; adds the column `class`, empty where a label has none.

    Returns
    -------
    particles
        One row per particle in the order of the labels: image, label, class, centroid_row_px, centroid_col_px, each of
        `DESCRIPTORS` in px, each length and area in nm and nm2, mean_intensity, touches_border, the size of the image
        in px, scale_source. Ratios and angles are empty below `LEAST_SHAPE_PX`.

    Examples
    --------
    >>> import nanolab as nl
    >>> labels = np.zeros((9, 9), dtype=np.int32)
    >>> labels[2:6, 2:6] = 1
    >>> nl.measure(labels, pixel_size=nl.PixelSize.typed(2.0))[["label", "area_px", "area_nm2"]].values.tolist()
    [[1.0, 16.0, 64.0]]
    """
    if isinstance(image, Micrograph):
        name, pixel_size = name or image.name, pixel_size or image.pixel_size
        check_same_shape(labels, image.pixels, name)
        image = image.crop_data_bar().pixels
        labels = labels[: len(image)]
    pixel_size = pixel_size or PixelSize.unknown("none was given")
    where = name or "label map"
    check_label_map(labels, where)
    if image is not None:
        check_same_shape(labels, image, where)
    found = find_regions(labels, image)
    pixels = _descriptors(found, visible_fractions(labels, found))
    columns: dict[str, Any] = {"image": pd.Series([name] * len(found.label), dtype=str), "label": found.label}
    if classes is not None:
        columns["class"] = pd.Series([classes.get(int(label), "") for label in found.label], dtype=str)
    columns |= {"centroid_row_px": found.row, "centroid_col_px": found.col}
    columns |= {key if DESCRIPTORS[key].dimension == 0 else f"{key}_px": each for key, each in pixels.items()}
    if pixel_size.nm is not None:
        columns |= _in_nm(pixels, pixel_size.nm) | {"pixel_size_nm": pixel_size.nm}
    if found.mean is not None:
        columns["mean_intensity"] = found.mean
    columns["touches_border"] = _touches_border(found, labels.shape)
    size = {"image_height_px": labels.shape[0], "image_width_px": labels.shape[1]}
    return pd.DataFrame(columns).assign(**size, scale_source=pixel_size.source)


def _descriptors(found: Regions, seen: FloatArray) -> dict[str, npt.NDArray[Any]]:
    """Return the values of `DESCRIPTORS` in px."""
    area, hulls = found.area, found.hulls
    values = {
        "area": area.astype(np.int64),
        "ecd": equivalent_diameter(area),
        "visible_fraction": seen,
        "ecd_whole": equivalent_diameter(area / seen),
        "sqrt_area": np.sqrt(area),
        "major_axis": found.major,
        "minor_axis": found.minor,
        "aspect_ratio": found.major / found.minor,
        "feret_max": hulls.feret_max,
        "feret_min": hulls.feret_min,
        "feret_ratio": hulls.feret_min / hulls.feret_max,
        "perimeter": found.perimeter,
        "circularity": 4 * np.pi * area / found.perimeter**2,
        "roundness": 4 * area / (np.pi * hulls.feret_max**2),
        "solidity": area / hulls.pixels,
        "convexity": hulls.perimeter / found.crofton,
        "extent": area / (found.width * found.height),
        "box_ratio": area / hulls.box,
        "orientation_deg": found.orientation_deg,
        "box_width": found.width,
        "box_height": found.height,
        "box_aspect_ratio": found.width / found.height,
        "nearest_neighbour": nearest_distances(found.row, found.col),
    }
    shapeless = area < LEAST_SHAPE_PX
    return {
        key: values[key] if about.dimension else np.where(shapeless, np.nan, values[key])
        for key, about in DESCRIPTORS.items()
    }


def nearest_distances(row: npt.ArrayLike, col: npt.ArrayLike) -> FloatArray:
    """Return the distance of each of N points from the nearest other one, shape (N,); NaN for a single one."""
    points = np.column_stack([row, col])
    if len(points) < 2:
        return np.full(len(points), np.nan)
    return np.asarray(KDTree(points).query(points, k=2)[0][:, 1])


def _in_nm(pixels: Mapping[str, npt.NDArray[Any]], pixel_size_nm: float) -> dict[str, npt.NDArray[Any]]:
    units = {1: "nm", 2: "nm2"}
    return {
        f"{key}_{units[dimension]}": values * pixel_size_nm**dimension
        for key, values in pixels.items()
        if (dimension := DESCRIPTORS[key].dimension)
    }


def _touches_border(found: Regions, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    at_start = (found.top == 0) | (found.left == 0)
    return np.asarray(at_start | (found.top + found.height == shape[0]) | (found.left + found.width == shape[1]))


def sizes_of(particles: pd.DataFrame, quantity: str = "ecd") -> tuple[npt.NDArray[np.float64], str]:
    """Return one length of every particle of a table, shape (particles,), and its unit: "nm", or "px" without a scale.

    A particle alone in its image has no `nearest_neighbour`: NaN.

    Raises
    ------
    InputError
        If there is no such length, or some of the particles have a pixel size and others have none.
    """
    check_length(quantity)
    unit = "nm" if f"{quantity}_nm" in particles else "px"
    values = particles[f"{quantity}_{unit}"].to_numpy(dtype=np.float64)
    if lacking := particles[f"ecd_{unit}"].isna().sum():
        raise InputError(f"{lacking} of {len(values)} particles have no pixel size; type it or summarise them apart")
    return values, unit


def check_length(quantity: str) -> None:
    """Require one of the lengths among `DESCRIPTORS`."""
    lengths = [key for key, each in DESCRIPTORS.items() if each.dimension == 1]
    if quantity not in lengths:
        raise InputError(f"{quantity}: no length of the particle table; choose from {', '.join(lengths)}")
