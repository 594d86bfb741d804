import json

import pytest

from nanolab.core.checks import InputError
from nanolab.training.settings import AugmentationSettings, TrainingSettings


def test_settings_survive_json() -> None:
    settings = TrainingSettings(epochs=3, augmentation={"noise": 0}, network_options={"norm": "instance"})
    assert TrainingSettings(**json.loads(settings.model_dump_json())) == settings


def test_steps_are_epochs_times_steps_an_epoch() -> None:
    assert TrainingSettings(epochs=3, steps_per_epoch=7).steps == 21


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, r"epoch: unknown key \(did you mean epochs\?\), got 3"),
        ({"augmentation": {"nois": 0}}, r"augmentation\.nois: unknown key"),
        ({"epochs": 0}, "epochs: .*greater than or equal to 1, got 0"),
        ({"epochs": "many"}, "epochs: .*integer.*, got 'many'"),
        ({"patch_px": 31}, "patch_px: .*greater than or equal to 32, got 31"),
        ({"keep": "best 3"}, "keep: must be 'all', 'every K', or 'best N by SCORE' .*, got 'best 3'"),
        ({"loss": "dice", "readout": "stardist"}, "loss dice is for the read-out foreground"),
        ({"learning_rate": float("nan")}, "learning_rate: .*finite number, got nan"),
        ({"network": "unett"}, "network: must be one of unet.*, got 'unett'"),
        ({"readout": "border"}, "readout: must be one of foreground, .*, got 'border'"),
        ({"device": "gpu"}, "device: .*'cpu'.*, got 'gpu'"),
        ({"augmentation": {"scale": (2, 1)}}, r"augmentation\.scale: the smallest magnification must come first"),
    ],
)
def test_a_mistake_is_named_with_its_value(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"training settings:\n  {message}"):
        TrainingSettings(**values)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"epochs: .*\n  seed: "):
        TrainingSettings(epochs=0, seed=-1)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        AugmentationSettings().noise = 1
