import threading
from dataclasses import replace

import numpy as np
import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.core.processes import worker_pool
from nanolab.models.readouts.base import make_readout
from nanolab.training.patches import Patches, prefetch
from nanolab.training.settings import TrainingSettings

SETTINGS = TrainingSettings(patch_px=64, batch_size=3)
READOUT = make_readout("interior+border")


@pytest.fixture
def patches() -> Patches:
    return Patches([disc_sample(seed) for seed in range(4)], READOUT, SETTINGS)


def test_a_batch_has_the_shapes_of_a_network(patches: Patches) -> None:
    images, targets = patches.batch(0)
    assert images.shape == (3, 1, 64, 64)
    assert targets.shape == (3, 2, 64, 64)
    assert images.dtype == targets.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1


def test_a_patch_depends_on_seed_step_and_item_alone(patches: Patches) -> None:
    again = Patches([disc_sample(seed) for seed in range(4)], READOUT, SETTINGS)
    again.batch(7)  # what was drawn before does not matter
    for one, other in zip(patches.patch(5, 2), again.patch(5, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(patches.batch(5)[0][2, 0], patches.patch(5, 2)[0])
    elsewhere = Patches([disc_sample(seed) for seed in range(4)], READOUT, SETTINGS.model_copy(update={"seed": 1}))
    for other in (patches.patch(5, 1), patches.patch(6, 2), elsewhere.patch(5, 2)):
        assert not np.array_equal(patches.patch(5, 2)[0], other[0])


def test_targets_belong_to_their_patch() -> None:
    bright = replace(disc_sample(0), image=np.where(disc_sample(0).labels, 0.9, 0.1).astype(np.float32))
    settings = TrainingSettings(patch_px=64, augmentation={"noise": 0, "illumination": 0, "blur_px": 0})
    patches = Patches([bright], READOUT, settings)
    for step in range(20):
        image, targets = patches.patch(step, 0)
        # only edges, where the image was interpolated, can differ
        assert np.mean((image > 0.5) != (targets[0] > 0)) < 0.06


def test_labels_are_eroded_so_that_ground_parts_particles_that_touch() -> None:
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[10:30, 10:30], labels[10:30, 30:50], labels[40:64, 5:15] = 1, 2, 3
    sample = replace(disc_sample(0, (64, 64)), labels=labels)
    plain = {"flip": False, "rotate": False, "scale": (1, 1)}
    settings = TrainingSettings(patch_px=64, readout="foreground", particle_share=0, augmentation=plain, erode_px=2)
    _, targets = Patches([sample], make_readout("foreground"), settings).patch(0, 0)
    expected = np.zeros((64, 64), dtype=np.float32)
    expected[12:28, 12:28] = expected[12:28, 32:48] = expected[42:, 7:13] = 1  # the border of the image is no outline
    np.testing.assert_array_equal(targets[0], expected)


def test_images_without_particles_are_shown_too() -> None:
    empty = replace(disc_sample(0), labels=np.zeros((96, 96), dtype=np.int32))
    patches = Patches([empty, disc_sample(1)], READOUT, SETTINGS)
    empties = sum(not patches.patch(step, 0)[1].any() for step in range(60))
    assert 15 <= empties <= 45  # 30 are expected, standard deviation 3.9


def test_more_than_65535_labels_are_kept_apart() -> None:
    labels = disc_sample(0).labels.copy()
    labels[labels == 1] = 70_000
    patches = Patches([replace(disc_sample(0), labels=labels)], READOUT, SETTINGS)
    assert any(patches.patch(step, 0)[1].any() for step in range(5))


def test_the_fingerprint_changes_with_any_image(patches: Patches) -> None:
    same = Patches([disc_sample(seed) for seed in range(4)], READOUT, SETTINGS)
    other = Patches([disc_sample(seed) for seed in (0, 1, 2, 9)], READOUT, SETTINGS)
    assert patches.fingerprint == same.fingerprint != other.fingerprint
    assert len(patches) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, r"discs0\.tif: a training image must have a label map"),
        ({"labels": np.zeros((95, 96), dtype=np.int32)}, "discs0: both must have one size"),
        ({"image": np.full((96, 96), 0.5, dtype=np.float32)}, "discs0: nearly all pixels have the value 0.5"),
        ({"image": np.full((96, 96), np.nan, dtype=np.float32)}, "discs0: the image holds NaN"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Patches([replace(disc_sample(0), **change)], READOUT, SETTINGS)


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="at least one annotated image"):
        Patches([], READOUT, SETTINGS)


def test_prefetch_keeps_the_order_and_works_in_another_thread() -> None:
    made_by = []

    def make(step: int) -> int:
        made_by.append(threading.current_thread())
        return step**2

    assert list(prefetch(make, range(10), ahead=3)) == [step**2 for step in range(10)]
    assert threading.main_thread() not in made_by


def test_prefetch_hands_on_errors_and_stops_when_closed() -> None:
    def fail_at_2(step: int) -> int:
        if step == 2:
            raise InputError("gone")
        return step

    made = prefetch(fail_at_2, range(5))
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(InputError, match="gone"):
        next(made)
    before = threading.active_count()
    endless = prefetch(lambda step: step, iter(int, 1))
    next(endless)
    endless.close()
    assert threading.active_count() == before


def test_images_are_shown_as_often_as_their_weights_say() -> None:
    dark = replace(disc_sample(0), labels=np.zeros((96, 96), dtype=np.int32))
    patches = Patches([dark, disc_sample(1)], READOUT, SETTINGS, weights=[0.9, 0.1])
    shown = sum(patches.patch(step, 0)[1].any() for step in range(200))
    assert 8 <= shown <= 35  # 20 are expected, standard deviation 4.2


def test_patches_can_be_laid_around_particles() -> None:
    labels = np.zeros((400, 400), dtype=np.int32)
    labels[300:306, 20:26] = 1
    image = np.random.default_rng(0).random((400, 400), dtype=np.float32)
    sample = replace(disc_sample(0), labels=labels, image=image)
    seen = {}
    for share in (0.0, 0.5, 1.0):
        patches = Patches([sample], READOUT, SETTINGS.model_copy(update={"particle_share": share}))
        seen[share] = sum(patches.patch(step, 0)[1].any() for step in range(60))
    # by chance 3 % of the patches show it; turned by any angle, a corner of the window around it may be cut off
    assert seen[0.0] <= 8
    assert 20 <= seen[0.5] <= 42
    assert seen[1.0] >= 50


def test_part_of_a_batch_is_that_part_of_it(patches: Patches) -> None:
    for whole, part in zip(patches.batch(3), patches.batch(3, range(1, 3)), strict=True):
        np.testing.assert_array_equal(whole[1:3], part)


def test_several_threads_make_the_same_in_order(patches: Patches) -> None:
    for step, (images, _) in enumerate(prefetch(patches.batch, range(6), workers=3)):
        np.testing.assert_array_equal(images, patches.batch(step)[0])


def test_targets_of_other_processes_are_the_same() -> None:
    readout = make_readout("stardist", rays=8)
    assert readout.holds_lock
    patches = Patches([disc_sample(seed) for seed in range(2)], readout, SETTINGS)
    with worker_pool(2) as pool:
        made = list(prefetch(lambda step: patches.batch(step, pool=pool), range(3), workers=2))
    for step, found in enumerate(made):
        for one, other in zip(found, patches.batch(step), strict=True):
            np.testing.assert_array_equal(one, other)
