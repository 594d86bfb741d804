"""How much pooled scores would change with other images of the same kind."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.measurement.comparison import SizePool, distance_intervals
from nanolab.metrics.comparison import SegmentationComparison, pooled

__all__ = ["Intervals", "intervals"]

#: [low, high] by the name of the score; None where it is undefined.
Intervals = dict[str, list[float] | None]

_REPEATS = 1000
_KEY = 0xB007  # sets these draws apart from others of the same seed


def intervals(
    comparisons: Sequence[SegmentationComparison],
    iou: float,
    *,
    seed: int,
    repeats: int = _REPEATS,
    level: float = 0.95,
) -> Intervals:
    """Return intervals of the pooled scores: percentiles of a bootstrap over images (10.1214/aos/1176344552).

    The distances of sizes, which scatter only makes larger, have those of
    `nanolab.measurement.comparison.distance_intervals`.

    Whole images are drawn with replacement, as many as there are, because the particles of an image are alike. With
    fewer than about ten images the intervals are too narrow. Draws in which a score is undefined do not count for it.

    Parameters
    ----------
    iou
        The threshold at which the instances were matched, as in `SegmentationComparison.scores`.
    repeats
        Bootstrap samples.
    level
        Share of the bootstrap samples within the interval.

    Returns
    -------
    found
        [low, high] by name of the score; empty for a single image, which tells nothing about others.
    """
    if repeats < 1 or not 0 < level < 1:
        raise InputError(f"bootstrap: needs at least 1 repeat and a level between 0 and 1, got {repeats} and {level}")
    if len(comparisons) < 2:
        return {}
    rng = generator(seed, _KEY)
    draws = rng.integers(len(comparisons), size=(repeats, len(comparisons)))
    samples = [pooled([comparisons[at] for at in draw]).scores(iou) for draw in draws]
    tail = (1 - level) / 2
    found: Intervals = {}
    for name in pooled(comparisons).scores(iou):
        values = [value for sample in samples if (value := sample.get(name)) is not None]
        found[name] = np.quantile(values, [tail, 1 - tail]).tolist() if values else None
    return found | _of_sizes(comparisons, draws, level)


def _of_sizes(comparisons: Sequence[SegmentationComparison], draws: npt.NDArray[np.integer], level: float) -> Intervals:
    """Return intervals of the distances of sizes, where images drawn show both annotated and found particles."""
    sizes = [[each.ecd_found for each in comparisons], [each.ecd_annotated for each in comparisons]]
    unit = pooled(comparisons).unit
    if unit is None or not all(sum(map(len, each)) for each in sizes):
        return {}
    groups = [np.repeat(np.arange(len(each)), list(map(len, each))) for each in sizes]
    pool = SizePool.of([np.concatenate(each) for each in sizes], [np.ones(len(each)) for each in groups], groups)
    counted = [np.bincount(draw, minlength=len(comparisons)) for draw in draws]
    times = [pool.once * np.concatenate([each[:count] for count in pool.once.sum(axis=1)]) for each in counted]
    held = [each for each in times if each[:, pool.group].any(axis=1).all()]
    names = ("ecd_ks", f"ecd_wasserstein_{unit}")
    return dict(zip(names, distance_intervals(pool, held, level).tolist(), strict=True)) if held else {}
