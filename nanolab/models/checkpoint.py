"""Weights on disk, and which of a training's are used: safetensors with a JSON record; reading one runs no code."""

import json
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import atomic, parse_json, read_json
from nanolab.models.readouts.base import Readout, make_readout
from nanolab.models.registry import build
from nanolab.models.settings import NetworkSettings
from nanolab.models.shipped import shipped_model

__all__ = [
    "checkpoint_of",
    "copy_network",
    "epoch_file",
    "epochs_of",
    "load_checkpoint",
    "load_network",
    "network_settings",
    "save_checkpoint",
    "selected_epoch",
]

_KEY = "nanolab"
_NUMBER = re.compile("[0-9]{4}|[1-9][0-9]{4,17}")


def save_checkpoint(path: Path | str, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors with a record of anything JSON can hold, atomically."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:  # not safetensors' own writer: its errors do not say that the disk is full
        temporary.write_bytes(save(content, {_KEY: json.dumps(record)}))


def load_checkpoint(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the record of a checkpoint.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a checkpoint of nanolab.
    """
    path = check_file(path, "checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            record = parse_json((file.metadata() or {})[_KEY], str(path), "train or copy it again", nan=True)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a dict)
    except (SafetensorError, KeyError, OSError) as error:
        raise InputError(f"{path}: no checkpoint of nanolab, or damaged ({error!r}); train or copy it again") from error
    if not isinstance(record, dict):
        raise InputError(f"{path}: the record must be a mapping, got {record!r}; train or copy it again")
    return tensors, record


def load_network(path: Path | str) -> tuple[nn.Module, Readout, dict[str, Any]]:
    """Rebuild the network of a checkpoint, in eval mode on the CPU, with its read-out and its record.

    Raises
    ------
    InputError
        If the file is not a checkpoint of a network, or its weights are no numbers or do not fit the network.
    """
    tensors, record = load_checkpoint(path)
    if not isinstance(record.get("settings"), dict):
        raise InputError(f"{path}: the record of a network must hold its settings, found none; train or copy it again")
    if bad := [name for name, values in tensors.items() if not values.isfinite().all()]:
        raise InputError(f"{path}: weights must be finite, and {bad[0]} holds NaN or infinite ones; take another epoch")
    try:
        settings = NetworkSettings.of(record["settings"])
        readout = make_readout(settings.readout, **settings.readout_options)
        network = build(settings.network, readout.channels, **settings.network_options)
        network.load_state_dict(tensors)
    except (InputError, RuntimeError) as error:
        raise InputError(f"{path}: the weights fit no network that this nanolab can build ({error})") from error
    return network.eval(), readout, record


def network_settings(model: "Path | str | PathLike[str]") -> dict[str, Any]:
    """Return the settings of the network of a model (see `checkpoint_of`), as a training that starts from it has them.

    Raises
    ------
    InputError
        If there is no such model, or its file is damaged.
    """
    return NetworkSettings.of(load_network(checkpoint_of(model))[2]["settings"]).model_dump()


def copy_network(source: Path | str, target: Path | str, readout_options: Mapping[str, Any] = {}) -> None:
    """Copy the checkpoint of a network, with some options of its read-out changed.

    Parameters
    ----------
    source, target
        Files.
    readout_options
        Options that do not change what the network learned, such as a threshold.

    Raises
    ------
    InputError
        If `source` is not a checkpoint of a network, or the options do not fit its read-out.
    """
    load_network(source)
    tensors, record = load_checkpoint(source)
    settings = record["settings"]
    settings["readout_options"] = {**settings.get("readout_options", {}), **readout_options}
    make_readout(settings["readout"], **settings["readout_options"])
    save_checkpoint(target, tensors, record)


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
        return path
    if not (path / "run.json").is_file():
        raise InputError(
            f"{path}: holds no training (there is no run.json in it), and is no .safetensors file of one epoch"
        )
    return epoch_file(path, selected_epoch(path) if epoch is None else epoch)
