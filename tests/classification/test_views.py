"""What a classifier sees of a micrograph."""

import numpy as np
import pytest
import torch

from nanolab.classification.views import AUGMENTATIONS, draw_view, mix_up, rand_augment, shrink, squares


def ramp(height: int, width: int) -> np.ndarray:
    """Grey values that rise from left to right."""
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


def test_an_image_is_shrunk_to_twice_the_side_and_never_enlarged(rng: np.random.Generator) -> None:
    assert shrink(rng.random((200, 300)), 50).shape == (100, 150)
    small = shrink(0.2 + 0.1 * rng.random((60, 80)), 50)
    assert small.shape == (60, 80)
    assert (small.min(), small.max()) == (0, 255)  # stretched to the full range


@pytest.mark.parametrize(("shape", "count"), [((64, 64), 1), ((64, 65), 2), ((64, 128), 2), ((200, 64), 4)])
def test_squares_show_all_of_an_image(shape: tuple[int, int], count: int) -> None:
    image = ramp(min(shape), max(shape))
    seen = squares(image if shape[1] >= shape[0] else image.T, 64)
    assert seen.shape == (count, 64, 64)
    assert seen.min() == 0
    assert seen.max() == 1
    first, last = np.unique(np.rint(seen[0] * 255)), np.unique(np.rint(seen[-1] * 255))
    assert set(first) | set(last) <= set(np.unique(image))  # cut, not squashed


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_a_view_depends_on_its_generator_alone(augmentation: str, rng: np.random.Generator) -> None:
    image = (255 * rng.random((90, 120))).astype(np.uint8)
    views = []
    for others in (0, 3):  # what torch's common generator has given others before must not matter
        torch.rand(others)
        views.append(draw_view(image, 40, augmentation, np.random.default_rng(7)))
    assert views[0].shape == (40, 40)
    assert views[0].dtype == np.float32
    assert views[0].min() >= 0
    assert views[0].max() <= 1
    np.testing.assert_array_equal(views[0], views[1])
    assert (draw_view(image, 40, augmentation, np.random.default_rng(8)) != views[0]).any()


def test_rand_augment_leaves_the_common_generator_alone(rng: np.random.Generator) -> None:
    before = torch.random.get_rng_state()
    rand_augment(rng.random((32, 32), dtype=np.float32), rng)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rand_augment_has_strong_operations(rng: np.random.Generator) -> None:
    view = np.full((32, 32), 0.75, np.float32)
    view[8:24, 8:24] = 0.25
    varied = [rand_augment(view, rng) for _ in range(60)]
    # 2 of 14 operations: inverted alone or with another one in about one of seven; turned round below its mean
    darker_around = sum(each[14:18, 14:18].mean() > each[2:6, 14:18].mean() for each in varied)
    assert 1 <= darker_around <= 30


def test_mix_up_blends_views_and_targets_alike() -> None:
    # each view has its own number everywhere, each target its own class: the blend can be read off either
    views = np.repeat(np.arange(4, dtype=np.float32), 4).reshape(4, 2, 2)
    mixed, targets = mix_up(views, np.eye(4, dtype=np.float32), 0.4, np.random.default_rng(1))
    assert targets.sum(axis=1) == pytest.approx(np.ones(4))
    np.testing.assert_allclose(mixed[:, 0, 0], targets @ np.arange(4), atol=1e-6)  # float32
    assert ((targets > 0).sum(axis=1) == 2).any()
