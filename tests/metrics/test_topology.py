from collections.abc import Callable
from functools import reduce
from operator import add

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import disk

from nanolab.core.checks import InputError
from nanolab.images.labels import labels_from_mask
from nanolab.metrics.topology import WarpingScores, simple_points, warp, warping_scores


def topology(mask: np.ndarray) -> tuple[int, int]:
    """Count the particles, 4-connected, and the pieces of background, 8-connected, the outside being one."""
    padded = np.pad(mask, 1)
    return label(padded, connectivity=1).max(), label(~padded, connectivity=2).max()


def flipped(mask: np.ndarray, at: tuple[int, int]) -> np.ndarray:
    other = mask.copy()
    other[at] = not other[at]
    return other


def slow_warp(mask: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Flip pixel after pixel where the counts of the whole image stay, until none is left."""
    warped, before = mask.copy(), None
    while before is None or (warped != before).any():
        before = warped.copy()
        for at in map(tuple, np.argwhere(warped != target)):
            if topology(flipped(warped, at)) == topology(warped):
                warped[at] = not warped[at]
    return warped


def fewest(mask: np.ndarray, target: np.ndarray) -> int:
    """Return the pixels that differ after the best of all ways to warp, by trying each."""
    seen, new = {mask.tobytes()}, [mask]
    best = int((mask != target).sum())
    while new:
        warped = new.pop()
        for at in map(tuple, np.argwhere(warped != target)):
            other = flipped(warped, at)
            if other.tobytes() not in seen and topology(other) == topology(warped):
                seen.add(other.tobytes())
                new.append(other)
                best = min(best, int((other != target).sum()))
    return best


def blobs(rng: np.random.Generator, size: int) -> np.ndarray:
    return ndimage.gaussian_filter(rng.random((size, size)), 1.5) > 0.5


def test_a_point_is_simple_if_no_count_changes():
    # In the plane a flip that joins or splits anything changes the number of particles or of pieces of background.
    for code in range(256):
        image = np.zeros((5, 5), bool)
        bits = [code >> bit & 1 for bit in range(8)]
        image[1:4, 1:4] = np.reshape([*bits[:4], 0, *bits[4:]], (3, 3))
        assert simple_points()[code] == (topology(image) == topology(flipped(image, (2, 2)))), bits


@pytest.mark.parametrize("seed", range(8))
def test_warping_keeps_the_topology_and_stops_only_where_it_must(seed: int):
    rng = np.random.default_rng(seed)
    mask, target = blobs(rng, 24), blobs(rng, 24)
    warped = warp(mask, target)
    assert topology(warped) == topology(mask)
    assert (warped[mask == target] == mask[mask == target]).all()  # what agreed is left alone
    left = [tuple(at) for at in np.argwhere(warped != target)]
    assert 0 < len(left) < (mask != target).sum()
    assert all(topology(flipped(warped, at)) != topology(warped) for at in left)


def test_it_comes_as_far_as_pixel_after_pixel():
    # Both are greedy, in another order, so that single images differ; over 12 they must not by more than 10 %.
    fast, slow = [], []
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        mask = blobs(rng, 24)
        target = mask ^ (blobs(rng, 24) & (rng.random((24, 24)) < 0.7))
        fast.append((warp(mask, target) != target).sum())
        slow.append((slow_warp(mask, target) != target).sum())
    assert min(slow) > 0
    assert sum(fast) == pytest.approx(sum(slow), rel=0.1)


def test_it_is_nearly_always_the_best_warping():
    found, best = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mask = rng.random((5, 5)) < 0.5
        target = mask ^ (rng.random((5, 5)) < 0.3)
        found.append(int((warp(mask, target) != target).sum()))
        best.append(fewest(mask, target))
    excess = np.subtract(found, best)
    assert excess.min() >= 0
    assert np.count_nonzero(excess == 0) >= 32  # greedy: a local minimum now and then


def disc(shape: tuple[int, int], row: int, col: int, radius: int) -> np.ndarray:
    rows, cols = np.indices(shape)
    return np.hypot(rows - row, cols - col) <= radius


TWO = disc((40, 80), 20, 20, 12) | disc((40, 80), 20, 56, 12)
BRIDGE = np.zeros_like(TWO)
BRIDGE[19:22, 20:56] = True
GAP = np.zeros_like(TWO)
GAP[:, 38] = True
HOLE = np.zeros_like(TWO)
HOLE[18:21, 18:21] = True

CASES = {  # truth, prediction, wrong pixels, wrong places
    "equal": (TWO, TWO, 0, 0),
    "shifted": (TWO, np.roll(TWO, (2, 3), (0, 1)), 0, 0),
    "larger": (TWO, ndimage.binary_dilation(TWO, disk(2)), 0, 0),
    "merged": (TWO, TWO | BRIDGE, 3, 1),  # the bridge is 3 px wide
    "split": (TWO | BRIDGE, (TWO | BRIDGE) & ~GAP, 1, 1),  # a link of one pixel would do
    "hole": (TWO, TWO & ~HOLE, 9, 1),
    "missed": (TWO, disc((40, 80), 20, 20, 12), 1, 1),  # shrinks to one pixel
    "too many": (disc((40, 80), 20, 20, 12), TWO, int(disc((40, 80), 20, 56, 12).sum()), 1),
    "filled hole": (TWO & ~HOLE, TWO, 1, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_known_errors(case: str):
    truth, predicted, wrong, places = CASES[case]
    scores = warping_scores(truth.astype(np.int32), labels_from_mask(predicted))
    assert (scores.wrong, scores.places) == (wrong, places)
    assert scores.error == wrong / truth.size


def touching() -> np.ndarray:
    labels = np.zeros((20, 30), np.int32)
    labels[4:16, 3:15], labels[4:16, 15:27] = 7, 3
    return labels


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda labels: np.roll(labels, 1, axis=1), 0),  # a boundary between two particles may move as well
        (lambda labels: np.where(labels, 7, 0), 12),  # merged along 12 px
        (lambda labels: np.where(labels == 7, 1, np.where(labels == 3, 2, 0)), 0),  # numbers mean nothing
    ],
)
def test_touching_particles_are_apart(change: Callable[[np.ndarray], np.ndarray], wrong: int):
    assert warping_scores(touching(), change(touching())).wrong == wrong


def test_scores_add_up():
    one, other = WarpingScores(3, 1, 100), WarpingScores(1, 1, 300)
    assert reduce(add, [one, other]) == WarpingScores(4, 2, 400)
    assert (one + other).error == 0.01
    assert np.isnan(WarpingScores().error)


def test_maps_of_other_sizes_are_refused():
    with pytest.raises(InputError, match="one size"):
        warping_scores(np.zeros((3, 4), int), np.zeros((4, 3), int))


@pytest.mark.slow
def test_a_large_image_takes_seconds(rng: np.random.Generator):
    import time

    truth = ndimage.gaussian_filter(rng.random((2048, 2048)), 8) > 0.5
    predicted = ndimage.gaussian_filter(truth + rng.normal(0, 2, truth.shape), 3) > 0.5
    begin = time.process_time()
    assert warping_scores(truth.astype(np.int32), labels_from_mask(predicted)).wrong > 0
    assert time.process_time() - begin < 5  # 0.3 s to 1 s were seen
