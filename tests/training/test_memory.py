import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from helpers.discs import TinyNetwork, disc_sample

from nanolab.core.checks import InputError
from nanolab.training.learner import Learner
from nanolab.training.loop import train
from nanolab.training.memory import memory_explained, needed_bytes, step_seconds
from nanolab.training.run import TrainingRun
from nanolab.training.settings import TrainingSettings

Settings = Callable[..., TrainingSettings]


def test_the_need_grows_with_batch_and_area(tiny_settings: Settings) -> None:
    network = TinyNetwork(1)
    small, large = (tiny_settings(patch_px=side, precision="float32") for side in (128, 256))
    weights = 4 * 4 * sum(each.numel() for each in network.parameters())
    one = needed_bytes(network, small, 1) - weights
    # the image and, of each of the two levels, what its convolution, normalisation and ReLU give, 8 channels of 4
    # bytes: autograd keeps at least two of the three
    assert (1 + 2 * 2 * 8) * 4 * 128**2 <= one <= (1 + 2 * 3 * 8 + 8) * 4 * 128**2
    assert needed_bytes(network, small, 4) - weights == 4 * one
    assert needed_bytes(network, large, 1) - weights == 4 * one
    assert network.training


def test_how_long_so_many_steps_take_is_said_before_the_first(
    tmp_path: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(self: Learner, number: int, *batch: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train([[disc_sample(0)]], tmp_path, tiny_settings(epochs=1, steps_per_epoch=1_000_000))
    assert re.search(r"will take roughly \d+ (min|h|days) for 1,000,000 steps, and up to", capsys.readouterr().err)


def test_the_time_of_a_step_grows_with_batch_and_area(tiny_settings: Settings) -> None:
    network, side = TinyNetwork(1).train(), 4096
    one = step_seconds(network, tiny_settings(patch_px=256, precision="float32"), 1)
    many = step_seconds(network, tiny_settings(patch_px=side, precision="float32"), 8)
    # 2048 times as much; a busy machine can make either look ten times as slow
    assert 200 < many / one < 20_000
    assert network.training


def test_too_little_memory_stops_before_the_first_step(
    tmp_path: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(InputError, match=r"a step needs about .* lower batch_size \(2\) or patch_px \(32\)"):
        train([[disc_sample(0)]], tmp_path, tiny_settings(), progress=False)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_keeps_the_epochs_before(
    tmp_path: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    step = Learner.step

    def starved(self: Learner, number: int, *batch: object) -> float:
        if number == 5:
            raise error
        return step(self, number, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", starved)
        with pytest.raises(
            InputError, match=r"memory ran out; .* a lower batch_size than 2 or a lower patch_px than 32"
        ):
            train([[disc_sample(0)]], tmp_path, tiny_settings(), progress=False)
    assert TrainingRun(tmp_path).epochs == [1]


def test_what_torch_really_says_is_understood(tiny_settings: Settings) -> None:
    with pytest.raises(InputError, match="memory ran out"), memory_explained(tiny_settings()):
        torch.empty(2**50)


def test_other_errors_stay_what_they_are(tiny_settings: Settings) -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_explained(tiny_settings()):
        raise RuntimeError("shapes differ")
