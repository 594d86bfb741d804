"""Two samples compared: how far apart their size distributions are, and whether by more than chance."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.measurement.size_sample import SizeSample, quantiles

__all__ = ["SampleComparison", "SizePool", "compare_samples", "distance_intervals", "size_distances"]

_LEAST_IMAGES = 4  # of each sample; 70 ways to deal 8 images out


@dataclass(frozen=True)
class SampleComparison:
    """Distances of two size distributions, number-weighted, each with its bootstrap interval [low, high].

    Those of the medians are percentiles; for the others see `distance_intervals`.

    Attributes
    ----------
    unit
        Of `wasserstein` and `d50_difference`.
    ks
        Largest difference of the cumulative distributions, between 0 and 1 (Kolmogorov-Smirnov).
    wasserstein
        Mean distance that sizes must be moved to turn one distribution into the other (Ramdas et al. 2017,
        10.3390/e19020047).
    d50_difference, d50_ratio
        Median of the second sample less that of the first, and by that of the first.
    ks_p, wasserstein_p
        How often two samples that images are dealt out to at random (particles, if one has fewer than 4 images) lie at
        least as far apart.
    resampled, permuted
        What the intervals and the p-values draw: "images" or "particles".
    """

    unit: str
    quantity: str
    count: tuple[int, int]
    images: tuple[int, int]
    ks: float
    ks_interval: tuple[float, float]
    ks_p: float
    wasserstein: float
    wasserstein_interval: tuple[float, float]
    wasserstein_p: float
    d50_difference: float
    d50_difference_interval: tuple[float, float]
    d50_ratio: float
    d50_ratio_interval: tuple[float, float]
    resampled: tuple[str, str]
    permuted: str
    confidence: float
    repeats: int

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)


def compare_samples(
    first: SizeSample,
    second: SizeSample,
    *,
    rng: np.random.Generator,
    repeats: int = 999,
    confidence: float = 0.95,
) -> SampleComparison:
    """Compare two samples of one quantity in one unit.

    Raises
    ------
    InputError
        If they are of different quantities or units.
    """
    if (first.unit, first.quantity) != (second.unit, second.quantity):
        raise InputError(
            f"samples: must be of one quantity and unit, got {first.quantity} in {first.unit} and "
            f"{second.quantity} in {second.unit}; give both a pixel size"
        )
    groups = [each.image if len(each.images) > 1 else np.arange(len(each)) for each in (first, second)]
    sizes, weights = [first.sizes, second.sizes], [first.weights, second.weights]
    pool = SizePool.of(sizes, weights, groups)
    by_images = min(len(first.images), len(second.images)) >= _LEAST_IMAGES
    dealt = pool if by_images else SizePool.of(sizes, weights, [np.arange(len(each)) for each in sizes])
    observed = pool.norms(pool.difference(pool.once))
    chance = np.array([dealt.norms(dealt.difference(dealt.permuted(rng))) for _ in range(repeats)])
    # rounding must not make a deal that is the sample itself look nearer
    p = (1 + (chance >= observed * (1 - 1e-9)).sum(axis=0)) / (1 + repeats)
    draws = np.array([pool.resampled(rng) for _ in range(repeats)], dtype=np.int16)
    medians, tails = pool.medians(pool.once), [(1 - confidence) / 2, (1 + confidence) / 2]
    bounds = np.quantile([pool.medians(times) for times in draws], tails, axis=0).T
    names = ("ks", "wasserstein", "d50_difference", "d50_ratio")
    values, intervals = [*observed, *medians], [*distance_intervals(pool, draws, confidence), *bounds]
    distances: dict[str, Any] = {name: float(value) for name, value in zip(names, values, strict=True)}
    distances |= {f"{name}_interval": tuple(each.tolist()) for name, each in zip(names, intervals, strict=True)}
    return SampleComparison(
        unit=first.unit,
        quantity=first.quantity,
        count=(len(first), len(second)),
        images=(len(first.images), len(second.images)),
        **distances,
        ks_p=float(p[0]),
        wasserstein_p=float(p[1]),
        resampled=(_drawn_by(first), _drawn_by(second)),
        permuted="images" if by_images else "particles",
        confidence=confidence,
        repeats=repeats,
    )


def _drawn_by(sample: SizeSample) -> str:
    return "images" if len(sample.images) > 1 else "particles"


def size_distances(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov and the Wasserstein distance of sizes; NaN where one sample has none."""
    if not (len(first) and len(second)):
        return math.nan, math.nan
    weights, groups = ([np.full(len(each), value) for each in (first, second)] for value in (1.0, 0))
    pool = SizePool.of([first, second], weights, groups)
    ks, wasserstein = pool.norms(pool.difference(pool.once)).tolist()
    return ks, wasserstein


def distance_intervals(pool: "SizePool", draws: Iterable[npt.NDArray[np.integer]], confidence: float) -> FloatArray:
    """Return the intervals [low, high] of the Kolmogorov-Smirnov and the Wasserstein distance, shape (2, 2).

    Drawing scatters samples, and so moves them apart: percentiles of drawn distances lie too high, and never reach 0.
    By the triangle inequality a distance of two samples differs from the true one by at most the norm of what scatter
    adds to the difference of their distributions. That norm has a bootstrap of its own, which holds at 0, too (Bickel
    & Freedman 1981, 10.1214/aos/1176345637). Of two log-normal samples of 60 particles, 94 % of the intervals of 95 %
    hold the true Wasserstein distance where it is 0, and more where it is not.

    Parameters
    ----------
    draws
        How often each group is in a bootstrap sample, shape (repeats, 2, groups), see `SizePool.resampled`.
    """
    whole = pool.difference(pool.once)
    scatter = np.quantile([pool.norms(pool.difference(times) - whole) for times in draws], confidence, axis=0)
    observed = pool.norms(whole)
    return np.column_stack([np.maximum(observed - scatter, 0), np.minimum(observed + scatter, [1, np.inf])])


@dataclass(frozen=True, eq=False)
class SizePool:
    """The particles of two samples in ascending order of size, and which of the groups (images) each belongs to.

    How often groups are counted is `times`, shape (2, groups): in the first and in the second sample.
    """

    sizes: FloatArray
    weights: FloatArray
    group: npt.NDArray[np.int64]
    once: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, sizes: Sequence[FloatArray], weights: Sequence[FloatArray], groups: Sequence[npt.NDArray[np.int64]]
    ) -> "SizePool":
        """Pool sizes of two samples, each with its weight and the number of its group there."""
        counts = [int(group.max()) + 1 for group in groups]
        order = np.argsort(np.concatenate(sizes), kind="stable")
        group = np.concatenate([groups[0], groups[1] + counts[0]])
        once = np.repeat(np.eye(2, dtype=np.int64), counts, axis=1)
        return cls(np.concatenate(sizes)[order], np.concatenate(weights)[order], group[order], once)

    def resampled(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw as many groups of each sample as it has, with replacement."""
        return np.array([rng.multinomial(own.sum(), own / own.sum()) for own in self.once])

    def permuted(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Deal all groups out anew to two samples of as many groups."""
        return rng.permutation(self.once, axis=1)

    def difference(self, times: npt.NDArray[np.integer]) -> FloatArray:
        """Return by how much more of the first sample than of the second lies up to each size."""
        weights = self.weights * times[:, self.group]
        first, second = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
        return np.asarray(first - second)

    def norms(self, difference: FloatArray) -> FloatArray:
        """Return the largest value of a difference of distributions (KS) and its integral (Wasserstein)."""
        steps = np.diff(self.sizes)
        at = np.append(steps > 0, True)  # between equal sizes the steps are not complete
        return np.array([np.abs(difference[at]).max(), np.abs(difference[:-1]) @ steps])

    def medians(self, times: npt.NDArray[np.integer]) -> tuple[float, float]:
        """Return difference and ratio of the medians."""
        weights = self.weights * times[:, self.group]
        first, second = (float(quantiles(self.sizes[each > 0], each[each > 0], 0.5)) for each in weights)
        return second - first, second / first
