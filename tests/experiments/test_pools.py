"""Pools of crops: what is on them, and where they come from."""

from pathlib import Path

import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.experiments.pools import AS_THEY_ARE, crop_pool, leaky_pool, taken
from nanolab.images.pixel_size import PixelSize
from nanolab.training.augmentation import vary_grey
from nanolab.training.settings import AugmentationSettings
from nanolab.training.sources import draw_sources

SIDE_PX = 32


def sample(grey: float, *, annotated: bool = True) -> AnnotatedImage:
    """An image in which the particles are `grey` and the ground is black."""
    labels = np.kron(np.arange(1, 17).reshape(4, 4) % 5, np.ones((20, 20), np.int32)).astype(np.int32)
    image = np.where(labels > 0, np.float32(grey), np.float32(0))
    name = f"{grey:g}"
    return AnnotatedImage(name, image, labels if annotated else None, PixelSize.typed(2.0), Path(f"{name}.tif"))


def test_a_crop_is_a_part_of_its_image_with_its_particles() -> None:
    turned = AS_THEY_ARE.model_copy(update={"flip": True})
    for number, crop in enumerate(crop_pool([sample(0.5), sample(1.0)], 10, SIDE_PX, turned, seed=0)):
        grey = (0.5, 1.0)[number % 2]
        assert crop.image.shape == crop.labels.shape == (SIDE_PX, SIDE_PX)
        np.testing.assert_array_equal(crop.image, np.where(crop.labels > 0, np.float32(grey), 0))
        assert crop.path == Path(f"{grey:g}.tif")  # from which a test tells what a crop is of
        assert crop.labels.max() == np.unique(crop.labels[crop.labels > 0]).size  # numbered 1..N


def test_a_crop_shows_a_particle_if_there_is_one() -> None:
    one = sample(0.5)
    labels = np.zeros((400, 400), dtype=np.int32)
    labels[300:312, 40:52] = 1  # a tenth of a percent of the image
    sparse = AnnotatedImage("sparse", np.where(labels, 0.5, 0).astype(np.float32), labels, one.pixel_size, one.path)
    shown = [np.count_nonzero(crop.labels) for crop in crop_pool([sparse], 40, 64, AugmentationSettings(), seed=0)]
    assert min(shown) >= 41  # 1 % of 64 x 64
    empty = AnnotatedImage("empty", one.image, np.zeros_like(one.labels), one.pixel_size, one.path)
    assert not crop_pool([empty], 1, SIDE_PX, AS_THEY_ARE, seed=0)[0].labels.any()


def test_a_crop_depends_on_its_number_and_the_seed_alone() -> None:
    settings = AugmentationSettings()
    small, large = (crop_pool([sample(0.5)], count, SIDE_PX, settings, seed=3) for count in (5, 50))
    np.testing.assert_array_equal(small[4].image, large[4].image)
    other = crop_pool([sample(0.5)], 5, SIDE_PX, settings, seed=4)
    assert not np.array_equal(small[4].image, other[4].image)
    assert not np.array_equal(small[3].image, small[4].image)


def test_as_they_are_changes_nothing(rng: np.random.Generator) -> None:
    patch = rng.random((SIDE_PX, SIDE_PX), dtype=np.float32)
    np.testing.assert_array_equal(vary_grey(patch, rng, AS_THEY_ARE), patch)


def test_a_training_takes_crops_of_a_pool_images_or_nothing() -> None:
    options = {"side_px": SIDE_PX, "augmentation": AS_THEY_ARE, "seed": 0, "name": "real"}
    assert taken([sample(0.5)], 0, pool=10, **options) == []
    pooled = taken([sample(0.5)], 4, pool=10, **options)
    assert [part.image.shape for part in draw_sources(pooled, 0)[0]] == [(SIDE_PX, SIDE_PX)] * 4
    (whole,) = draw_sources(taken([sample(0.5), sample(1.0)], 2, pool=0, **options), 0)
    assert [part.image.shape for part in whole] == [(80, 80)] * 2
    with pytest.raises(InputError, match="11 images are wanted of 10"):
        draw_sources(taken([sample(0.5)], 11, pool=10, **options), 0)


def test_what_cannot_make_a_pool_is_refused() -> None:
    with pytest.raises(InputError, match="at least one annotated image"):
        crop_pool([], 3, SIDE_PX, AS_THEY_ARE, seed=0)
    with pytest.raises(InputError, match="has no annotation"):
        crop_pool([sample(0.5, annotated=False)], 3, SIDE_PX, AS_THEY_ARE, seed=0)[0]


def test_a_leaky_pool_shares_images_but_no_crop_between_training_and_test() -> None:
    split = leaky_pool([sample(0.5), sample(1.0)], 12, 5, side_px=SIDE_PX, augmentation=AS_THEY_ARE, seed=3)
    train, test = ([crop.name for crop in those] for those in (split.train, split.test))
    assert (len(train), len(test)) == (7, 5)
    assert not set(train) & set(test)
    images = [{name.split(" crop ")[0] for name in those} for those in (train, test)]
    assert images == [{"0.5", "1"}] * 2
    with pytest.raises(InputError, match="12 of 12 crops to test on leave none"):
        leaky_pool([sample(0.5)], 12, 12, side_px=SIDE_PX, augmentation=AS_THEY_ARE, seed=0)
