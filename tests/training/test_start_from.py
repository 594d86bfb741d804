from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.core.files import sha256
from nanolab.training.loop import train
from nanolab.training.settings import TrainingSettings

Settings = Callable[..., TrainingSettings]
SAMPLES = [disc_sample(seed) for seed in range(3)]


def test_a_training_starts_from_the_weights_it_is_told(tmp_path: Path, tiny_settings: Settings) -> None:
    first = train([SAMPLES], tmp_path / "first", tiny_settings(epochs=1), progress=False)
    still = tiny_settings(epochs=1, start_from=str(first.folder), learning_rate=1e-12, ema_decay=0, seed=5)
    second = train([SAMPLES], tmp_path / "second", still, progress=False)
    before, after = first.model().state_dict(), second.model().state_dict()
    # a step of Adam is at most about its learning rate; only the statistics of batch normalisation move
    assert all(
        torch.allclose(before[name], after[name], rtol=0, atol=1e-9)
        for name in before
        if "running" not in name and "num" not in name
    )
    assert second.record["data"]["started_from"] == sha256(first.checkpoint(1))


def test_an_anchor_keeps_weights_near_where_they_started(tmp_path: Path, tiny_settings: Settings) -> None:
    first = train([SAMPLES], tmp_path / "first", tiny_settings(epochs=1), progress=False)
    start = first.model().state_dict()
    moved = []
    for anchor in (0.0, 1.0):
        settings = tiny_settings(epochs=1, start_from=str(first.folder), anchor=anchor, learning_rate=0.5, seed=5)
        then = train([SAMPLES], tmp_path / str(anchor), settings, progress=False).model()
        moved.append(sum(float((value.detach() - start[name]).abs().sum()) for name, value in then.named_parameters()))
    assert moved[1] < 0.8 * moved[0]


def test_a_blend_lies_between_what_was_known_and_what_was_learned(tmp_path: Path, tiny_settings: Settings) -> None:
    first = train([SAMPLES], tmp_path / "first", tiny_settings(epochs=1), progress=False)
    start, ends = dict(first.model().named_parameters()), {}
    for blend in (1.0, 0.25):
        settings = tiny_settings(epochs=2, start_from=str(first.folder), blend=blend, seed=5)
        run = train([SAMPLES], tmp_path / str(blend), settings, progress=False)
        ends[blend] = dict(run.model().named_parameters())
    # learning goes on from what was learned, not from the blend
    for name, learned in ends[1.0].items():
        torch.testing.assert_close(ends[0.25][name], start[name] + 0.25 * (learned - start[name]))


def test_weights_of_another_network_are_refused(tmp_path: Path, tiny_settings: Settings) -> None:
    with pytest.raises(InputError, match=r"start_from: .* has network 'unet'"):
        train([SAMPLES], tmp_path / "new", tiny_settings(start_from="shipped"), progress=False)
    assert not (tmp_path / "new").exists()
    for name, said in (("none", "holds no training"), ("none.safetensors", "checkpoint")):
        with pytest.raises(InputError, match=said):
            train([SAMPLES], tmp_path / "new", tiny_settings(start_from=str(tmp_path / name)), progress=False)
        assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="anchor and blend keep weights near"):
        tiny_settings(anchor=0.1)
    with pytest.raises(InputError, match="anchor and blend keep weights near"):
        tiny_settings(blend=0.5)
