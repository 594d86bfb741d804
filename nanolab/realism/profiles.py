"""What a person compares by eye, as numbers: edges, spectra, grey values, noise."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from skimage.measure import profile_line

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.realism.patches import Patches

__all__ = [
    "EDGE_PX",
    "Curves",
    "Line",
    "edge_distance",
    "edge_profiles",
    "grey_histograms",
    "line_across",
    "line_profile",
    "noise_level",
    "power_spectra",
    "radial_power",
]

#: Row and column of a line's beginning, row and column of its end, in px.
Line = tuple[float, float, float, float]

#: How far from a particle's edge profiles reach, in pixels.
EDGE_PX = 14
# Of |x| for a standard normal x, the mean of the smallest three quarters; the median would come in steps of the grey
# levels of an 8-bit image.
_KEPT, _MEAN_OF_KEPT = 0.75, 0.51488


@dataclass(frozen=True)
class Curves:
    """One curve an image: `x`, shape (points,), and `y`, shape (images, points), NaN where an image says nothing."""

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]

    def band(self, part: float = 0.8) -> tuple[npt.NDArray[np.float64], ...]:
        """Return the mean over the images, and the limits between which the middle `part` of them lies."""
        said = np.isfinite(self.y).any(axis=0)
        mean, low, high = (np.full(len(self.x), np.nan) for _ in range(3))
        mean[said] = np.nanmean(self.y[:, said], axis=0)
        low[said], high[said] = np.nanquantile(self.y[:, said], [(1 - part) / 2, (1 + part) / 2], axis=0)
        return mean, low, high


def edge_distance(particle: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Distance of pixel centres from the edge of the nearest particle, in px, positive inside; shape as given.

    Lines one pixel wide that cut touching particles apart are no edges. Where a patch shows no edge it is infinite.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inside = cv2.morphologyEx(np.pad(particle.astype(np.uint8), 2, mode="edge"), cv2.MORPH_CLOSE, cross)[2:-2, 2:-2]
    if inside.all() or not inside.any():
        return np.full(particle.shape, np.inf if inside.all() else -np.inf, dtype=np.float32)
    inner, outer = (cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in (inside, 1 - inside))
    # The edge runs between pixels, half a pixel from the centres next to it.
    return np.asarray(np.where(inside > 0, inner - 0.5, 0.5 - outer), dtype=np.float32)


def edge_profiles(patches: Patches) -> Curves:
    """Mean grey value of each image against the distance from particle edges, in px, positive inside."""
    bins = np.arange(-EDGE_PX, EDGE_PX + 1)
    totals = np.zeros((2, int(patches.images.max()) + 1, len(bins) - 1))
    for patch in np.flatnonzero(patches.of_kind("particle")):
        distance = edge_distance(patches.particle[patch])
        grey = patches.pixels[patch]
        for total, weights in zip(totals, (grey.ravel(), np.ones(grey.size)), strict=True):
            total[patches.images[patch]] += np.histogram(distance, bins, weights=weights.reshape(grey.shape))[0]
    sums, counts = totals[:, np.unique(patches.images)]
    return Curves((bins[:-1] + bins[1:]) / 2, np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))


def line_across(sample: AnnotatedImage) -> Line:
    """Return a line along a row through a particle of median area, as far beyond it as it is wide; of no particle, any.

    Returns
    -------
    line
        Row and column of the beginning, row and column of the end, in px.
    """
    height, width = sample.image.shape
    areas = np.zeros(0) if sample.labels is None else np.bincount(sample.labels.ravel())[1:]
    if not areas.any():
        return height // 2, 0, height // 2, width - 1
    there = np.flatnonzero(areas) + 1
    number = there[np.argsort(areas[there - 1], kind="stable")[len(there) // 2]]
    rows, columns = np.nonzero(sample.labels == number)
    row, reach = int(np.median(rows)), int(np.ptp(columns)) + 1
    return row, max(0, int(columns.min()) - reach), row, min(width - 1, int(columns.max()) + reach)


def line_profile(sample: AnnotatedImage, line: Line) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return distances along a straight line, in nm (in px if the scale is unknown), and the grey values there.

    A point a px, interpolated, one px wide: as in figure S7 of Mill et al. 2021, 10.1002/smtd.202100223.

    Parameters
    ----------
    line
        Row and column of the beginning, row and column of the end, in px.

    Raises
    ------
    InputError
        If an end lies outside the image.
    """
    ends = np.reshape(np.asarray(line, dtype=float), (2, 2))
    if (ends < 0).any() or (ends > np.array(sample.image.shape) - 1).any():
        raise InputError(f"line: must lie within the {sample.image.shape} px of {sample.name}, got {tuple(line)}")
    grey = profile_line(sample.image, ends[0], ends[1], order=1)
    along = np.linspace(0, float(np.hypot(*(ends[1] - ends[0]))), len(grey))
    return along * (sample.pixel_size.nm or 1), np.asarray(grey, dtype=np.float64)


def radial_power(pixels: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return spatial frequencies in cycles per pixel, shape (rings,), and the power of each patch in each ring.

    The power is the periodogram of the patch less its mean under a Hann window, averaged over rings one frequency
    step wide; white noise of variance s^2 has the power s^2 at all frequencies.

    Parameters
    ----------
    pixels
        Shape (patches, size, size).
    """
    size = pixels.shape[1]
    window = np.hanning(size + 1)[:-1]
    window = np.outer(window, window)
    flat = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    rows, columns = np.fft.fftfreq(size), np.fft.rfftfreq(size)
    ring = np.rint(np.hypot(rows[:, None], columns[None, :]) * size).astype(int)
    rings = np.arange(1, size // 2 + 1)
    weights = np.zeros((len(rings), ring.size))
    for row, each in enumerate(rings):
        weights[row, ring.ravel() == each] = 1 / (ring == each).sum()
    power = np.abs(np.fft.rfft2(flat * window)) ** 2 / (window**2).sum()
    return rings / size, power.reshape(len(pixels), -1) @ weights.T


def power_spectra(patches: Patches, kind: str) -> Curves:
    """Mean decadic logarithm of the radial power of each image's patches of a kind, against cycles per pixel."""
    frequency, power = radial_power(patches.pixels)
    return Curves(frequency, _by_image(np.log10(power + 1e-12), patches, patches.of_kind(kind)))


def _by_image(
    values: npt.NDArray[np.float64], patches: Patches, which: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    images = np.unique(patches.images[which])
    return np.array([values[which & (patches.images == image)].mean(axis=0) for image in images]).reshape(
        len(images), values.shape[1]
    )


def grey_histograms(patches: Patches, *, particle: bool, bins: int = 32) -> Curves:
    """Share of each image's particle pixels, or of its other pixels, in bins of grey value from 0 to 1, as density."""
    edges = np.linspace(0, 1, bins + 1)
    curves = []
    for image in np.unique(patches.images):
        of_image = patches.images == image
        grey = patches.pixels[of_image][patches.particle[of_image] == particle]
        if grey.size:
            curves.append(np.histogram(grey, edges, density=True)[0])
    return Curves((edges[:-1] + edges[1:]) / 2, np.array(curves).reshape(len(curves), bins))


def noise_level(pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Standard deviation of the pixel-to-pixel noise of each patch, shape (patches,).

    From the smaller of the finest diagonal Haar coefficients, as edges make large ones (after Donoho & Johnstone 1994,
    10.1093/biomet/81.3.425). Noise that was smoothed, by a resize or by compression, is underestimated.

    Parameters
    ----------
    pixels
        Shape (patches, size, size).
    """
    diagonal = np.abs(pixels[:, :-1, :-1] - pixels[:, 1:, :-1] - pixels[:, :-1, 1:] + pixels[:, 1:, 1:]) / 2
    ranked = diagonal.reshape(len(pixels), -1)
    kept = round(_KEPT * ranked.shape[1])
    smallest = np.partition(ranked, kept - 1, axis=1)[:, :kept]
    return np.asarray(smallest.mean(axis=1, dtype=np.float64) / _MEAN_OF_KEPT)
