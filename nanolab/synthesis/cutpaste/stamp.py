"""A cutout turned, scaled and moved: exact mask, soft edge, contrast; and how it goes into an image."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dstn, idstn

from nanolab.core.typing import FloatArray, Image
from nanolab.synthesis.cutpaste.cutouts import Cutout
from nanolab.synthesis.cutpaste.settings import Blending

__all__ = ["BLEND", "Footprint", "footprint", "look", "shaded", "windows"]


Box = tuple[slice, slice]

# OpenCV's cubic interpolation at random places keeps this part of the variance of white noise (measured).
_NOISE_KEPT = 0.73
# Below this scale pixels are averaged first, or they would be picked.
_AVERAGED_BELOW = 0.8
# Pixels with less of the mask than this, or more, are surely outside or inside.
_UNSURE = (0.05, 0.95)
_TILT = np.array([1e-6, 0.618e-6], dtype=np.float32)


@dataclass(frozen=True)
class Footprint:
    """Where a particle lies.

    Attributes
    ----------
    top, left
        Row and column of the first pixel, which may lie outside the image.
    mask
        Shape (height, width), uint8, 0 or 1: in one piece, its area the cutout's times the scale squared.
    alpha
        The same shape: how much of the ground the particle hides, 0 to 1.
    """

    top: int
    left: int
    mask: npt.NDArray[np.uint8]
    alpha: Image


def footprint(cutout: Cutout, angle_deg: float, scale: float, centre: tuple[float, float]) -> Footprint:
    """Return the footprint of a cutout turned counterclockwise, scaled, and with its centroid at (row, col)."""
    matrix, top, left, size = _transform(cutout, angle_deg, scale, centre)
    soft = _warped(cutout.soft, scale, matrix, size, cv2.INTER_LINEAR)
    mask = _mask(soft[..., 1], max(1, round(cutout.area_px * scale**2)))
    return Footprint(top, left, mask, soft[..., 0])


def look(cutout: Cutout, angle_deg: float, scale: float, centre: tuple[float, float]) -> tuple[Image, float]:
    """Return the contrast of a cutout, of the shape of its footprint's mask, and the part of its noise that was lost.

    The part is that of the noise's variance which turning and scaling averaged away.
    """
    matrix, _, _, size = _transform(cutout, angle_deg, scale, centre)
    kept = _NOISE_KEPT / (1 + 4 * np.pi * _averaging_sd(scale) ** 2)
    return _warped(cutout.contrast, scale, matrix, size, cv2.INTER_CUBIC), 1 - kept


def windows(top: int, left: int, shape: tuple[int, ...], size_px: int) -> tuple[Box, Box]:
    """Return what a box covers of a square image, and the part of the box that covers it."""
    rows, part_rows = _clipped(top, shape[0], size_px)
    cols, part_cols = _clipped(left, shape[1], size_px)
    return (rows, cols), (part_rows, part_cols)


def _clipped(first: int, length: int, size: int) -> tuple[slice, slice]:
    start, stop = max(first, 0), max(min(first + length, size), 0)
    start = min(start, stop)
    return slice(start, stop), slice(start - first, stop - first)


def _transform(
    cutout: Cutout, angle_deg: float, scale: float, centre: tuple[float, float]
) -> tuple[FloatArray, int, int, tuple[int, int]]:
    """Return the matrix from the cutout's (x, y) to those of the box it fills, the box's corner and (width, height)."""
    angle = np.deg2rad(angle_deg)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pivot = np.array(cutout.centre[::-1])
    height, width = cutout.contrast.shape
    corners = (np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]) - pivot) @ turn.T
    target, reach = np.array(centre[::-1]), scale * cutout.reach_px
    first = np.floor(target + np.maximum(corners.min(axis=0), -reach)).astype(int) - 1
    last = np.ceil(target + np.minimum(corners.max(axis=0), reach)).astype(int) + 1
    shift = target - first - turn @ pivot
    wide, high = (last - first + 1).tolist()
    return np.column_stack([turn, shift]), int(first[1]), int(first[0]), (wide, high)


def _averaging_sd(scale: float) -> float:
    """SD in the source's pixels of the average that a smaller picture needs."""
    return float(0.5 * np.sqrt(1 / scale**2 - 1)) if scale < _AVERAGED_BELOW else 0.0


def _warped(layer: Image, scale: float, matrix: FloatArray, size: tuple[int, int], flags: int) -> Image:
    sd = _averaging_sd(scale)
    if sd > 0:
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), sd, borderType=cv2.BORDER_CONSTANT))
    return np.asarray(cv2.warpAffine(layer, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT))


def _mask(coverage: Image, area_px: int) -> npt.NDArray[np.uint8]:
    """Return the `area_px` pixels that the particle covers most, without those that hang on to it by nothing.

    So the area is right at every angle, where a fixed threshold would lose some of it at each corner and curve.
    """
    height, width = coverage.shape
    # Along a level edge all pixels are covered alike; the slight tilt lets the row be taken from one end.
    ranked = (
        coverage
        + np.arange(height, dtype=np.float32)[:, None] * _TILT[0]
        + np.arange(width, dtype=np.float32) * _TILT[1]
    )
    low, high = _UNSURE
    inside = int(np.count_nonzero(ranked >= high))
    candidates, wanted = ranked[(ranked > low) & (ranked < high)], area_px - inside
    if not 0 < wanted <= candidates.size:  # so small that nothing is surely inside
        candidates, wanted = ranked.ravel(), area_px
    threshold = np.partition(candidates, candidates.size - wanted)[candidates.size - wanted]
    _, pieces, stats, _ = cv2.connectedComponentsWithStats((ranked >= threshold).astype(np.uint8), connectivity=4)
    return np.asarray(pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]), dtype=np.uint8)


Mask = npt.NDArray[np.uint8]


def shaded(canvas: Image, contrast: Image, level: float) -> Image:
    """Return what is there in the shadow and glow of a particle that had this contrast to a ground of this level.

    A shadow takes away a part of the signal, whatever lies in it; a glow adds to it.
    """
    return canvas * (1 + np.minimum(contrast, 0) / np.float32(max(level, 1e-3))) + np.maximum(contrast, 0)


def _feather(canvas: Image, particle: Image, beneath: Image, alpha: Image, mask: Mask) -> None:  # noqa: ARG001
    np.copyto(canvas, beneath + alpha * (particle - beneath))


def _none(canvas: Image, particle: Image, beneath: Image, alpha: Image, mask: Mask) -> None:  # noqa: ARG001
    np.copyto(canvas, particle, where=mask != 0)


def _poisson(canvas: Image, particle: Image, beneath: Image, alpha: Image, mask: Mask) -> None:
    """Solve for the image that has the particle's gradients where it lies, the canvas's elsewhere, and its border.

    Perez, Gangnet & Blake, ACM Trans. Graph. 2003, 10.1145/882262.882269, on a rectangle, where sines solve it.
    """
    if min(canvas.shape) < 3:
        _feather(canvas, particle, beneath, alpha, mask)
        return
    joined = beneath + alpha * (particle - beneath)
    divergence = np.zeros_like(canvas)
    for axis in (0, 1):
        inside = np.minimum(*_neighbours(alpha, axis)) > 0.5
        gradient = np.where(inside, np.diff(particle, axis=axis), np.diff(joined, axis=axis))
        before, after = _neighbours(divergence, axis)
        before += gradient
        after -= gradient
    canvas[1:-1, 1:-1] = _solved(divergence, canvas)


def _neighbours(array: Image, axis: int) -> tuple[Image, Image]:
    """Return views of each pixel but the last along an axis, and of the one after it."""
    return (array[:-1], array[1:]) if axis == 0 else (array[:, :-1], array[:, 1:])


def _solved(divergence: Image, border: Image) -> Image:
    """Solve Poisson's equation within the outermost pixels of `border`."""
    right = divergence[1:-1, 1:-1].copy()
    right[0] -= border[0, 1:-1]
    right[-1] -= border[-1, 1:-1]
    right[:, 0] -= border[1:-1, 0]
    right[:, -1] -= border[1:-1, -1]
    rows, cols = (2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) - 2 for n in right.shape)
    return np.asarray(idstn(dstn(right, type=1) / (rows[:, None] + cols), type=1), dtype=np.float32)


#: Each changes its first argument, part of an image; the others have its shape: the particle on its ground, the image
#: in the particle's shadow, how much of it the particle hides, and the particle's mask.
BLEND: dict[Blending, Callable[[Image, Image, Image, Image, Mask], None]] = {
    "feather": _feather,
    "poisson": _poisson,
    "none": _none,
}
