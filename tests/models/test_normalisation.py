import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.models.normalisation import normalise


def test_the_percentiles_become_0_and_1_and_the_rest_is_clipped() -> None:
    image = np.linspace(0, 1000, 1001).reshape(7, 143)
    found = normalise(image)
    assert found.dtype == np.float32
    assert (found.min(), found.max()) == (0, 1)
    # 0.1 and 99.9 % of 0..1000 are 1 and 999
    np.testing.assert_allclose(found.ravel()[[1, 500, 999]], [0, 0.5, 1], atol=1e-6)


@given(st.floats(0.01, 100), st.floats(-10, 10))
def test_brightness_and_contrast_of_the_recording_do_not_matter(contrast: float, brightness: float) -> None:
    image = np.random.default_rng(0).random((40, 50))
    # float32 values around 1000 have steps of 6e-5
    np.testing.assert_allclose(normalise(contrast * image + brightness), normalise(image), atol=2e-3)


def test_a_hot_pixel_does_not_darken_the_rest() -> None:
    image = np.random.default_rng(0).random((64, 64))
    hot = image.copy()
    hot[5, 5] = 1000
    # 1 of 4096 pixels lies above the percentile, so the limit moves by at most one rank of them
    others = image != image[5, 5]
    np.testing.assert_allclose(normalise(hot)[others], normalise(image)[others], atol=5e-3)


def test_a_large_image_gets_the_limits_of_its_sampled_pixels() -> None:
    image = np.random.default_rng(0).random((2100, 2100), dtype=np.float32)
    low, high = np.percentile(image, (0.1, 99.9))
    expected = np.clip((image - low) / (high - low), 0, 1)
    # a million of the 4.4 million values: the 0.1 % quantile of uniform values is known to 3e-5
    np.testing.assert_allclose(normalise(image), expected, atol=3e-4)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_an_image_with_nothing_to_see_is_refused_by_name(value: float) -> None:
    image = np.full((64, 64), value, dtype=np.float32)
    image[3, 3] = 1  # one odd pixel is not a picture
    with pytest.raises(InputError, match=rf"black\.tif: nearly all pixels have the value {value:g}"):
        normalise(image, "black.tif")


def test_the_image_itself_is_left_alone() -> None:
    image = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    before = image.copy()
    normalise(image)
    np.testing.assert_array_equal(image, before)
