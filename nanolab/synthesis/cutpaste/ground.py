"""What is not particle: the local grey level under the particles, and where nothing is known of it."""

from dataclasses import dataclass

import cv2
import numpy as np

from nanolab.core.checks import InputError
from nanolab.core.typing import Image, LabelMap, Mask

__all__ = ["LEVEL_SD_PX", "Ground", "find_ground", "smooth_over"]


# The rim of glow and shadow around a particle, as a part of the particles' median diameter, and its limits. Where so
# wide a rim leaves less than this part of the image, a narrower one is taken.
_RIM, _RIM_PX = 0.25, (3, 20)
_FREE = 0.1
# A place smaller than so many particles is a niche between them.
_NICHE = 4
# The outermost pixels of published images are often a frame.
_FRAME_PX = 3
# The local level is an average over about this many pixels.
LEVEL_SD_PX = 24.0
_STEP = 8  # it is smooth, so every eighth pixel says it all
# Text, bars and their boxes stand out of the ground by so many of its SD, or by fewer if they are black or white; and
# have so many connected pixels.
_INK_SD, _FULL_INK_SD, _INK_PX = 8.0, 2.0, 30
_GREY_STEP = np.float32(1 / 255)


@dataclass(frozen=True)
class Ground:
    """The ground of one image.

    Attributes
    ----------
    level
        Shape (height, width): the local level of the background, continued below the particles.
    free
        Shape (height, width): true beyond the particles' rims.
    bare
        Shape (height, width): `free` without text and scale bars.
    annotated
        Shape (height, width): true on the particles as they are annotated.
    """

    level: Image
    free: Mask
    bare: Mask
    annotated: Mask


def find_ground(image: Image, labels: LabelMap, where: str) -> Ground:
    """Find the ground of an annotated image, shape (height, width).

    Raises
    ------
    InputError
        If particles and their rims cover the whole image.
    """
    free = _beyond_rims(labels)
    if not free.any():
        raise InputError(f"{where}: no background between the particles to paste on; use an image that shows some")
    level = _level(image, free)
    bare = free & ~_ink(image, level, free)
    if not bare.any():
        raise InputError(f"{where}: no background but text and scale bars; use an image that shows some")
    return Ground(_level(image, bare), free, bare, labels > 0)


def smooth_over(image: Image, weight: Image, sd_px: float) -> Image:
    """Average `image` with a Gaussian over the pixels of positive `weight`; 0 where none is near."""
    total = cv2.GaussianBlur(image * weight, (0, 0), sd_px)
    known = cv2.GaussianBlur(weight, (0, 0), sd_px)
    return np.asarray(total / (known + np.float32(1e-3)))


def _beyond_rims(labels: LabelMap) -> Mask:
    areas = np.bincount(labels.ravel())[1:]
    area = float(np.median(areas[areas > 0])) if areas.any() else 0.0
    rim = int(np.clip(_RIM * np.sqrt(4 / np.pi * area), *_RIM_PX))
    frame = np.zeros(labels.shape, dtype=bool)
    frame[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = True
    while True:
        free = frame & ~_near(labels > 0, rim)
        if rim <= _RIM_PX[0] or free.mean() >= _FREE:
            return _without_niches(free, area)
        rim = max(rim // 2, _RIM_PX[0])


def _without_niches(free: Mask, particle_area: float) -> Mask:
    """Leave out small places that particles enclose, where it is darker than elsewhere; keep them if all are small."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(free.astype(np.uint8), connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= _NICHE * particle_area
    large[0] = False
    return np.asarray(large[parts]) if large.any() else free


def _near(mask: Mask, distance_px: int) -> Mask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance_px + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)


def _level(image: Image, free: Mask) -> Image:
    """Average the free pixels near each place, and ever farther ones where there are none."""
    height, width = image.shape
    small = (max(1, width // _STEP), max(1, height // _STEP))
    weight = cv2.resize(free.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    values = cv2.resize(image * free, small, interpolation=cv2.INTER_AREA)
    total, known = np.zeros_like(values), np.zeros_like(values)
    share = np.float32(1)
    for reach in (1, 4, 16, 64):
        sd = min(reach * LEVEL_SD_PX / _STEP, 2.0 * max(small))
        total = total + share * cv2.GaussianBlur(values, (0, 0), sd, borderType=cv2.BORDER_REPLICATE)
        known = known + share * cv2.GaussianBlur(weight, (0, 0), sd, borderType=cv2.BORDER_REPLICATE)
        share *= np.float32(0.02)
    return np.asarray(cv2.resize(total / known, (width, height), interpolation=cv2.INTER_CUBIC))


def _ink(image: Image, level: Image, free: Mask) -> Mask:
    """Find text and bars burnt into the image, and their surroundings."""
    usual = np.float32(np.median(image[free]))
    black_or_white = (image <= image.min() + _GREY_STEP) | (image >= image.max() - _GREY_STEP)
    loud = _stands_out(image - level, free, _INK_SD) | (_stands_out(image - usual, free, _FULL_INK_SD) & black_or_white)
    _, parts, stats, _ = cv2.connectedComponentsWithStats((loud & free).astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= _INK_PX
    large[0] = False
    return _near(large[parts], _RIM_PX[0])


def _stands_out(contrast: Image, free: Mask, sds: float) -> Mask:
    sd = 1.4826 * np.median(np.abs(contrast[free])) + _GREY_STEP
    return np.asarray(np.abs(contrast) > sds * sd)
