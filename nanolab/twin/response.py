"""What a network does to sizes: the probability of each found size for each true one, from matched label maps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from nanolab.core.checks import InputError
from nanolab.core.typing import AnyLabelMap, FloatArray
from nanolab.metrics.instance import overlaps

__all__ = ["Counted", "MatchedTwin", "Response", "Tallies", "dealt", "log_edges", "match_twin", "tally"]

_STEP = 0.08  # of the logarithm of the size between two bins
_NARROW, _WIDE = 0.05, 0.15  # SD of the logarithm over which neighbouring sizes are pooled, least and most
_NEIGHBOURS = 50  # so many true particles are reached for
_LEAST = 10  # true particles, pooled; with fewer nothing is said of a size
_BACKGROUND = 2  # bins, SD over which false particles are pooled
_ON_PARTICLES = 0.5  # of its area: a found particle with less on true ones is false


@dataclass(frozen=True, eq=False)
class Counted:
    """The particles of one image that count: labels, sizes in nm and weights, each of shape (particles,)."""

    labels: npt.NDArray[np.int64]
    sizes: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """Take the columns `label`, `size_nm` and `weight` of a table."""
        return cls(*(table[name].to_numpy() for name in ("label", "size_nm", "weight")))

    def take(self, which: npt.NDArray[np.int64]) -> "Counted":
        """Return some of them, by place."""
        return Counted(self.labels[which], self.sizes[which], self.weights[which])


@dataclass(frozen=True, eq=False)
class MatchedTwin:
    """The particles of a twin, found and true.

    Attributes
    ----------
    true, found
        Those that count.
    cause
        Shape (found,), place of the true particle that a found one shows, -1 where it shows none.
    taken
        Shape (true,), whether a found particle that shows another one covers at least half of it.
    area_nm2
        Of the image.
    """

    true: Counted
    found: Counted
    cause: npt.NDArray[np.int64]
    taken: npt.NDArray[np.bool_]
    area_nm2: float

    @property
    def fates(self) -> npt.NDArray[np.str_]:
        """What became of each true particle: found, split (by two or more), merged (into another one) or missed."""
        times = np.bincount(self.cause[self.cause >= 0], minlength=len(self.true.sizes))
        return np.select([times > 1, times == 1, self.taken], ["split", "found", "merged"], "missed")

    def times(self, factor: float) -> "MatchedTwin":
        """Return the twin as if it were there so many times."""
        true, found = (replace(each, weights=each.weights * factor) for each in (self.true, self.found))
        return replace(self, true=true, found=found, area_nm2=self.area_nm2 * factor)


def match_twin(
    truth: AnyLabelMap, found: AnyLabelMap, counted: tuple[Counted, Counted], *, area_nm2: float
) -> MatchedTwin:
    """Say for each found particle which true one it shows: the one with which it shares the most pixels.

    Unlike in a matching of one to one by intersection over union, each piece of a particle in pieces has its cause, and
    of particles taken for one the others are missed. A found particle is false where less than half of it lies on true
    ones, or where what it shows does not count.

    Parameters
    ----------
    truth, found
        Label maps, shape (height, width).
    counted
        The particles of either that count, such as those that no border cuts.
    """
    both, (true, seen) = overlaps(truth, found), counted
    true_px, found_px = (np.bincount(np.ravel(each)) for each in (truth, found))
    of_true, of_found = both.true_labels[both.rows], both.found_labels[both.cols]
    common = both.ious / (1 + both.ious) * (true_px[of_true] + found_px[of_found])
    on_particles = np.bincount(of_found, common, minlength=len(found_px)) >= _ON_PARTICLES * found_px
    table = pd.DataFrame({"true": of_true, "found": of_found, "common": common}).sort_values("common")
    best = table.drop_duplicates("found", keep="last").set_index("found")["true"]
    shown = best.reindex(seen.labels).fillna(0).to_numpy(dtype=np.int64) * on_particles[seen.labels]
    place = np.full(len(true_px), -1)
    place[true.labels] = np.arange(len(true.labels))
    covered = table[table["common"] >= 0.5 * true_px[table["true"]]]
    covered = covered[best.reindex(covered["found"]).to_numpy() != covered["true"].to_numpy()]
    return MatchedTwin(true, seen, place[shown], np.isin(true.labels, covered["true"]), area_nm2)


def dealt(twins: Sequence[MatchedTwin], count: int, rng: np.random.Generator) -> list[MatchedTwin]:
    """Deal the particles of twins out to `count` twins at random, each with what was found of it.

    What these scatter by is the chance of single particles; real twins scatter by what differs between them as well.
    """
    true, found = (_joined([getattr(each, name) for each in twins]) for name in ("true", "found"))
    starts = np.cumsum([0, *(len(each.true.sizes) for each in twins)])[:-1]
    cause = np.concatenate(
        [np.where(each.cause < 0, -1, each.cause + k) for each, k in zip(twins, starts, strict=True)]
    )
    owner, lone = rng.integers(count, size=len(true.sizes)), rng.integers(count, size=len(cause))
    of_found = np.where(cause < 0, lone, owner[cause])
    area, made = sum(each.area_nm2 for each in twins) / count, []
    for twin in range(count):
        mine, seen = np.flatnonzero(owner == twin), np.flatnonzero(of_found == twin)
        place = np.where(cause[seen] < 0, -1, np.searchsorted(mine, cause[seen]))
        made.append(MatchedTwin(true.take(mine), found.take(seen), place, np.zeros(len(mine), dtype=np.bool_), area))
    return made


def _joined(parts: Sequence[Counted]) -> Counted:
    return Counted(
        *(np.concatenate([getattr(each, name) for each in parts]) for name in ("labels", "sizes", "weights"))
    )


def log_edges(*sizes: FloatArray) -> FloatArray:
    """Return edges of bins of equal ratio, shape (bins + 1,), that hold all sizes."""
    every = np.log(np.concatenate(sizes))
    if not len(every):
        raise InputError("twin: needs particles, true and found; choose a recipe that shows some")
    first, last = np.floor(every.min() / _STEP), np.ceil(every.max() / _STEP) + 1
    return np.exp(_STEP * np.arange(first, last + 1))


@dataclass(frozen=True, eq=False)
class Response:
    """What a network does to sizes, in n bins.

    Attributes
    ----------
    edges
        Shape (n + 1,), in nm.
    matrix
        Shape (found, true): how many particles are found in a bin for each true one of a bin.
    false_nm2
        Shape (n,), how many particles that are none are found in each bin for each nm2 of an image.
    supported
        Shape (n,), of which true sizes the twins show enough.
    """

    edges: FloatArray
    matrix: FloatArray
    false_nm2: FloatArray
    supported: npt.NDArray[np.bool_]

    @property
    def efficiency(self) -> FloatArray:
        """How many particles are found for each true one of a bin, shape (n,)."""
        return np.asarray(self.matrix.sum(axis=0))


@dataclass(frozen=True, eq=False)
class Tallies:
    """Counts of twins, those of a group (the images of one scene) together, so that groups can be drawn anew.

    Attributes
    ----------
    edges
        Shape (n + 1,), in nm.
    pairs, true, false
        Shape (groups, found, true), (groups, true) and (groups, found), weights.
    area_nm2
        Shape (groups,).
    """

    edges: FloatArray
    pairs: FloatArray
    true: FloatArray
    false: FloatArray
    area_nm2: FloatArray

    def response(self, times: npt.ArrayLike | None = None) -> Response:
        """Return the response when each group counts so many `times`, shape (groups,); once by default."""
        times = np.ones(len(self.true)) if times is None else np.asarray(times, dtype=np.float64)
        true = times @ self.true
        matrix = np.tensordot(times, self.pairs, 1) / np.where(true > 0, true, 1)
        return Response(self.edges, matrix, times @ self.false / (times @ self.area_nm2), true >= _LEAST)


def tally(twins: Sequence[MatchedTwin], edges: FloatArray, groups: npt.ArrayLike | None = None) -> Tallies:
    """Count what became of the particles of twins, pooled over neighbouring sizes.

    In the bin of a true size count the particles around it too, the less the farther, each moved there together with
    what was found of it: what happens to a size is taken to happen, as a ratio, to its neighbours.

    Parameters
    ----------
    groups
        Shape (twins,), which images belong together; each for itself by default.
    """
    number = np.unique(np.arange(len(twins)) if groups is None else groups, return_inverse=True)[1]
    middles, low = np.log(edges[:-1] * edges[1:]) / 2, np.log(edges[0])
    every = np.log(np.concatenate([each.true.sizes for each in twins]))
    if not len(every):
        raise InputError("twin: none of its images shows a particle that counts; choose another recipe")
    near = np.partition(abs(every - middles[:, None]), min(_NEIGHBOURS, len(every) - 1), axis=1)
    spread = np.clip(near[:, min(_NEIGHBOURS, len(every) - 1)], _NARROW, _WIDE)
    bins, count = len(middles), int(number.max()) + 1
    pairs, true, false = (np.zeros((count, *shape)) for shape in ((bins, bins), (bins,), (bins,)))
    area = np.bincount(number, [each.area_nm2 for each in twins]).astype(np.float64)
    for at, each in zip(number, twins, strict=True):
        logs, seen, real = np.log(each.true.sizes), np.log(each.found.sizes), each.cause >= 0
        kernel = np.exp(-(((logs[:, None] - middles) / spread) ** 2) / 2)
        true[at] += each.true.weights @ kernel
        cause, columns = each.cause[real], np.arange(bins)
        moved = middles + (seen[real] - logs[cause])[:, None]
        rows = np.clip(((moved - low) / _STEP).astype(int), 0, bins - 1)
        np.add.at(
            pairs[at], (rows, np.broadcast_to(columns, rows.shape)), kernel[cause] * each.found.weights[real, None]
        )
        place = np.clip(((seen[~real] - low) / _STEP).astype(int), 0, bins - 1)
        false[at] += np.bincount(place, each.found.weights[~real], minlength=bins)
    false = gaussian_filter1d(false, _BACKGROUND, axis=1, mode="nearest")
    return Tallies(edges, pairs, true, false, area)
