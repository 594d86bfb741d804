"""Where particles lie: radial distribution function, agglomerates, fractal dimension."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage
from scipy.spatial import KDTree

from nanolab.core.checks import InputError, check_label_map, check_positive
from nanolab.core.typing import FloatArray
from nanolab.images.pixel_size import PixelSize

__all__ = [
    "FractalDimension",
    "agglomerates",
    "box_counting_dimension",
    "fractal_dimension",
    "radial_distribution",
    "radial_distribution_of",
]


def radial_distribution(
    patterns: Sequence[FloatArray], windows: Sequence[tuple[float, float]], *, r_max: float, bins: int = 40
) -> pd.DataFrame:
    """Estimate the radial distribution function g(r), also called pair correlation function, of points in rectangles.

    g is the density of points at distance r from a point as a part of the mean density: 1 where places are
    independent, 0 where particles exclude each other, above 1 where they cluster. Each pair counts with the inverse of
    the part of the window in which both its points fit (translation correction), so that the border causes no bias.
    Several images are pooled: pairs and expected pairs are added up.

    Parameters
    ----------
    patterns
        Points of each image, shape (points, 2), in the order of the sides of its window.
    windows
        Sides of each image.
    r_max
        Greatest distance; at most half the shortest side of any image.
    bins
        How many rings of equal width.

    Returns
    -------
    table
        One row per ring: `r` (its middle), `g`, `pairs` (each counted once; g scatters by about 1 / sqrt(pairs)).

    References
    ----------
    Ripley 1977, 10.1111/j.2517-6161.1977.tb01615.x; Ohser & Muecklich 2000, Statistical Analysis of Microstructures;
    Baddeley et al. 2015, Spatial Point Patterns, 10.1201/b19708.
    """
    check_positive(r_max, "r_max", "px or nm")
    if r_max > min(map(min, windows)) / 2:
        raise InputError(f"r_max must be at most half the shortest side of an image, {min(map(min, windows)) / 2:g}")
    edges = np.linspace(0, r_max, bins + 1)
    found, expected, pairs = np.zeros(bins), np.zeros(bins), np.zeros(bins, dtype=np.int64)
    rings = np.pi * np.diff(edges**2)
    for points, window in zip(patterns, windows, strict=True):
        area, count = float(np.prod(window)), len(points)
        if count < 2:
            continue
        pair = KDTree(points).query_pairs(r_max, output_type="ndarray")
        apart = np.abs(points[pair[:, 0]] - points[pair[:, 1]])
        distance = np.hypot(*apart.T)
        fits = np.prod(np.asarray(window) - apart, axis=1) / area
        found += 2 * np.histogram(distance, edges, weights=1 / fits)[0]
        pairs += np.histogram(distance, edges)[0]
        expected += count * (count - 1) / area * rings
    if not expected.any():
        raise InputError("radial distribution: needs an image with at least two particles")
    return pd.DataFrame({"r": (edges[1:] + edges[:-1]) / 2, "g": found / expected, "pairs": pairs})


def radial_distribution_of(particles: pd.DataFrame, *, r_max: float | None = None, bins: int = 40) -> pd.DataFrame:
    """Return `radial_distribution` of the centroids in a particle table, with the column `r_nm`, or `r_px`.

    Parameters
    ----------
    particles
        Of `nanolab.measurement.particles.measure`; all images with a pixel size, or none.
    r_max
        In that unit; a quarter of the shortest side of an image if None.
    """
    unit = "nm" if "ecd_nm" in particles else "px"
    if particles[f"ecd_{unit}"].isna().any():
        raise InputError("particles: some have no pixel size; type it or take them apart")
    patterns, windows = [], []
    for _, rows in particles.groupby("image", sort=False):
        scale = float(rows["ecd_nm"].iloc[0] / rows["ecd_px"].iloc[0]) if unit == "nm" else 1.0
        patterns.append(rows[["centroid_row_px", "centroid_col_px"]].to_numpy(dtype=np.float64) * scale)
        height, width = rows[["image_height_px", "image_width_px"]].iloc[0] * scale
        windows.append((float(height), float(width)))
    if not windows:
        raise InputError("radial distribution: needs at least two particles, got none")
    r_max = min(map(min, windows)) / 4 if r_max is None else r_max
    return radial_distribution(patterns, windows, r_max=r_max, bins=bins).rename(columns={"r": f"r_{unit}"})


def agglomerates(
    labels: npt.NDArray[np.integer], *, pixel_size: PixelSize, reach_px: float = 1, name: str = ""
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Find the agglomerates of a label map: groups of particles that touch one another.

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    reach_px
        Particles still touch over a gap of 2 `reach_px` background pixels, such as the line that cuts them apart.

    Returns
    -------
    table
        One row per agglomerate, single particles among them: image, agglomerate, `primary_particles` (how many),
        area_px, radius_of_gyration_px, primary_diameter_px (mean ECD of its particles), the same in nm if known,
        touches_border.
    membership
        Agglomerate of each label, shape (largest label + 1,), 0 where there is none.
    """
    check_label_map(labels, name or "label map")
    near = ndimage.distance_transform_edt(labels == 0) <= reach_px if labels.any() else labels > 0
    groups = ndimage.label(near, np.ones((3, 3), dtype=bool))[0]
    rows, cols = np.nonzero(labels)
    label, group = labels[rows, cols].astype(np.int64), groups[rows, cols].astype(np.int64)
    particle_area = np.bincount(label)
    membership = np.zeros(len(particle_area), dtype=np.int64)
    membership[label] = group
    number = np.arange(1, int(group.max(initial=0)) + 1)
    area = np.bincount(group, minlength=len(number) + 1).astype(np.float64)
    radius = np.sqrt(_spread(group, rows, area) + _spread(group, cols, area) + 1 / 6)[1:]  # 1/12 a pixel and direction
    present = np.flatnonzero(particle_area)
    primaries = np.bincount(membership[present], minlength=len(area))
    diameters = np.bincount(membership[present], np.sqrt(4 / np.pi * particle_area[present]), len(area))
    height, width = labels.shape
    at_border = (rows == 0) | (cols == 0) | (rows == height - 1) | (cols == width - 1)
    lengths = {"radius_of_gyration": radius, "primary_diameter": diameters[1:] / primaries[1:]}
    columns = {
        "image": pd.Series([name] * len(number), dtype=str),
        "agglomerate": number,
        "primary_particles": primaries[1:],
        "area_px": area[1:].astype(np.int64),
        **{f"{key}_px": each for key, each in lengths.items()},
        "touches_border": np.bincount(group[at_border], minlength=len(area))[1:] > 0,
    }
    if pixel_size.nm is not None:
        columns |= {"area_nm2": area[1:] * pixel_size.nm**2}
        columns |= {f"{key}_nm": each * pixel_size.nm for key, each in lengths.items()}
    return pd.DataFrame(columns), membership


def _spread(group: npt.NDArray[np.int64], at: npt.NDArray[np.int64], area: FloatArray) -> FloatArray:
    """Return the variance of the coordinate within each group."""
    count = np.maximum(area, 1)
    off = at - (np.bincount(group, at, len(area)) / count)[group]
    return np.asarray(np.bincount(group, off * off, len(area)) / count)


@dataclass(frozen=True)
class FractalDimension:
    """A slope in a double logarithmic plot: `dimension`, its standard error, the intercept, and how many points."""

    dimension: float
    standard_error: float
    intercept: float
    points: int


def fractal_dimension(table: pd.DataFrame, *, least: int = 4) -> FractalDimension:
    """Fit N = k (Rg / d)^D over agglomerates: N primary particles of diameter d, radius of gyration Rg.

    Seen in projection; that leaves D as it is where it is below 2 (Jullien et al. 1994, 10.1103/PhysRevE.50.3878), but
    primary particles hidden behind others are not counted, which makes D too low for dense agglomerates. A range of
    sizes below a decade, as usual, makes D a description more than a law. Those at the border are left out.

    Parameters
    ----------
    table
        Of `agglomerates`, of one or several images.
    least
        Fewest primary particles of an agglomerate to take.

    References
    ----------
    Forrest & Witten 1979, 10.1088/0305-4470/12/5/008; Sorensen 2011, 10.1080/02786826.2011.560909.
    """
    used = table[(table["primary_particles"] >= least) & ~table["touches_border"].astype(bool)]
    if len(used) < 3 or used["primary_particles"].nunique() < 2:
        raise InputError(
            f"fractal dimension: needs at least 3 agglomerates of {least} or more particles and of different numbers, "
            f"away from the border, got {len(used)}"
        )
    ratio = used["radius_of_gyration_px"] / used["primary_diameter_px"]
    return _slope(
        np.log(ratio.to_numpy(dtype=np.float64)), np.log(used["primary_particles"].to_numpy(dtype=np.float64))
    )


def box_counting_dimension(mask: npt.NDArray[np.generic], *, boxes_px: Iterable[int] | None = None) -> FractalDimension:
    """Estimate the dimension of one set of pixels by how the number of boxes that cover it falls with their size.

    Parameters
    ----------
    mask
        Shape (height, width); what is not 0 belongs to the set.
    boxes_px
        Sides of the boxes; by default powers of two from 2 px to a quarter of the set's longer side. Of four positions
        of the grid the one with the fewest boxes counts.

    References
    ----------
    Block et al. 1990, 10.1103/PhysRevA.42.1869.
    """
    rows, cols = np.nonzero(mask)
    if not len(rows):
        raise InputError("box counting: needs a set of at least one pixel, got none")
    rows, cols = rows - rows.min(), cols - cols.min()
    extent = int(max(rows.max(), cols.max())) + 1
    sides = [2**k for k in range(1, 32) if 2**k <= extent / 4] if boxes_px is None else sorted(set(boxes_px))
    if len(sides) < 2:
        raise InputError(f"box counting: needs a set at least 16 px across, got {extent} px")
    counts = [min(_boxes(rows + shift, cols + shift, side) for shift in _shifts(side)) for side in sides]
    return _slope(-np.log(np.asarray(sides, dtype=np.float64)), np.log(np.asarray(counts, dtype=np.float64)))


def _shifts(side: int) -> list[int]:
    return sorted({k * side // 4 for k in range(4)})


def _boxes(rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], side: int) -> int:
    across = int(cols.max()) // side + 1
    return len(np.unique((rows // side) * across + cols // side))


def _slope(x: FloatArray, y: FloatArray) -> FractalDimension:
    off = x - x.mean()
    slope = float((off @ y) / (off @ off))
    left = y - y.mean() - slope * off
    error = float(np.sqrt((left @ left) / max(len(x) - 2, 1) / (off @ off)))
    return FractalDimension(slope, error, float(y.mean() - slope * x.mean()), len(x))
