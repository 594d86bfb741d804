"""Masks made from label maps: erosion opens gaps and nothing else."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nanolab.core.checks import InputError
from nanolab.images.masks import BACKGROUND, BORDER, INTERIOR, eroded, semantic, three_class

label_maps = arrays(np.int32, st.tuples(st.integers(3, 20), st.integers(3, 20)), elements=st.integers(0, 4))


def two_squares() -> npt.NDArray[np.int32]:
    """Two touching squares of 20 px, and one that the border cuts."""
    labels = np.zeros((60, 80), dtype=np.int32)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    labels[40:60, 60:80] = 3
    return labels


def test_touching_particles_recede_from_one_another() -> None:
    shrunk = eroded(two_squares(), 3)
    assert (shrunk == 1).sum() == (shrunk == 2).sum() == (20 - 6) ** 2
    assert not shrunk[:, 27:33].any()
    assert (shrunk == 3).sum() == (20 - 3) ** 2  # the image's border takes nothing


@given(label_maps, st.integers(0, 3))
def test_erosion_is_that_of_each_particle_alone(labels: npt.NDArray[np.int32], erosion_px: int) -> None:
    shrunk = eroded(labels, erosion_px)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * erosion_px + 1, 2 * erosion_px + 1))
    for label in range(1, 5):
        alone = cv2.erode((labels == label).astype(np.uint8), disc)
        assert np.array_equal(shrunk == label, alone > 0)


@given(label_maps, st.integers(0, 3))
def test_classes_are_the_particles_and_what_erosion_takes(labels: npt.NDArray[np.int32], erosion_px: int) -> None:
    classes = three_class(labels, erosion_px)
    assert classes.dtype == np.uint8
    assert np.array_equal(classes == BACKGROUND, labels == 0)
    assert np.array_equal(classes == INTERIOR, semantic(labels, erosion_px) == 1)
    assert np.array_equal((classes == INTERIOR) | (classes == BORDER), semantic(labels) == 1)


def test_labels_must_be_whole_numbers() -> None:
    with pytest.raises(InputError, match="integers"):
        eroded(np.zeros((4, 4)), 1)
