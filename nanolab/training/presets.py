"""Settings of trainings by name: those of the papers, and the default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanolab.core.checks import InputError
from nanolab.core.validation import read_yaml
from nanolab.training.settings import AugmentationSettings, TrainingSettings

__all__ = ["PRESETS", "Preset", "preset_settings"]


@dataclass(frozen=True)
class Preset:
    """Settings with where they are from.

    Attributes
    ----------
    source
        The section that they follow, and what it leaves open.
    values
        What differs from `TrainingSettings`.
    """

    source: str
    values: Mapping[str, Any] = field(default_factory=dict)


#: Presets by name, from `presets.yaml`.
PRESETS = {
    name: Preset(**preset) for name, preset in read_yaml(Path(__file__).with_suffix(".yaml"), "file of presets").items()
}


def preset_settings(name: str = "default", changes: Mapping[str, Any] = {}) -> TrainingSettings:
    """Return the settings of a preset with some of them changed.

    Parameters
    ----------
    name
        One of `PRESETS`.
    changes
        New values by key; `augmentation.noise` changes one value of a group and leaves its others.

    Raises
    ------
    InputError
        If there is no such preset, a key is unknown or a value out of its range.

    Examples
    --------
    >>> settings = preset_settings("mill2021", {"epochs": 2, "augmentation.noise": 0})
    >>> settings.patch_px, settings.epochs, settings.augmentation.noise, settings.augmentation.contrast
    (400, 2, 0.0, 0.2)
    """
    if name not in PRESETS:
        raise InputError(f"preset: must be one of {', '.join(PRESETS)}, got {name!r}; choose one of these")
    values = dict(PRESETS[name].values)
    for key, value in changes.items():
        group, _, part = key.partition(".")
        if not part:
            values[key] = value
            continue
        if group not in ("augmentation", "network_options", "readout_options"):
            raise InputError(f"{key}: only augmentation, network_options and readout_options have parts; check the key")
        standard = AugmentationSettings().model_dump() if group == "augmentation" else {}
        before = values.get(group, {})
        if not isinstance(before, Mapping):
            raise InputError(f"{key}: {group} must be a group of values to change one of them, got {before!r}")
        values[group] = {**standard, **before, part: value}
    return TrainingSettings(**values)
