"""Stored values become grey values as documented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.images.formats.grey import resolve_palette, robust_range, to_grey


@given(st.integers(0, 2**32 - 1))
def test_8_bit_keeps_its_range(seed):
    stored = np.random.default_rng(seed).integers(10, 90, (5, 7), np.uint8)
    grey, record = to_grey(stored, "a")
    assert grey.dtype == np.float32
    np.testing.assert_array_equal(grey, stored / np.float32(255))
    assert record == {"dtype": "uint8", "grey_range": (0.0, 255.0), "stretched": False}


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.float32, np.float64])
def test_other_depths_use_the_range_of_the_image(dtype):
    # a 12-bit detector in a larger type, with one hot and one dead pixel
    stored = np.full((40, 40), 1000, dtype)
    stored[10:20, 10:20], stored[25:30, 25:30] = 3000, 2000
    stored[5, 5], stored[35, 35] = 30000, 0
    grey, record = to_grey(stored, "a")
    assert record == {"dtype": np.dtype(dtype).name, "grey_range": (1000.0, 3000.0), "stretched": True}
    assert (grey[0, 0], grey[15, 15], grey[27, 27], grey[5, 5], grey[35, 35]) == (0, 1, 0.5, 1, 0)


def test_a_few_small_particles_keep_their_grey():
    # 9 of a million pixels are bright: any percentile below the 99.999th would cut them off
    stored = np.full((1000, 1000), 100, np.uint16)
    stored[500:503, 500:503] = 4000
    assert to_grey(stored, "a")[1]["grey_range"] == (100.0, 4000.0)


def test_blocks_leave_no_seams(rng):
    # more than one block of rows: the medians at their edges are those of the whole image
    import cv2

    stored = rng.integers(0, 4000, (1100, 8000), np.uint16)
    whole = cv2.medianBlur(stored.astype(np.float32), 3)
    assert robust_range(stored.astype(np.float32)) == (whole.min(), whole.max())
    grey, record = to_grey(stored, "a")
    low, high = record["grey_range"]
    np.testing.assert_array_equal(grey, np.clip((stored.astype(np.float32) - low) / np.float32(high - low), 0, 1))


def test_known_limits_are_used():
    grey, record = to_grey(np.array([[0, 65535], [32768, 65535]], np.uint16), "a", (0.0, 65535.0))
    assert record["stretched"] is False
    np.testing.assert_allclose(grey, [[0, 1], [0.5, 1]], atol=1e-5)  # 32768 / 65535 = 0.500008


def test_colour_becomes_luma():
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[0, 0], stored[0, 1], stored[0, 2], stored[1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (80, 80, 80)
    grey = to_grey(stored, "a")[0]
    # ITU-R BT.601, in single precision
    np.testing.assert_allclose(grey[0], [0.299, 0.587, 0.114], atol=1e-6)
    assert grey[1, 0] == pytest.approx(80 / 255, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_grey_in_several_channels_stays_exactly_what_it_was(rng, channels):
    plane = rng.integers(0, 255, (9, 9), np.uint8)
    stored = np.repeat(plane[..., None], channels, axis=2)
    if channels in (2, 4):
        stored[..., -1] = rng.integers(0, 255, (9, 9), np.uint8)  # transparency
    np.testing.assert_array_equal(to_grey(stored, "a")[0], plane / np.float32(255))


def test_masks_are_black_and_white():
    grey, record = to_grey(np.eye(4, dtype=bool), "a")
    np.testing.assert_array_equal(grey, np.eye(4))
    assert record["grey_range"] == (0.0, 1.0)


def test_palettes():
    colormap = np.array([[0, 257 * 50, 65535, 65535], [0, 257 * 50, 65535, 0], [0, 257 * 50, 65535, 0]], np.uint16)
    np.testing.assert_array_equal(resolve_palette(np.array([[0, 1], [2, 1]]), colormap), [[0, 50], [255, 50]])
    # a colour that is in the palette but not in the image does not make it a colour image; one in use does
    red = resolve_palette(np.array([[0, 3], [2, 1]]), colormap)
    assert red.shape == (2, 2, 3)
    assert red[0, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (np.zeros((8, 8), np.uint8), "all pixels have one value, 0; it holds no picture"),
        (np.full((8, 8), 7.5), "all pixels have one value, 7.5"),
        (np.arange(20, dtype=np.uint8).reshape(1, 20), r"at least 2x2 pixels, got \(1, 20\)"),
        (np.arange(20, dtype=np.uint8), r"must be one grey or colour image, .* got \(20,\) uint8"),
        (np.zeros((3, 8, 8), np.uint8), r"got \(3, 8, 8\) uint8"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"got \(2, 8, 8, 3\) uint8"),
        (np.eye(8, dtype=complex), r"got \(8, 8\) complex128"),
        (np.array([[0, 1], [2, np.nan]]), "NaN or infinite"),
        (np.array([[0, 1], [2, np.inf]]), "NaN or infinite"),
        (np.array([[0, 1], [2, 1e300]]), "NaN or infinite"),  # beyond single precision
    ],
)
def test_what_is_no_picture(stored, why):
    with pytest.raises(InputError, match=f"^a: .*{why}"):
        to_grey(stored, "a")
