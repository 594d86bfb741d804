"""Where patches come from and what they are called."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.realism.patches import find_dirt, random_patches, sequential_patches


def test_sequential_patches_tile_every_image(discs: Any) -> None:
    samples = discs(2, seed=0, side=200)
    patches = sequential_patches(samples, 48)
    assert len(patches) == 2 * 4 * 4
    for index, row in enumerate(patches.table.itertuples()):
        sample = samples[row.image_index]
        assert row.image == sample.name
        window = (slice(row.row_px, row.row_px + 48), slice(row.column_px, row.column_px + 48))
        assert np.array_equal(patches.pixels[index], sample.image[window])
        assert row.particle_fraction == pytest.approx((sample.labels[window] > 0).mean())
    assert set(patches.table["row_px"]) == {0, 48, 96, 144}


def test_limit_takes_patches_of_all_images(discs: Any) -> None:
    patches = sequential_patches(discs(3, seed=0), 48, limit=12)
    assert len(patches) == 12
    assert set(patches.images) == {0, 1, 2}


def test_random_patches_are_spread_evenly_and_repeat_with_the_seed(discs: Any) -> None:
    samples = discs(4, seed=0)
    first, again = (random_patches(samples, 48, 10, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.pixels, again.pixels)
    assert sorted(np.bincount(first.images)) == [2, 2, 3, 3]
    assert first.table["row_px"].max() <= 192 - 48


def test_a_patch_as_large_as_the_image_fits(discs: Any, rng: np.random.Generator) -> None:
    patches = random_patches(discs(1, seed=0), 192, 2, rng)
    assert patches.table[["row_px", "column_px"]].to_numpy().tolist() == [[0, 0], [0, 0]]


def test_kinds_are_told_by_the_labels(discs: Any) -> None:
    samples = discs(1, seed=0)
    patches = sequential_patches(samples, 48)
    particle = patches.table["particle_fraction"] >= 0.01
    assert particle.any()
    assert not particle.all()
    assert (patches.table["kind"] == np.where(particle, "particle", "background")).all()
    assert patches.of_kind("particle").sum() + patches.of_kind("background").sum() == len(patches)
    unlabelled = sequential_patches([replace(samples[0], labels=None)], 48)
    assert set(unlabelled.table["kind"]) == {"unknown"}


def test_dirt_is_what_stands_out_from_the_ground(rng: np.random.Generator) -> None:
    rows, columns = np.mgrid[:256, :256]
    spot = np.hypot(rows - 200, columns - 60) < 6
    labels = (np.hypot(rows - 80, columns - 180) < 20).astype(np.int32)
    ground = 0.2 + 0.05 * rows / 256  # a slope of illumination is no dirt
    image = ground + 0.1 * spot + 0.4 * labels + 0.01 * rng.standard_normal(rows.shape)
    dirt = find_dirt(image.astype(np.float32), labels)
    assert dirt[spot].mean() > 0.9
    assert not dirt[labels > 0].any()
    # The smoothing by 2 px carries the spot some px further; beyond, noise hardly ever reaches 5 sigma.
    assert dirt[np.hypot(rows - 200, columns - 60) > 14].mean() < 1e-3


def test_no_ground_no_dirt() -> None:
    assert not find_dirt(np.full((64, 64), 0.5, np.float32), np.ones((64, 64), np.int32)).any()


def test_small_images_and_none_are_refused(discs: Any, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"at least one patch \(400 x 400 px\), got 192 x 192"):
        sequential_patches(discs(1, seed=0), 400)
    with pytest.raises(InputError, match="at least one image"):
        random_patches([], 48, 5, rng)
