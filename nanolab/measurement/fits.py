"""Distributions fitted to a sample: chosen by hand or by an information criterion, and how well they fit."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.measurement.density import Density, log_kde
from nanolab.measurement.size_sample import SizeSample

__all__ = ["FITS", "Fit", "GoodnessOfFit", "best_fit", "fit", "fit_all", "fit_table", "goodness_of_fit"]

#: Density, its parameters by name, and how many are free; None where the criterion does not apply.
Estimate = tuple[Density, dict[str, Any], int | None]

_MOST_PARTS = 3
_LEAST = 5  # particles for any fit
_LEAST_A_PART = 20  # particles for each part of a mixture
_NARROWEST = 1e-3  # SD of the logarithm of a part: 0.1 % of the size is finer than any pixel


@dataclass(frozen=True, eq=False)
class Fit:
    """A distribution fitted to a sample by maximum likelihood, with its border weights.

    Attributes
    ----------
    name
        One of `FITS`, for a mixture with the number of its parts: "mixture of 2".
    density
        Its density and cumulative distribution, number-weighted.
    parameters
        By name: `mean`, `sd` of the normal; `median`, `geometric_sd` of the log-normal; `shape`, `scale` of the
        Weibull; lists of `median`, `geometric_sd` and `share` by size for a mixture of log-normals.
    log_likelihood
        Of the sample, weights of mean 1.
    aic, bic
        Akaike's (10.1109/TAC.1974.1100705) and Schwarz's (10.1214/aos/1176344136) criterion, lower is better; None for
        the kernel estimate, which has no parameters.
    """

    name: str
    density: Density
    parameters: dict[str, Any]
    log_likelihood: float
    aic: float | None
    bic: float | None


@dataclass(frozen=True)
class GoodnessOfFit:
    """Distance of a sample from a fit, and how often samples of the fit, fitted anew, lie further from theirs.

    `ks` is the largest difference of the cumulative distributions (Kolmogorov-Smirnov), `ad` Anderson and Darling's,
    which looks more at the tails. A small p says that the sample was not drawn from such a distribution. The p-values
    take particles as independent; with particles alike within each image they come out too small.
    """

    ks: float
    ks_p: float
    ad: float
    ad_p: float
    repeats: int


def _normal(sizes: FloatArray, weights: FloatArray) -> Estimate:
    mean = float(np.average(sizes, weights=weights))
    sd = float(np.sqrt(np.average((sizes - mean) ** 2, weights=weights)))
    return _single(stats.norm([[mean]], [[sd]])), {"mean": mean, "sd": sd}, 2


def _log_normal(sizes: FloatArray, weights: FloatArray) -> Estimate:
    logs = np.log(sizes)
    mean = float(np.average(logs, weights=weights))
    sd = float(np.sqrt(np.average((logs - mean) ** 2, weights=weights)))
    named = {"median": float(np.exp(mean)), "geometric_sd": float(np.exp(sd))}
    return _single(stats.lognorm(s=[[sd]], scale=[[named["median"]]])), named, 2


def _weibull(sizes: FloatArray, weights: FloatArray) -> Estimate:
    """Solve the likelihood equation of the shape k: sum w x^k ln x / sum w x^k - 1/k = mean ln x."""
    scaled = sizes / sizes.max()  # no power of it overflows
    logs = np.log(scaled)
    mean = np.average(logs, weights=weights)

    def equation(log_shape: float) -> float:
        shape = np.exp(log_shape)
        return float(np.average(logs, weights=weights * scaled**shape) - 1 / shape - mean)

    shape = float(np.exp(optimize.brentq(equation, *np.log((1e-2, 1e12)))))  # sizes that hardly differ: a large shape
    scale = float(sizes.max() * np.average(scaled**shape, weights=weights) ** (1 / shape))
    return _single(stats.weibull_min([[shape]], scale=[[scale]])), {"shape": shape, "scale": scale}, 2


def _single(parts: Any) -> Density:
    return Density(parts, np.ones(1))


def _kde(sizes: FloatArray, weights: FloatArray) -> Estimate:
    return log_kde(sizes, weights), {}, None


def _mixture(sizes: FloatArray, weights: FloatArray, *, parts: int, start: dict[str, Any] | None = None) -> Estimate:
    """Mix log-normals: normals over the logarithm, from scikit-learn, moved on by EM steps that know the weights.

    `start` is the parameters of an earlier fit to a sample of the same kind; without it k-means gives the start.
    """
    logs = np.log(sizes)
    known = {} if start is None else _as_start(start)
    normals = GaussianMixture(parts, reg_covar=_NARROWEST**2, random_state=0, max_iter=200, **known)
    with warnings.catch_warnings():
        # parts that overlap creep towards the end of the likelihood's ridge; BIC sees what they are worth
        warnings.simplefilter("ignore", ConvergenceWarning)
        normals.fit(logs[:, None])
    shares, means, sds = normals.weights_, normals.means_[:, 0], np.sqrt(normals.covariances_[:, 0, 0])
    if np.ptp(weights):
        for _ in range(200):
            before = means
            shares, means, sds = _em_step(logs, weights, shares, means, sds)
            if np.abs(means - before).max() < 1e-6:
                break
    order = np.argsort(means)
    shares, means, sds = shares[order], means[order], sds[order]
    named = {"median": np.exp(means).tolist(), "geometric_sd": np.exp(sds).tolist(), "share": shares.tolist()}
    density = Density(stats.lognorm(s=sds[:, None], scale=np.exp(means)[:, None]), shares / shares.sum())
    return density, named, 3 * parts - 1


def _as_start(parameters: dict[str, Any]) -> dict[str, FloatArray]:
    share, median, spread = (np.array(parameters[name]) for name in ("share", "median", "geometric_sd"))
    precisions = 1 / np.log(spread)[:, None, None] ** 2
    return {
        "weights_init": share / share.sum(),
        "means_init": np.log(median)[:, None],
        "precisions_init": precisions,
    }


def _em_step(
    logs: FloatArray, weights: FloatArray, shares: FloatArray, means: FloatArray, sds: FloatArray
) -> tuple[FloatArray, ...]:
    likely = shares[:, None] * stats.norm.pdf(logs, means[:, None], sds[:, None])
    part = weights * likely / np.maximum(likely.sum(axis=0), np.finfo(float).tiny)
    total = part.sum(axis=1)
    means = part @ logs / total
    variances = (part * (logs - means[:, None]) ** 2).sum(axis=1) / total
    return total / total.sum(), means, np.sqrt(variances + _NARROWEST**2)


_ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray], Estimate]] = {
    "kde": _kde,
    "normal": _normal,
    "log-normal": _log_normal,
    "weibull": _weibull,
}
#: What `fit` takes; "mixture" is one of log-normals, its number of parts chosen by BIC.
FITS = (*_ESTIMATORS, "mixture")
_PARTS = {f"mixture of {parts}": parts for parts in range(2, _MOST_PARTS + 1)}
_ESTIMATORS |= {name: partial(_mixture, parts=parts) for name, parts in _PARTS.items()}
_PLAIN = ("normal", "log-normal", "weibull")


def fit(sample: SizeSample, name: str = "log-normal") -> Fit:
    """Fit a distribution to the sizes of a sample, number-weighted.

    Parameters
    ----------
    name
        One of `FITS`, or "auto": the normal, log-normal, Weibull or mixture with the lowest BIC.

    Raises
    ------
    InputError
        If there is no such distribution, or there are too few different sizes.
    """
    if name == "auto":
        return best_fit(sample)
    if name == "mixture":
        possible = _mixtures(sample)
        if not possible:
            raise InputError(f"mixture: needs at least {2 * _LEAST_A_PART} particles, got {len(sample)}; fit another")
        return min(_fits(sample, possible), key=_bic)
    if name not in _ESTIMATORS:
        raise InputError(f"fit must be one of auto, {', '.join(FITS)}, got {name!r}")
    return next(iter(_fits(sample, [name])))


def best_fit(sample: SizeSample, criterion: str = "bic") -> Fit:
    """Return the fit with the lowest `criterion`, "bic" or "aic", among normal, log-normal, Weibull and mixtures."""
    if criterion not in ("bic", "aic"):
        raise InputError(f"criterion must be bic or aic, got {criterion!r}")
    return min(fit_all(sample), key=lambda each: getattr(each, criterion))


def fit_all(sample: SizeSample) -> list[Fit]:
    """Fit the normal, log-normal and Weibull distribution and, given particles enough, mixtures; best BIC first."""
    return sorted(_fits(sample, [*_PLAIN, *_mixtures(sample)]), key=_bic)


def fit_table(fits: Iterable[Fit]) -> pd.DataFrame:
    """Return one row per fit: name, BIC, AIC, log-likelihood, parameters."""
    rows = [
        {
            "fit": each.name,
            "bic": each.bic,
            "aic": each.aic,
            "log_likelihood": each.log_likelihood,
            "parameters": "; ".join(f"{key} {_shown(value)}" for key, value in each.parameters.items()),
        }
        for each in fits
    ]
    return pd.DataFrame(rows)


def _shown(value: float | list[float]) -> str:
    return ", ".join(f"{each:.4g}" for each in value) if isinstance(value, list) else f"{value:.4g}"


def _bic(each: Fit) -> float:
    return float("inf") if each.bic is None else each.bic


def _mixtures(sample: SizeSample) -> list[str]:
    """Return the mixtures that there are particles enough for."""
    different = len(np.unique(sample.sizes))
    return [name for name, parts in _PARTS.items() if len(sample) >= parts * _LEAST_A_PART and different > 2 * parts]


def _fits(sample: SizeSample, names: list[str]) -> list[Fit]:
    if len(sample) < _LEAST or sample.sizes[-1] <= sample.sizes[0] * (1 + 1e-9):
        raise InputError(f"fit: needs at least {_LEAST} particles of different sizes, got {len(sample)}; measure more")
    return [_fitted(name, sample.sizes, sample.weights) for name in names]


def _fitted(name: str, sizes: FloatArray, weights: FloatArray) -> Fit:
    density, named, free = _ESTIMATORS[name](sizes, weights)
    likely = float(weights @ np.log(np.maximum(density.pdf(sizes), np.finfo(float).tiny)))
    aic = None if free is None else 2 * free - 2 * likely
    bic = None if free is None else free * float(np.log(len(sizes))) - 2 * likely
    return Fit(name, density, named, likely, aic, bic)


def goodness_of_fit(sample: SizeSample, fitted: Fit, *, rng: np.random.Generator, repeats: int = 199) -> GoodnessOfFit:
    """Judge a fit by the parametric bootstrap: samples of as many particles are drawn from it and fitted anew.

    Without the second fit the p-values of tables would be far too large, as the fit follows its sample.

    References
    ----------
    Stute et al. 1993, 10.1007/BF02613687; Anderson & Darling 1952, 10.1214/aoms/1177729437.
    """
    count = max(_LEAST, round(sample.effective_count))
    observed = np.array(_distances(sample.sizes, sample.weights, fitted.density, count))
    further, ones = np.zeros(2), np.ones(count)
    estimate = _ESTIMATORS[fitted.name]
    if fitted.name in _PARTS:
        estimate = partial(_mixture, parts=_PARTS[fitted.name], start=fitted.parameters)
    for _ in range(repeats):
        drawn = fitted.density.draw(count, rng)
        again = estimate(drawn, ones)[0]
        further += np.array(_distances(drawn, ones, again, count)) >= observed
    ks_p, ad_p = (1 + further) / (1 + repeats)
    return GoodnessOfFit(float(observed[0]), float(ks_p), float(observed[1]), float(ad_p), repeats)


def _distances(sizes: FloatArray, weights: FloatArray, density: Density, count: float) -> tuple[float, float]:
    """Return the distances of Kolmogorov and Smirnov, and of Anderson and Darling, of a weighted sample."""
    at = np.clip(density.cdf(sizes), 1e-12, 1 - 1e-12)
    share = np.concatenate([[0], np.cumsum(weights) / weights.sum()])
    ks = max(np.abs(share[1:] - at).max(), np.abs(share[:-1] - at).max())
    ends = np.concatenate([[1e-15], at, [1 - 1e-15]])
    # the integral of (share - u)^2 / (u (1 - u)) du between two sizes, where share is constant
    whole = share**2 * np.diff(np.log(ends)) - (1 - share) ** 2 * np.diff(np.log1p(-ends)) - np.diff(ends)
    return float(ks), float(count * whole.sum())
