"""Which file holds the weights that somebody names; asked before PyTorch is there, whose import takes seconds."""

import re
from os import PathLike
from pathlib import Path

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import read_json
from nanolab.models.shipped import shipped_model

__all__ = ["checkpoint_of", "epoch_file", "epochs_of", "selected_epoch"]

_NUMBER = re.compile("[0-9]{4}|[1-9][0-9]{4,17}")


def epochs_of(folder: Path | str) -> list[int]:
    """Return the epochs of a training whose weights are in its folder, ascending; the first epoch is 1."""
    return sorted(int(path.stem) for path in Path(folder).glob("epochs/*.safetensors") if _NUMBER.fullmatch(path.stem))


def epoch_file(folder: Path | str, epoch: int) -> Path:
    """Return the file of an epoch's weights in the folder of a training."""
    return Path(folder) / "epochs" / f"{epoch:04d}.safetensors"


def selected_epoch(folder: Path | str) -> int:
    """Return the epoch of a training that was selected, the first if several were; the last there is where none was.

    Raises
    ------
    InputError
        If no epoch is finished, or the selection names one that is not there.
    """
    folder = Path(folder)
    epochs = epochs_of(folder)
    if not epochs:
        raise InputError(f"{folder}: no epoch is finished; continue the training with resume")
    if not (folder / "selection.json").exists():
        return epochs[-1]
    selection = read_json(folder / "selection.json")
    chosen = selection.get("epochs") if isinstance(selection, dict) else None
    if chosen == []:  # notes alone
        return epochs[-1]
    if not isinstance(chosen, list) or chosen[0] not in epochs:
        raise InputError(f"{folder / 'selection.json'}: epoch {chosen} is not there; select one again")
    return int(chosen[0])


def checkpoint_of(model: "Path | str | PathLike[str]", epoch: int | None = None) -> Path:
    """Return the file of the weights that a model names: itself, or an epoch of a training, the selected one if None.

    The name `shipped` stands for the network that ships.

    Raises
    ------
    InputError
        If `model` is no checkpoint and no folder of a training.
    """
    if str(model) == "shipped":
        return shipped_model()
    path = Path(model)
    if path.suffix == ".safetensors":
        return check_file(path, "checkpoint")
    if not (path / "run.json").is_file():
        raise InputError(
            f"{path}: holds no training (there is no run.json in it), and is no .safetensors file of one epoch"
        )
    return check_file(epoch_file(path, selected_epoch(path) if epoch is None else epoch), "checkpoint")
