import pytest
import torch

from nanolab.core.checks import InputError
from nanolab.models.readouts.base import make_readout
from nanolab.models.registry import build
from nanolab.training.keep import Keep
from nanolab.training.learner import predicted_logits
from nanolab.training.presets import PRESETS, preset_settings
from nanolab.training.settings import TrainingSettings


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_names_its_source_and_can_be_built(name: str) -> None:
    settings = preset_settings(name)
    readout = make_readout(settings.readout, **settings.readout_options)
    network = build(settings.network, readout.channels, **settings.network_options).eval()
    with torch.no_grad():
        logits = predicted_logits(network, torch.zeros(1, 1, 33, 40), "float32")
    assert logits.shape == (1, readout.channels, 33, 40)
    assert name == "default" or "10." in PRESETS[name].source


def test_mill2021_is_what_the_paper_says() -> None:
    settings = preset_settings("mill2021")
    assert (settings.network, settings.readout, settings.readout_options) == (
        "unet_mill",
        "foreground",
        {"threshold": 0.51},
    )
    assert (settings.patch_px, settings.batch_size, settings.steps_per_epoch, settings.epochs) == (400, 2, 150, 500)
    assert (settings.optimizer, settings.learning_rate, settings.schedule, settings.loss) == (
        "adam",
        1e-3,
        "constant",
        "bce",
    )
    assert settings.clahe
    assert settings.stretch == (0, 100)  # "normalized within the range of [0, 1]": no percentiles
    assert settings.erode_px == 1  # the paper says that it was done, not by how much
    augmentation = settings.augmentation
    assert augmentation.flip  # quarter turns and flips
    assert not augmentation.rotate
    assert min(augmentation.noise, augmentation.contrast, augmentation.brightness, augmentation.scale[1] - 1) > 0
    assert augmentation.blur_px == augmentation.gamma == augmentation.illumination == augmentation.shear == 0
    real = preset_settings("mill2021_real")
    assert real.erode_px == 0  # manual labels were not eroded
    assert (real.epochs, Keep.parse(real.keep)) == (300, Keep("best", 1, "validation_loss"))


def test_plos2024_is_what_the_paper_says() -> None:
    settings = preset_settings("plos2024")
    assert (settings.optimizer, settings.learning_rate, settings.loss) == ("sgd", 0.01, "class dice")
    assert (settings.batch_size, settings.patch_px, settings.steps, settings.steps_per_epoch) == (
        16,
        321,
        100_000,
        1000,
    )


def test_utilegen2023_is_what_the_paper_says() -> None:
    settings = preset_settings("utilegen2023")
    assert (settings.readout, settings.epochs, settings.steps_per_epoch) == ("stardist", 200, 100)
    assert (settings.network, settings.network_options) == ("unet_stardist", {})  # at full resolution, as published
    assert (settings.readout_options["rays"], settings.patch_px, settings.batch_size) == (32, 256, 4)


def test_changes_reach_into_groups_and_leave_the_rest() -> None:
    settings = preset_settings("mill2021", {"seed": 7, "augmentation.noise": 0.2, "readout_options.threshold": 0.6})
    assert (settings.seed, settings.augmentation.noise, settings.readout_options) == (7, 0.2, {"threshold": 0.6})
    assert settings.augmentation.contrast == preset_settings("mill2021").augmentation.contrast
    default = preset_settings("default", {"augmentation.noise": 0})
    assert default.augmentation == TrainingSettings().augmentation.model_copy(update={"noise": 0.0})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("mill", {}, "preset: must be one of default, adapt, corrections, mill2021, .*, got 'mill'"),
        ("default", {"epochs.all": 3}, r"epochs\.all: only augmentation, .* have parts"),
        ("default", {"augmentation.nois": 3}, r"augmentation\.nois: unknown key"),
    ],
)
def test_mistakes_are_named(name: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        preset_settings(name, changes)


def test_a_part_of_what_is_no_group_is_refused() -> None:
    with pytest.raises(InputError, match=r"augmentation\.noise: augmentation must be a group of values .* got 3"):
        preset_settings("default", {"augmentation": 3, "augmentation.noise": 1})
