"""Settings of trainings by name: those of the papers, and the default.

What a paper does not say is said here. Where a paper leaves weights as they come, `ema_decay` is 0 and nothing is
clipped; where it cuts patches anywhere, `particle_share` is 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nanolab.core.checks import InputError
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


_NO_AUGMENTATION = {
    "flip": False,
    "rotate": False,
    "scale": (1.0, 1.0),
    "gamma": 0.0,
    "contrast": 0.0,
    "brightness": 0.0,
    "illumination": 0.0,
    "blur_px": 0.0,
    "noise": 0.0,
}

_AS_THEY_COME = {"ema_decay": 0.0, "gradient_clip": None, "particle_share": 0.0}

_MILL = {
    **_AS_THEY_COME,
    "network": "unet_mill",
    "readout": "foreground",
    "readout_options": {"threshold": 0.51},
    "epochs": 500,
    "steps_per_epoch": 150,
    "batch_size": 2,
    "patch_px": 400,
    "clahe": True,
    "loss": "bce",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "augmentation": {
        **_NO_AUGMENTATION,
        "flip": True,
        "scale": (0.8, 1.25),
        "contrast": 0.2,
        "brightness": 0.1,
        "noise": 0.05,
    },
}

#: Presets by name.
PRESETS = {
    "default": Preset("nanolab's own, for ten minutes on two cores"),
    "mill2021": Preset(
        "Mill et al. 2021, 10.1002/smtd.202100223: 'Pre-Processing and Data Augmentation' and 'Convolutional Neural "
        "Network Architecture and Training', U-Net sim. The paper does not say how strong its augmentations are "
        "(quarter turns, flips, zoom, intensity, Gaussian noise), nor CLAHE's parameters; TensorFlow's defaults of "
        "Adam are PyTorch's. Its watershed is `--postprocessing mill2021_sio2` or `mill2021_tio2` when segmenting",
        _MILL,
    ),
    "mill2021_real": Preset(
        "Mill et al. 2021, 10.1002/smtd.202100223: the same section, U-Net real: 300 epochs, the state with the lowest "
        "validation loss; `nanolab.training.leave_one_out` trains one for each image",
        _MILL | {"epochs": 300, "keep": "best 1 by validation_loss"},
    ),
    "plos2024": Preset(
        "PLOS ONE 2024, 10.1371/journal.pone.0311228: 'Data preparation' and 'Results and discussion'. The paper names "
        "SGD from 0.01, Dice loss, batches of 16, 100,000 iterations, results at every 1,000th, and PaddleSeg for all "
        "else: momentum 0.9, weight decay 4e-5 and a learning rate falling with power 0.9 are PaddleSeg's defaults. "
        "Its augmentations (flips, affine maps, rotation, Gaussian noise, contrast, scale, shift) come without amounts",
        _AS_THEY_COME
        | {
            "network": "unet_mill",
            "readout": "foreground",
            "epochs": 100,
            "steps_per_epoch": 1000,
            "batch_size": 16,
            "patch_px": 321,
            "loss": "dice",
            "optimizer": "sgd",
            "momentum": 0.9,
            "weight_decay": 4e-5,
            "learning_rate": 0.01,
            "schedule": "polynomial",
            "augmentation": _NO_AUGMENTATION
            | {"flip": True, "rotate": True, "scale": (0.75, 1.33), "shear": 0.1, "contrast": 0.3, "noise": 0.05},
        },
    ),
    "utilegen2023": Preset(
        "UTILE-Gen 2023, 10.1021/acsnanoscienceau.3c00020: 'Supervised Model Training'. 200 epochs of 100 steps; 'the "
        "default hyperparameter in the StarDist implementation' are 32 rays, a U-Net of 32 to 256 features, patches of "
        "256 px, 9 of 10 around a particle, batches of 4, Adam from 3e-4, halved after 40 epochs on a plateau. "
        "Augmentations (rotation, intensity, blur) come without amounts",
        _AS_THEY_COME
        | {
            "network": "unet",
            "network_options": {"channels": (32, 64, 128, 256), "units": 2},
            "readout": "stardist",
            "readout_options": {"rays": 32, "foreground_channel": False, "spacing_px": 1},
            "epochs": 200,
            "steps_per_epoch": 100,
            "batch_size": 4,
            "patch_px": 256,
            "particle_share": 0.9,
            "optimizer": "adam",
            "weight_decay": 0.0,
            "learning_rate": 3e-4,
            "schedule": "plateau",
            "augmentation": _NO_AUGMENTATION
            | {"flip": True, "rotate": True, "contrast": 0.3, "brightness": 0.1, "blur_px": 2.0},
        },
    ),
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
        values[group] = {**standard, **values.get(group, {}), part: value}
    return TrainingSettings(**values)
