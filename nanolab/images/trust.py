"""How far what was found in an image can be believed, and the hatching of what cannot."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

__all__ = ["UNTRUSTED", "Trust", "hatching"]

#: Below this trust, more likely wrong than right.
UNTRUSTED = 0.5


class Trust(BaseModel):
    """How far what was found in an image can be believed, see `nanolab.segmentation.trust`.

    Attributes
    ----------
    particles
        For each label, 1 to N, the probability that it is a particle and outlined right: IoU of at least 0.5 with the
        true one.
    image
        Probability that the median ECD is within 10 %.
    notes
        Why it may not be, in words.
    """

    particles: tuple[float, ...]
    image: float
    notes: tuple[str, ...] = ()

    def of_kept(self, before: npt.NDArray[np.integer], after: npt.NDArray[np.integer]) -> "Trust":
        """Return it for the label map `after`, which has some of the particles of `before`, numbered anew."""
        numbers = np.zeros(int(after.max(initial=0)) + 1, dtype=np.int64)
        numbers[after] = before
        kept = tuple(self.particles[number - 1] for number in numbers[1:].tolist())
        return self.model_copy(update={"particles": kept})


def hatching(
    labels: npt.NDArray[np.integer], numbers: Sequence[int] | npt.NDArray[np.integer], trust: npt.ArrayLike
) -> npt.NDArray[np.bool_]:
    """Return where diagonal lines lie on the particles below `UNTRUSTED`, shape (height, width).

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    numbers, trust
        Labels of some particles and their trust; others are not hatched.
    """
    untrusted = np.asarray(numbers)[np.asarray(trust) < UNTRUSTED]
    period = max(6, max(labels.shape) // 128)
    rows, cols = np.ogrid[: labels.shape[0], : labels.shape[1]]
    return np.isin(labels, untrusted) & ((rows + cols) % period < max(1, period // 4))
