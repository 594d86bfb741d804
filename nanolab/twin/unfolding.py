"""From sizes that were found to those that are there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.twin.response import Response

__all__ = ["LEAST_EFFICIENCY", "PROBABILITIES", "Spectrum", "unfold"]

#: Sizes of which fewer are found are not reported.
LEAST_EFFICIENCY = 0.3
_SETTLED = 0.005  # part of the particles that an iteration still moves along the sizes
_ITERATIONS = 200
#: D10, D50, D90.
PROBABILITIES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How many particles there are of each size.

    Attributes
    ----------
    edges
        Shape (n + 1,), in nm.
    counts
        Shape (n,), also of sizes that are not known.
    known
        Shape (n,), of which sizes enough would be found.
    """

    edges: FloatArray
    counts: FloatArray
    known: npt.NDArray[np.bool_]

    @property
    def range_nm(self) -> tuple[float, float]:
        """Smallest and largest size that are known."""
        return float(self.edges[:-1][self.known][0]), float(self.edges[1:][self.known][-1])

    def amounts(self) -> tuple[FloatArray, FloatArray]:
        """Return the particles of known sizes and their volume, in units of nm3, in each bin, shape (n,) each."""
        counts = np.where(self.known, self.counts, 0)
        # spread evenly over the logarithm of the size in each bin
        return counts, np.asarray(counts * np.diff(self.edges**3) / 3 / np.diff(np.log(self.edges)))

    def values(self) -> FloatArray:
        """Return of known sizes what `NAMES` of `nanolab.twin.correction` says, shape (13,)."""
        counts, volumes = self.amounts()
        return np.array([counts.sum(), *self._of(counts), *self._of(volumes)])

    def _of(self, amount: FloatArray) -> list[float]:
        upto = np.concatenate([[0], np.cumsum(amount)])
        logs, share = np.log(self.edges), amount / upto[-1]
        step, middle = np.diff(logs), (logs[1:] + logs[:-1]) / 2
        log_mean = share @ middle
        log_sd = np.sqrt(share @ ((middle - log_mean) ** 2 + step**2 / 12))  # even over the logarithm in each bin
        quantiles = np.exp(np.interp(PROBABILITIES, upto / upto[-1], logs))
        return [*quantiles, float(share @ (np.diff(self.edges) / step)), float(np.exp(log_mean)), float(np.exp(log_sd))]


def unfold(found: FloatArray, response: Response, *, area_nm2: float) -> Spectrum:
    """Return the spectrum of sizes that was found as this one, by D'Agostini's iterative Bayesian unfolding.

    Each iteration shares out what was found to its possible causes, true sizes and false particles, by Bayes' theorem
    with the last result as prior. It begins with equally many particles in each bin that the twins show, and ends as
    soon as the cumulative distribution moves by less than 0.005 anywhere: further iterations only fit noise.

    Parameters
    ----------
    found
        Shape (n,), weights of the particles found in the bins of the response.
    area_nm2
        Of the images in which they were found.

    Raises
    ------
    InputError
        If the twins show no size of which at least `LEAST_EFFICIENCY` are found.

    References
    ----------
    D'Agostini 1995, 10.1016/0168-9002(95)00274-X; with several effects of one cause and a background it is expectation
    maximisation (Shepp & Vardi 1982, 10.1109/TMI.1982.4307558). The rule to stop is that of PyUnfold
    (Bourbeau & Hampel-Arias 2018, 10.21105/joss.00741), a Kolmogorov-Smirnov distance between iterations.
    """
    efficiency, false = response.efficiency, response.false_nm2 * area_nm2
    causes = response.supported & (efficiency > 0)
    known = causes & (efficiency >= LEAST_EFFICIENCY)
    if not known.any() or not found.sum():
        raise InputError(
            f"twin: at none of its sizes are {LEAST_EFFICIENCY:.0%} of its particles found; choose another recipe"
        )
    counts = np.where(causes, found.sum() / causes.sum(), 0)
    for _ in range(_ITERATIONS):
        expected = response.matrix @ counts + false
        share = response.matrix.T @ np.divide(found, expected, out=np.zeros_like(expected), where=expected > 0)
        before, counts = counts, counts * np.divide(share, efficiency, out=np.zeros_like(share), where=causes)
        if np.abs(np.cumsum(counts) / counts.sum() - np.cumsum(before) / before.sum()).max() < _SETTLED:
            break
    return Spectrum(response.edges, counts, known)
