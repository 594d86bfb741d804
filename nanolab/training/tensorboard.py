"""What TensorBoard shows of a training: loss and learning rate, scores, and the validation image epoch by epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoardLog"]

_PICTURE_PX = 384
_FOREGROUND = np.array([0.34, 0.71, 0.91], dtype=np.float32)  # sky blue, told from grey by all


class TensorBoardLog(SummaryWriter):
    """Writes `FOLDER/tensorboard/`; a context. `tensorboard --logdir FOLDER` shows it.

    Parameters
    ----------
    folder
        Of the training.
    step
        The step from which it goes on; what was written of later steps is dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(str(folder / "tensorboard"), purge_step=step)

    def epoch(
        self,
        row: Mapping[str, Any],
        losses: Sequence[float],
        last_step: int,
        picture: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None,
    ) -> None:
        """Write what an epoch gave.

        Parameters
        ----------
        row
            Its row in the log.
        losses
            Loss of each of its steps, the last being number `last_step`.
        picture
            Validation image and probability that a pixel is particle, both (height, width) in [0, 1].
        """
        first = last_step - len(losses) + 1
        for step, loss in enumerate(losses, start=first):
            self.add_scalar("step/loss", loss, step)
        for name, value in row.items():
            self.add_scalar(f"epoch/{name}", value, last_step)
        if picture is not None:
            self.add_image("validation", _picture(*picture), last_step, dataformats="HWC")
        self.flush()


def _picture(image: npt.NDArray[np.float32], foreground: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the image with what is found in it tinted, (height, width, 3), of at most 384 px a side."""
    scale = min(1.0, _PICTURE_PX / max(image.shape))
    small, found = (
        cv2.resize(each, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for each in (image, foreground)
    )
    strength = 0.6 * np.clip(found, 0, 1)[..., None]
    return np.clip((1 - strength) * small[..., None] + strength * _FOREGROUND, 0, 1).astype(np.float32)
