"""The sizes of a sample: which particles of a table count, and how much."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError, check_choice
from nanolab.core.typing import FloatArray
from nanolab.core.words import count_words
from nanolab.measurement.conditions import fulfilling
from nanolab.measurement.particles import sizes_of

__all__ = ["Border", "SampleOptions", "SizeSample", "border_weights", "quantiles", "replicates", "size_sample"]

_ROUNDING = 1e-12  # of a sum of weights that are no round numbers
#: What becomes of particles that the border of the image cuts.
Border = Literal["correct", "drop", "keep"]


class SampleOptions(TypedDict, total=False):
    """What `size_sample` takes by name, and so what takes a sample by its tables or images."""

    quantity: str
    border: Border
    min_area_px: int
    where: str


@dataclass(frozen=True, eq=False)
class SizeSample:
    """Sizes of N particles in ascending order, each with its weight and its image.

    Attributes
    ----------
    sizes
        Shape (N,), in `unit`.
    weights
        Shape (N,), for number-weighted distributions, mean 1.
    volume_weights
        Shape (N,), the same times ECD^3, mean 1: the volume of a sphere of the same projected area.
    image
        Shape (N,), number of the particle's image among `images`.
    images
        Names of the images that have particles.
    unit
        "nm" or "px".
    quantity
        Which size, see `nanolab.measurement.particles.DESCRIPTORS`.
    border
        What was done about particles cut by the border.
    cut, small, refused, lonely
        How many particles touch the border, and how many were left out as too small, as not fulfilling a condition, and
        as having no such size, because they are alone in their image.
    rows
        Shape (N,), places of the particles in the table they are from.
    """

    sizes: FloatArray
    weights: FloatArray
    volume_weights: FloatArray
    image: npt.NDArray[np.int64]
    images: tuple[str, ...]
    unit: str
    quantity: str
    border: Border
    cut: int
    small: int
    refused: int
    lonely: int
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def effective_count(self) -> float:
        """Number of equally weighted particles that scatter as much, (sum w)^2 / sum w^2 (Kish 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def size_sample(
    particles: pd.DataFrame, quantity: str = "ecd", *, border: Border = "correct", min_area_px: int = 0, where: str = ""
) -> SizeSample:
    """Take the sizes of one sample from the particle table of its images.

    Parameters
    ----------
    particles
        Of `nanolab.measurement.particles.measure`, of one or several images.
    quantity
        Which length is the size: "ecd", "sqrt_area", "feret_min", ...
    border
        "correct": particles that touch the border are left out, and the others count for those of their size that were
        cut, see `border_weights`. "drop": left out without correction, which makes large particles too rare. "keep":
        counted with the size of the part that is seen.
    min_area_px
        Particles of fewer pixels are fragments or noise, and left out.
    where
        Condition that the others must fulfil, see `nanolab.measurement.conditions.fulfilling`.

    Raises
    ------
    InputError
        If no particle is left, the condition is none, or some of them have a pixel size and others none.
    """
    check_choice(border, "border", get_args(Border))
    particles = particles.reset_index(drop=True)
    big = particles[particles["area_px"] >= min_area_px]
    wanted = big[fulfilling(big, where)]
    if len(big) and not len(wanted):
        raise InputError(f"sizes: none of {len(big)} particles fulfils {where!r}; ask for less")
    cut = wanted["touches_border"].to_numpy(dtype=bool)
    kept = wanted if border == "keep" else wanted[~cut]
    if not len(kept):
        raise InputError(_nothing_left(len(particles), len(wanted), border))
    known = ~np.isnan(sizes_of(kept, quantity)[0])
    lonely, kept = int((~known).sum()), kept[known]
    if not len(kept):
        raise InputError(f"{quantity}: every particle is alone in its image; choose another size")
    sizes, unit = sizes_of(kept, quantity)
    order = np.argsort(sizes, kind="stable")
    weights = border_weights(kept) if border == "correct" else np.ones(len(kept))
    volume = weights * kept["ecd_px"].to_numpy(dtype=np.float64) ** 3
    if unit == "nm":
        volume = weights * kept["ecd_nm"].to_numpy(dtype=np.float64) ** 3
    image, names = pd.factorize(kept["image"].astype(str).to_numpy(dtype=object), sort=True)
    return SizeSample(
        sizes[order],
        (weights / weights.mean())[order],
        (volume / volume.mean())[order],
        image[order],
        tuple(names),
        unit,
        quantity,
        border,
        int(cut.sum()),
        len(particles) - len(big),
        len(big) - len(wanted),
        lonely,
        kept.index.to_numpy()[order],
    )


def _nothing_left(count: int, big: int, border: Border) -> str:
    if not count:
        return "sizes: needs at least one particle, got none; segment images that show some"
    if not big:
        return f"sizes: {count_words(count, 'particle')} below the least area, and no others; lower it"
    cut = count_words(big, "particle")
    return f"sizes: {cut} cut by the border, and no others; border 'keep' counts them (got {border!r})"


def border_weights(particles: pd.DataFrame) -> FloatArray:
    """Return for each particle how many of its size the image would show if its border cut none.

    A particle of bounding box w x h lies wholly inside an image W x H for (W - w) (H - h) of the W H places that its
    corner could have, so it counts W H / ((W - w) (H - h)) times (Miles-Lantuejoul); those that touch the border must
    be left out.

    Returns
    -------
    weights
        Shape (particles,), at least 1.

    References
    ----------
    Miles 1974, in Harding & Kendall, Stochastic Geometry, pp. 228-247; Lantuejoul 1980, Microsc. Acta Suppl. 4,
    266-273; Chiu et al. 2013, Stochastic Geometry and its Applications, 10.1002/9781118658222; ISO 13322-1:2014.
    """
    try:
        size = [particles[f"image_{side}_px"].to_numpy(dtype=np.float64) for side in ("height", "width")]
        box = [particles[f"box_{side}_px"].to_numpy(dtype=np.float64) for side in ("height", "width")]
    except KeyError as error:
        raise InputError(f"particle table: has no column {error}, which the border needs; measure again") from error
    inside = (size[0] - box[0]) * (size[1] - box[1])
    if (inside <= 0).any():
        raise InputError("border: a particle as wide or high as its image cannot be corrected for; use border 'keep'")
    return np.asarray(size[0] * size[1] / inside)


def quantiles(sizes: FloatArray, weights: FloatArray, probabilities: float | Sequence[float]) -> FloatArray:
    """Return quantiles of a weighted sample: the smallest size up to which at least that part of the weight lies.

    This is the cumulative distribution of ISO 9276-2 read as the step function that counted particles give. Each
    quantile is a size that occurs; between two sizes, where no weight lies, there is none.

    Parameters
    ----------
    sizes
        Shape (particles,), ascending.
    weights
        Shape (particles,), above 0.
    """
    upto = np.cumsum(weights)
    at = np.searchsorted(upto, np.asarray(probabilities) * upto[-1] * (1 - _ROUNDING))
    return np.asarray(sizes[at])


def replicates(
    sample: SizeSample,
    statistic: Callable[[FloatArray, FloatArray, FloatArray], npt.ArrayLike],
    *,
    repeats: int,
    rng: np.random.Generator,
    count: int | None = None,
) -> FloatArray:
    """Return a statistic of bootstrap samples, shape (repeats, ...): whole images are drawn, with all their particles.

    Particles of an image are alike (same place of the sample, same focus), so that drawing single particles would make
    intervals too narrow. Only where there is but one image, particles are drawn.

    Parameters
    ----------
    statistic
        Takes sizes, weights and volume weights of the particles drawn, shape (particles,), in ascending order.
    count
        How many images, or particles, are drawn each time; as many as there are if None.

    References
    ----------
    Davison & Hinkley 1997, Bootstrap Methods and their Application, 3.8, 10.1017/CBO9780511802843.
    """
    groups = sample.image if len(sample.images) > 1 else np.arange(len(sample))
    there = int(groups.max()) + 1
    drawn = (rng.multinomial(there if count is None else count, np.full(there, 1 / there)) for _ in range(repeats))
    return np.array([_replicate(sample, statistic, times[groups]) for times in drawn], dtype=np.float64)


def _replicate(
    sample: SizeSample,
    statistic: Callable[[FloatArray, FloatArray, FloatArray], npt.ArrayLike],
    times: npt.NDArray[np.int64],
) -> npt.ArrayLike:
    drawn = times > 0
    return statistic(sample.sizes[drawn], (sample.weights * times)[drawn], (sample.volume_weights * times)[drawn])
