"""The plain read-out: particle or not; every connected region is a particle."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nanolab.core.checks import check_between
from nanolab.images.labels import labels_from_mask
from nanolab.models.readouts.channels import ProbabilityChannels
from nanolab.models.readouts.losses import cross_entropy_and_dice

__all__ = ["Foreground"]


@dataclass(frozen=True)
class Foreground(ProbabilityChannels):
    """One channel, the probability that a pixel is particle; touching particles stay together.

    Attributes
    ----------
    threshold
        From which probability on a pixel is particle.
    """

    threshold: float = 0.5
    names = ("foreground",)

    def __post_init__(self) -> None:
        check_between(self.threshold, "threshold", 0, 1)

    def targets(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Return 1 on particles and 0 elsewhere, shape (1, height, width)."""
        return (labels > 0).astype(np.float32)[None]

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return cross entropy plus soft Dice."""
        return cross_entropy_and_dice(logits, targets)

    def instances(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Return the 4-connected regions at or above the threshold."""
        return labels_from_mask(probabilities[0] >= self.threshold)
