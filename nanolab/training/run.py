"""A training on disk.

Layout of its folder::

    run.json                             settings with `auto` resolved, versions, SHA-256 of the training images
    epochs/0001.safetensors              the averaged weights after epoch 1, and the settings: all that prediction needs
                                         (of some epochs only, if the settings say so)
    validation/0001.foreground.tif       what epoch 1 predicts for the validation image, uint8, see `Readout.pack`
    log.csv                              one row per epoch
    tensorboard/                         the same for TensorBoard, and the loss of each step
    state.safetensors                    what the next epoch starts from; written last: with it, an epoch is finished
    selection.json                       the epochs chosen, how, and their scores
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.core.tables import read_csv
from nanolab.images.tiff import read_tiff, write_tiff
from nanolab.models.epochs import epoch_file, epochs_of, selected_epoch
from nanolab.models.readouts.base import Readout, make_readout
from nanolab.training.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TrainingRun"]


class TrainingRun:
    """A training, finished or under way, opened for reading.

    Attributes
    ----------
    folder
        Where it is.
    record
        The content of run.json.
    settings
        What it was trained with.
    validation_name
        Name of its validation image, if it had one.

    Raises
    ------
    InputError
        If the folder holds no training, or its record is damaged.

    Examples
    --------
    >>> run = TrainingRun("papermill_runs/quickstart/1/training")  # doctest: +SKIP
    >>> run.log()[["epoch", "loss"]]  # doctest: +SKIP
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not (self.folder / "run.json").is_file():
            raise InputError(f"{self.folder}: holds no training (there is no run.json in it); check the path")
        self.record: dict[str, Any] = read_json(self.folder / "run.json")
        try:
            self.settings = TrainingSettings(**self.record["settings"])
            self.validation_name: str | None = self.record.get("data", {}).get("validation")
        except (KeyError, TypeError, AttributeError, InputError) as error:
            raise InputError(f"{self.folder / 'run.json'}: damaged or from another version ({error!r})") from error

    def __fspath__(self) -> str:
        """The folder, so that a training can be given where a model is asked for."""
        return str(self.folder)

    def __repr__(self) -> str:
        return f"TrainingRun({str(self.folder)!r}, {len(self.epochs)} of {self.settings.epochs} epochs)"

    @property
    def readout(self) -> Readout:
        """The read-out it was trained for."""
        return make_readout(self.settings.readout, **self.settings.readout_options)

    @property
    def epochs(self) -> list[int]:
        """The epochs whose weights are there, ascending; the first epoch is 1."""
        return epochs_of(self.folder)

    @property
    def predicted_epochs(self) -> list[int]:
        """The epochs whose prediction of the validation image is there, ascending, with or without weights."""
        names = {path.name.split(".")[0] for path in self.folder.glob("validation/[0-9][0-9][0-9][0-9]*.tif")}
        return sorted(int(name) for name in names if name.isdecimal())

    def checkpoint(self, epoch: int) -> Path:
        """Return the file of an epoch's weights, which a `Segmenter` also takes by itself."""
        return epoch_file(self.folder, epoch)

    def model(self, epoch: int | None = None) -> "nn.Module":
        """Return the network after an epoch, or the selected one, in eval mode on the CPU.

        Raises
        ------
        InputError
            If the weights of that epoch are not there or damaged.
        """
        from nanolab.models.checkpoint import load_network

        return load_network(self.checkpoint(self.selected_epoch if epoch is None else epoch))[0]

    def log(self) -> pd.DataFrame:
        """Return one row per epoch: epoch, loss, learning_rate, seconds and, if there is an annotated validation image,
        its validation_loss, dice, precision, recall and instance_f1_50.
        """  # noqa: D205
        return read_csv(self.folder / "log.csv", "training log (it is written after the first epoch)")

    def validation_prediction(self, epoch: int) -> npt.NDArray[np.float32]:
        """Return what an epoch predicts for the validation image, (C, height, width), as far as it is kept: to 1/510.

        Raises
        ------
        InputError
            If there was no validation image, or no such epoch.
        """
        return self.readout.unpack([read_tiff(path) for path in self._validation_paths(epoch)])

    def keep_validation_prediction(self, epoch: int, probabilities: npt.NDArray[np.float32]) -> None:
        """Write what `validation_prediction` reads."""
        for path, plane in zip(self._validation_paths(epoch), self.readout.pack(probabilities), strict=True):
            write_tiff(path, plane, pixel_size_nm=None)

    def _validation_paths(self, epoch: int) -> list[Path]:
        return [self.folder / "validation" / f"{epoch:04d}.{name}.tif" for name in self.readout.kept]

    @property
    def selected_epoch(self) -> int:
        """The epoch that was selected, the first if several were; the last there is where none was.

        Raises
        ------
        InputError
            If no epoch is finished, or the selection names one that is not there.
        """
        return selected_epoch(self.folder)
