"""What the layers of a substrate have in common."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from nanolab.core.typing import Image
from nanolab.synthesis.draws import Distribution, Fraction, Model, default
from nanolab.synthesis.noise import smooth_noise

__all__ = ["Image", "Layer", "PatchyLayer", "Record"]

Record = dict[str, Any]


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
