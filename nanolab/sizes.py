"""From a label map to a table of particles, in pixels and, where the pixel size is known, in nm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.measure import regionprops_table

from nanolab.checks import InputError, check_label_map, check_same_shape
from nanolab.pixelsize import PixelSize

__all__ = ["DESCRIPTORS", "Descriptor", "equivalent_diameter", "measure", "summary"]

Values = npt.NDArray[Any]


def equivalent_diameter(area: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the equivalent circular diameter (ECD): that of the disc of the same projected area, sqrt(4 A / pi)."""
    return np.sqrt(4 / np.pi * np.asarray(area, dtype=np.float64))


@dataclass(frozen=True)
class Descriptor:
    """One column of the particle table.

    Attributes
    ----------
    dimension
        0 for a ratio (the column has the descriptor's name), 1 for a length (`_px`, `_nm`), 2 for an area (`_px`
        counts pixels, `_nm2`).
    properties
        What it is computed from: columns of `skimage.measure.regionprops_table`, in px.
    compute
        Takes those properties, each of shape (particles,), and returns the values in px.
    """

    dimension: int
    properties: tuple[str, ...]
    compute: Callable[..., Values]


def _itself(values: Values) -> Values:
    return values


def _axis(eigenvalue: Values) -> Values:
    """Axis of the ellipse of this second moment; 1/12 is the moment of each pixel, which is a square, not a point."""
    return 4 * np.sqrt(eigenvalue + 1 / 12)


def _aspect(largest: Values, smallest: Values) -> Values:
    return _axis(largest) / _axis(smallest)


def _circularity(area: Values, perimeter: Values) -> Values:
    return 4 * np.pi * area / perimeter**2


#: The columns of the table in their order. Axes are those of the ellipse of the same second moments. The perimeter is
#: Crofton's with four directions (Rivollier, thesis, Saint-Etienne 2010, tel-00560838), right on average over
#: orientations, which the chain code is not. Circularity is 4 pi area / perimeter^2 as in ImageJ, the square of that in
#: ISO 9276-6. Solidity is area / area of the convex hull.
DESCRIPTORS: dict[str, Descriptor] = {
    "area": Descriptor(2, ("num_pixels",), _itself),
    "ecd": Descriptor(1, ("num_pixels",), equivalent_diameter),
    "major_axis": Descriptor(1, ("inertia_tensor_eigvals-0",), _axis),
    "minor_axis": Descriptor(1, ("inertia_tensor_eigvals-1",), _axis),
    "aspect_ratio": Descriptor(0, ("inertia_tensor_eigvals-0", "inertia_tensor_eigvals-1"), _aspect),
    "perimeter": Descriptor(1, ("perimeter_crofton",), _itself),
    "circularity": Descriptor(0, ("num_pixels", "perimeter_crofton"), _circularity),
    "solidity": Descriptor(0, ("solidity",), _itself),
}


def measure(
    labels: npt.NDArray[np.integer],
    *,
    pixel_size: PixelSize,
    image: npt.NDArray[np.floating] | None = None,
    name: str = "",
) -> pd.DataFrame:
    """Measure every particle of a label map.

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    pixel_size
        Edge of a pixel and where it is known from; nothing in nm is given where it is unknown.
    image
        Shape (height, width), grey values in [0, 1]; adds the column `mean_intensity`.
    name
        Name of the image, for the first column.

    Returns
    -------
    particles
        One row a particle in the order of the labels: image, label, centroid_row_px, centroid_col_px, each of
        `DESCRIPTORS` in px, each length and area in nm and nm2, mean_intensity, touches_border, scale_source.
    """
    where = name or "label map"
    check_label_map(labels, where)
    if image is not None:
        check_same_shape(labels, image, where)
    found = _properties(labels, image)
    pixels = {key: one.compute(*(found[each] for each in one.properties)) for key, one in DESCRIPTORS.items()}
    columns: dict[str, Any] = {
        "image": pd.Series([name] * len(found["label"]), dtype=str),
        "label": found["label"].astype(np.int32),
        "centroid_row_px": found["centroid-0"],
        "centroid_col_px": found["centroid-1"],
    }
    columns |= {key if DESCRIPTORS[key].dimension == 0 else f"{key}_px": each for key, each in pixels.items()}
    if pixel_size.nm is not None:
        columns |= _in_nm(pixels, pixel_size.nm)
    if image is not None:
        columns["mean_intensity"] = found["intensity_mean"]
    columns["touches_border"] = _touches_border(found, labels.shape)
    return pd.DataFrame(columns).assign(scale_source=pixel_size.source)


def _properties(labels: npt.NDArray[np.integer], image: npt.NDArray[np.floating] | None) -> Mapping[str, Values]:
    needed = {column.split("-")[0] for each in DESCRIPTORS.values() for column in each.properties}
    names = {"label", "centroid", "bbox"} | needed
    if image is not None:
        names.add("intensity_mean")
    found: Mapping[str, Values] = regionprops_table(labels, image, properties=sorted(names))
    return found


def _in_nm(pixels: Mapping[str, Values], pixel_size_nm: float) -> dict[str, Values]:
    units = {1: "nm", 2: "nm2"}
    return {
        f"{key}_{units[dimension]}": values * pixel_size_nm**dimension
        for key, values in pixels.items()
        if (dimension := DESCRIPTORS[key].dimension)
    }


def _touches_border(found: Mapping[str, Values], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    top, left, bottom, right = (found[f"bbox-{side}"] for side in range(4))
    return np.asarray((top == 0) | (left == 0) | (bottom == shape[0]) | (right == shape[1]))


def summary(particles: pd.DataFrame) -> dict[str, float | int | None]:
    """Summarise the number-weighted size distribution of a particle table.

    Returns
    -------
    summary
        `count`, and of the ECD `median_ecd_nm`, `mean_ecd_nm`, `sd_ecd_nm` (of the sample, n - 1), `d10_nm`,
        `d50_nm`, `d90_nm`; `_px` in place of `_nm` where the table has no nm. None where there are too few particles.

    Raises
    ------
    InputError
        If some of the particles have a pixel size and others have none.
    """
    unit = "nm" if "ecd_nm" in particles else "px"
    ecd = particles[f"ecd_{unit}"].to_numpy(dtype=np.float64)
    if unknown := int(np.isnan(ecd).sum()):
        raise InputError(f"{unknown} of {len(ecd)} particles have no pixel size; type it or summarise them apart")
    d10, d50, d90 = np.percentile(ecd, (10, 50, 90)) if len(ecd) else (None,) * 3
    statistics = {
        "median_ecd": d50,
        "mean_ecd": ecd.mean() if len(ecd) else None,
        "sd_ecd": ecd.std(ddof=1) if len(ecd) > 1 else None,
        "d10": d10,
        "d50": d50,
        "d90": d90,
    }
    in_unit = {f"{key}_{unit}": None if value is None else float(value) for key, value in statistics.items()}
    return {"count": len(ecd), **in_unit}
