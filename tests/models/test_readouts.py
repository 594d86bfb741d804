"""What every read-out must do, and what each is for."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers.discs import disc_labels
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nanolab.metrics.instance import match
from nanolab.models.readouts.base import READOUTS, find_particles, make_readout
from nanolab.models.readouts.interior_border import InteriorBorder, depth

seeds = st.integers(0, 2**32 - 1)

#: Those all of whose channels are probabilities; the other one has its own tests.
OF_PROBABILITIES = [name for name in READOUTS if name != "stardist"]


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_targets_are_small_floats_with_the_foreground_first(name: str, rng: np.random.Generator) -> None:
    labels = disc_labels(rng, (64, 48), 12)
    readout = make_readout(name)
    targets = readout.targets(labels)
    assert targets.shape == (readout.channels, 64, 48)
    assert targets.dtype == np.float32
    assert targets.min() == 0
    assert targets.max() == 1
    np.testing.assert_array_equal(readout.foreground(targets), labels > 0)


@pytest.mark.parametrize("name", READOUTS)
def test_no_particles_make_no_targets_and_no_instances(name: str) -> None:
    readout = make_readout(name)
    targets = readout.targets(np.zeros((32, 32), dtype=np.int32))
    assert targets.max() == 0
    assert not readout.instances(targets).any()


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_the_loss_is_least_where_the_prediction_is_right(name: str, rng: np.random.Generator) -> None:
    readout = make_readout(name)
    targets = torch.from_numpy(readout.targets(disc_labels(rng, (64, 64), 12)))[None]
    right = torch.logit(targets, eps=1e-4).requires_grad_()
    loss = readout.loss(right, targets)
    worse = [
        readout.loss(right + shift * torch.from_numpy(rng.standard_normal(right.shape, dtype=np.float32)), targets)
        for shift in (0.1, 1, 5)
    ]
    assert loss < worse[0] < worse[1] < worse[2]
    loss.backward()
    assert right.grad is not None
    assert torch.isfinite(right.grad).all()


@pytest.mark.parametrize("name", OF_PROBABILITIES)
def test_probabilities_are_the_logistic_function(name: str) -> None:
    logits = torch.tensor([-2.0, 0.0, 3.0]).expand(1, make_readout(name).channels, 1, 3)
    expected = torch.tensor([0.119203, 0.5, 0.952574]).expand_as(logits)
    torch.testing.assert_close(make_readout(name).probabilities(logits), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", READOUTS)
def test_what_is_packed_comes_back(name: str, rng: np.random.Generator) -> None:
    readout = make_readout(name)
    targets = readout.targets(disc_labels(rng, (64, 48), 12))
    packed = readout.pack(targets)
    assert len(packed) == len(readout.kept)
    assert {plane.dtype for plane in packed} == {np.dtype(np.uint8)}
    back = readout.unpack(packed)
    assert back.dtype == np.float32
    assert back.shape == targets.shape
    probabilities = len(readout.kept) - ("rays" in readout.kept)
    # half of a step of 1/255, and what float32 rounds
    np.testing.assert_allclose(back[:probabilities], targets[:probabilities], atol=0.5 / 255 + 1e-6)


def test_foreground_joins_what_touches_and_respects_its_threshold() -> None:
    probabilities = np.array([[[0.9, 0.6, 0.0, 0.7]]], dtype=np.float32)
    assert make_readout("foreground").instances(probabilities).tolist() == [[1, 1, 0, 2]]
    assert make_readout("foreground", threshold=0.65).instances(probabilities).tolist() == [[1, 0, 0, 2]]


def test_the_depth_of_a_disc_falls_from_its_middle_to_its_edge() -> None:
    rows, cols = np.ogrid[-20:21, -20:21]
    radius = np.hypot(rows, cols)
    found = depth((radius < 15).astype(np.int32))
    assert found[20, 20] == 1
    # exact for a continuous disc; a pixel grid moves the edge by less than one pixel of 15
    expected = np.clip(1 - radius / 15, 0, 1)
    np.testing.assert_allclose(found, expected, atol=1 / 15)


def slow_depth(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Particle by particle, with touching pixels found by looking at all eight neighbours."""
    result = np.zeros(labels.shape)
    padded = np.pad(labels, 1, mode="edge")
    height, width = labels.shape
    around = np.stack([padded[r : r + height, c : c + width] for r in range(3) for c in range(3)])
    touching = ((around != labels) & (around > 0)).any(axis=0)
    for label in np.unique(labels[labels > 0]):
        inside = (labels == label) & ~touching
        if inside.any() and not inside.all():
            distance = distance_transform_edt(inside)
            result = np.where(inside, distance / max(1, distance.max()), result)
    return result


@given(seeds)
def test_the_depth_equals_the_slow_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((40, 40), dtype=np.int32)
    for label in range(1, 8):  # rectangles, overlapping and touching at will
        row, col, height, width = rng.integers(0, 36, 2).tolist() + rng.integers(3, 20, 2).tolist()
        labels[row : row + height, col : col + width] = label
    # both distances are exact; float32 against float64
    np.testing.assert_allclose(depth(labels), slow_depth(labels), atol=1e-5)


def test_a_particle_that_fills_the_patch_is_deep_everywhere() -> None:
    assert (depth(np.full((8, 8), 3, dtype=np.int32)) == 1).all()


@given(seeds)
def test_instances_of_perfect_and_of_blurred_targets_are_the_particles(seed: int) -> None:
    labels = disc_labels(np.random.default_rng(seed), (96, 96), 30)
    area = np.bincount(labels.ravel())
    labels[area[labels] < 40] = 0  # slivers at the border have no middle
    readout = InteriorBorder()
    targets = readout.targets(labels)
    exact = match(labels, readout.instances(targets), 0.9)
    assert (exact.fp, exact.fn) == (0, 0)
    # a network's prediction is never sharp: blurred by 1 px, discs of 5 px radius must still be told apart
    blurred = np.stack([gaussian_filter(channel, 1) for channel in targets])
    assert match(labels, find_particles(readout, blurred, 15), 0.5).f1 > 0.9


def test_touching_discs_come_apart_and_keep_their_place() -> None:
    rows, cols = np.ogrid[:40, :60]
    left = (rows - 20) ** 2 + (cols - 19) ** 2 < 144
    right = (rows - 20) ** 2 + (cols - 41) ** 2 < 144
    labels = np.where(left, 1, np.where(right, 2, 0)).astype(np.int32)
    assert make_readout("foreground").instances(labels[None].astype(np.float32)).max() == 1
    found = make_readout("interior+border").instances(make_readout("interior+border").targets(labels))
    assert found.max() == 2
    # a disc of radius 12 has 441 pixels; the cut may give a few of the pixels where they touch to the other
    assert (found == labels).mean() > 0.995


def test_small_particles_are_dropped_and_the_rest_renumbered() -> None:
    probabilities = np.zeros((1, 20, 20), dtype=np.float32)
    probabilities[0, 2:4, 2:4] = 1  # 4 px
    probabilities[0, 10:14, 10:15] = 1  # 20 px
    readout = make_readout("foreground")
    assert find_particles(readout, probabilities, 4).max() == 2
    found = find_particles(readout, probabilities, 5)
    assert found.max() == 1
    assert found[12, 12] == 1
    assert not find_particles(readout, probabilities).any()  # the default asks for 30 px
