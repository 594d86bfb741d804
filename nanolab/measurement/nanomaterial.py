"""Whether a sample is a nanomaterial by the European definition: the share of particles below 100 nm by number."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from nanolab.core.typing import FloatArray
from nanolab.measurement.size_sample import Border, replicates, size_sample

__all__ = ["LIMIT_NM", "Nanomaterial", "Verdict", "share_below_limit"]

#: Of the smallest dimension of a constituent particle.
LIMIT_NM = 100.0
_SHARE = 0.5  # by number, from which the material is one
_CONFIDENCE = 0.95

#: On which side of one half the whole interval of the share lies.
Verdict = Literal["above", "below", "undecided"]


@dataclass(frozen=True)
class Nanomaterial:
    """Share of the particles whose smallest dimension is below 100 nm.

    Attributes
    ----------
    share
        By number, 0 to 1.
    interval
        [low, high], 95 %.
    count
        How many particles counted.
    """

    share: float
    interval: tuple[float, float]
    count: int

    @property
    def verdict(self) -> Verdict:
        """Whether half of the particles or more are below the limit, as far as the interval says."""
        low, high = self.interval
        return "above" if low >= _SHARE else "below" if high < _SHARE else "undecided"

    def __str__(self) -> str:
        """What a report says."""
        words = {
            "above": "above 50 %: a nanomaterial by the definition of the European Union (2022/C 229/01)",
            "below": "below 50 %: not a nanomaterial by the definition of the European Union (2022/C 229/01)",
            "undecided": "undecided by the definition of the European Union (50 %, 2022/C 229/01); measure more",
        }[self.verdict]
        low, high = self.interval
        return (
            f"By number {self.share:.1%} ({low:.1%} to {high:.1%}) of the particles are below {LIMIT_NM:g} nm in their "
            f"smallest dimension (minimum Feret diameter): {words}."
        )


def share_below_limit(
    particles: pd.DataFrame,
    *,
    border: Border = "correct",
    min_area_px: int = 0,
    rng: np.random.Generator,
    repeats: int = 999,
) -> Nanomaterial | None:
    """Return the share of particles below 100 nm in their smallest dimension, by number; None without a pixel size.

    The definition looks at the external dimensions of the constituent particles, of which a micrograph shows two: the
    minimum Feret diameter bounds the smallest from above, and a plate that lies flat is thinner than it looks. The
    interval is the wider one, at each end, of Student's with the scatter of a bootstrap over images, and of Wilson's
    for a share among as many equally weighted particles, which is not empty where all lie on one side.

    Parameters
    ----------
    particles
        Of `nanolab.measurement.particles.measure`, of one or several images.
    border, min_area_px
        See `nanolab.measurement.size_sample.size_sample`.
    repeats
        Bootstrap samples; with 0 the interval knows nothing of differences between images.

    Raises
    ------
    InputError
        If no particle counts.

    References
    ----------
    Commission Recommendation 2022/C 229/01; Rauscher et al. 2019, JRC report 10.2760/459136; Wilson 1927,
    10.1080/01621459.1927.10502953.
    """
    sample = size_sample(particles, "feret_min", border=border, min_area_px=min_area_px)
    if sample.unit != "nm":
        return None
    share = _below(sample.sizes, sample.weights)
    count = sample.effective_count
    wilson = stats.binomtest(round(share * round(count)), round(count)).proportion_ci(_CONFIDENCE, "wilson")
    drawn = replicates(sample, lambda sizes, weights, _: _below(sizes, weights), repeats=repeats, rng=rng)
    freedom = (len(sample.images) if len(sample.images) > 1 else len(sample)) - 1
    half = stats.t.ppf((1 + _CONFIDENCE) / 2, freedom) * np.std(drawn, ddof=1) if len(drawn) > 1 else 0.0
    low, high = max(min(share - half, wilson.low), 0.0), min(max(share + half, wilson.high), 1.0)
    return Nanomaterial(share, (float(low), float(high)), len(sample))


def _below(sizes: FloatArray, weights: FloatArray) -> float:
    return float(weights[sizes < LIMIT_NM].sum() / weights.sum())
