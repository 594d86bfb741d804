import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.metrics.bootstrap import intervals
from nanolab.metrics.comparison import SegmentationComparison, compare, pooled


def image(hit: int, missed: int) -> SegmentationComparison:
    """Compare an image of so many particles that are found and that are not."""
    labels = np.zeros((2, 2 * (hit + missed)), np.int32)
    labels[0, ::2] = np.arange(1, hit + missed + 1)
    return compare(labels, np.where(labels <= hit, labels, 0), pixel_size_nm=1.0)


def test_the_spread_is_that_of_the_mean_of_the_images(rng: np.random.Generator):
    # Images of 20 particles, of which as many are found as are drawn from a binomial distribution: the pooled recall is
    # a mean of independent values, with a known standard error.
    found = rng.binomial(20, 0.6, size=40)
    images = [image(int(hit), 20 - int(hit)) for hit in found]
    low, high = intervals(images, 0.5, seed=3, repeats=600)["instance_recall_50"]
    recall, error = found.mean() / 20, found.std() / 20 / np.sqrt(40)
    # The quantiles of 600 draws are uncertain by about a tenth of the standard error.
    assert low == pytest.approx(recall - 1.96 * error, abs=0.35 * error)
    assert high == pytest.approx(recall + 1.96 * error, abs=0.35 * error)


def test_images_are_drawn_not_particles():
    alike = intervals([image(3, 1)] * 5, 0.5, seed=0, repeats=50)
    assert alike["instance_recall_50"] == [0.75, 0.75]
    assert alike["n_annotated"] == [20, 20]


def test_the_seed_decides():
    images = [image(hit, 10 - hit) for hit in (1, 4, 7, 9, 10, 3)]
    assert intervals(images, 0.5, seed=1, repeats=50) == intervals(images, 0.5, seed=1, repeats=50)
    assert intervals(images, 0.5, seed=1, repeats=50) != intervals(images, 0.5, seed=2, repeats=50)


def test_it_covers_each_pooled_score_and_says_where_there_is_none():
    nothing = [image(0, 2), image(0, 3)]
    found = intervals(nothing, 0.5, seed=0, repeats=50)
    assert found.keys() == pooled(nothing).scores(0.5).keys()
    assert found["instance_precision_50"] is None
    assert found["instance_recall_50"] == [0, 0]
    assert intervals(nothing[:1], 0.5, seed=0) == {}


@pytest.mark.parametrize(("repeats", "level"), [(0, 0.95), (10, 1.0)])
def test_no_interval_without_draws(repeats: int, level: float):
    with pytest.raises(InputError, match="at least 1 repeat"):
        intervals([image(1, 1)] * 2, 0.5, seed=0, repeats=repeats, level=level)


def test_an_interval_of_a_distance_holds_the_distance_and_reaches_0_where_sizes_agree(rng: np.random.Generator) -> None:
    annotated, found = rng.lognormal(4, 0.3, (2, 6, 12))
    maps = [
        [np.repeat(np.arange(1, 13), np.rint(each / 2).astype(int)) for each in rows] for rows in (annotated, found)
    ]
    width = max(len(each) for rows in maps for each in rows)
    padded = [[np.pad(each, (0, width - len(each)))[None] for each in rows] for rows in maps]
    images = [compare(*pair, pixel_size_nm=1.0, warping=False) for pair in zip(*padded, strict=True)]
    result, scores = intervals(images, 0.5, seed=0, repeats=100), pooled(images).scores(0.5)
    for name in ("ecd_ks", "ecd_wasserstein_nm"):  # both of one distribution: the true distance is 0
        low, high = result[name]
        assert low == 0
        assert scores[name] < high
