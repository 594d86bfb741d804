"""StarDist's read-out: how probably a pixel is a particle's centre, and how far the outline is in each direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from skimage.measure import label
from skimage.segmentation import relabel_sequential, watershed
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.nn import functional

from nanolab.core.checks import InputError, check_between
from nanolab.core.extras import optional
from nanolab.core.typing import Image, LabelMap
from nanolab.models.readouts.channels import as_bytes, from_bytes
from nanolab.models.readouts.losses import cross_entropy_and_dice
from nanolab.models.readouts.outlines import Outlines, find_outlines
from nanolab.models.views import View

with optional():
    from stardist.geometry import star_dist
    from stardist.utils import edt_prob

__all__ = ["StarConvex"]

Bytes = npt.NDArray[np.uint8]

_UNIT_PX = 8.0  # a logit of a few units then is the radius of a common particle
_RAY_WEIGHT = 0.2  # these two as in StarDist
_BACKGROUND_WEIGHT = 1e-4
_LONGEST_PX = 1023.0  # what a byte can hold, in steps of 2.8 %
_UNTAUGHT = np.float32(-1)
_LARGEST_LABEL = 2**16 - 1  # StarDist counts in 16 bits
_SHARE = (0.001, 0.999)
_RANGES = {"rays": (4, 512), "spacing_px": (1, 64), "threshold": _SHARE, "object_threshold": _SHARE, "overlap": _SHARE}


@dataclass(frozen=True)
class StarConvex:
    """Object probability and distances to the outline along rays, by default with a foreground of their own.

    The object probability is 1 at the middle of a particle and falls to 0 at its edge. With `foreground_channel`, the
    outlines say which particle a pixel belongs to, and the foreground whether it belongs to one at all: particles are
    cut off at the edge of the foreground, what the outlines leave of it goes to its neighbours by a watershed, and a
    part of it without any outline is a particle too. Without it, this is StarDist as published.

    The logits z become distances by 8 px times softplus: positive, steep nowhere, and linear where they are large, so
    that the 8 bits of a logit in bfloat16 cost 0.2 % of a distance; an exponential would cost 2 %. Distances and losses
    themselves are computed in float32.

    Attributes
    ----------
    rays
        How many, evenly spread over the circle; a multiple of 4.
    foreground_channel
        Also learn the probability that a pixel is particle.
    threshold
        From which of these on a pixel is particle.
    object_threshold
        Least object probability of a particle.
    overlap
        Largest share of the smaller one of two outlines that may lie in the other.
    spacing_px
        Distances are taught at every n-th row and column, from one that varies from patch to patch, because those
        of neighbours hardly differ and take most of the time; 1 is everywhere.

    Raises
    ------
    InputError
        If an option is out of its range.

    References
    ----------
    Schmidt et al., Cell detection with star-convex polygons, 10.1007/978-3-030-00934-2_30.
    """

    rays: int = 32
    foreground_channel: bool = True
    threshold: float = 0.5
    object_threshold: float = 0.5
    overlap: float = 0.4
    spacing_px: int = 3
    holds_lock = True  # the package's compiled code does

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            check_between(getattr(self, name), name, low, high)
        if self.rays % 4:
            raise InputError(f"rays must be a multiple of 4, so that mirrored rays are rays, got {self.rays}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return (*self._maps, *(f"ray{ray:02d}" for ray in range(self.rays)))

    @property
    def _maps(self) -> tuple[str, ...]:
        return ("foreground", "object") if self.foreground_channel else ("object",)

    @property
    def channels(self) -> int:
        """How many channels the network needs."""
        return len(self._maps) + self.rays

    @property
    def _first(self) -> int:
        """The first ray's channel; the object probability is the one before it."""
        return len(self._maps)

    def targets(self, labels: npt.NDArray[np.integer]) -> Image:
        """Return particle or not, object probability and distances in px, shape (channels, height, width).

        Where distances are not taught they are -1. A particle that the edge of the array cuts ends there.
        """
        if labels.max() > _LARGEST_LABEL:
            labels = relabel_sequential(labels)[0]
        targets = np.full((self.channels, *labels.shape), _UNTAUGHT, dtype=np.float32)
        if self.foreground_channel:
            targets[0] = labels > 0
        targets[self._first - 1] = _object_probability(labels.astype(np.int32))
        # where the grid of taught pixels begins must vary, or the others would learn nothing: the labels decide it
        rows, cols = divmod(np.count_nonzero(labels) % self.spacing_px**2, self.spacing_px)
        seen = np.ascontiguousarray(labels[rows:, cols:], dtype=np.uint16)
        with _pools().limit(limits=1, user_api="openmp"):  # it shares the processor with the training
            distances = star_dist(seen, self.rays, grid=(self.spacing_px, self.spacing_px))
        targets[self._first :, rows :: self.spacing_px, cols :: self.spacing_px] = np.moveaxis(distances, -1, 0)
        return targets

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return StarDist's losses, plus cross entropy and soft Dice of the foreground if there is one.

        StarDist's are the cross entropy of the object probability, and 0.2 times the absolute error of the distances in
        px, weighted by the object probability, plus a slight pull to 0 on the background.
        """
        (maps, rays), (map_targets, distances) = (each.split([self._first, self.rays], 1) for each in (logits, targets))
        probability = map_targets[:, -1]
        objects = functional.binary_cross_entropy_with_logits(maps[:, -1], probability)
        loss = objects + _RAY_WEIGHT * _distance_loss(rays, distances, probability, self.spacing_px)
        return loss + cross_entropy_and_dice(maps[:, :1], map_targets[:, :1]) if self.foreground_channel else loss

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return probabilities, and distances in px."""
        first = self._first
        return torch.cat([logits[:, :first].sigmoid(), _distance(logits[:, first:])], dim=1)

    def realigned(self, probabilities: Tensor, view: View) -> Tensor:
        """Return probabilities (C, height, width) seen in a view and turned back, with each ray where it belongs."""
        ray = torch.arange(self.rays, device=probabilities.device)
        if view.transposed:
            ray = self.rays // 4 - ray
        if view.rows_reversed:
            ray = -ray
        if view.cols_reversed:
            ray = self.rays // 2 - ray
        return torch.cat([probabilities[: self._first], probabilities[self._first + ray % self.rays]])

    def rescaled(self, probabilities: Image, factor: float) -> Image:
        """Return probabilities (C, height, width) of an image that was enlarged, with the rays as much longer."""
        return np.concatenate([probabilities[: self._first], probabilities[self._first :] * np.float32(factor)])

    def outlines(self, probabilities: Image) -> Outlines:
        """Return the whole outlines of the particles, the best first; they may overlap."""
        first = self._first
        return find_outlines(
            probabilities[first - 1], probabilities[first:], threshold=self.object_threshold, overlap=self.overlap
        )

    def foreground(self, probabilities: Image) -> Image:
        """Return the probability that a pixel is particle; without a channel for it, 1 within outlines, else 0."""
        if self.foreground_channel:
            return probabilities[0]
        return (self.instances(probabilities) > 0).astype(np.float32)

    def instances(self, probabilities: Image) -> LabelMap:
        """Return the outlines as a label map, the better on top; with a foreground channel, fitted to it."""
        drawn = self.outlines(probabilities).drawn(probabilities.shape[1:])
        if self.foreground_channel:
            drawn = _fitted(drawn, probabilities[0] >= self.threshold, probabilities[1])
        return relabel_sequential(drawn)[0].astype(np.int32, copy=False)

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of what `pack` returns."""
        return (*self._maps, "rays")

    def pack(self, probabilities: Image) -> list[Bytes]:
        """Return each probability as 0 to 255, and the distances one below the other, shape (rays * height, width).

        Distances are kept where the outlines have their centres, the logarithm of 1 + px as 1 to 255, to 1.4 %, up to
        1023 px; elsewhere they are 0, and in a compressed file take next to no room.
        """
        rays = np.zeros(probabilities[self._first :].shape, dtype=np.uint8)
        found = self.outlines(probabilities)
        share = np.log1p(np.clip(found.distances, 0, _LONGEST_PX)) / np.log1p(_LONGEST_PX)
        rays[(slice(None), *found.centres.T)] = np.rint(1 + 254 * share).astype(np.uint8).T
        return [*as_bytes(probabilities[: self._first]), rays.reshape(-1, rays.shape[-1])]

    def unpack(self, packed: Sequence[Bytes]) -> Image:
        """Return what `pack` kept, shape (channels, height, width)."""
        *maps, rays = packed
        share = (rays.reshape(self.rays, *maps[0].shape).astype(np.float32) - 1).clip(0) / 254
        return np.concatenate([from_bytes(np.stack(maps)), np.expm1(share * np.float32(np.log1p(_LONGEST_PX)))])


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def _object_probability(labels: LabelMap) -> Image:
    """Return the distance of each pixel to the edge of its particle, as a share of the largest in that particle."""
    if labels.min() == labels.max() and labels.max() > 0:  # no edge in sight: that of the array
        return edt_prob(np.pad(labels, 1))[1:-1, 1:-1]
    return edt_prob(labels)


def _distance(logits: Tensor) -> Tensor:
    return _UNIT_PX * functional.softplus(logits)


def _distance_loss(logits: Tensor, distances: Tensor, probability: Tensor, spacing_px: int) -> Tensor:
    """Return the loss of distances (batch, rays, height, width), where they are taught."""
    known = distances[:, 0] >= 0
    starts = torch.stack([known.any(dim=2).int().argmax(dim=1), known.any(dim=1).int().argmax(dim=1)], dim=1).tolist()

    def taught(values: Tensor) -> Tensor:
        """Return them with shape (C, N); slices cost less than a mask, above all their gradient."""
        grids = [
            image[:, row::spacing_px, col::spacing_px].flatten(1)
            for image, (row, col) in zip(values.unbind(), starts, strict=True)
        ]
        return torch.cat(grids, dim=1)

    found, true, weight = _distance(taught(logits)), taught(distances), taught(probability[:, None])
    error = (weight * (found - true).abs()).mean() / (weight.mean() + 1e-7)
    return error + _BACKGROUND_WEIGHT * ((1 - weight) * found).mean()


def _fitted(drawn: LabelMap, foreground: npt.NDArray[np.bool_], probability: Image) -> LabelMap:
    """Cut outlines off at the edge of the foreground, and divide what they leave of it among them."""
    markers = np.where(foreground, drawn, 0)
    parts = label(foreground, connectivity=1)
    has_outline = np.zeros(int(parts.max()) + 1, dtype=np.bool_)
    has_outline[parts[markers > 0]] = True
    alone = foreground & ~has_outline[parts]
    markers[alone] = parts[alone] + int(drawn.max())
    return watershed(-probability, markers, mask=foreground, connectivity=1)
