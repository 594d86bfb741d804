"""Variety of patches: where they are cut from, and what happens to their grey values."""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.seeds import generator
from nanolab.core.typing import Image
from nanolab.training.settings import AugmentationSettings

__all__ = ["cut", "draw_view", "vary_grey"]


_NOISE_KEY = 4  # keeps the field of noise apart from other draws of the seed 0
_NOISE_VALUES = 2**22  # drawn once, because drawing normal values takes longer than all else that happens to a patch


def draw_view(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    side_px: int,
    settings: AugmentationSettings,
    around: tuple[float, float] | None = None,
) -> npt.NDArray[np.float64]:
    """Draw which part of an image a patch shows: the affine map from patch to image coordinates.

    Half of the patches are only mirrored and turned by quarter turns, so that the network also sees pixels that were
    not interpolated; the others are turned by any angle and magnified as the settings say.

    Parameters
    ----------
    shape
        (height, width) of the image.
    side_px
        Side of the patch.
    around
        A (row, column) that the patch shall show, anywhere in it; any patch if None.

    Returns
    -------
    view
        Shape (2, 3), for coordinates (column, row) as OpenCV has them.
    """
    free = rng.random() < 0.5
    smallest, largest = settings.scale
    magnification = smallest * (largest / smallest) ** rng.random() if free else 1.0
    angle = np.pi / 2 * rng.integers(4) if settings.flip else 0.0
    if free and settings.rotate:
        angle += np.pi / 2 * rng.random()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if settings.flip and rng.random() < 0.5:
        turn[:, 0] *= -1
    if free and settings.shear:
        turn[:, 1] += settings.shear * (2 * rng.random() - 1) * turn[:, 0]
    turn = (turn if free else turn.round()) / magnification
    points = (None, None) if around is None else around[::-1]
    seen = side_px / magnification
    centre = [_draw_centre(rng, length, seen, point) for length, point in zip(shape[::-1], points, strict=True)]
    return np.column_stack([turn, centre - turn.sum(axis=1) * (side_px - 1) / 2])


def _draw_centre(rng: np.random.Generator, length: int, seen: float, point: float | None) -> float:
    """Draw the middle of a patch along an axis so that its pixels lie on the image's, if nothing is magnified.

    An image smaller than what is seen is centred.
    """
    slack = length - seen
    if slack < 0:
        first = np.floor(slack / 2)
    elif point is None:
        first = np.floor((slack + 1) * rng.random())
    else:
        first = np.clip(np.ceil(point - seen * rng.random()), 0, np.floor(slack))
    return float(first + (seen - 1) / 2)


def cut(
    array: npt.NDArray[np.uint8 | np.uint16 | np.float32],
    view: npt.NDArray[np.float64],
    side_px: int,
    *,
    smooth: bool,
) -> Image:
    """Cut the patch of a view out of an image or label map; beyond its edges the array is mirrored.

    Parameters
    ----------
    array
        Shape (height, width), uint8, uint16 or float32.
    smooth
        Interpolate between pixels, or, as labels need, take the nearest.
    """
    corners = view @ np.array([[0, side_px, 0, side_px], [0, 0, side_px, side_px], [1, 1, 1, 1]])
    low = np.clip(np.floor(corners.min(axis=1)).astype(int) - 2, 0, None)
    high = np.ceil(corners.max(axis=1)).astype(int) + 3
    window = array[low[1] : high[1], low[0] : high[0]]  # OpenCV takes no more than 32767 pixels a side
    in_window = view - np.column_stack([np.zeros((2, 2)), low])
    flags = (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(window, in_window, (side_px, side_px), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return patch.astype(np.float32)


@cache
def _noise_field() -> Image:
    return generator(0, _NOISE_KEY).standard_normal(_NOISE_VALUES, dtype=np.float32)


def _draw_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Image:
    """Draw normal values: a stretch of a field that was drawn once, unless there are more of them than it has."""
    size = int(np.prod(shape))
    if size > _NOISE_VALUES:
        return rng.standard_normal(shape, dtype=np.float32)
    start = int(rng.integers(_NOISE_VALUES - size + 1))
    return _noise_field()[start : start + size].reshape(shape)


def vary_grey(patch: Image, rng: np.random.Generator, settings: AugmentationSettings) -> Image:
    """Return a patch, shape (side, side) in [0, 1], as another microscope or operator might have recorded it.

    In the order in which it happens: beam (blur), illumination, detector response (gamma, contrast, brightness),
    noise; what leaves [0, 1] is clipped as it is in a recorded image.
    """
    if settings.blur_px and rng.random() < 0.5:
        sigma_px = max(0.1, settings.blur_px * rng.random())
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), sigma_px), dtype=np.float32)
    if settings.illumination:
        coarse = settings.illumination * (2 * rng.random((3, 3), dtype=np.float32) - 1)
        patch = patch + cv2.resize(coarse, patch.shape[::-1], interpolation=cv2.INTER_CUBIC)
    gamma, contrast = np.exp([settings.gamma, settings.contrast] * (2 * rng.random(2) - 1)).tolist()
    if settings.gamma:
        patch = np.asarray(cv2.pow(np.clip(patch, 0, 1), gamma), dtype=np.float32)
    if settings.contrast or settings.brightness:
        shift = 0.5 - 0.5 * contrast + settings.brightness * (2 * rng.random() - 1)
        patch = patch * np.float32(contrast) + np.float32(shift)
    if settings.noise and rng.random() < 0.5:
        strength = np.float32(settings.noise * rng.choice([-1, 1]) * rng.random())
        patch = patch + strength * _draw_noise(rng, patch.shape)
    return np.clip(patch, 0, 1, dtype=np.float32)
