"""Probability densities of sizes: mixtures of SciPy's distributions, among them the kernel estimate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from nanolab.core.typing import FloatArray
from nanolab.measurement.size_sample import quantiles

__all__ = ["Density", "log_kde"]


_GRID = 512


@dataclass(frozen=True, eq=False)
class Density:
    """A mixture: `parts` is a frozen distribution with parameters of shape (k, 1), `shares` has shape (k,), sum 1."""

    parts: Any
    shares: FloatArray

    def pdf(self, sizes: npt.ArrayLike) -> FloatArray:
        """Return the density at sizes of shape (n,), for each nm or px."""
        return np.asarray(self.shares @ self.parts.pdf(np.asarray(sizes, dtype=np.float64)[None, :]))

    def cdf(self, sizes: npt.ArrayLike) -> FloatArray:
        """Return the share of particles up to sizes of shape (n,)."""
        return np.asarray(self.shares @ self.parts.cdf(np.asarray(sizes, dtype=np.float64)[None, :]))

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw sizes, shape (count,), ascending."""
        chosen = rng.choice(len(self.shares), size=count, p=self.shares)
        uniform = rng.uniform(size=count)
        values = np.empty(count)
        for part in np.unique(chosen):
            here = chosen == part
            values[here] = self.parts.ppf(np.broadcast_to(uniform[here], (len(self.shares), here.sum())))[part]
        return np.sort(values)


def log_kde(sizes: FloatArray, weights: FloatArray) -> Density:
    """Estimate the density with normal kernels over the logarithm of the size, which keeps it above 0 for small sizes.

    The bandwidth is Silverman's rule, 0.9 min(SD, IQR / 1.34) n^(-1/5) (Density Estimation, 1986, eq. 3.31,
    10.1201/9781315140919), n the effective count. The kernels stand on a grid of 512 points that shares out each size
    to its neighbours, which costs no accuracy that can be seen.

    Parameters
    ----------
    sizes
        Shape (particles,), ascending, above 0, not all equal.
    weights
        Shape (particles,).
    """
    logs = np.log(sizes)
    weights = weights / weights.sum()
    mean = weights @ logs
    sd = np.sqrt(weights @ (logs - mean) ** 2)
    low, high = quantiles(logs, weights, (0.25, 0.75))
    spread = min(sd, (high - low) / 1.34) if high > low else sd
    bandwidth = 0.9 * spread * (weights**2).sum() ** 0.2
    grid = np.linspace(logs[0], logs[-1], _GRID)
    place = (logs - grid[0]) / (grid[1] - grid[0])
    left = np.clip(place.astype(np.int64), 0, _GRID - 2)
    shares = np.bincount(left, weights * (left + 1 - place), _GRID) + np.bincount(
        left + 1, weights * (place - left), _GRID
    )
    used = shares > 0
    parts = stats.lognorm(s=bandwidth, scale=np.exp(grid[used])[:, None])
    return Density(parts, shares[used] / shares[used].sum())
