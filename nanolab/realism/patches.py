"""Square patches cut from micrographs, each with its kind: particle, background or dirt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage

__all__ = ["KINDS", "Patches", "find_dirt", "random_patches", "sequential_patches"]


_SMOOTH_PX = 2.0  # takes the noise away
_GROUND_PX = 24.0  # what changes more slowly than this is illumination and film, not dirt
_NEAR_PX = 8  # so close to a particle its rim and shadow are seen, not the ground
_SIGMAS = 5.0


def find_dirt(image: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Find ground that stands out: brighter or darker than the ground around it by 5 times what this image's varies.

    The measure is the image's own ground, so that an even texture all over is no dirt and a stain on a clean wafer
    is. The spread is the median absolute deviation, which dirt on less than half of the ground does not change.

    Parameters
    ----------
    image
        Shape (height, width), values in [0, 1].
    labels
        Shape (height, width), 0 = ground.

    Returns
    -------
    dirt
        Shape (height, width); False on and within 8 px of particles.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1))
    ground = cv2.dilate((labels > 0).astype(np.uint8), disc) == 0
    if not ground.any():
        return np.zeros(image.shape, dtype=bool)
    contrast = _smoothed(image, ground, _SMOOTH_PX) - _smoothed(image, ground, _GROUND_PX, shrink=4)
    seen = contrast[ground]
    spread = 1.4826 * np.median(np.abs(seen - np.median(seen)))  # the SD of a normal distribution
    return np.asarray(ground & (np.abs(contrast - np.median(seen)) > _SIGMAS * spread))


def _smoothed(
    image: npt.NDArray[np.float32], region: npt.NDArray[np.bool_], sigma_px: float, *, shrink: int = 1
) -> npt.NDArray[np.float32]:
    """Blur what lies in a region by normalised convolution (10.1109/CVPR.1993.341081), on a grid `shrink` as coarse."""
    height, width = image.shape
    coarse = (max(width // shrink, 1), max(height // shrink, 1))
    weight = region.astype(np.float32)
    total, count = (
        cv2.GaussianBlur(cv2.resize(each, coarse, interpolation=cv2.INTER_AREA), (0, 0), sigma_px / shrink)
        for each in (image * weight, weight)
    )
    return np.asarray(cv2.resize(total / np.maximum(count, 1e-6), (width, height), interpolation=cv2.INTER_LINEAR))


#: What a patch can show. Dirt is ground without particles on which something stands out; unknown is one without labels.
KINDS = ("particle", "background", "dirt", "unknown")

_PARTICLE = 0.01  # a patch with less of its area on particles shows ground
_DIRT = 0.005  # of the area of a patch: a spot of 8 px across in one of 96 px


@dataclass(frozen=True)
class Patches:
    """Patches of one set of images.

    Attributes
    ----------
    pixels
        Grey values, shape (patches, size, size), in [0, 1].
    particle
        Which pixels are particle, shape (patches, size, size); all False where nobody annotated the image.
    table
        One row per patch: image (name), image_index, row_px and column_px of its upper left corner, particle_fraction
        (of the area, NaN if unknown) and kind (one of `KINDS`).
    """

    pixels: npt.NDArray[np.float32]
    particle: npt.NDArray[np.bool_]
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size_px(self) -> int:
        """Side of a patch."""
        return int(self.pixels.shape[1])

    @property
    def images(self) -> npt.NDArray[np.intp]:
        """The number of the image that each patch is from, shape (patches,)."""
        return self.table["image_index"].to_numpy()

    def of_kind(self, kind: str) -> npt.NDArray[np.bool_]:
        """Tell which patches are of a kind, shape (patches,): one of `KINDS`, or "all"; dirt is background as well."""
        kinds = {"all": KINDS, "background": ("background", "dirt")}.get(kind, (kind,))
        return self.table["kind"].isin(kinds).to_numpy()

    def take(self, which: npt.NDArray[np.integer]) -> "Patches":
        """Return some of the patches, by index."""
        return Patches(self.pixels[which], self.particle[which], self.table.iloc[which].reset_index(drop=True))


def sequential_patches(samples: Sequence[AnnotatedImage], size_px: int, *, limit: int | None = None) -> Patches:
    """Cut every image into patches side by side, from the upper left corner; what is left over stays out.

    Parameters
    ----------
    limit
        At most so many patches, taken evenly from all of them.

    Raises
    ------
    InputError
        If there are no images or one is smaller than a patch.
    """
    places = []
    for index, sample in _checked(samples, size_px):
        rows, columns = (range(0, side - size_px + 1, size_px) for side in sample.image.shape)
        places.append(_cut(sample, index, [(row, column) for row in rows for column in columns], size_px))
    patches = _joined(places)
    if limit is None or len(patches) <= limit:
        return patches
    return patches.take(np.linspace(0, len(patches) - 1, limit).round().astype(int))


def random_patches(samples: Sequence[AnnotatedImage], size_px: int, count: int, rng: np.random.Generator) -> Patches:
    """Cut `count` patches at random places of random images.

    Images take part equally: none gives a second patch before each has given one, and so on.

    Raises
    ------
    InputError
        If there are no images or one is smaller than a patch.
    """
    shares = np.zeros(max(len(samples), 1), dtype=int)
    shares += count // len(shares)
    shares[rng.permutation(len(shares))[: count % len(shares)]] += 1
    places = []
    for index, sample in _checked(samples, size_px, np.flatnonzero(shares)):
        last = [side - size_px for side in sample.image.shape]
        corners = rng.integers(0, last, (shares[index], 2), endpoint=True)
        places.append(_cut(sample, index, [(int(row), int(column)) for row, column in corners], size_px))
    return _joined(places)


def _checked(
    samples: Sequence[AnnotatedImage], size_px: int, which: npt.NDArray[np.integer] | None = None
) -> Iterator[tuple[int, AnnotatedImage]]:
    if len(samples) == 0:
        raise InputError("patches: need at least one image, got none")
    for index in range(len(samples)) if which is None else which.tolist():
        sample = samples[index]
        if min(sample.image.shape) < size_px:
            height, width = sample.image.shape
            raise InputError(
                f"{sample.path}: an image must be at least one patch ({size_px} x {size_px} px), got {width} x "
                f"{height} px at the pixel size of the comparison; choose smaller patches or leave the image out"
            )
        yield index, sample


def _cut(sample: AnnotatedImage, index: int, corners: list[tuple[int, int]], size_px: int) -> Patches:
    windows = [(slice(row, row + size_px), slice(column, column + size_px)) for row, column in corners]
    pixels = np.stack([sample.image[window] for window in windows])
    rows = {
        "image": sample.name,
        "image_index": index,
        "row_px": [row for row, _ in corners],
        "column_px": [column for _, column in corners],
    }
    if sample.labels is None:
        table = pd.DataFrame({**rows, "particle_fraction": np.nan, "kind": "unknown"})
        return Patches(pixels, np.zeros(pixels.shape, dtype=bool), table)
    particle = np.stack([sample.labels[window] > 0 for window in windows])
    dirt = find_dirt(sample.image, sample.labels)
    fraction = particle.mean(axis=(1, 2))
    dirty = np.array([dirt[window].mean() >= _DIRT for window in windows])
    kind = np.where(fraction >= _PARTICLE, "particle", np.where(dirty, "dirt", "background"))
    return Patches(pixels, particle, pd.DataFrame({**rows, "particle_fraction": fraction, "kind": kind}))


def _joined(parts: list[Patches]) -> Patches:
    return Patches(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.particle for part in parts]),
        pd.concat([part.table for part in parts], ignore_index=True),
    )
