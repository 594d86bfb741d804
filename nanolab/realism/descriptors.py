"""Plain properties of patches, ranked by how well each alone tells two sets apart."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from nanolab.realism.patches import Patches
from nanolab.realism.profiles import edge_distance, noise_level, radial_power

__all__ = ["DESCRIPTORS", "describe", "separability", "what_differs"]

#: What each column of `describe` is, for figures.
DESCRIPTORS: Mapping[str, str] = {
    "mean": "mean grey value",
    "contrast": "SD of grey values",
    "dark": "1st percentile",
    "bright": "99th percentile",
    "skewness": "skewness of grey values",
    "noise": "noise SD",
    "fine_power": "log power, periods 2-4 px",
    "middle_power": "log power, periods 4-16 px",
    "coarse_power": "log power, periods > 16 px",
    "spectral_slope": "slope of the log-log spectrum",
    "finest_slope": "fall of log power at 2-4 px (0: white)",
    "row_noise": "differences down columns over along rows",
    "ground_level": "ground, median",
    "ground_spread": "ground, SD after noise",
    "particle_level": "particle interior, median",
    "particle_spread": "particles, SD after noise",
    "rim": "rim over interior",
    "halo": "ground at the edge over far ground",
    "edge_width_px": "edge width in px",
    "coverage": "particle area fraction",
}

_INTERIOR_PX = 5.0
_RIM_PX = 4.0
_FAR_PX = 8.0
_LEAST = 30  # pixels that a level is taken from
_STEP_PX = 5  # to either side of an edge, where its width is measured
_LEAST_STEP = 0.02  # grey values; a smaller one is lost in noise


def describe(patches: Patches) -> pd.DataFrame:
    """Return the properties of each patch, one row per patch; NaN where a patch does not show what a property is of.

    Columns are the keys of `DESCRIPTORS`. Levels and spreads are grey values in [0, 1]. `rim` is the mean of the
    outermost 4 px of particles over their interior (5 px and more from the edge), `halo` that of the ground within
    4 px of particles over the ground from 8 px on, and `edge_width_px` the distance over which the mean profile rises
    from 10 to 90 % of its step within 5 px of the edge; these are of particle patches alone. `finest_slope` is 0 where
    white noise is all there is at the finest scale, and negative where it is smooth. `row_noise` is the ratio of the SD
    of differences between neighbouring rows to that between neighbouring columns: above 1 where scan lines are seen.
    """
    noise = noise_level(patches.pixels)
    grey = patches.pixels.reshape(len(patches), -1).astype(np.float64)
    dark, bright = np.quantile(grey, [0.01, 0.99], axis=1)
    centred = grey - grey.mean(axis=1, keepdims=True)
    spread = grey.std(axis=1)
    table = pd.DataFrame(
        {
            "mean": grey.mean(axis=1),
            "contrast": spread,
            "dark": dark,
            "bright": bright,
            "skewness": (centred**3).mean(axis=1) / np.maximum(spread, 1e-6) ** 3,
            "noise": noise,
            **_spectral(patches.pixels),
            "row_noise": _row_noise(patches.pixels),
            "coverage": patches.table["particle_fraction"].where(patches.table["kind"] == "particle").to_numpy(),
        }
    )
    levels = pd.DataFrame(_levels(patches, noise), index=table.index)
    return table.join(levels).reindex(columns=list(DESCRIPTORS))


def _spectral(pixels: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float64]]:
    frequency, power = radial_power(pixels)
    power = np.log10(power + 1e-12)
    bands = {"fine_power": (0.25, 1), "middle_power": (1 / 16, 0.25), "coarse_power": (0, 1 / 16)}
    columns = {
        name: power[:, (frequency > low) & (frequency <= high)].mean(axis=1) for name, (low, high) in bands.items()
    }
    steps = np.log10(frequency) - np.log10(frequency).mean()
    finest = power[:, frequency >= 0.4].mean(axis=1) - power[:, (frequency >= 0.25) & (frequency <= 1 / 3)].mean(axis=1)
    return {**columns, "spectral_slope": power @ steps / (steps @ steps), "finest_slope": finest}


def _row_noise(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    down, along = (np.diff(pixels, axis=axis).reshape(len(pixels), -1).std(axis=1) for axis in (1, 2))
    return np.asarray(down / np.maximum(along, 1e-6), dtype=np.float64)


def _levels(patches: Patches, noise: npt.NDArray[np.float64]) -> Iterator[dict[str, float]]:
    for grey, particle, sigma, kind in zip(patches.pixels, patches.particle, noise, patches.table["kind"], strict=True):
        distance = edge_distance(particle)
        ground = {} if kind == "unknown" else _ground_row(grey[distance < -_FAR_PX], float(sigma))
        yield ground | _particle_row(grey, distance, float(sigma)) if kind == "particle" else ground


def _ground_row(far: npt.NDArray[np.float32], sigma: float) -> dict[str, float]:
    if far.size < _LEAST:
        return {}
    return {"ground_level": float(np.median(far)), "ground_spread": _beyond_noise(far, sigma)}


def _particle_row(grey: npt.NDArray[np.float32], distance: npt.NDArray[np.float32], sigma: float) -> dict[str, float]:
    far, inside = grey[distance < -_FAR_PX], grey[distance > _INTERIOR_PX]
    beside, rim = grey[(distance < 0) & (distance > -_RIM_PX)], grey[(distance > 0) & (distance < _RIM_PX)]
    row: dict[str, float] = {}
    if inside.size >= _LEAST:
        row |= {"particle_level": float(np.median(inside)), "particle_spread": _beyond_noise(inside, sigma)}
    if rim.size >= _LEAST and inside.size >= _LEAST:
        row["rim"] = float(rim.mean() / max(inside.mean(), 1e-3))
    if beside.size >= _LEAST and far.size >= _LEAST:
        row["halo"] = float(beside.mean() / max(far.mean(), 1e-3))
    width = _edge_width(distance, grey)
    return row if width is None else {**row, "edge_width_px": width}


def _beyond_noise(grey: npt.NDArray[np.float32], sigma: float) -> float:
    return float(np.sqrt(max(float(grey.var()) - sigma**2, 0.0)))


def _edge_width(distance: npt.NDArray[np.float32], grey: npt.NDArray[np.float32]) -> float | None:
    edges = np.arange(-_STEP_PX, _STEP_PX + 1)
    counts = np.histogram(distance, edges)[0]
    if counts.min() < 5:
        return None
    profile = np.histogram(distance, edges, weights=grey)[0] / counts
    low, high = profile[:2].mean(), profile[-3:].max()
    if high - low < _LEAST_STEP:
        return None
    rise = np.maximum.accumulate((profile - low) / (high - low))
    start, end = np.interp([0.1, 0.9], rise, (edges[:-1] + edges[1:]) / 2)
    return float(end - start)


def separability(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Chance that a value of the second sample exceeds one of the first (area under the ROC curve); NaN left out.

    0.5 where the property does not tell the sets apart, 0 or 1 where it alone does.
    """
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if min(len(first), len(second)) == 0:
        return float("nan")
    ranks = rankdata(np.concatenate([first, second]))[len(first) :].sum()
    return float((ranks - len(second) * (len(second) + 1) / 2) / (len(first) * len(second)))


def what_differs(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    halves: Sequence[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]],
) -> pd.DataFrame:
    """Rank properties by how much better they tell synthetic from real than one half of the real images from another.

    Parameters
    ----------
    real, synthetic
        Of `describe`.
    halves
        Which patches are of either half of the real images, for several ways to halve them.

    Returns
    -------
    table
        One row per property: property, real_median, real_low, real_high (10th and 90th percentile), the same of
        synthetic, auc (see `separability`), baseline_auc (mean over the halvings, mirrored to at least 0.5), and
        excess: how far auc is from 0.5 beyond that.
    """
    rows = []
    for name in DESCRIPTORS:
        ours, theirs = (table[name].to_numpy(dtype=float) for table in (real, synthetic))
        between = [0.5 + abs(separability(ours[one], ours[other]) - 0.5) for one, other in halves]
        auc, baseline = separability(ours, theirs), float(np.nanmean(between)) if np.isfinite(between).any() else np.nan
        row = {"property": name, **_summary(ours, "real"), **_summary(theirs, "synthetic")}
        rows.append({**row, "auc": auc, "baseline_auc": baseline, "excess": abs(auc - 0.5) + 0.5 - baseline})
    table = pd.DataFrame(rows).dropna(subset=["auc", "baseline_auc"])
    return table.sort_values("excess", ascending=False, ignore_index=True)


def _summary(values: npt.NDArray[np.floating], prefix: str) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return {f"{prefix}_{name}": float("nan") for name in ("median", "low", "high")}
    median, low, high = np.quantile(known, [0.5, 0.1, 0.9])
    return {f"{prefix}_median": float(median), f"{prefix}_low": float(low), f"{prefix}_high": float(high)}
