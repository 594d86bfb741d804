"""How a particle goes into an image: with a soft edge, by its gradients, or as it is."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.fft import dstn, idstn

from nanolab.core.typing import Image
from nanolab.synthesis.cutpaste.settings import Blending

__all__ = ["BLEND", "shaded"]

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
