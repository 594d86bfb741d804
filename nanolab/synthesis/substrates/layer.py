"""What the layers of a substrate have in common: draws, patches, round patches that are perfect or bent."""

from typing import Annotated

import numpy as np
from pydantic import Field

from nanolab.core.typing import FloatArray, Image
from nanolab.synthesis.draws import Distribution, Fraction, Model, Record, default
from nanolab.synthesis.noise import smooth_noise

__all__ = ["Layer", "PatchyLayer", "around", "depth_in_discs", "filled", "rim"]


class Layer(Model):
    """`probability` is the chance that an image has the layer."""

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0

    def draw(self, rng: np.random.Generator) -> Record:
        """Draw every value of the layer for one image."""
        random = [name for name in type(self).model_fields if name not in ("kind", "probability")]
        drawn = self.drawn(rng, *random)
        return {"kind": self.kind, "seed": int(rng.integers(2**31)), **drawn}  # type: ignore[attr-defined]

    @classmethod
    def apply(cls, ground: Image, record: Record, pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Return the relative change of the signal, shape (height, width), with this layer on top of those before."""
        raise NotImplementedError


class PatchyLayer(Layer):
    """A layer that may lie in random patches; `coverage` is the part of the image they take.

    `amplitude` is how much brighter it makes the ground, or darker below 0, relative to the ground's own signal.
    """

    coverage: Fraction = default(1.0)
    amplitude: Distribution

    @classmethod
    def apply(cls, ground: Image, record: Record, pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Add the texture within its patches."""
        shape = (ground.shape[0], ground.shape[1])
        texture = cls.texture(record, shape, pixel_size_nm, rng)
        return ground + np.float32(record["amplitude"]) * texture * _patches(shape, record["coverage"], rng)

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Return the texture of height about 1 as it would be without gaps, shape (height, width)."""
        raise NotImplementedError


def _patches(shape: tuple[int, int], coverage: float, rng: np.random.Generator) -> Image | np.float32:
    """Return a soft mask of random patches that cover about the given part of the image."""
    if coverage >= 1:
        return np.float32(1)
    noise = smooth_noise(shape, 0.25 * max(shape), rng)
    level = np.quantile(noise[::8, ::8], 1 - coverage)
    return np.clip((noise - level) / np.float32(0.4) + np.float32(0.5), 0, 1)


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
        part, y, x = around((row, column), reach, shape)
        inside = np.float32(radius) * (1 + np.float32(bend) * noise[part]) - np.sqrt(x * x + y * y)
        np.maximum(depth[part], inside, out=depth[part])
    return depth


def around(
    centre: tuple[float, float], reach: float, shape: tuple[int, int]
) -> tuple[tuple[slice, slice], Image, Image]:
    """Return the part of an image within `reach` of a (row, column), and how far its rows and columns lie from it."""
    rows, cols = (slice(max(int(at - reach), 0), max(int(at + reach) + 2, 0)) for at in centre)
    y, x = (
        np.arange(side.start, max(min(side.stop, length), side.start), dtype=np.float32) - np.float32(at)
        for side, length, at in zip((rows, cols), shape, centre, strict=True)
    )
    return (rows, cols), y[:, None], x


def filled(depth: Image) -> Image:
    """Return 1 inside the discs, 0 outside, with an edge one pixel wide."""
    return np.clip(depth + np.float32(0.5), 0, 1)


def rim(depth: Image, width_px: float) -> Image:
    """Return a line of height 1 along the discs' edge: half a Gaussian inside and outside, its SD half the width."""
    return np.exp(-2 * (depth / np.float32(max(width_px, 0.7))) ** 2)
