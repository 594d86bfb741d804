"""All networks in one table, for people who choose one."""

import inspect
import re
from importlib import import_module

import pandas as pd
import torch

from nanolab.models.registry import NETWORKS, build

__all__ = ["network_table"]


def network_table(out_channels: int = 1) -> pd.DataFrame:
    """Return one row per network of `nanolab.models.registry.NETWORKS`, in that order.

    Columns: `network` (its name), `summary` (the first line of its documentation), `paper` (what that cites),
    `parameters` and `pretrained` (how many weights it has, and whether some of them begin as learned on ImageNet).

    Parameters
    ----------
    out_channels
        Channels that the networks are counted with.
    """
    return pd.DataFrame([_row(name, out_channels) for name in NETWORKS])


def _row(name: str, out_channels: int) -> dict[str, str | int | bool]:
    module, function = NETWORKS[name].split(":")
    maker = getattr(import_module(module), function)
    documentation = inspect.getdoc(maker) or ""
    with torch.device("meta"):  # 130 million random values would be drawn for nothing
        network = build(name, out_channels)
    return {
        "network": name,
        "summary": documentation.splitlines()[0].removeprefix("Make ").rstrip("."),
        "paper": " ".join(re.split(r"References\n-+\n", documentation)[1].split()).rstrip("."),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "pretrained": "pretrained" in inspect.signature(maker).parameters,
    }
