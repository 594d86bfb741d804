"""Masks to train on, made from label maps: semantic and three-class, with the gaps between particles widened."""

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import check_label_map

__all__ = ["BACKGROUND", "BORDER", "INTERIOR", "eroded", "semantic", "three_class"]

#: Classes of a three-class mask.
BACKGROUND, INTERIOR, BORDER = 0, 1, 2


def eroded(labels: npt.NDArray[np.integer], erosion_px: int) -> npt.NDArray[np.int32]:
    """Return the label map with every particle eroded by a disc of radius `erosion_px`, each for itself.

    Where two particles touch, both recede, so that a gap opens; the image's border takes nothing away.

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    """
    check_label_map(labels, "label map")
    if erosion_px == 0:
        return labels.astype(np.int32, copy=False)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * erosion_px + 1, 2 * erosion_px + 1))
    values = labels.astype(np.float32)  # exact up to 2**24 particles
    alike = cv2.erode(values, disc) == cv2.dilate(values, disc)
    return np.where(alike, labels, 0).astype(np.int32)


def semantic(labels: npt.NDArray[np.integer], erosion_px: int = 0) -> npt.NDArray[np.uint8]:
    """Return a mask, 1 on particles and 0 elsewhere, shape (height, width).

    With an erosion it is the label of Mill et al. (10.1002/smtd.202100223): binarised, the border between particles
    strengthened.
    """
    return (eroded(labels, erosion_px) > 0).astype(np.uint8)


def three_class(labels: npt.NDArray[np.integer], erosion_px: int) -> npt.NDArray[np.uint8]:
    """Return a mask of the classes `BACKGROUND`, `INTERIOR` and `BORDER`, shape (height, width).

    The border is what an erosion by `erosion_px` takes from each particle.
    """
    interior = eroded(labels, erosion_px) > 0
    return np.where(interior, INTERIOR, np.where(labels > 0, BORDER, BACKGROUND)).astype(np.uint8)
