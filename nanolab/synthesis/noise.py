"""Random textures that substrates, dirt and detectors are made of. Maps of mean about 0 and SD about 1."""

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from nanolab.core.typing import Image

__all__ = ["band_noise", "diamond_square", "fractal_noise", "octave_noise", "smooth_noise", "streaky_noise"]


# Interpolation between independent knots lowers the variance; this is the cubic's mean gain.
_CUBIC_GAIN = np.float32(0.8)


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> Image:
    """Return noise of mean 0 and SD 1 whose features are about `scale_px` wide: a cubic through random knots."""
    return _knotted(shape, (scale_px, scale_px), rng)


def _knotted(shape: tuple[int, int], scales_px: tuple[float, float], rng: np.random.Generator) -> Image:
    """Return smooth noise with a knot every `scales_px` (down, right) pixels, at least one."""
    scales = [max(scale, 1.0) for scale in scales_px]
    knots = rng.standard_normal([int(n / scale) + 4 for n, scale in zip(shape, scales, strict=True)], dtype=np.float32)
    right, down = rng.uniform(0, 1, 2)  # the knots' own grid must not show at fixed places
    first = _cubic(shape[0], scales[0], down, len(knots)) @ knots
    return np.asarray((_cubic(shape[1], scales[1], right, knots.shape[1]) @ first.T).T / _CUBIC_GAIN)


def _cubic(count: int, scale: float, offset: float, knots: int) -> sparse.csr_array:
    """Return the weights of cubic interpolation, (`count`, `knots`), of points 1 / `scale` of a knot apart.

    OpenCV's are the same but for their places, which it rounds to 1/32: that shows as steps where knots are far apart.
    """
    place = np.arange(count) / scale + 1 + offset
    near = np.floor(place).astype(np.int64)[:, None] + np.arange(-1, 3)
    t = np.abs(place[:, None] - near)
    a = -0.75
    weights = np.where(t <= 1, ((a + 2) * t - (a + 3)) * t**2 + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a)
    inside = np.minimum(near, 2 * knots - 1 - near)  # mirrored at the end
    rows = np.arange(0, near.size + 1, 4)
    return sparse.csr_array((weights.astype(np.float32).ravel(), inside.ravel(), rows), shape=(count, knots))


def octave_noise(shape: tuple[int, int], scale_px: float, roughness: float, rng: np.random.Generator) -> Image:
    """Return noise of SD about 1: octaves from `scale_px` down to two pixels, each `roughness` times the one before."""
    total, power, weight = np.zeros(shape, dtype=np.float32), 0.0, 1.0
    while True:
        total += np.float32(weight) * smooth_noise(shape, scale_px, rng)
        power += weight**2
        scale_px, weight = scale_px / 2, weight * roughness
        if scale_px < 2 or weight < 0.02:
            return total / np.float32(np.sqrt(power))


def streaky_noise(
    shape: tuple[int, int], scale_px: float, stretch: float, angle: float, rng: np.random.Generator
) -> Image:
    """Return smooth noise whose features are `scale_px` wide across and `stretch` times that along a direction.

    The direction is at `angle` from the x axis, in radians.
    """
    side = int(np.ceil(np.hypot(*shape))) + 2  # a square that covers the image whichever way it is turned
    level = _knotted((side, side), (scale_px, max(scale_px, 1.0) * stretch), rng)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    shift = np.array([side, side]) / 2 - turn @ np.array([shape[1], shape[0]]) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(level, np.column_stack([turn, shift]), shape[::-1], flags=flags))


def band_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> Image:
    """Return noise of mean 0 and SD 1 with grains of one size: its spectrum is a ring at a period of `scale_px`."""
    size = tuple(fft.next_fast_len(side, real=True) for side in shape)
    k = scale_px * np.hypot(fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])).astype(np.float32)
    # The first ring of the phase contrast of a defocused weak object, sin(k^2), cut off behind its maximum.
    ring = np.abs(np.sin(np.pi / 2 * k**2)) * np.exp(-((k / np.float32(1.5)) ** 2))
    white = fft.rfft2(rng.standard_normal(size, dtype=np.float32))
    noise = fft.irfft2(white * ring, s=size)[: shape[0], : shape[1]]
    return np.asarray(noise / noise.std(), dtype=np.float32)


def diamond_square(
    levels: int, roughness: float, rng: np.random.Generator, corners: npt.ArrayLike | None = None
) -> Image:
    """Return a fractal surface of 2**levels + 1 points a side by random midpoint displacement.

    Each round puts a point into the middle of every square, then one into the middle of every diamond that arises: the
    mean of the corners plus a normal displacement (Fournier, Fussell & Carpenter 1982, 10.1145/358523.358553). Its SD
    shrinks by 2**(-`roughness`) when the distance of the points halves, so that heights at a distance d differ by
    about d**`roughness`; here `roughness` is the Hurst exponent: 0 is rugged, 1 smooth.

    Parameters
    ----------
    corners
        The four corners, shape (2, 2), which are kept as they are; by default drawn with SD 1.
    """
    side = 2**levels
    surface = np.zeros((side + 1, side + 1), dtype=np.float32)
    surface[::side, ::side] = rng.standard_normal((2, 2)) if corners is None else corners
    spread, shrink = np.float32(1), np.float32(2 ** (-roughness / 2))
    for step in 2 ** np.arange(levels, 0, -1):
        half, corner = step // 2, surface[::step, ::step]
        middle = (corner[:-1, :-1] + corner[1:, :-1] + corner[:-1, 1:] + corner[1:, 1:]) / 4
        # A square's middle is farther from its corners than a diamond's, by the square root of 2.
        spread *= shrink
        surface[half::step, half::step] = middle + spread * _normal(middle.shape, rng)
        spread *= shrink
        _fill_diamonds(surface, step, spread, rng)
        _fill_diamonds(surface.T, step, spread, rng)
    return surface


def _fill_diamonds(surface: Image, step: int, spread: np.float32, rng: np.random.Generator) -> None:
    """Set the points halfway between the corners of a row: the mean of two corners and one or two middles."""
    half = step // 2
    corner, middle = surface[::step, ::step], surface[half::step, half::step]
    total = corner[:, :-1] + corner[:, 1:]
    total[1:] += middle
    total[:-1] += middle
    count = np.full((len(total), 1), 4, dtype=np.float32)
    count[[0, -1]] = 3  # at the border a diamond lacks a corner
    surface[::step, half::step] = total / count + spread * _normal(total.shape, rng)


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    return rng.standard_normal(shape, dtype=np.float32)


def fractal_noise(shape: tuple[int, int], roughness: float, rng: np.random.Generator) -> Image:
    """Return a diamond-square surface of any size, cut from the next larger 2**n + 1, with mean 0 and SD 1."""
    surface = diamond_square(int(np.ceil(np.log2(max(*shape, 3) - 1))), roughness, rng)
    cut = surface[: shape[0], : shape[1]]
    return np.asarray((cut - cut.mean()) / cut.std())
