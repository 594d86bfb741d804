"""Round patches, perfect or bent: holes of a film, drops that dried on it."""

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.noise import smooth_noise
from nanolab.synthesis.substrates.layer import Image

__all__ = ["depth_in_discs", "filled", "rim"]


def depth_in_discs(
    centres: FloatArray, radii: FloatArray, shape: tuple[int, int], margin: float, bend: float, rng: np.random.Generator
) -> Image:
    """Return how far each pixel lies inside the nearest disc, in pixels, shape (height, width); below 0 outside.

    Parameters
    ----------
    centres
        (row, column) in pixels, shape (N, 2).
    radii
        In pixels, shape (N,).
    margin
        So far outside the discs depths are told, in pixels; farther out they are minus infinity.
    bend
        SD of the outline's radius, as a fraction of it.
    """
    depth = np.full(shape, -np.inf, dtype=np.float32)
    noise = smooth_noise(shape, float(radii.mean()) if len(radii) else 1.0, rng)
    for (row, column), radius in zip(centres, radii, strict=True):
        reach = radius * (1 + 3 * bend) + margin
        if not (-reach < row < shape[0] + reach and -reach < column < shape[1] + reach):
            continue
        top, left = max(int(row - reach), 0), max(int(column - reach), 0)
        part = (slice(top, int(row + reach) + 2), slice(left, int(column + reach) + 2))
        window = depth[part]
        y = np.arange(top, top + window.shape[0], dtype=np.float32)[:, None] - np.float32(row)
        x = np.arange(left, left + window.shape[1], dtype=np.float32) - np.float32(column)
        inside = np.float32(radius) * (1 + np.float32(bend) * noise[part]) - np.sqrt(x * x + y * y)
        np.maximum(window, inside, out=window)
    return depth


def filled(depth: Image) -> Image:
    """Return 1 inside the discs, 0 outside, with an edge one pixel wide."""
    return np.clip(depth + np.float32(0.5), 0, 1)


def rim(depth: Image, width_px: float) -> Image:
    """Return a line of height 1 along the discs' edge: half a Gaussian inside and outside, its SD half the width."""
    return np.exp(-2 * (depth / np.float32(max(width_px, 0.7))) ** 2)
