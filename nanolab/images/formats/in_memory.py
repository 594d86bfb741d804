"""Images that are no files: arrays, HyperSpy's signals, and the dictionaries that RosettaSciIO reads and writes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nanolab.core.checks import InputError

__all__ = ["name_of_signal", "signals_of"]

_PLAIN = {"scale": 1.0, "units": "px", "navigate": False}  # axis of an array
_ARRAY = {"General": {"title": "array"}}


def signals_of(source: Any) -> list[dict[str, Any]]:
    """Return an array, what has `data` and `axes_manager`, a dictionary with ``data`` and ``axes``, or a list of these.

    Returns
    -------
    signals
        RosettaSciIO's dictionaries with ``data``, ``axes``, ``metadata`` and ``original_metadata``; nothing is loaded.

    Raises
    ------
    InputError
        If it is something else, or a signal does not end in the two axes of an image.
    """
    several = list(source) if isinstance(source, Sequence) and not isinstance(source, str | bytes) else [source]
    signals = [_as_dictionary(each) for each in several]
    if not signals or any(signal is None for signal in signals):
        raise InputError(
            "image: must be a path, an array, a HyperSpy signal or RosettaSciIO's dictionary, "
            f"got {type(source).__name__}"
        )
    for signal in filter(None, signals):
        _check(signal)
    return [signal for signal in signals if signal is not None]


def _as_dictionary(source: Any) -> dict[str, Any] | None:
    if isinstance(source, np.ndarray):
        return {"data": source, "axes": [_PLAIN] * source.ndim, "metadata": _ARRAY, "original_metadata": {}}
    if isinstance(source, Mapping) and {"data", "axes"} <= source.keys():
        return {"metadata": {}, "original_metadata": {}, **source}
    if not (hasattr(source, "data") and hasattr(source, "axes_manager")):
        return None
    axes = list(source.axes_manager.as_dictionary().values())
    return {"data": source.data, "axes": axes, "metadata": _tree(source, "metadata"), "original_metadata": {}}


def _tree(signal: Any, name: str) -> dict[str, Any]:
    """Return HyperSpy's tree of metadata as dictionaries."""
    tree: Any = getattr(signal, name, None)
    return dict(tree.as_dictionary()) if hasattr(tree, "as_dictionary") else {}


def _check(signal: dict[str, Any]) -> None:
    axes, shape = signal["axes"], signal["data"].shape
    if len(axes) != len(shape) or len(shape) < 2 or any(axis.get("navigate") for axis in axes[-2:]):
        raise InputError(
            f"signal: its last two axes must be those of an image, got {len(axes)} axes of data of shape {shape}; "
            "choose or transpose it first, as with HyperSpy's `as_signal2D`"
        )


def name_of_signal(signal: Mapping[str, Any]) -> Path:
    """Return a path without folders after the title, or the file that the signal was read from."""
    general = signal.get("metadata", {}).get("General", {})
    title = str(general.get("title") or Path(str(general.get("original_filename") or "signal")).stem)
    return Path(re.sub(r"[/\\\0]", "_", title) + ".tif")
