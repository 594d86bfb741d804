"""How many particles, or images, a wanted precision needs."""

import math
from typing import Any

import numpy as np
from scipy import stats

from nanolab.core.checks import InputError, check_positive
from nanolab.core.typing import FloatArray
from nanolab.measurement.size_sample import SizeSample, quantiles, replicates

__all__ = ["between_images", "iso_particles", "more_needed", "precision_by_count"]

_STEPS = 8  # numbers of images, or particles, of which the interval is learned
_FEWEST = {"images": 2, "particles": 10}  # of which an interval means anything


def iso_particles(
    geometric_sd: float, error: float, *, confidence: float = 0.95, power: int = 1, weighting: int = 0
) -> int:
    """Return how many particles a log-normal sample needs for the mean of d^power to be right to a relative error.

    n = (u a s / error)^2 (1 + 2 c^2 s^2) with s = ln(geometric SD), c = b + a / 2, u the normal quantile, a the power
    and b the weighting. It takes particles as independent. With geometric SD 1.6, error 0.05 and confidence 0.95 it
    gives the over 6000 particles for the mean volume and the 61 000 (power 6) of ISO 13322-1.

    Parameters
    ----------
    geometric_sd
        exp(SD of ln d), above 1.
    error
        Half width of the confidence interval as a part of the value: 0.05.
    power
        1: mean diameter; 3: mean volume.
    weighting
        0: by number; 3: by volume.

    References
    ----------
    Masuda & Iinoya 1971, 10.1252/jcej.4.60; ISO 13322-1:2014, annex A.
    """
    check_positive(error, "error", "1")
    if not (math.isfinite(geometric_sd) and geometric_sd > 1):
        raise InputError(f"geometric_sd must be a number above 1, got {geometric_sd!r}")
    s, c = math.log(geometric_sd), weighting + power / 2
    u = stats.norm.ppf(_upper(confidence))
    return math.ceil((u * power * s / error) ** 2 * (1 + 2 * (c * s) ** 2))


def _upper(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence!r}")
    return (1 + confidence) / 2


def between_images(sample: SizeSample) -> float | None:
    """Return which part of the variance of ln(size) lies between images, not within them: 0 or less where none does.

    It is the intraclass correlation of the one-way analysis of variance, ICC(1) of Shrout & Fleiss 1979,
    10.1037/0033-2909.86.2.420. None where there is one image, or one particle in each.
    """
    logs, count = np.log(sample.sizes), np.bincount(sample.image)
    images, particles = len(count), len(logs)
    if images < 2 or particles == images or not np.ptp(logs):
        return None
    means = np.bincount(sample.image, logs) / count
    within = ((logs - means[sample.image]) ** 2).sum() / (particles - images)
    between = (count * (means - logs.mean()) ** 2).sum() / (images - 1)
    typical = (particles - (count**2).sum() / particles) / (images - 1)
    return float((between - within) / (between + (typical - 1) * within))


def more_needed(
    result: dict[str, Any], error: float, *, name: str = "d50", weighting: str = "number"
) -> dict[str, int | float | None]:
    """Return what a wanted precision needs, from the bootstrap intervals of a sample at hand.

    An interval shrinks with the root of the number of images (of particles, where there is one image), whatever the
    distribution and however alike the particles of an image are; ISO's formula knows neither.

    Parameters
    ----------
    result
        Of `nanolab.measurement.statistics.statistics`, with intervals.
    error
        Wanted half width of the interval as a part of the value: 0.05.
    name, weighting
        Of which statistic.

    Returns
    -------
    needed
        `error_now`; `images` and `particles` needed in all; `more_images` and `more_particles` beyond those at hand.
        None where the sample has no interval.
    """
    check_positive(error, "error", "1")
    interval, value = result[weighting]["intervals"].get(name), result[weighting].get(name)
    if interval is None or not value:
        return dict.fromkeys(("error_now", "images", "particles", "more_images", "more_particles"))
    now = (interval[1] - interval[0]) / 2 / value
    factor = (now / error) ** 2
    images, particles = math.ceil(result["images"] * factor), math.ceil(result["count"] * factor)
    return {
        "error_now": now,
        "images": images,
        "particles": particles,
        "more_images": max(0, images - result["images"]),
        "more_particles": max(0, particles - result["count"]),
    }


def precision_by_count(
    sample: SizeSample, *, rng: np.random.Generator, repeats: int = 199, confidence: float = 0.95
) -> list[dict[str, float]]:
    """Return how well so many images (particles, where there is one image) of the sample would tell D50.

    That many are drawn again and again, with all their particles (the bootstrap of m out of n: Bickel, Goetze & van
    Zwet 1997, Statistica Sinica 7, 1-31), from two to all.

    Returns
    -------
    points
        By ascending number: `images`, or `particles` alone where there is one image; `particles` on average; `error`,
        the half width of the interval as a part of D50. Empty where there are too few to draw from.
    """
    of = "images" if len(sample.images) > 1 else "particles"
    there = len(sample.images) if of == "images" else len(sample)
    if there <= _FEWEST[of] or not repeats:
        return []
    points, tails = [], [1 - _upper(confidence), _upper(confidence)]
    value = float(quantiles(sample.sizes, sample.weights, 0.5))
    for count in np.unique(np.geomspace(_FEWEST[of], there, _STEPS).round().astype(int)).tolist():
        low, high = np.quantile(replicates(sample, _d50, repeats=repeats, rng=rng, count=count), tails)
        point = {"particles": round(len(sample) * count / there), "error": float(high - low) / 2 / value}
        points.append({"images": count, **point} if of == "images" else point)
    return points


def _d50(sizes: FloatArray, weights: FloatArray, volume_weights: FloatArray) -> FloatArray:  # noqa: ARG001  # as it is called
    return quantiles(sizes, weights, 0.5)
