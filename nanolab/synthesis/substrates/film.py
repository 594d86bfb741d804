"""The substrate itself: films, their texture and their holes, and a catalyst's support."""

from typing import Literal

import numpy as np

from nanolab.core.typing import FloatArray, Image
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, Record, default
from nanolab.synthesis.noise import band_noise, octave_noise, smooth_noise
from nanolab.synthesis.substrates.layer import Layer, PatchyLayer, around, depth_in_discs, filled, rim

__all__ = ["Carbon", "Grain", "Holes", "Relief", "Scratches", "Support"]


class Grain(PatchyLayer):
    """Cloudy or grainy contrast: octave noise of largest feature `scale_nm`; `roughness` weighs the fine octaves."""

    kind: Literal["grain"] = "grain"
    scale_nm: Positive
    roughness: Fraction = default(0.5)

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Octave noise of SD 1."""
        return octave_noise(shape, record["scale_nm"] / pixel_size_nm, record["roughness"], rng)


class Relief(PatchyLayer):
    """A wrinkled or rough film seen under a tilt: the slope of octave noise along a random direction.

    The noise has features up to `scale_nm`; `roughness` weighs the fine octaves.
    """

    kind: Literal["relief"] = "relief"
    scale_nm: Positive
    roughness: Fraction = default(0.5)

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """A slope of SD 1."""
        surface = octave_noise(shape, record["scale_nm"] / pixel_size_nm, record["roughness"], rng)
        angle = rng.uniform(0, 2 * np.pi)
        down, right = np.gradient(surface)
        slope = np.float32(np.cos(angle)) * right + np.float32(np.sin(angle)) * down
        return np.asarray(slope / np.float32(slope.std() + 1e-9))


class Carbon(PatchyLayer):
    """The granularity of a thin amorphous film in a transmission microscope: grains of one size, `scale_nm`."""

    kind: Literal["carbon"] = "carbon"
    scale_nm: Positive

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Noise of SD 1 whose spectrum is a ring."""
        return band_noise(shape, record["scale_nm"] / pixel_size_nm, rng)


class Scratches(PatchyLayer):
    """Parallel lines all along the film, as polishing or wiping leaves them: `per_um` of them, `width_nm` wide."""

    kind: Literal["scratches"] = "scratches"
    width_nm: Positive
    per_um: NotNegative

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Lines of random strength up to 1, each darker or brighter, a little wavy."""
        angle, reach = rng.uniform(0, np.pi), int(np.ceil(np.hypot(*shape))) + 8
        x, y = np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32)[:, None]
        across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
        across += 2 * smooth_noise(shape, 0.4 * max(shape), rng)
        across -= across.min()
        profile = np.zeros(reach + 16, dtype=np.float32)
        width_px = max(record["width_nm"] / pixel_size_nm, 0.7)
        place = np.arange(len(profile))
        for centre in rng.uniform(0, len(profile), rng.poisson(record["per_um"] * reach * pixel_size_nm * 1e-3)):
            line = np.exp(-(((place - centre) / (width_px * rng.uniform(0.5, 1.5))) ** 2))
            profile += (rng.uniform(-1, 1) * line).astype(np.float32)
        return np.interp(across, place, profile).astype(np.float32)


class Holes(Layer):
    """Round holes in the film, `diameter_nm` wide, in a square lattice of pitch `pitch_nm`, as in a holey grid.

    `level` is the relative change of the signal in a hole, where nothing of the film is seen; `rim` that on its edge,
    over `rim_nm`, where the film is thicker. `irregularity` takes the holes from equal ones in a perfect lattice (0) to
    bent ones of random size anywhere (1).
    """

    kind: Literal["holes"] = "holes"
    level: Distribution
    diameter_nm: Positive
    pitch_nm: Positive
    irregularity: Fraction = default(0.0)
    rim: Distribution = default(0.0)
    rim_nm: Positive = default(20.0)

    @classmethod
    def apply(cls, ground: Image, record: Record, pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Cut the holes out of the film and of what lies on it."""
        shape = (ground.shape[0], ground.shape[1])
        irregularity, rim_px = record["irregularity"], record["rim_nm"] / pixel_size_nm
        centres = _lattice(shape, record["pitch_nm"] / pixel_size_nm, irregularity, rng)
        spread = np.exp(0.35 * irregularity * rng.standard_normal(len(centres)))
        radii = record["diameter_nm"] / pixel_size_nm / 2 * spread
        depth = depth_in_discs(centres, radii, shape, 2 * rim_px, 0.12 * irregularity, rng)
        hole = filled(depth)
        return ground * (1 - hole) + np.float32(record["level"]) * hole + np.float32(record["rim"]) * rim(depth, rim_px)


def _lattice(shape: tuple[int, int], pitch_px: float, irregularity: float, rng: np.random.Generator) -> FloatArray:
    """Points (row, column) of a square lattice, turned and shifted at random, over an image and a pitch beyond."""
    angle, middle = rng.uniform(0, np.pi / 2), np.array(shape) / 2
    count = int(np.hypot(*shape) / 2 / pitch_px) + 2
    grid = np.stack(np.meshgrid(*[np.arange(-count, count + 1)] * 2), axis=-1).reshape(-1, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = grid + rng.uniform(-0.5, 0.5, 2) + irregularity * rng.uniform(-0.5, 0.5, grid.shape)
    points = moved * pitch_px @ turn + middle
    return np.asarray(points[((points > -pitch_px) & (points < np.array(shape) + pitch_px)).all(axis=1)])


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
        part, y, x = around((row, column), reach, shape)
        thickness[part] += np.sqrt(np.maximum((np.float32(own) * uneven[part]) ** 2 - y * y - x * x, 0)) / np.float32(
            radius_px
        )
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
