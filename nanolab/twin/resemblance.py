"""Whether twins resemble the images that they stand for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree
from skimage.segmentation import find_boundaries

from nanolab.core.typing import AnyImage, FloatArray, LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.particles import equivalent_diameter
from nanolab.measurement.regions import find_regions
from nanolab.realism.descriptors import DESCRIPTORS, describe
from nanolab.realism.patches import sequential_patches

__all__ = ["FOUND", "MOST", "describe_images", "resemblance", "unlike"]

#: What is compared of the particles found, in words.
FOUND = {
    "density": "particles for an area (logarithm)",
    "median_size": "median size (logarithm of px)",
    "size_spread": "spread of sizes (SD of the logarithm)",
    "touching": "share of the outlines at another particle",
    "neighbour": "distance of the nearest one, in diameters",
}
_GREY = ("dark", "bright", "skewness", "noise", "fine_power", "coarse_power", "row_noise", "ground_level")
_EDGES = ("particle_level", "halo", "edge_width_px")
_PATCH_PX, _PATCHES = 128, 12  # of each image
_PART = 0.005  # of the pixels at either end of the grey values
# less than this is no difference that changes how particles are found, however alike the twins are among themselves
_NO_DIFFERENCE = {"density": 0.2, "median_size": 0.1, "size_spread": 0.1, "touching": 0.03, "neighbour": 0.1}
_NO_DIFFERENCE_OF_GREY = 0.01
#: Scatters of the twins by which the mean of the images may lie off. BAM's TiO2 lies off by 1.3 to 2.4 of twins of
#: `tio2_sem`, and by 3.1 or more of those of nine wrong recipes: other sizes, arrangements and detectors.
MOST = 3.0


def describe_images(images: Sequence[AnyImage], found: Sequence[LabelMap]) -> pd.DataFrame:
    """Return one row per image: what `FOUND` names, and the descriptors of its grey values, stretched to [0, 1]."""
    rows = pd.DataFrame([_particles(labels) for labels in found], columns=list(FOUND))
    stretched = [
        AnnotatedImage(str(k), _stretched(image), labels, PixelSize.unknown("not needed"), Path())
        for k, (image, labels) in enumerate(zip(images, found, strict=True))
    ]
    side = min(_PATCH_PX, *(side for image in images for side in image.shape))
    patches = sequential_patches(stretched, side, limit=_PATCHES * len(images))
    grey = describe(patches)[[*_GREY, *_EDGES]].groupby(patches.images).median()
    return rows.join(grey)


def _stretched(image: AnyImage) -> Any:
    low, high = np.quantile(image, [_PART, 1 - _PART])
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _particles(labels: LabelMap) -> FloatArray:
    regions = find_regions(labels)
    sizes = equivalent_diameter(regions.area)
    if len(sizes) < 3:
        return np.array([np.log((len(sizes) + 1) / labels.size), *[np.nan] * 4])
    outer, every = (find_boundaries(each, mode="inner").sum() for each in (labels > 0, labels))
    centres = np.column_stack([regions.row, regions.col])
    near = KDTree(centres).query(centres, k=2)[0][:, 1] / sizes
    logs = np.log(sizes)
    density = np.log((len(sizes) + 1) / labels.size)
    return np.array([density, np.median(logs), logs.std(), 1 - outer / every, np.median(near)])


def resemblance(real: pd.DataFrame, twin: pd.DataFrame) -> pd.DataFrame:
    """Compare images with twins; both of `describe_images`.

    Returns
    -------
    table
        One row per property, the most different one first: property, meaning, real and twin (means over images),
        scatter (SD over twins, no less than what matters) and off, how many of these scatters the means are apart. The
        user's images are one sample seen in one way and so, as a whole, one draw of what the recipe leaves open.
    """
    means, theirs = real.mean(), twin.mean()
    scatter = twin.std().clip(
        lower=pd.Series({name: _NO_DIFFERENCE.get(name, _NO_DIFFERENCE_OF_GREY) for name in real})
    )
    off = (means - theirs) / scatter
    meaning = pd.Series({name: FOUND.get(name) or DESCRIPTORS[name] for name in real})
    table = pd.DataFrame({"meaning": meaning, "real": means, "twin": theirs, "scatter": scatter, "off": off})
    table = table.rename_axis("property").reset_index().dropna()
    return table.sort_values("off", key=abs, ascending=False, ignore_index=True)


def unlike(table: pd.DataFrame) -> list[str]:
    """Return in words what differs too much, the worst first; nothing where the twins resemble the images."""
    bad = table[table["off"].abs() > MOST]
    return [
        f"{row.meaning}: {row.real:.3g}, on the twins {row.twin:.3g} +- {row.scatter:.2g}" for row in bad.itertuples()
    ]
