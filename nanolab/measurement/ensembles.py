"""The error of segmentation carried into the size: what several epochs or networks make of the same images."""

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError
from nanolab.measurement.size_sample import SampleOptions, SizeSample, quantiles, size_sample

__all__ = ["ensemble_interval"]


def ensemble_interval(
    members: Mapping[str, pd.DataFrame],
    *,
    probability: float = 0.5,
    rng: np.random.Generator,
    repeats: int = 999,
    confidence: float = 0.95,
    **options: Unpack[SampleOptions],
) -> dict[str, Any]:
    """Return a quantile of the size, D50 by default, with an interval that knows the error of segmentation.

    Each bootstrap sample draws images, as everywhere, and one of the members that segmented them. Its spread then has
    two sources: other images of the sample (sampling), and another, as plausible, segmentation of the same images
    (between members). Errors that all members share, such as those of what they were trained on, are not in it.

    Parameters
    ----------
    members
        Particle table of the same images by each member (epoch, network, seed), at least two.
    probability
        0.5 for D50.
    options
        Of `nanolab.measurement.size_sample.size_sample`.

    Returns
    -------
    result
        `unit`; `value`, the mean of the members'; `members`, the value of each; `sd_between` and `sd_sampling`, and
        `sd_total`, their root sum of squares; `interval`, of all; `sampling_interval`, of images alone, the mean of
        the members'.

    References
    ----------
    The split is the law of total variance; drawing a member as well is how multiple imputation combines the two
    sources (Rubin 1987, 10.1002/9780470316696), with the members as they are in place of a model of them.
    """
    if len(members) < 2:
        raise InputError(f"members: need at least two segmentations of the same images, got {len(members)}")
    samples = {name: size_sample(table, **options) for name, table in members.items()}
    units = {sample.unit for sample in samples.values()}
    if len(units) > 1:
        raise InputError("members: some have a pixel size and others none; give all the same")
    images = sorted({image for sample in samples.values() for image in sample.images})
    values = {name: float(quantiles(sample.sizes, sample.weights, probability)) for name, sample in samples.items()}
    drawn = _drawn(list(samples.values()), images, probability, rng, repeats)
    each = np.array(list(values.values()))
    centred = drawn - drawn.mean(axis=0)
    mixed = drawn[np.arange(len(drawn)), rng.integers(len(samples), size=len(drawn))]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    between, sampling = float(each.std(ddof=1)), float(np.sqrt((centred**2).mean()))
    return {
        "quantity": options.get("quantity", "ecd"),
        "probability": probability,
        "unit": units.pop(),
        "value": float(each.mean()),
        "members": values,
        "images": len(images),
        "resampled": "images" if len(images) > 1 else "particles",
        "sd_between": between,
        "sd_sampling": sampling,
        "sd_total": float(np.hypot(between, sampling)),
        "interval": np.quantile(mixed, tails).tolist(),
        "sampling_interval": np.quantile(drawn, tails, axis=0).mean(axis=1).tolist(),
        "confidence": confidence,
        "repeats": repeats,
    }


def _drawn(
    samples: list[SizeSample], images: list[str], probability: float, rng: np.random.Generator, repeats: int
) -> npt.NDArray[np.float64]:
    """Return the quantile for each bootstrap sample of the images and each member, shape (repeats, members)."""
    number = {image: k for k, image in enumerate(images)}
    owners = [np.array([number[image] for image in sample.images])[sample.image] for sample in samples]
    result = np.empty((repeats, len(samples)))
    for row in result:
        times = rng.multinomial(len(images), np.full(len(images), 1 / len(images)))
        for k, (sample, owner) in enumerate(zip(samples, owners, strict=True)):
            count = len(sample)
            single = len(images) == 1
            drawn = rng.multinomial(count, np.full(count, 1 / count)) if single else times[owner]
            here = drawn > 0
            if here.any():
                row[k] = float(quantiles(sample.sizes[here], (sample.weights * drawn)[here], probability))
            else:  # none of the images drawn shows a particle to this member
                row[k] = np.nan
    return result[~np.isnan(result).any(axis=1)]
