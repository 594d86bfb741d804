"""Pools of augmented crops, and what a training takes of them."""

from collections.abc import Sequence

import numpy as np

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.experiments.images import Split, draw_split
from nanolab.images.labels import relabel
from nanolab.images.pixel_size import PixelSize
from nanolab.training.augmentation import cut, draw_view, vary_grey
from nanolab.training.settings import AugmentationSettings
from nanolab.training.sources import Source

__all__ = ["AS_THEY_ARE", "crop_pool", "leaky_pool", "taken"]

#: Patches that are neither turned nor changed: for crops that have been augmented already.
AS_THEY_ARE = AugmentationSettings(
    flip=False, rotate=False, scale=(1, 1), gamma=0, contrast=0, brightness=0, illumination=0, blur_px=0, noise=0
)

_POOL_KEY = 6  # keeps the crops apart from other draws of the same seed
_LEAST_SHOWN = 0.01  # share of a crop's pixels that are particle
_ATTEMPTS = 20


def crop_pool(
    samples: Sequence[AnnotatedImage], count: int, side_px: int, augmentation: AugmentationSettings, *, seed: int
) -> LazyImages:
    """Return augmented crops of a few images, made when asked for, as 10.1371/journal.pone.0311228 augments its images.

    Crop k is of the image k modulo their number and depends on that image, the seed and k alone. It shows some of a
    particle, if its image has any: each crop is normalised by itself, and empty ground would be stretched until it
    looked like particles, or be refused as blank.

    Parameters
    ----------
    samples
        Annotated images.
    count
        How many crops the pool has.
    side_px
        Side of a crop; of a smaller image the crop is mirrored at its edges.
    augmentation
        How crops are turned, magnified and changed in grey.

    Raises
    ------
    InputError
        If there is no image, or, when a crop is asked for, its image has no annotation.
    """
    if not samples:
        raise InputError("a pool needs at least one annotated image, got none")

    def make(number: str) -> AnnotatedImage:
        return _crop(samples[int(number) % len(samples)], int(number), side_px, augmentation, seed)

    return LazyImages(map(str, range(count)), make)


def _crop(
    sample: AnnotatedImage, number: int, side_px: int, augmentation: AugmentationSettings, seed: int
) -> AnnotatedImage:
    if sample.labels is None:
        raise InputError(f"{sample.path}: has no annotation; a pool needs some")
    rng = generator(seed, _POOL_KEY, number)
    annotated, particles = sample.labels.astype(np.float32), np.argwhere(sample.labels)  # exact below 2**24 particles
    for _ in range(_ATTEMPTS):
        around = tuple(particles[rng.integers(len(particles))].tolist()) if len(particles) else None
        view = draw_view(rng, sample.image.shape, side_px, augmentation, around)
        labels = cut(annotated, view, side_px, smooth=False)
        if np.count_nonzero(labels) >= _LEAST_SHOWN * labels.size:
            break
    pixels = vary_grey(cut(sample.image, view, side_px, smooth=True), rng, augmentation)
    size = PixelSize.unknown("an augmented crop")
    return AnnotatedImage(f"{sample.name} crop {number}", pixels, relabel(labels.astype(np.int32)), size, sample.path)


def leaky_pool(
    samples: Sequence[AnnotatedImage],
    pool: int,
    n_test: int,
    *,
    side_px: int,
    augmentation: AugmentationSettings,
    seed: int,
) -> Split:
    """Draw crops to train on and others to test on from one pool, as 10.1371/journal.pone.0311228 does.

    No crop is in both, but each image is: a test crop shows, turned and magnified otherwise, particles that were
    learned from. What this gives more than a split by image is what leaks, no merit of the network.

    Parameters
    ----------
    samples, side_px, augmentation
        See `crop_pool`.
    pool, n_test
        How many crops there are, and how many of them are tested on; the paper has 510 and 100.

    Raises
    ------
    InputError
        If no crop is left to train on.
    """
    if not 0 < n_test < pool:
        raise InputError(f"leaky pool: {n_test} of {pool} crops to test on leave none to train on, or none are wanted")
    crops = crop_pool(samples, pool, side_px, augmentation, seed=seed)
    return draw_split(crops, pool - n_test, n_test, seed=seed)


def taken(
    samples: Sequence[AnnotatedImage],
    count: int,
    *,
    pool: int,
    side_px: int,
    augmentation: AugmentationSettings,
    seed: int,
    name: str,
    share: float | None = None,
) -> list[Source]:
    """Return what a training takes of one kind of images: nothing, some of them, or some crops of a pool of them.

    Parameters
    ----------
    count
        Images or crops, drawn at random by the seed of the training; none if 0.
    pool
        How many crops there are to draw from; if 0 the images themselves are drawn from.
    name, share
        See `nanolab.training.sources.Source`.
    """
    if not count:
        return []
    drawn_from = crop_pool(samples, pool, side_px, augmentation, seed=seed) if pool else samples
    return [Source(drawn_from, count, share, name)]
