from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.discs import disc_sample
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings
from nanolab.training.tensorboard import TensorBoardLog


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0}).Reload()


def test_tensorboard_reads_what_the_log_says(tiny_run: TrainingRun) -> None:
    found, log = events(tiny_run.folder), tiny_run.log()
    for name in log.columns.drop("epoch"):
        values = [event.value for event in found.Scalars(f"epoch/{name}")]
        np.testing.assert_allclose(values, log[name], rtol=1e-6)  # kept in float32
    steps = found.Scalars("step/loss")
    assert [event.step for event in steps] == list(range(12))
    assert np.mean([event.value for event in steps[4:8]]) == pytest.approx(log["loss"][1], rel=1e-6)
    pictures = found.Images("validation")
    assert [(picture.step, picture.width, picture.height) for picture in pictures] == [(s, 96, 96) for s in (3, 7, 11)]


def test_a_resumed_training_shows_each_step_once(
    tmp_path: Path, tiny_settings: Callable[..., TrainingSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    show, state = TensorBoardLog.epoch, tmp_path / "state.safetensors"
    after_first = []

    def shown(self: TensorBoardLog, row: dict[str, float], *rest: Any) -> None:
        show(self, row, *rest)
        after_first.append(state.read_bytes())
        if row["epoch"] == 2:  # as if the second epoch had been shown but its state never written
            state.write_bytes(after_first[0])
            raise KeyboardInterrupt

    monkeypatch.setattr(TensorBoardLog, "epoch", shown)
    with pytest.raises(KeyboardInterrupt):
        train([[disc_sample(0)]], tmp_path, tiny_settings(), progress=False)
    monkeypatch.setattr(TensorBoardLog, "epoch", show)
    train([[disc_sample(0)]], tmp_path, tiny_settings(), resume=True, progress=False)
    assert [event.step for event in events(tmp_path).Scalars("epoch/loss")] == [3, 7, 11]
    assert [event.step for event in events(tmp_path).Scalars("step/loss")] == list(range(12))


def test_it_can_be_left_out(tmp_path: Path, tiny_settings: Callable[..., TrainingSettings]) -> None:
    train([[disc_sample(0)]], tmp_path, tiny_settings(epochs=1), progress=False, tensorboard=False)
    assert not (tmp_path / "tensorboard").exists()
