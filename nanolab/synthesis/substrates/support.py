"""A catalyst's support: carbon black, aggregates of nearly round particles seen through."""

from typing import Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, default
from nanolab.synthesis.noise import octave_noise, smooth_noise
from nanolab.synthesis.substrates.layer import Image, Layer, Record

__all__ = ["Support"]


# So many of the support's particles join one that is there; the others begin an aggregate. They overlap as sintered.
JOINING, DISTANCE = 0.9, (0.45, 0.95)
# A support of more particles than this is no support any more, whatever part of the image it should cover.
PARTICLES = 2_000


class Support(Layer):
    """Particles of carbon black, sintered together to aggregates, that bear a catalyst and are no particles themselves.

    They cover about the part `coverage` of the image. `amplitude` is the relative change of the signal through the
    middle of one of `diameter_nm`; where several overlap their thicknesses add up. `bend` makes them uneven (SD of the
    radius, as a fraction), `texture` makes the carbon grainy (SD), in grains of up to `texture_nm`.
    """

    kind: Literal["support"] = "support"
    amplitude: Distribution
    diameter_nm: Positive
    coverage: Fraction
    bend: Fraction = default(0.08)
    texture: NotNegative = default(0.1)
    texture_nm: Positive = default(5.0)

    @classmethod
    def apply(cls, ground: Image, record: Record, pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Add the support."""
        shape = (ground.shape[0], ground.shape[1])
        radius_px = record["diameter_nm"] / pixel_size_nm / 2
        thickness = _thickness(shape, radius_px, record["coverage"], record["bend"], rng)
        grains = octave_noise(shape, record["texture_nm"] / pixel_size_nm, 0.7, rng)
        thickness *= np.maximum(1 + np.float32(record["texture"]) * grains, 0)
        return ground + np.float32(record["amplitude"]) * thickness


def _thickness(
    shape: tuple[int, int], radius_px: float, coverage: float, bend: float, rng: np.random.Generator
) -> Image:
    """Return the thickness of the support, shape (height, width), 1 through the middle of a particle of that radius."""
    thickness = np.zeros(shape, dtype=np.float32)
    uneven = 1 + np.float32(bend) * smooth_noise(shape, 0.6 * radius_px, rng)
    centres: list[FloatArray] = []
    while len(centres) < PARTICLES and np.count_nonzero(thickness) < coverage * thickness.size:
        row, column = centre = _next_centre(centres, shape, radius_px, rng)
        centres.append(centre)
        own = radius_px * np.exp(0.25 * rng.standard_normal())
        reach = own * (1 + 3 * bend)
        part = tuple(slice(max(int(x - reach), 0), max(int(x + reach) + 2, 0)) for x in centre)
        window = thickness[part]
        y = np.arange(part[0].start, part[0].start + window.shape[0], dtype=np.float32)[:, None] - np.float32(row)
        x = np.arange(part[1].start, part[1].start + window.shape[1], dtype=np.float32) - np.float32(column)
        window += np.sqrt(np.maximum((np.float32(own) * uneven[part]) ** 2 - y * y - x * x, 0)) / np.float32(radius_px)
    return thickness


def _next_centre(
    centres: list[FloatArray], shape: tuple[int, int], radius_px: float, rng: np.random.Generator
) -> FloatArray:
    """Return where the next particle lies, (row, column): next to another one in or near the image, or anywhere."""
    low, high = np.full(2, -radius_px), np.array(shape) + radius_px
    if centres and rng.random() < JOINING:
        angle, distance = rng.uniform(0, 2 * np.pi), 2 * radius_px * rng.uniform(*DISTANCE)
        beside = centres[rng.integers(len(centres))] + distance * np.array([np.sin(angle), np.cos(angle)])
        if ((beside > low) & (beside < high)).all():
            return np.asarray(beside)
    return rng.uniform(low, high)
