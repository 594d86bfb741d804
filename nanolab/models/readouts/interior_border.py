"""The read-out that separates touching particles: foreground, and how deep inside its particle a pixel lies."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from skimage.measure import label
from skimage.segmentation import watershed
from torch import Tensor
from torch.nn import functional

from nanolab.core.checks import InputError, check_between
from nanolab.models.readouts.channels import ProbabilityChannels
from nanolab.models.readouts.losses import cross_entropy_and_dice

__all__ = ["Basins", "InteriorBorder", "basins_of", "depth", "split_touching", "with_dynamic"]


Heights = npt.NDArray[np.float32]
Basins = npt.NDArray[np.int32]

_ALL, _FRONT, _BACK = slice(None), slice(None, -1), slice(1, None)

#: For each of the four directions the two windows that lay every pixel on its neighbour.
_ONTO_NEIGHBOURS = (
    ((_ALL, _FRONT), (_ALL, _BACK)),
    ((_FRONT, _ALL), (_BACK, _ALL)),
    ((_FRONT, _FRONT), (_BACK, _BACK)),
    ((_FRONT, _BACK), (_BACK, _FRONT)),
)


def split_touching(height: Heights, mask: npt.NDArray[np.bool_], dynamic: float) -> Basins:
    """Divide `mask` into one region for each summit of `height` that stands out by at least `dynamic`.

    A summit stands out by its height above the highest pass that leads to a higher one. The regions are those of a
    watershed from the h-maxima with h = `dynamic`, found faster: flood from all maxima, then join the regions
    whose lower summit does not stand out, highest passes first.

    Parameters
    ----------
    height
        Shape (height, width).
    mask
        Shape (height, width), True on particles.
    dynamic
        At least 0, in the units of `height`.

    Returns
    -------
    labels
        Shape (height, width), 0 outside `mask`, 1..N on it. Every 8-connected part of `mask` has at least one region.

    References
    ----------
    Grimaud, New measure of contrast: the dynamics, 10.1117/12.60650.
    """
    basins, summits, pairs, passes = basins_of(height, mask)
    joined = _join(summits, pairs, passes, dynamic)
    return np.unique(joined, return_inverse=True)[1].astype(np.int32)[basins]


def basins_of(height: Heights, mask: npt.NDArray[np.bool_]) -> tuple[Basins, Heights, npt.NDArray[np.int64], Heights]:
    """Flood `mask` from all maxima of `height`, both of shape (height, width).

    Returns
    -------
    basins
        Shape (height, width), 0 outside `mask`, 1..N on it.
    summits
        Shape (N + 1,), the height of each basin's maximum; -inf for the background.
    pairs, passes
        Shapes (M, 2) and (M,): the basins that touch, and the height of the pass between them, highest first.
    """
    inside = np.where(mask, height, -np.inf).astype(np.float32)
    maxima = mask & (inside == cv2.dilate(inside, np.ones((3, 3), dtype=np.uint8)))
    markers = label(maxima, connectivity=2).astype(np.int32)
    basins = watershed(-height, markers, mask=mask, connectivity=2).astype(np.int32, copy=False)
    summits = np.full(int(basins.max(initial=0)) + 1, -np.inf, dtype=np.float32)
    np.maximum.at(summits, markers.ravel(), inside.ravel())
    return basins, summits, *_passes(basins, inside)


def _passes(basins: Basins, height: Heights) -> tuple[npt.NDArray[np.int64], Heights]:
    """Return the pairs of basins that touch, shape (N, 2), and the height of the pass between each, highest first."""
    pairs, heights = [], []
    for one, other in _ONTO_NEIGHBOURS:
        touch = (basins[one] != basins[other]) & (basins[one] > 0) & (basins[other] > 0)
        pairs.append(np.stack([basins[one][touch], basins[other][touch]]))
        heights.append(np.minimum(height[one][touch], height[other][touch]))
    pair, pass_height = np.sort(np.concatenate(pairs, axis=1), axis=0).astype(np.int64), np.concatenate(heights)
    order = np.argsort(-pass_height, kind="stable")
    _, first = np.unique((pair[0] << 32 | pair[1])[order], return_index=True)  # the highest of each pair
    kept = order[np.sort(first)]
    return pair[:, kept].T, pass_height[kept]


def _join(summits: Heights, pairs: npt.NDArray[np.int64], passes: Heights, dynamic: float) -> npt.NDArray[np.int32]:
    """Return for each basin the number of the one it is joined to."""
    parent = list(range(len(summits)))

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    for (one, other), height in zip(pairs.tolist(), passes.tolist(), strict=True):
        low, high = sorted((root(one), root(other)), key=lambda basin: summits[basin])
        if low != high and summits[low] - height < dynamic:
            parent[low] = high
    return np.array([root(basin) for basin in parent], dtype=np.int32)


if TYPE_CHECKING:
    from nanolab.models.readouts.base import Readout


_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)


def depth(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Return how deep inside its particle each pixel lies: 0 outside and where particles touch, 1 at its middle.

    It is the distance to the nearest pixel that is not of the same particle, divided by the largest such distance
    in the particle, so that small particles have a middle as high as large ones. The edge of the array is no border.

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    """
    values = labels.astype(np.float32)  # exact up to 2**24; the type that OpenCV dilates and erodes
    background = values == 0
    largest = cv2.dilate(values, _NEIGHBOURS)
    smallest = cv2.erode(np.where(background, np.float32(np.inf), values), _NEIGHBOURS)
    inside = ~background & (largest == values) & (smallest == values)
    if inside.all():  # nothing to measure a distance from: one particle fills the array
        return np.ones_like(values)
    distance = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bit depends on where the array lies in memory; the square of a distance between pixels is whole
    distance = np.sqrt(np.rint(distance**2))
    greatest = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    np.maximum.at(greatest, labels.ravel(), distance.ravel())
    return distance / np.maximum(greatest, 1)[labels]


@dataclass(frozen=True)
class InteriorBorder(ProbabilityChannels):
    """Two channels: the probability that a pixel is particle, and its `depth` in its particle.

    Attributes
    ----------
    threshold
        From which probability on a pixel is particle.
    dynamic
        Two summits of the depth are two particles if the pass between them lies at least this much below the lower
        one; in units of the depth, 0 to 1.
    smoothing_px
        Standard deviation of the Gaussian that smooths the depth before summits are sought.
    """

    threshold: float = 0.5
    dynamic: float = 0.1
    smoothing_px: float = 1.0
    names = ("foreground", "interior")

    def __post_init__(self) -> None:
        check_between(self.threshold, "threshold", 0, 1)
        check_between(self.dynamic, "dynamic", 0, 1)
        check_between(self.smoothing_px, "smoothing_px", 0.01, 100)

    def targets(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Return particle or not, and the depth, shape (2, height, width)."""
        return np.stack([(labels > 0).astype(np.float32), depth(labels)])

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return cross entropy plus soft Dice of the foreground, plus cross entropy of the depth.

        Cross entropy with a target between 0 and 1 is least where the prediction equals the target.
        """
        foreground = cross_entropy_and_dice(logits[:, :1], targets[:, :1])
        return foreground + functional.binary_cross_entropy_with_logits(logits[:, 1:], targets[:, 1:])

    def instances(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Return the foreground, cut apart between the summits of the depth by a watershed."""
        return split_touching(self.smoothed(probabilities[1]), probabilities[0] >= self.threshold, self.dynamic)

    def smoothed(self, depth: Heights) -> Heights:
        """Return the depth, shape (height, width), in which summits are sought."""
        return np.asarray(cv2.GaussianBlur(depth, (0, 0), self.smoothing_px), dtype=np.float32)


def with_dynamic(readout: "Readout", dynamic: float) -> InteriorBorder:
    """Return the read-out with another `dynamic`.

    Raises
    ------
    InputError
        If it is no `InteriorBorder`, or the value is not between 0 and 1.
    """
    if not isinstance(readout, InteriorBorder):
        raise InputError("dynamic: this network's read-out has none, only interior+border has; leave it out")
    return replace(readout, dynamic=dynamic)
