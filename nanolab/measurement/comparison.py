"""Two samples compared: how far apart their size distributions are, and whether by more than chance."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.measurement.size_sample import SizeSample, quantiles

__all__ = ["SampleComparison", "compare_samples"]

_LEAST_IMAGES = 4  # of each sample; 70 ways to deal 8 images out


@dataclass(frozen=True)
class SampleComparison:
    """Distances of two size distributions, number-weighted, each with its bootstrap interval [low, high].

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
        least as far apart. Distances are never below 0, so their intervals do not reach 0: judge by these.
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
    pool = _Pool.of(first, second)
    whole = [np.bincount(pool.group[pool.side == side], minlength=pool.groups) > 0 for side in (0, 1)]
    observed = pool.distances(*whole)
    drawn = np.array([pool.distances(*pool.resampled(rng)) for _ in range(repeats)])
    by_images = min(len(first.images), len(second.images)) >= _LEAST_IMAGES
    dealt = pool if by_images else _Pool.of(first, second, singly=True)
    chance = np.array([dealt.distances(*dealt.permuted(rng)) for _ in range(repeats)])
    # rounding must not make a deal that is the sample itself look nearer
    p = (1 + (chance[:, :2] >= observed[:2] * (1 - 1e-9)).sum(axis=0)) / (1 + repeats)
    tails = (1 - confidence) / 2
    names = ("ks", "wasserstein", "d50_difference", "d50_ratio")
    bounds = np.quantile(drawn, [tails, 1 - tails], axis=0).T.tolist()
    distances: dict[str, Any] = dict(zip(names, observed.tolist(), strict=True))
    distances |= {f"{name}_interval": tuple(each) for name, each in zip(names, bounds, strict=True)}
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


@dataclass(frozen=True, eq=False)
class _Pool:
    """The particles of both samples in ascending order of size: which sample, and which image (or particle) each is."""

    sizes: FloatArray
    weights: FloatArray
    side: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    groups: int
    group_side: npt.NDArray[np.int64]

    @classmethod
    def of(cls, first: SizeSample, second: SizeSample, *, singly: bool = False) -> "_Pool":
        owners = [np.arange(len(each)) if singly or len(each.images) == 1 else each.image for each in (first, second)]
        counts = [int(owner.max()) + 1 for owner in owners]
        sizes = np.concatenate([first.sizes, second.sizes])
        order = np.argsort(sizes, kind="stable")
        return cls(
            sizes[order],
            np.concatenate([first.weights, second.weights])[order],
            np.repeat([0, 1], [len(first), len(second)])[order],
            np.concatenate([owners[0], owners[1] + counts[0]])[order],
            sum(counts),
            np.repeat([0, 1], counts),
        )

    def resampled(self, rng: np.random.Generator) -> tuple[npt.NDArray, npt.NDArray]:
        """Draw groups of each sample with replacement; return how often each group is in the first and the second."""
        times = np.zeros((2, self.groups))
        for side in (0, 1):
            own = self.group_side == side
            times[side, own] = rng.multinomial(own.sum(), np.full(own.sum(), 1 / own.sum()))
        return times[0], times[1]

    def permuted(self, rng: np.random.Generator) -> tuple[npt.NDArray, npt.NDArray]:
        """Deal all groups out anew to two samples of as many groups."""
        dealt = rng.permutation(self.group_side)
        return dealt == 0, dealt == 1

    def distances(self, first: npt.NDArray, second: npt.NDArray) -> FloatArray:
        """Return KS, Wasserstein, difference and ratio of medians, with each group counted so many times."""
        weights = [self.weights * times[self.group] for times in (first, second)]
        apart = np.abs(np.subtract(*(np.cumsum(each) / each.sum() for each in weights)))
        at = np.append(np.diff(self.sizes) > 0, True)  # between equal sizes the steps are not complete
        medians = [float(quantiles(self.sizes[each > 0], each[each > 0], 0.5)) for each in weights]
        wasserstein = float((apart[:-1] * np.diff(self.sizes)).sum())
        return np.array([apart[at].max(), wasserstein, medians[1] - medians[0], medians[1] / medians[0]])
