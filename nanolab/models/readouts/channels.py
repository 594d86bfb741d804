"""What read-outs share whose channels are probabilities, each by itself."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nanolab.core.typing import Image
from nanolab.models.views import View

__all__ = ["ProbabilityChannels", "as_bytes", "from_bytes"]

Bytes = npt.NDArray[np.uint8]


def as_bytes(probabilities: Image) -> Bytes:
    """Return probabilities of any shape as 0 to 255."""
    return np.rint(np.clip(probabilities, 0, 1) * 255).astype(np.uint8)


def from_bytes(values: Bytes) -> Image:
    """Undo `as_bytes`, to 1/510."""
    return values.astype(np.float32) / np.float32(255)


class ProbabilityChannels:
    """A read-out whose channels are probabilities, the first that a pixel is particle."""

    names: tuple[str, ...]
    holds_lock = False

    @property
    def channels(self) -> int:
        """How many channels the network needs."""
        return len(self.names)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the logistic function of the logits."""
        return logits.sigmoid()

    def realigned(self, probabilities: Tensor, view: View) -> Tensor:  # noqa: ARG002  # the protocol's
        """Return the probabilities (C, height, width): they have no direction."""
        return probabilities

    def rescaled(self, probabilities: Image, factor: float) -> Image:  # noqa: ARG002  # the protocol's
        """Return the probabilities (C, height, width): they are no lengths."""
        return probabilities

    def foreground(self, probabilities: Image) -> Image:
        """Return the first channel."""
        return probabilities[0]

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of what `pack` returns: the channels."""
        return self.names

    def pack(self, probabilities: Image) -> list[Bytes]:
        """Return each channel as 0 to 255."""
        return list(as_bytes(probabilities))

    def unpack(self, packed: Sequence[Bytes]) -> Image:
        """Return the probabilities to 1/510."""
        return from_bytes(np.stack(packed))
