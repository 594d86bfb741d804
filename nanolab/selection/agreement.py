"""Choosing an epoch without any annotation: by how far its particles agree, and how plausible they are.

A network that errs, errs differently from epoch to epoch and from mirror image to mirror image, while what it finds
for a reason stays. Whether this tells a good epoch from a bad one must be tested on annotated images, which
`nanolab.selection.shortfall` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.measure import regionprops_table

from nanolab.core.typing import AnyLabelMap
from nanolab.measurement.particles import equivalent_diameter
from nanolab.metrics.instance import match
from nanolab.metrics.pixel import pixel_scores

__all__ = ["JUDGEMENTS", "agreement", "judge_epochs"]


#: What epochs are judged by; "mirrors" only where the mirror images were looked at.
JUDGEMENTS = ("neighbours", "consensus", "mirrors", "shape", "size")

_FACTOR = 3.0  # a particle is plausible up to so many times larger or smaller than the usual one
_COMPARED = 6  # epochs that stand for all in the consensus


def agreement(first: AnyLabelMap, second: AnyLabelMap) -> float:
    """Return how far two label maps (height, width) agree, 0 to 1; two without particles do not.

    It is the mean of the Dice coefficient of the particle area and the F1 over particles at an IoU of 0.5.
    """
    if not (first.any() and second.any()):
        return 0.0
    return (pixel_scores(first, second).dice + match(first, second, 0.5).f1) / 2


def judge_epochs(
    found: Mapping[int, AnyLabelMap],
    *,
    mirrored: Mapping[int, Sequence[AnyLabelMap]] | None = None,
    diameter_px: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Judge what epochs find in one image, without annotation.

    Parameters
    ----------
    found
        Label map (height, width) by epoch.
    mirrored
        By epoch the label maps of the mirrored image, mirrored back.
    diameter_px
        Smallest and largest equivalent diameter that a particle can have. If not given, a third of and three times
        the median over all epochs, which does not count in the mean rank: it comes from the epochs themselves, and
        where they are wrong together they only confirm each other.

    Returns
    -------
    judged
        One row per epoch, all columns but the first the better the higher: epoch; `neighbours`, the mean `agreement`
        with the epochs before and after; `consensus`, that with epochs from all over the training, the median of
        opinions so to say; `mirrors`, that with mirror images, if given; `shape`, the mean solidity of the particles,
        each weighted by its area (area by area of the convex hull: lumps and frayed edges have a low one); `size`, the
        share of the particle area in particles of a plausible diameter; and `agreement`, the mean rank in these as a
        share of the number of epochs.
    """
    epochs = sorted(found)
    measured = {epoch: _measured(found[epoch]) for epoch in epochs}
    low, high = diameter_px or _usual(measured.values())
    columns = {"neighbours": _neighbours(found, epochs), "consensus": _consensus(found, epochs)}
    if mirrored is not None:
        columns["mirrors"] = [_mean(agreement(found[e], each) for each in mirrored[e]) for e in epochs]
    columns["shape"] = [_weighted(area, solidity) for area, _, solidity in measured.values()]
    columns["size"] = [_weighted(area, (low <= ecd) & (ecd <= high)) for area, ecd, _ in measured.values()]
    counted = [name for name in columns if name != "size" or diameter_px is not None]
    ranks = pd.DataFrame(columns)[counted].rank(pct=True)
    return pd.DataFrame({"epoch": epochs, **columns, "agreement": ranks.mean(axis=1)})


def _neighbours(found: Mapping[int, AnyLabelMap], epochs: Sequence[int]) -> list[float]:
    steps = [agreement(found[before], found[after]) for before, after in pairwise(epochs)]
    return [_mean(steps[max(0, at - 1) : at + 1]) for at in range(len(epochs))]


def _consensus(found: Mapping[int, AnyLabelMap], epochs: Sequence[int]) -> list[float]:
    chosen = np.unique(np.linspace(0, len(epochs) - 1, min(_COMPARED, len(epochs))).round().astype(int))
    others = [epochs[at] for at in chosen]
    known: dict[tuple[int, int], float] = {}
    for epoch in epochs:
        for other in others:
            pair = (min(epoch, other), max(epoch, other))
            if epoch != other and pair not in known:
                known[pair] = agreement(found[epoch], found[other])
    return [_mean(known[min(e, o), max(e, o)] for o in others if o != e) for e in epochs]


def _measured(labels: AnyLabelMap) -> tuple[npt.NDArray[np.float64], ...]:
    """Return area, equivalent diameter and solidity of each particle."""
    found = regionprops_table(labels, properties=("area", "solidity"))
    area = found["area"].astype(np.float64)
    return area, equivalent_diameter(area), np.asarray(found["solidity"], dtype=np.float64)


def _usual(measured: Iterable[tuple[npt.NDArray[np.float64], ...]]) -> tuple[float, float]:
    diameters = np.concatenate([ecd for _, ecd, _ in measured])
    median = float(np.median(diameters)) if len(diameters) else 1.0
    return median / _FACTOR, median * _FACTOR


def _weighted(weights: npt.NDArray[np.float64], values: npt.NDArray[np.generic]) -> float:
    return float(np.average(values.astype(np.float64), weights=weights)) if weights.sum() else 0.0


def _mean(values: Iterable[float]) -> float:
    each = list(values)
    return float(np.mean(each)) if each else 0.0
