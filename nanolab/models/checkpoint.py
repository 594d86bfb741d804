"""Weights on disk: safetensors with a JSON record; reading one runs no code."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import atomic, parse_json
from nanolab.models.epochs import checkpoint_of
from nanolab.models.readouts.base import Readout, make_readout
from nanolab.models.registry import build
from nanolab.models.settings import NetworkSettings

__all__ = [
    "copy_network",
    "load_checkpoint",
    "load_network",
    "network_settings",
    "save_checkpoint",
]

_KEY = "nanolab"


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
