import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label
from skimage.morphology import h_maxima

from nanolab.models.readouts.interior_border import split_touching

#: Two summits, 0.9 and 0.8, and a pass at 0.5 between them: the lower stands out by 0.3.
RIDGE = np.array([[0.2, 0.9, 0.7, 0.5, 0.6, 0.8, 0.1]], dtype=np.float32).repeat(3, axis=0)


@pytest.mark.parametrize(("dynamic", "count"), [(0.0, 2), (0.29, 2), (0.31, 1), (1.0, 1)])
def test_a_summit_is_a_particle_if_it_stands_out(dynamic: float, count: int) -> None:
    assert split_touching(RIDGE, np.ones(RIDGE.shape, dtype=bool), dynamic).max() == count


def test_the_cut_lies_at_the_pass() -> None:
    found = split_touching(RIDGE, np.ones(RIDGE.shape, dtype=bool), 0.1)
    assert found[1, [1, 2, 4, 5]].tolist() == [1, 1, 2, 2]


def test_a_low_summit_joins_the_side_with_the_higher_pass() -> None:
    height = np.array([[1.0, 0.3, 0.45, 0.4, 0.9]], dtype=np.float32).repeat(2, axis=0)
    found = split_touching(height, np.ones(height.shape, dtype=bool), 0.2)
    assert found.max() == 2
    assert found[0, 2] == found[0, 4] != found[0, 0]


def test_a_plateau_is_one_particle() -> None:
    found = split_touching(np.ones((9, 9), dtype=np.float32), np.ones((9, 9), dtype=bool), 0.1)
    assert (found == 1).all()


def test_nothing_gives_nothing() -> None:
    assert not split_touching(np.ones((9, 9), dtype=np.float32), np.zeros((9, 9), dtype=bool), 0.1).any()


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1, 0.2]))
def test_there_is_one_region_for_each_h_maximum_and_they_cover_the_mask(seed: int, dynamic: float) -> None:
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((48, 48)), 2)
    height = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    mask = height > 0.4
    found = split_touching(height, mask, dynamic)
    np.testing.assert_array_equal(found > 0, mask)
    eight = np.ones((3, 3))
    # -1 outside: every part of the mask stands out by more than any dynamic
    maxima, expected = label(h_maxima(np.where(mask, height, -1.0), dynamic), eight)
    assert found.max() == expected
    for region in range(1, expected + 1):
        assert len(np.unique(found[maxima == region])) == 1
        assert label(found == region, eight)[1] == 1
