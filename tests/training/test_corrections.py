"""Learning from images of which only parts were looked at: nothing of the rest is learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.discs import TINY, disc_sample

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.models.readouts.base import make_readout
from nanolab.models.registry import NETWORKS
from nanolab.training.loop import train
from nanolab.training.patches import Patches
from nanolab.training.settings import TrainingSettings
from nanolab.training.validation import ValidationImage

READOUT = make_readout("interior+border")
PLAIN = {"flip": False, "rotate": False, "scale": (1, 1)}
WHOLE = TrainingSettings(patch_px=64, batch_size=2, augmentation=PLAIN)
LEFT = np.zeros((64, 64), dtype=bool)
LEFT[:, :32] = True


def squares(*corners: tuple[int, int, int]) -> np.ndarray:
    """Return a label map of squares: first row, first column and edge of each."""
    labels = np.zeros((64, 64), dtype=np.int32)
    for number, (row, col, edge) in enumerate(corners, start=1):
        labels[row : row + edge, col : col + edge] = number
    return labels


def sample(labels: np.ndarray, looked_at: np.ndarray | None = LEFT) -> AnnotatedImage:
    return replace(disc_sample(0, (64, 64)), labels=labels, looked_at=looked_at)


def targets_of(labels: np.ndarray) -> np.ndarray:
    return Patches([sample(labels)], READOUT, WHOLE).patch(0, 0)[1]


def test_what_was_not_looked_at_is_unknown_and_the_rest_is_as_ever() -> None:
    labels = squares((4, 4, 11), (30, 10, 9))
    targets = targets_of(labels)
    np.testing.assert_array_equal(np.isnan(targets[0]), ~LEFT)
    np.testing.assert_array_equal(targets[:, LEFT], READOUT.targets(labels)[:, LEFT])


def test_particles_that_the_edge_of_the_region_cuts_or_touches_are_unknown() -> None:
    cut, touching, whole = (4, 26, 11), (30, 23, 9), (50, 10, 9)
    targets = targets_of(squares(cut, touching, whole))
    expected = LEFT & (squares(cut, touching) == 0)
    np.testing.assert_array_equal(~np.isnan(targets[0]), expected)
    # a neighbour keeps its depth: 1 in its middle, whatever the others are
    np.testing.assert_array_equal(targets[:, expected], READOUT.targets(squares(whole))[:, expected])


def test_what_labels_say_elsewhere_changes_nothing() -> None:
    inside = ((4, 4, 11), (30, 23, 9))
    one, other = (targets_of(squares(*inside, beyond)) for beyond in ((30, 32, 20), (2, 40, 5)))
    np.testing.assert_array_equal(one, other)


def test_the_border_of_the_image_is_no_edge_of_the_region() -> None:
    labels = squares((0, 0, 11))
    np.testing.assert_array_equal(targets_of(labels)[:, LEFT], READOUT.targets(labels)[:, LEFT])


def test_patches_are_cut_where_somebody_looked() -> None:
    large = disc_sample(3, (400, 400), count=200)
    looked_at = np.zeros((400, 400), dtype=bool)
    looked_at[300:340, 40:80] = True
    settings = TrainingSettings(patch_px=64, batch_size=1)
    for labels in (large.labels, np.zeros_like(large.labels)):  # with particles to cut around, and with ground alone
        patches = Patches([replace(large, labels=labels, looked_at=looked_at)], READOUT, settings)
        known = [np.isfinite(patches.patch(step, 0)[1][0]).mean() for step in range(60)]
        # the region is 40 % of a patch's area; anywhere, 7 % of the patches would show any of it. Turned by any angle,
        # the corner that shows it may be cut off.
        assert np.count_nonzero(known) >= 55
        assert np.mean(known) > 0.1


def test_images_that_nobody_looked_at_are_never_shown() -> None:
    bright = replace(sample(squares((4, 4, 11)), None), image=disc_sample(1, (64, 64)).image)
    patches = Patches([sample(squares((4, 4, 11)), np.zeros_like(LEFT)), bright], READOUT, WHOLE)
    assert not any(np.isnan(patches.patch(step, 0)[1]).any() for step in range(20))
    with pytest.raises(InputError, match="a part of an image that somebody looked at"):
        Patches([sample(squares((4, 4, 11)), np.zeros_like(LEFT))], READOUT, WHOLE)


def test_all_looked_at_is_the_same_as_without_a_word() -> None:
    labels = squares((4, 4, 11), (30, 23, 9))
    said, unsaid, partly = (
        Patches([sample(labels, looked_at)], READOUT, WHOLE) for looked_at in (np.ones_like(LEFT), None, LEFT)
    )
    assert said.fingerprint == unsaid.fingerprint != partly.fingerprint
    np.testing.assert_array_equal(said.batch(0)[1], unsaid.batch(0)[1])


def test_whole_outlines_cannot_be_learned_from_parts_of_an_image() -> None:
    with pytest.raises(InputError, match="readout stardist: learns whole outlines"):
        Patches([sample(squares((4, 4, 11)))], make_readout("stardist"), TrainingSettings(readout="stardist"))


def test_a_part_of_an_image_cannot_validate() -> None:
    with pytest.raises(InputError, match="only a part of it was looked at"):
        ValidationImage(sample(squares((4, 4, 11))), WHOLE)


def test_a_training_ends_the_same_whatever_labels_say_where_nobody_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])
    changes = {"network": "tiny", "readout": "foreground", "epochs": 1, "steps_per_epoch": 3}
    settings = WHOLE.model_copy(update=changes)
    losses = {}
    for name, beyond in (("squares", (40, 40, 9)), ("none", (0, 60, 2))):
        labels = squares((4, 4, 11), beyond)
        run = train([[sample(labels)]], tmp_path / name, settings, progress=False, tensorboard=False)
        losses[name] = run.log()["loss"].tolist()
    assert losses["squares"] == losses["none"]
