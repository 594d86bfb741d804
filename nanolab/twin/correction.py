"""Sizes as found and corrected, with an interval and what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.measurement.size_sample import quantiles
from nanolab.twin.response import Tallies
from nanolab.twin.unfolding import PROBABILITIES, Spectrum, unfold

__all__ = ["NAMES", "Correction", "FoundSizes", "correct"]

_SUMS = ("d10_nm", "d50_nm", "d90_nm", "mean_nm", "geometric_mean_nm", "geometric_sd")
#: What a spectrum is summed up by, in the order of `Spectrum.values`. Geometric mean and SD are the log-normal fit.
NAMES = ("count", *(f"{name}{by}" for by in ("", "_by_volume") for name in _SUMS))
_CONFIDENCE = 0.95
_MORE = 1.6  # ratio of variances that chance alone seldom gives (two of 60 degrees of freedom: one in 28)
_MANY = 1000  # degrees of freedom of what is known as well as it can be


@dataclass(frozen=True, eq=False)
class FoundSizes:
    """Sizes found in the images of a sample, shape (particles,) each.

    `groups` numbers what is drawn anew to learn the scatter: images, or particles where there is one image.
    """

    sizes: FloatArray
    weights: FloatArray
    groups: npt.NDArray[np.int64]
    area_nm2: float

    def spectra(self, edges: FloatArray) -> FloatArray:
        """Return the weights in bins, shape (groups, bins); sizes beyond the bins count in the last ones."""
        table = np.zeros((int(self.groups.max()) + 1, len(edges) - 1))
        place = np.clip(np.searchsorted(edges, self.sizes, side="right") - 1, 0, len(edges) - 2)
        np.add.at(table, (self.groups, place), self.weights)
        return table


@dataclass(frozen=True, eq=False)
class Correction:
    """Sizes of a sample, corrected.

    Attributes
    ----------
    spectrum
        What is there.
    found
        Shape (bins,), what was found in the same bins.
    values, as_found
        By `NAMES`.
    interval
        [low, high] of each value, 95 %.
    variances
        Of the logarithm of each value, by source: images, twins, recipe, settings, pixel size.
    """

    spectrum: Spectrum
    found: FloatArray
    values: dict[str, float]
    as_found: dict[str, float]
    interval: dict[str, list[float]]
    variances: dict[str, dict[str, float]]

    def share(self, name: str, source: str) -> float:
        """Return which part of the variance of a value comes from a source."""
        total = sum(self.variances[name].values())
        return self.variances[name][source] / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as found and corrected, and the uncertainty budget, ready for JSON."""
        budget = {
            name: {
                source: {"standard_uncertainty": float(np.sqrt(each)), "share": self.share(name, source)}
                for source, each in of.items()
            }
            for name, of in self.variances.items()
        }
        low, high = self.spectrum.range_nm
        found = replace(self.spectrum, counts=self.found, known=np.ones_like(self.spectrum.known))
        return {
            "as_found": {**_nested(self.as_found, {}), "distribution": _distribution(found)},
            "corrected": {
                **_nested(self.values, self.interval),
                "known_from_nm": low,
                "known_to_nm": high,
                "distribution": _distribution(self.spectrum),
            },
            "budget": budget,
        }


def _distribution(spectrum: Spectrum) -> dict[str, list[float]]:
    """Return the edges of the bins and the shares of particles and of their volume in each."""
    shares = {by: each / each.sum() for by, each in zip(("number", "volume"), spectrum.amounts(), strict=True)}
    return {name: each.tolist() for name, each in {"edges_nm": spectrum.edges, **shares}.items()}


def _nested(values: Mapping[str, float], interval: Mapping[str, list[float]]) -> dict[str, Any]:
    """Return the values with their intervals next to them, those by volume in a mapping of their own."""
    nested: dict[str, Any] = {"by_volume": {}}
    for name, value in values.items():
        plain = name.removesuffix("_by_volume")
        into = nested if plain == name else nested["by_volume"]
        into[plain] = value
        if name in interval:
            into[f"{plain}_interval"] = interval[name]
    return nested


def correct(
    samples: Sequence[FoundSizes],
    twins: Sequence[Tallies],
    *,
    count: int,
    particles: Tallies | None = None,
    pixel_size_error: float = 0.0,
    rng: np.random.Generator,
    repeats: int = 200,
) -> Correction:
    """Correct the sizes of a sample, and say how well they are known.

    The uncertainty is put together as in the guide of the BIPM: the scatter over images and that over twins, by a
    bootstrap of each with the other held; how much twins differ beyond the chance of their particles; the spread over
    settings, the root of the mean square of how far the value is from that with each of the other settings; the pixel
    size. Their degrees of freedom give the factor of the interval (Welch & Satterthwaite), which is symmetric in the
    logarithm, because no size is below 0.

    Parameters
    ----------
    samples, twins
        What was found with each setting in the images and in the twins; the first setting is the user's.
    count
        How many particles count in the images with the first setting.
    particles
        The first of `twins` with their particles dealt out to as many groups at random, of
        `nanolab.twin.response.dealt`. Where groups scatter more than these, the sample, being one draw of what the
        recipe leaves open, may be unlike their mean: the source `recipe`.
    pixel_size_error
        Standard uncertainty of the pixel size, relative.

    References
    ----------
    JCGM 100:2008, Evaluation of measurement data, 5.1 and G.4; Davison & Hinkley 1997, 10.1017/CBO9780511802843, 3.8.
    """
    spectra = [sample.spectra(tallies.edges) for sample, tallies in zip(samples, twins, strict=True)]
    areas = [sample.area_nm2 for sample in samples]
    known = _unfolded(spectra[0], twins[0], areas[0])
    value = known.values()
    scale = count / samples[0].weights.sum()  # from weighted numbers to the user's way to count
    drawn_images, drawn_twins = (_redrawn(len(of), repeats, rng) for of in (spectra[0], twins[0].true))
    first = partial(_unfolded, spectra[0], twins[0], areas[0])
    by_images = [_in_range(first(images=times), known) for times in drawn_images]
    scatter = _variance([_in_range(first(groups=times), known) for times in drawn_twins])
    chance = scatter
    if particles is not None:
        dealt = partial(_unfolded, spectra[0], particles, areas[0])
        chance = _variance([_in_range(dealt(groups=times), known) for times in drawn_twins])
    beyond = np.asarray(np.where(scatter > _MORE * chance, scatter - chance, 0), dtype=np.float64)
    others = [
        _in_range(_unfolded(*each), known) - np.log(value)
        for each in zip(spectra[1:], twins[1:], areas[1:], strict=True)
    ]
    sources: dict[str, tuple[FloatArray, float]] = {
        "images": (_variance(by_images), len(spectra[0]) - 1),
        "twins": (scatter, len(twins[0].true) - 1),
        "recipe": (beyond * len(drawn_twins[0]), len(drawn_twins[0]) - 1),
        "settings": (np.mean(np.square(others), axis=0) if others else np.zeros(len(NAMES)), max(len(others), 1)),
        "pixel size": (np.where(["_nm" in name for name in NAMES], pixel_size_error**2, 0), _MANY),
    }
    half = _half_width(sources)
    value[0] *= scale
    return Correction(
        known,
        spectra[0].sum(axis=0),
        dict(zip(NAMES, value.tolist(), strict=True)),
        dict(zip(NAMES, [count, *_as_found(samples[0])], strict=True)),
        {name: [float(v / f), float(v * f)] for name, v, f in zip(NAMES, value, np.exp(half), strict=True)},
        {name: {source: float(of[k]) for source, (of, _) in sources.items()} for k, name in enumerate(NAMES)},
    )


def _unfolded(
    spectra: FloatArray,
    twins: Tallies,
    area_nm2: float,
    *,
    images: FloatArray | None = None,
    groups: FloatArray | None = None,
) -> Spectrum:
    found = spectra.sum(axis=0) if images is None else images @ spectra
    return unfold(found, twins.response(groups), area_nm2=area_nm2)


def _in_range(spectrum: Spectrum, known: Spectrum) -> FloatArray:
    """Return the logarithm of the values of a spectrum in the sizes that are known with the user's setting."""
    return np.log(replace(spectrum, known=known.known).values())


def _as_found(sample: FoundSizes) -> list[float]:
    order = np.argsort(sample.sizes)
    sizes, weights = sample.sizes[order], sample.weights[order]
    values = []
    for each in (weights, weights * sizes**3):
        values += [*quantiles(sizes, each, PROBABILITIES).tolist(), float(np.average(sizes, weights=each))]
        log_mean = float(np.average(np.log(sizes), weights=each))
        values += [np.exp(log_mean), np.exp(np.sqrt(np.average((np.log(sizes) - log_mean) ** 2, weights=each)))]
    return [float(each) for each in values]


def _redrawn(count: int, repeats: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each of `count` is drawn, shape (repeats, count)."""
    if count < 2:
        raise InputError(f"twin: needs at least 2 images or particles to learn their scatter, got {count}")
    return rng.multinomial(count, np.full(count, 1 / count), repeats).astype(np.float64)


def _variance(drawn: list[FloatArray]) -> FloatArray:
    return np.asarray(np.var(drawn, axis=0, ddof=1))


def _half_width(sources: Mapping[str, tuple[FloatArray, float]]) -> FloatArray:
    variances, freedom = zip(*sources.values(), strict=True)
    total = np.sum(variances, axis=0)
    squares = np.sum([each**2 / of for each, of in zip(variances, freedom, strict=True)], axis=0)
    effective = np.divide(total**2, squares, out=np.full_like(total, _MANY), where=squares > 0)
    return np.asarray(stats.t.ppf((1 + _CONFIDENCE) / 2, effective) * np.sqrt(total))
