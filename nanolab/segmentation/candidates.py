"""Which regions of an image are particles: nested candidates of every magnification, and how likely each is one.

A watershed at one depth cuts some particles into pieces and leaves others together. Here all depths are looked at: the
basins of the predicted depth are joined one after the other, the least of all valleys first, and every region that
lasts for a while is a candidate. A small network says of each how likely it is a particle, from its shape, from the
valleys within and around it and from what is seen of it at other magnifications (`data/models/candidates.safetensors`,
fitted by `tests/benchmarks/fit_candidates.py` to rendered images, whose particles are known). The likeliest that do
not lie on each other are taken. The idea is that of Arteta et al., 10.1007/978-3-642-33415-3_43.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.special import expit

from nanolab.core.typing import FloatArray, Image, LabelMap
from nanolab.models.readouts.base import MIN_AREA_PX
from nanolab.models.readouts.interior_border import Basins, InteriorBorder, basins_of
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.magnification import best_of, magnified

__all__ = ["BELIEVED", "FEATURES", "Candidates", "find_candidates", "likeliest", "likelihood"]

#: From which likelihood on a candidate is believed to be a particle.
BELIEVED = 0.3

_FILE = "candidates.safetensors"
_LEAST_LIFE = 0.02  # of a region, between the valley within that joined it and the one around that joins it to another
_LIMIT = 4.0  # standard deviations beyond which a feature says no more
_NO_NEIGHBOUR = -0.5  # likeness where there is no such magnification

#: What is known of a candidate. Depths are those of `InteriorBorder`; lengths are in px as the network saw them.
FEATURES = (
    "inner_valley",  # depth of the deepest valley within, below the lower summit
    "outer_valley",  # the same of the one that joins it to a neighbour; 1 if there is none
    "area",  # logarithm
    "image_area",  # logarithm, in px of the image
    "magnification",  # logarithm to the base of 2
    "agreement",  # of the magnification, less that of the best
    "best_agreement",
    "count",  # logarithm of the particles found at the best magnification, and one
    "relative_area",  # logarithm of the ratio to the mean particle of the image
    "basins",  # logarithm of their number
    "elongation",  # logarithm of the ratio of the axes of the ellipse of the same second moments
    "ellipticity",  # area relative to that ellipse
    "solidity",
    "touching",  # part of the outline that lies on another region, not on background
    "touching_depth",  # mean depth there
    "touching_edge",  # mean gradient of the image there, relative to that within
    "outside",  # mean probability to be particle of the background along the outline
    "inside",  # mean probability to be particle
    "inside_scatter",
    "depth",  # mean
    "summit",  # largest depth
    "border",  # pixels at the border of the image, relative to the outline
    "higher",  # largest IoU with a particle found at the next higher magnification
    "lower",
    "likeness",  # the larger of both
    "least_likeness",
    "smaller_half",  # part of the area on the smaller side of the inner valley
    "neck",  # length of that valley, relative to the root of the area on its smaller side
    "neck_depth",
    "neck_edge",
)


class Region(NamedTuple):
    """Basins that are one region from the valley that joined them to the one that joins them to others.

    Attributes
    ----------
    birth, death
        How deep these valleys are.
    first, size
        Which basins: `size` from the place of `first` on, in the order in which all were joined.
    split
        How many of these are on one side of the first valley; 0 of a single basin.
    """

    birth: float
    death: float
    first: int
    size: int
    split: int


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of one magnification.

    Attributes
    ----------
    magnification
        By which the network saw the image.
    basins
        Label map, shape (height, width) as the network saw it.
    members
        Shape (N, basins), 1 where a candidate has a basin.
    features
        Shape (N, FEATURES).
    """

    magnification: float
    basins: Basins
    members: csr_array
    features: FloatArray

    def likeness(self, labels: LabelMap) -> FloatArray:
        """Return for each candidate the largest IoU with a region of a label map of any size, shape (N,)."""
        return _likeness(self.members, self.basins, labels)


def nested_regions(
    summits: Image, pairs: npt.NDArray[np.int64], passes: Image
) -> tuple[npt.NDArray[np.int64], list[Region]]:
    """Join basins, shallowest valley first, and return the regions that last for a while.

    Parameters
    ----------
    summits, pairs, passes
        Of `nanolab.models.readouts.interior_border.basins_of`.

    Returns
    -------
    order
        All basins, such that those of each region are neighbours.
    regions
        `first` of each is its first basin's place in `order`.
    """
    parts = [Region(0.0, 1.0, number, 1, 0) for number in range(len(summits))]
    after, last = np.full(len(summits), -1), np.arange(len(summits))  # chains of basins: joined without being copied
    regions, root = [], _Roots(len(summits))
    for valley, one, other in _valleys(summits, pairs, passes):
        joined = root(one), root(other)
        low, high = (parts[each] for each in joined)
        regions += [each._replace(death=valley) for each in (low, high) if valley - each.birth >= _LEAST_LIFE]
        after[last[joined[0]]] = high.first
        parts[joined[1]] = Region(valley, 1.0, low.first, low.size + high.size, low.size)
        root.join(*joined)
    ends = [number for number in range(len(summits)) if root(number) == number]
    regions += [parts[each] for each in ends if each and 1 - parts[each].birth >= _LEAST_LIFE]
    order = _chained(after, [parts[each].first for each in ends])
    place = np.argsort(order)
    return order, [each._replace(first=int(place[each.first])) for each in regions]


def _chained(after: npt.NDArray[np.int64], heads: list[int]) -> npt.NDArray[np.int64]:
    follows, order = after.tolist(), []
    for head in heads:
        basin = head
        while basin >= 0:
            order.append(basin)
            basin = follows[basin]
    return np.array(order, dtype=np.int64)


class _Roots:
    """Which basins are joined (union by path halving)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def __call__(self, basin: int) -> int:
        parent = self._parent
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    def join(self, root: int, other: int) -> None:
        self._parent[root] = other


def _valleys(summits: Image, pairs: npt.NDArray[np.int64], passes: Image) -> list[tuple[float, int, int]]:
    """Return how far each valley that joins two regions lies below the lower summit, ascending, and basins at it."""
    root, valleys = _Roots(len(summits)), []
    for (one, other), height in zip(pairs.tolist(), passes.tolist(), strict=True):
        low, high = sorted((root(one), root(other)), key=lambda basin: summits[basin])
        if low != high:
            root.join(low, high)
            valleys.append((max(float(summits[low]) - height, 0.0), one, other))
    return sorted(valleys)


def find_candidates(
    seen: Mapping[float, tuple[Image, LabelMap]],
    grey: Image,
    readout: InteriorBorder,
    agreement: Mapping[float, float],
    min_area_px: int = MIN_AREA_PX,
) -> list[Candidates]:
    """Return the candidates of each magnification.

    Parameters
    ----------
    seen
        Of each magnification the probabilities, shape (2, height, width), and the particles that the read-out finds.
    grey
        The image as it is magnified for the network.
    readout
        Of the network.
    agreement
        Of `nanolab.segmentation.magnification.survey`; only of its magnifications there are candidates.
    min_area_px
        Of a candidate, in pixels of the image and in those that the network saw.
    """
    order = sorted(seen, reverse=True)
    shared, result = _of_image(seen, agreement), []
    for index, magnification in enumerate(order):
        if magnification not in agreement:
            continue
        near = [seen[order[at]][1] if 0 <= at < len(order) else None for at in (index - 1, index + 1)]
        known = shared | {"agreement": agreement[magnification] - shared["best_agreement"]}
        part = magnified(grey, magnification)
        least = max(1.0, magnification**2) * min_area_px
        result.append(_of_one(seen[magnification][0], part, readout, magnification, near, known, least))
    return [each for each in result if len(each.features)]


def _of_image(seen: Mapping[float, tuple[Image, LabelMap]], agreement: Mapping[float, float]) -> dict[str, float]:
    """Return those features that all candidates of an image share; `typical` is the area of a particle, in its px.

    That is the geometric mean at the best magnification, weighted with the area.
    """
    best = best_of(agreement)
    areas = np.bincount(seen[best][1].ravel())[1:]
    areas = areas[areas > 0]
    typical = np.exp(np.average(np.log(areas), weights=areas)) / best**2 if len(areas) else 1.0
    return {
        "typical": float(typical),
        "count": float(np.log1p(len(areas))),
        "best_agreement": max(agreement.values()),
    }


def _of_one(
    probabilities: Image,
    grey: Image,
    readout: InteriorBorder,
    magnification: float,
    near: list[LabelMap | None],
    shared: Mapping[str, float],
    least_area: float,
) -> Candidates:
    basins, summits, pairs, passes = basins_of(
        readout.smoothed(probabilities[1]), probabilities[0] >= readout.threshold
    )
    sums = _Sums(basins, probabilities, grey)
    order, lasting = nested_regions(summits, pairs, passes)
    up_to = np.cumsum([0, *sums.areas[order]])
    regions = [each for each in lasting if up_to[each.first + each.size] - up_to[each.first] >= least_area]
    members = _ranges(order, [(each.first, each.size) for each in regions])
    sides = (
        [(each.first, each.split) for each in regions],
        [(each.first + each.split, each.size - each.split) for each in regions],
    )
    known = sums.features(members, tuple(_ranges(order, side) for side in sides))
    known["inner_valley"], known["outer_valley"] = np.array([each[:2] for each in regions]).reshape(-1, 2).T
    known["summit"] = _largest(members, summits)
    higher, lower = (
        np.full(len(regions), np.nan) if labels is None else _likeness(members, basins, labels) for labels in near
    )
    both = np.column_stack([higher, lower])
    known["higher"], known["lower"] = np.nan_to_num(both, nan=_NO_NEIGHBOUR).T
    known["likeness"], known["least_likeness"] = np.nan_to_num([np.fmax(*both.T), np.fmin(*both.T)])
    known["image_area"] = known["area"] - 2 * np.log(magnification)
    known["relative_area"] = known["image_area"] - np.log(shared["typical"])
    known["magnification"] = np.full(len(regions), np.log2(magnification))
    known |= {name: np.full(len(regions), shared[name]) for name in ("agreement", "best_agreement", "count")}
    return Candidates(magnification, basins, members, np.column_stack([known[name] for name in FEATURES]))


def _ranges(order: npt.NDArray[np.int64], ranges: list[tuple[int, int]]) -> csr_array:
    """Return a matrix with a row for each range, a start and a count, 1 where it has the basin."""
    starts, counts = np.array(ranges, dtype=np.int64).reshape(-1, 2).T
    ends = np.cumsum([0, *counts])
    places = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], counts)
    return csr_array((np.ones(ends[-1]), order[places], ends), shape=(len(counts), len(order)))


def _largest(members: csr_array, values: npt.NDArray[np.floating]) -> FloatArray:
    """Return the largest value in each row, none of which is empty."""
    return np.maximum.reduceat(values[members.indices], members.indptr[:-1]) if members.shape[0] else np.zeros(0)


def _likeness(members: csr_array, basins: Basins, labels: LabelMap) -> FloatArray:
    """Return for each set of basins the largest IoU with a region of a label map of any size."""
    other = cv2.resize(labels.astype(np.float32), basins.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
    both = (basins > 0) & (other > 0)
    shape = (members.shape[1], int(other.max(initial=0)) + 1)
    shared = (members @ csr_array((np.ones(np.count_nonzero(both)), (basins[both], other[both])), shape=shape)).tocoo()
    areas = members @ np.bincount(basins.ravel(), minlength=shape[0])
    rows, columns = shared.coords
    ious = shared.data / (areas[rows] + np.bincount(other.ravel(), minlength=shape[1])[columns] - shared.data)
    result = np.zeros(members.shape[0])
    np.maximum.at(result, rows, ious)
    return result


class _Sums:
    """What adds up over basins and over the lines between them, so that it is known of all sets of basins at once."""

    def __init__(self, basins: Basins, probabilities: Image, grey: Image) -> None:
        self._basins, self._count = basins, int(basins.max(initial=0)) + 1
        smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
        self._edge = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
        self._probability, self._depth = probabilities[:2]
        self.areas = self._of_basins(None)
        self._lines = self._between()

    def _of_basins(self, values: npt.NDArray[np.generic] | None) -> FloatArray:
        weights = None if values is None else np.broadcast_to(values, self._basins.shape).ravel()
        return np.bincount(self._basins.ravel(), weights, minlength=self._count).astype(np.float64)

    def _between(self) -> dict[str, csr_array]:
        """Return symmetric matrices over pairs of basins, 0 the background: length of the line between, sums there."""
        sides = [
            np.concatenate([side.ravel() for side in both]) for both in zip(*_neighbours(self._basins), strict=True)
        ]
        there = sides[0] != sides[1]
        one, other = (side[there] for side in sides)

        def joined(values: Image, how: np.ufunc) -> csr_array:
            both = [how(a, b).ravel() for a, b in _neighbours(values)]
            line = np.concatenate(both)[there].astype(np.float64)
            half = csr_array((line, (one, other)), shape=(self._count, self._count))
            return csr_array(half + half.T)

        return {
            "length": joined(np.ones_like(self._depth), np.minimum),
            "depth": joined(self._depth, np.minimum),
            "edge": joined(self._edge, np.add),  # of two pixels
            "outside": joined(self._probability, np.minimum),  # the background's is the lower one
        }

    def features(self, members: csr_array, halves: tuple[csr_array, csr_array]) -> dict[str, FloatArray]:
        """Return those features of sets of basins that one magnification gives; `halves`: sides of the first valley."""
        area = members @ self.areas
        touching, background = self._around(members)
        inner = {name: _product(halves[0], lines, halves[1]) for name, lines in self._lines.items()}
        edge = members @ self._of_basins(self._edge) / area
        inside = members @ self._of_basins(self._probability) / area
        square = members @ self._of_basins(self._probability**2) / area
        outline = np.maximum(touching["length"] + background["length"], 1)
        at_border = np.zeros(self._basins.shape, dtype=bool)
        at_border[[0, -1], :] = at_border[:, [0, -1]] = True
        long, short = self._variances(members, area)
        smaller = np.minimum(*(side @ self.areas for side in halves))
        return {
            "area": np.log(area),
            "basins": np.log(np.diff(members.indptr)),
            "elongation": np.log(long / short) / 2,
            "ellipticity": area / (4 * np.pi * np.sqrt(long * short)),
            "solidity": area / self._hulls(members),
            "touching": touching["length"] / outline,
            "touching_depth": _ratio(touching["depth"], touching["length"]),
            "touching_edge": _ratio(touching["edge"] / 2, touching["length"] * edge),
            "outside": _ratio(background["outside"], background["length"], 0.5),
            "inside": inside,
            "inside_scatter": np.sqrt(np.maximum(square - inside**2, 0)),
            "depth": members @ self._of_basins(self._depth) / area,
            "border": members @ self._of_basins(at_border) / outline,
            "smaller_half": smaller / area,
            "neck": _ratio(inner["length"], np.sqrt(smaller)),
            "neck_depth": _ratio(inner["depth"], inner["length"], 1.0),
            "neck_edge": _ratio(inner["edge"] / 2, inner["length"] * edge),
        }

    def _around(self, members: csr_array) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return the sums along the outline of each set, on other basins and on background."""
        touching, background = {}, {}
        for name, lines in self._lines.items():
            background[name] = members @ lines[:, [0]].toarray()[:, 0]
            touching[name] = members @ lines.sum(axis=1) - background[name] - _within(members, lines)
        return touching, background

    def _variances(self, members: csr_array, area: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the variance of the pixels of each set along its long and its short axis."""
        rows, columns = (axis.astype(np.float64) for axis in np.indices(self._basins.shape, sparse=True))
        y, x = (members @ self._of_basins(axis) / area for axis in (rows, columns))
        yy = members @ self._of_basins(rows**2) / area - y**2 + 1 / 12  # a pixel is a square
        xx = members @ self._of_basins(columns**2) / area - x**2 + 1 / 12
        xy = members @ self._of_basins(rows * columns) / area - x * y
        half, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
        return half + spread, np.maximum(half - spread, 1e-3)

    def _hulls(self, members: csr_array) -> FloatArray:
        """Return the pixels in the convex hull of each set: those in the hull of its basins' hulls."""
        corners: list[npt.NDArray[np.number]] = [np.zeros((0, 1, 2), dtype=np.int32)]
        for number, box in enumerate(ndimage.find_objects(self._basins), start=1):
            mask = (self._basins[box] == number).view(np.uint8)
            outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            hull = cv2.convexHull(np.concatenate(outline))
            corners.append(hull + np.array([box[1].start, box[0].start], dtype=np.int32))
        sets = np.split(members.indices, members.indptr[1:-1]) if members.shape[0] else []
        hulls = [cv2.convexHull(np.concatenate([corners[basin] for basin in each])) for each in sets]
        # the hull goes through the centres of pixels
        return np.array([cv2.contourArea(each) + cv2.arcLength(each, closed=True) / 2 + 1 for each in hulls])


def _neighbours(values: npt.NDArray[np.generic]) -> list[tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]]:
    """Return each pixel next to its neighbour on the right, and next to that below."""
    return [(values[:, :-1], values[:, 1:]), (values[:-1], values[1:])]


def _product(one: csr_array, lines: csr_array, other: csr_array) -> FloatArray:
    return np.asarray((one @ lines).multiply(other).sum(axis=1), dtype=np.float64).ravel()


def _within(members: csr_array, lines: csr_array) -> FloatArray:
    return _product(members, lines, members)


def _ratio(part: FloatArray, whole: FloatArray, otherwise: float = 0.0) -> FloatArray:
    return np.divide(part, whole, out=np.full(len(part), otherwise), where=whole > 0)


def likeliest(candidates: Candidates, likelihoods: FloatArray, least: float) -> tuple[LabelMap, FloatArray]:
    """Return the likeliest candidates of one magnification, none within another, as a label map, and their likelihoods.

    Parameters
    ----------
    candidates
        Of one magnification.
    likelihoods
        Of `likelihood`, shape (N,).
    least
        Likelihood that a candidate needs.
    """
    numbers = np.zeros(candidates.members.shape[1], dtype=np.int32)  # of each basin
    kept: list[int] = []
    ends, basins = candidates.members.indptr, candidates.members.indices
    for index in np.argsort(-likelihoods, kind="stable"):
        own = basins[ends[index] : ends[index + 1]]
        if likelihoods[index] >= least and not numbers[own].any():
            kept.append(index)
            numbers[own] = len(kept)
    return numbers[candidates.basins], likelihoods[kept]


@cache
def _weights() -> dict[str, npt.NDArray[np.float32]]:
    return load_file(shipped_model().with_name(_FILE))


def likelihood(features: FloatArray, weights: Mapping[str, npt.NDArray[np.float32]] | None = None) -> FloatArray:
    """Return how likely each candidate is a particle, shape (N,), 0 to 1, from its features, shape (N, FEATURES).

    It rises from 0 where the IoU with the particle nearest to it is expected below 0.45 to 1 at 0.95.

    Parameters
    ----------
    features
        Of `Candidates`.
    weights
        `mean` and `scale` of the features, and `weight_i` and `bias_i` of three layers of several networks, whose
        answers are averaged; by default what ships.
    """
    known = _weights() if weights is None else weights
    values = np.clip((features - known["mean"]) / known["scale"], -_LIMIT, _LIMIT)[None]
    for layer in range(3):
        values = values @ known[f"weight_{layer}"] + known[f"bias_{layer}"][:, None]
        values = values * expit(values) if layer < 2 else values
    return np.asarray(expit(values[..., 0].mean(axis=0)), dtype=np.float64)
