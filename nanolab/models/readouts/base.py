"""What the channels of a network mean: the protocol of a read-out, and the read-outs by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nanolab.images.labels import remove_small
from nanolab.models.registry import look_up

if TYPE_CHECKING:
    from torch import Tensor

    from nanolab.models.readouts.outlines import Outlines
    from nanolab.models.views import View

__all__ = ["MIN_AREA_PX", "READOUTS", "HasOutlines", "Readout", "find_particles", "make_readout"]

#: Particles below this area are dropped unless the user says otherwise: an equivalent diameter of 6 px, below which
#: neither size nor shape can be measured and most of what is found is noise.
MIN_AREA_PX = 30

#: Where each read-out is made.
READOUTS = {
    "foreground": "nanolab.models.readouts.foreground:Foreground",
    "interior+border": "nanolab.models.readouts.interior_border:InteriorBorder",
    "stardist": "nanolab.models.readouts.stardist:StarConvex",
}


class Readout(Protocol):
    """Turns label maps into what a network learns, and what it predicts back into particles.

    Attributes
    ----------
    names
        One name a channel.
    threshold
        From which probability on a pixel is particle.
    kept
        One name, fit for a file name, for each array that `pack` returns.
    holds_lock
        Whether `targets` keeps Python's lock, so that only other processes can compute them next to a training.
    """

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def threshold(self) -> float: ...  # noqa: D102

    @property
    def kept(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def holds_lock(self) -> bool: ...  # noqa: D102

    @property
    def channels(self) -> int:
        """How many channels the network needs."""
        ...

    def targets(self, labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Return what the network should learn of a label map (height, width): shape (C, height, width)."""
        ...

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Return the loss, a scalar, of logits and targets, both (batch, C, height, width)."""
        ...

    def probabilities(self, logits: "Tensor") -> "Tensor":
        """Return what the logits mean, of the same shape."""
        ...

    def realigned(self, probabilities: "Tensor", view: "View") -> "Tensor":
        """Return probabilities (C, height, width) that were predicted in a view and turned back by `view.undo`.

        Where channels stand for directions they change places.
        """
        ...

    def rescaled(self, probabilities: npt.NDArray[np.float32], factor: float) -> npt.NDArray[np.float32]:
        """Return probabilities (C, height, width) of an image that was enlarged by a factor after they were predicted.

        Where channels stand for lengths in px they grow.
        """
        ...

    def foreground(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability (height, width) that a pixel is particle."""
        ...

    def instances(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """Return the particles, a label map (height, width), of probabilities (C, height, width)."""
        ...

    def pack(self, probabilities: npt.NDArray[np.float32]) -> list[npt.NDArray[np.uint8]]:
        """Return what is kept of probabilities (C, height, width): enough for `foreground` and `instances`."""
        ...

    def unpack(self, packed: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return the probabilities (C, height, width) of which `pack` kept this."""
        ...


@runtime_checkable
class HasOutlines(Protocol):
    """A read-out that knows whole outlines, also where particles overlap."""

    def outlines(self, probabilities: npt.NDArray[np.float32]) -> "Outlines":
        """Return the outlines, of probabilities (C, height, width), the best first."""
        ...


def make_readout(name: str, **options: Any) -> Readout:
    """Make the read-out `name`, one of `READOUTS`.

    Raises
    ------
    InputError
        If there is no such read-out or it has no such option.
    """
    return look_up(READOUTS, name, "readout")(**options)


def find_particles(
    readout: Readout, probabilities: npt.NDArray[np.float32], min_area_px: int = MIN_AREA_PX
) -> npt.NDArray[np.int32]:
    """Return the particles of at least `min_area_px` that probabilities (C, height, width) show, as a label map."""
    return remove_small(readout.instances(probabilities), min_area_px)
