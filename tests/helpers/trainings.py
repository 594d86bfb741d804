"""A training small enough to make for a test."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.discs import TINY, disc_sample

from nanolab.models.registry import NETWORKS
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tiny network of these tests among the networks."""
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])


@pytest.fixture
def tiny_settings(tiny: None) -> Callable[..., TrainingSettings]:
    def make(**changes: object) -> TrainingSettings:
        values = {"network": "tiny", "epochs": 3, "steps_per_epoch": 4, "patch_px": 32, "batch_size": 2, "threads": 1}
        return TrainingSettings(device="cpu", **{**values, **changes})

    return make


@pytest.fixture
def tiny_run(tmp_path: Path, tiny_settings: Callable[..., TrainingSettings]) -> TrainingRun:
    """Train three epochs with a validation image."""
    samples = [disc_sample(seed) for seed in range(3)]
    return train([samples], tmp_path / "run", tiny_settings(), validation=disc_sample(9), progress=False)
