"""Where the ground between particles is not clean."""

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["find_dirt"]

_SMOOTH_PX = 2.0  # takes the noise away
_GROUND_PX = 24.0  # what changes more slowly than this is illumination and film, not dirt
_NEAR_PX = 8  # so close to a particle its rim and shadow are seen, not the ground
_SIGMAS = 5.0


def find_dirt(image: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Find ground that stands out: brighter or darker than the ground around it by 5 times what this image's varies.

    The measure is the image's own ground, so that an even texture all over is no dirt and a stain on a clean wafer
    is. The spread is the median absolute deviation, which dirt on less than half of the ground does not change.

    Parameters
    ----------
    image
        Shape (height, width), values in [0, 1].
    labels
        Shape (height, width), 0 = ground.

    Returns
    -------
    dirt
        Shape (height, width); False on and within 8 px of particles.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1))
    ground = cv2.dilate((labels > 0).astype(np.uint8), disc) == 0
    if not ground.any():
        return np.zeros(image.shape, dtype=bool)
    contrast = _smoothed(image, ground, _SMOOTH_PX) - _smoothed(image, ground, _GROUND_PX, shrink=4)
    seen = contrast[ground]
    spread = 1.4826 * np.median(np.abs(seen - np.median(seen)))  # the SD of a normal distribution
    return np.asarray(ground & (np.abs(contrast - np.median(seen)) > _SIGMAS * spread))


def _smoothed(
    image: npt.NDArray[np.float32], region: npt.NDArray[np.bool_], sigma_px: float, *, shrink: int = 1
) -> npt.NDArray[np.float32]:
    """Blur what lies in a region by normalised convolution (10.1109/CVPR.1993.341081), on a grid `shrink` as coarse."""
    height, width = image.shape
    coarse = (max(width // shrink, 1), max(height // shrink, 1))
    weight = region.astype(np.float32)
    total, count = (
        cv2.GaussianBlur(cv2.resize(each, coarse, interpolation=cv2.INTER_AREA), (0, 0), sigma_px / shrink)
        for each in (image * weight, weight)
    )
    return np.asarray(cv2.resize(total / np.maximum(count, 1e-6), (width, height), interpolation=cv2.INTER_LINEAR))
