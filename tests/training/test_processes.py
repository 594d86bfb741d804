import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.models.checkpoint import load_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.training.loop import train
from nanolab.training.processes import Processes
from nanolab.training.settings import TrainingSettings


class Plain(torch.nn.Module):
    """Neither batch normalisation nor dropout: a patch does not matter to the others of its batch."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(4, out_channels, 5, padding=2)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(image)
        return logits


SCRIPT = """
import os, sys
from test_processes import Plain, train_plain
from nanolab.training.processes import Processes

if len(sys.argv) > 2:  # the first run ends before its second epoch, as if it had been killed
    from nanolab.training.learner import Learner
    step = Learner.step
    Learner.step = lambda self, number, *batch: os._exit(7) if number == 5 else step(self, number, *batch)
train_plain(sys.argv[1])
"""

SETTINGS = {
    "network": "plain",
    "readout": "foreground",
    "loss": "bce",
    "epochs": 2,
    "steps_per_epoch": 4,
    "patch_px": 40,
    "batch_size": 4,
    "threads": 1,
    "device": "cpu",
    "precision": "float32",
}


def train_plain(folder: Path | str) -> None:
    NETWORKS["plain"] = "test_processes:Plain"
    samples = [disc_sample(seed) for seed in range(3)]
    settings = TrainingSettings(**SETTINGS)
    train([samples], folder, settings, validation=disc_sample(9), resume=True, progress=False)


def test_alone_a_process_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Processes("cpu")
    network = Plain(1)
    assert (alone.size, alone.rank, alone.first, alone.device.type) == (1, 0, True, "cpu")
    assert alone.parallel(network) is network
    assert alone.mean(torch.tensor(3.0)) == 3
    assert alone.same([1]) == [1]
    assert alone.share(5) == range(5)


def test_a_batch_is_divided_without_remainder(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes("cpu")
    processes.size, processes.rank = 4, 1
    assert processes.share(8) == range(2, 4)
    with pytest.raises(InputError, match="batch_size: must be a multiple of the 4 processes that share a batch, got 6"):
        processes.share(6)


def launch(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    script = folder.parent / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [*launcher, str(script), str(folder), *more]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_two_processes_learn_what_one_does_also_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_settings: Callable[..., TrainingSettings]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    train_plain(tmp_path / "one")
    done = launch(tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert launch(tmp_path / "resumed", "stop").returncode != 0
    assert len(load_checkpoint(tmp_path / "resumed" / "state.safetensors")[1]["log"]) == 1
    done = launch(tmp_path / "resumed")
    assert done.returncode == 0, done.stderr
    one, two, resumed = (
        load_checkpoint(tmp_path / name / "state.safetensors")[0] for name in ("one", "two", "resumed")
    )
    for name in one:
        # float32 sums of gradients in another order, over 8 steps
        torch.testing.assert_close(two[name], one[name], atol=1e-6, rtol=1e-4)
        assert torch.equal(resumed[name], two[name])  # the same order: exactly
