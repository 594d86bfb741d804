"""Statistics of a size distribution, weighted by number and by volume, with intervals, and its histogram."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nanolab.core.typing import FloatArray
from nanolab.measurement.density import log_kde
from nanolab.measurement.size_sample import SizeSample, quantiles, replicates

__all__ = ["FEW_IMAGES", "FEW_PARTICLES", "WEIGHTINGS", "Histogram", "histogram", "statistics", "statistics_table"]


WEIGHTINGS = ("number", "volume")
_LENGTHS = ("mean", "sd", "d10", "d50", "d90")
_RATIOS = ("span", "geometric_sd")
_BINS = (8, 60)
#: With fewer images than this an interval over images is too narrow, and said to be uncertain itself.
FEW_IMAGES = 5
#: Fewer particles than this say too little of a distribution for intervals: its tails have two or three of them.
FEW_PARTICLES = 30


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of the particles, or of their volume, in bins: `edges` has shape (bins + 1,), `shares` (bins,).

    The shares add up to 1 less what lies `beyond` the last edge.
    """

    edges: FloatArray
    shares: FloatArray
    beyond: float

    @property
    def density(self) -> FloatArray:
        """Share for each nm or px of bin width, to draw a probability density over."""
        return np.asarray(self.shares / np.diff(self.edges))


def bin_edges(sizes: FloatArray) -> FloatArray:
    """Return equal bins by Freedman and Diaconis' rule, width 2 IQR / n^(1/3) (10.1007/BF01025868), 8 to 60 of them."""
    count = len(np.histogram_bin_edges(sizes, bins="fd")) - 1
    return np.asarray(np.histogram_bin_edges(sizes, bins=int(np.clip(count, *_BINS))))


def histogram(sample: SizeSample, weighting: str = "number", *, bins: int | None = None) -> Histogram:
    """Return the histogram of a sample.

    Parameters
    ----------
    weighting
        "number" or "volume".
    bins
        How many; as many as `bin_edges` makes by default.

    Notes
    -----
    The bins end at the 99.5th percentile of the particles (the largest size if volume-weighted), or one agglomerate
    taken for a particle would press the rest into one bar.
    """
    top = sample.sizes[-1] if weighting == "volume" else quantiles(sample.sizes, sample.weights, 0.995)
    shown = sample.sizes <= top
    edges = np.histogram_bin_edges(sample.sizes[shown], bins=bins) if bins else bin_edges(sample.sizes[shown])
    weights = sample.volume_weights if weighting == "volume" else sample.weights
    shares = np.histogram(sample.sizes, edges, weights=weights)[0] / weights.sum()
    return Histogram(edges, shares, float(max(0.0, 1 - shares.sum())))


def statistics(
    sample: SizeSample, *, rng: np.random.Generator, repeats: int = 999, confidence: float = 0.95
) -> dict[str, Any]:
    """Describe a sample, ready for JSON.

    Parameters
    ----------
    repeats
        Bootstrap samples behind the intervals; 0 for none.
    confidence
        Of the intervals, which are percentiles of the bootstrap.

    Returns
    -------
    statistics
        `count`, `images`, `unit`, `quantity`; what was left out; what was `resampled`, "images" or "particles"; and for
        "number" and "volume" each of: `mean`, `sd`, `d10`, `d50`, `d90`, `mode` in `unit`, `span` = (D90 - D10) / D50
        and `geometric_sd` = exp(SD of the logarithm), and `intervals`, [low, high] by name. The mode, where the density
        estimated by kernels is highest, has no interval. None where there are too few particles; no intervals below
        `FEW_PARTICLES`.
    """
    result: dict[str, Any] = {
        "quantity": sample.quantity,
        "unit": sample.unit,
        "count": len(sample),
        "images": len(sample.images),
        "border": sample.border,
        "touching_border": sample.cut,
        "too_small": sample.small,
        "not_fulfilling": sample.refused,
        "effective_count": round(sample.effective_count, 1),
        "resampled": "images" if len(sample.images) > 1 else "particles",
        "confidence": confidence,
        "repeats": repeats,
    }
    drawn = replicates(sample, _all, repeats=repeats, rng=rng) if repeats and len(sample) >= FEW_PARTICLES else None
    values = _all(sample.sizes, sample.weights, sample.volume_weights)
    for row, weighting in enumerate(WEIGHTINGS):
        named: dict[str, Any] = dict(zip((*_LENGTHS, *_RATIOS), map(_or_none, values[row]), strict=True))
        named["mode"] = _mode(sample, weighting)
        named["intervals"] = {} if drawn is None else _intervals(drawn[:, row], confidence)
        result[weighting] = named
    return result


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _intervals(drawn: FloatArray, confidence: float) -> dict[str, list[float]]:
    tails = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tails, 1 - tails], axis=0)
    return {name: [float(low[k]), float(high[k])] for k, name in enumerate((*_LENGTHS, *_RATIOS))}


def _all(sizes: FloatArray, weights: FloatArray, volume_weights: FloatArray) -> FloatArray:
    """Return the statistics of both weightings, shape (2, names).

    The variance of either is made free of bias by the number of particles, n / (n - 1), with n as effective as the
    weights leave it. By volume that number would be near 1 wherever one particle holds the volume, and no measure.
    """
    effective = weights.sum() ** 2 / (weights**2).sum()
    correction = effective / (effective - 1) if len(sizes) > 1 and effective > 1 else np.nan
    return np.array([_one(sizes, each, correction) for each in (weights, volume_weights)])


def _one(sizes: FloatArray, weights: FloatArray, correction: float) -> FloatArray:
    mean, sd = _moments(sizes, weights, correction)
    _, log_sd = _moments(np.log(sizes), weights, correction)
    d10, d50, d90 = quantiles(sizes, weights, (0.1, 0.5, 0.9))
    return np.array([mean, sd, d10, d50, d90, (d90 - d10) / d50, np.exp(log_sd)])


def _moments(values: FloatArray, weights: FloatArray, correction: float) -> tuple[float, float]:
    beyond = values - values[0]  # exactly 0 where all are equal, which a mean of the values would miss by its rounding
    mean = np.average(beyond, weights=weights)
    return float(values[0] + mean), float(np.sqrt(correction * np.average((beyond - mean) ** 2, weights=weights)))


def _mode(sample: SizeSample, weighting: str) -> float | None:
    if len(sample) < 3 or np.ptp(sample.sizes) == 0:
        return None
    density = log_kde(sample.sizes, sample.volume_weights if weighting == "volume" else sample.weights)
    grid = np.geomspace(sample.sizes[0], sample.sizes[-1], 1024)
    return float(grid[np.argmax(density.pdf(grid))])


def statistics_table(result: dict[str, Any]) -> pd.DataFrame:
    """Return `statistics` as a table of one row per statistic: unit, and value, low and high of each weighting."""
    rows = []
    for name in (*_LENGTHS, "mode", *_RATIOS):
        row: dict[str, Any] = {"statistic": name, "unit": result["unit"] if name not in _RATIOS else ""}
        for weighting in WEIGHTINGS:
            low, high = result[weighting]["intervals"].get(name, (None, None))
            row |= {weighting: result[weighting][name], f"{weighting}_low": low, f"{weighting}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
