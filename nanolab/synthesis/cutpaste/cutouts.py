"""Particles cut out of an annotated image: which are whole, and what each adds to the ground."""

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.typing import Image, LabelMap, Mask
from nanolab.measurement.particles import equivalent_diameter
from nanolab.synthesis.cutpaste.ground import Ground, smooth_over
from nanolab.synthesis.cutpaste.settings import CutPasteSettings

__all__ = ["Cutout", "cut_particles", "whole_particles"]

Box = tuple[slice, slice]

# A mask is smoothed by this SD before it is turned, or its staircase would be turned with it.
_MASK_SD_PX = 0.7
# Annotation ends up to so many pixels from the particle, in neighbours too.
_NEIGHBOUR_PX = 3
# Masks of touching particles cut apart by lines of one pixel often have such a line along the image's border as well.
_BORDER_PX = 1
_SHADOW_SD_PX = 1.5
_NOTHING = 1e-3  # a change of an image that is below a grey level
# So far beyond its mask reaches the particle's own soft edge.
_EDGE_PX = 2.0
# A mask whose largest piece has less than this part of its area is not one particle.
_LARGEST_PIECE = 0.95


@dataclass(frozen=True)
class Cutout:
    """One particle of a source.

    Attributes
    ----------
    source, label
        Name of the source, and the particle's label in its label map.
    level
        Grey level of the ground it was cut from.
    contrast
        Shape (height, width): what the particle adds to its ground; beyond its mask the shadow or glow that fades out.
    soft
        Shape (height, width, 2): how much of the ground the particle hides, 0 to 1, and its mask, smoothed a little.
    centre
        Centroid (row, col) in these arrays.
    reach_px
        From there to the farthest pixel that is not 0.
    area_px
        Pixels of the mask.
    """

    source: str
    label: int
    level: float
    contrast: Image
    soft: Image
    centre: tuple[float, float]
    reach_px: float
    area_px: int

    @property
    def ecd_px(self) -> float:
        """Diameter of the disc of the same area."""
        return float(equivalent_diameter(self.area_px))


def whole_particles(labels: LabelMap, settings: CutPasteSettings, where: str) -> dict[int, Box]:
    """Return the boxes of the particles that are whole: off the border, in one piece, not too hollow.

    Those much smaller than the others are left out, and those that would be larger than the images to make.

    Raises
    ------
    InputError
        If there is none; the message says how many went for which reason.
    """
    boxes = {label: box for label, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}
    areas = np.bincount(labels.ravel())
    smallest = settings.min_area_fraction * areas[list(boxes)].mean() if boxes else 0.0
    refused = {label: _refusal(labels, label, box, smallest, settings) for label, box in boxes.items()}
    whole = {label: box for label, box in boxes.items() if refused[label] is None}
    if not whole:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(refused.values()).items())
        raise InputError(
            f"{where}: no particle can be cut out ({reasons or 'none annotated'}); use another image or looser settings"
        )
    return whole


def cut_particles(
    image: Image, labels: LabelMap, ground: Ground, settings: CutPasteSettings, where: str
) -> list[Cutout]:
    """Cut out the particles of `whole_particles`, each with its contrast to the ground."""
    whole = whole_particles(labels, settings, where)
    return [_cut(image, labels, ground, label, box, settings, where) for label, box in whole.items()]


def _refusal(labels: LabelMap, label: int, box: Box, smallest: float, settings: CutPasteSettings) -> str | None:
    """Say why a particle is not used, None if it is."""
    if any(
        side.start <= _BORDER_PX or side.stop >= length - _BORDER_PX
        for side, length in zip(box, labels.shape, strict=True)
    ):
        return "cut by the border"
    mask = labels[box] == label
    area = int(mask.sum())
    if area < smallest:
        return "too small"
    if settings.scale[0] * equivalent_diameter(area) > settings.size_px:
        return "larger than the image"
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if stats[1:, cv2.CC_STAT_AREA].max() < _LARGEST_PIECE * area:
        return "in pieces"
    return "hollow fragments" if area < settings.min_solidity * _hull_area(mask) else None


def _hull_area(mask: Mask) -> float:
    """Area of the convex hull of the pixels, taken as squares."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    corners = [np.column_stack([rows + down, cols]) for cols in (first, last) for down in (0, 1)]
    return float(cv2.contourArea(cv2.convexHull(np.concatenate(corners).astype(np.float32))))


def _cut(
    image: Image, labels: LabelMap, ground: Ground, label: int, box: Box, settings: CutPasteSettings, where: str
) -> Cutout:
    area = int((labels[box] == label).sum())
    shadow_px = max(settings.shadow * float(equivalent_diameter(area)), _EDGE_PX)
    margin = int(np.ceil(max(shadow_px + _EDGE_PX, 3 * settings.feather_px) + 2))
    window = tuple(slice(side.start - margin, side.stop + margin) for side in box)
    there = _window(labels, window)
    mask = there == label
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    mask = pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    level = _window(ground.level, window)
    neighbours = (there > 0) & ~mask
    neighbours = cv2.dilate(neighbours.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=_NEIGHBOUR_PX) > 0
    seen = ~mask & ~neighbours
    contrast = _isolated(_window(image, window) - level, mask, seen, shadow_px)
    soft = [cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sd) for sd in (settings.feather_px, _MASK_SD_PX)]
    row, col = np.argwhere(mask).mean(axis=0).tolist()
    touched = np.argwhere(np.max([np.abs(contrast), *soft], axis=0) > _NOTHING)
    return Cutout(
        source=where,
        label=label,
        level=float(level[mask].mean()),
        contrast=contrast,
        soft=np.dstack(soft),
        centre=(row, col),
        reach_px=float(np.hypot(*(touched - (row, col)).T).max()),
        area_px=int(mask.sum()),
    )


def _window(array: npt.NDArray, window: tuple[slice, ...]) -> npt.NDArray:
    """Cut out a window that may reach over the border, where the outermost pixels are repeated."""
    rows, cols = (np.clip(np.arange(s.start, s.stop), 0, n - 1) for s, n in zip(window, array.shape, strict=True))
    return array[rows[:, None], cols]


def _isolated(contrast: Image, mask: Mask, seen: Mask, shadow_px: float) -> Image:
    """Return the contrast of a particle and its rim as if it had no neighbours.

    Where the ground next to it is seen, the image itself has the right soft edge. Where a neighbour hides it, the edge
    is that of the smoothed mask. Farther out the rim is smooth, since the new ground has noise of its own.
    """
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _MASK_SD_PX)
    beside = smooth_over(seen.astype(np.float32), (~mask).astype(np.float32), _NEIGHBOUR_PX)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    smooth = smooth_over(contrast, seen.astype(np.float32), _SHADOW_SD_PX)
    rim = np.where(seen, contrast + np.clip(distance / _EDGE_PX - 1, 0, 1) * (smooth - contrast), smooth)
    fading = np.clip(1 - (distance - _EDGE_PX) / max(shadow_px - _EDGE_PX, 1e-6), 0, 1)
    continued = smooth_over(contrast, mask.astype(np.float32), _MASK_SD_PX)
    hidden = (1 - beside) * soft
    inside = contrast * (beside + hidden)
    return np.where(mask, inside, beside * rim * fading * fading * (3 - 2 * fading) + hidden * continued)
