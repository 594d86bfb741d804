"""How fast micrographs are segmented, and in how much memory. `make bench` prints it; nothing here asserts a time."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.discs import disc_labels

from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.readouts.base import make_readout
from nanolab.models.registry import build
from nanolab.segmentation.segmenter import Segmenter

pytestmark = pytest.mark.bench


def model(folder: Path, readout: str, steps: int = 60) -> Path:
    """Return the checkpoint of the default network after so many steps on discs: it finds most of them."""
    chosen = make_readout(readout)
    torch.manual_seed(0)
    network = build("unet", chosen.channels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        labels = disc_labels(rng, (128, 128), 25, (6, 14))
        image, targets = torch.from_numpy(picture(labels, rng))[None, None], torch.from_numpy(chosen.targets(labels))
        loss = chosen.loss(network(image), targets[None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = folder / f"{readout}.safetensors"
    save_checkpoint(path, network.state_dict(), {"settings": {"network": "unet", "readout": readout}})
    return path


def picture(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = 0.05 * rng.standard_normal(labels.shape, dtype=np.float32)
    return (np.where(labels > 0, 0.7, 0.3) + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("readout", "options"),
    [
        ("foreground", {}),
        ("interior+border", {}),
        ("interior+border", {"flips": True}),
        ("interior+border", {"postprocessing": "mill2021_sio2"}),
        ("stardist", {}),
    ],
)
def test_seconds_for_2048_by_2048(tmp_path: Path, readout: str, options: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    tile = picture(disc_labels(rng, (512, 512), 400, (8, 14)), rng)
    image = np.tile(tile, (4, 4))
    segmenter = Segmenter(model(tmp_path, readout), **options)  # type: ignore[arg-type]
    segmenter.segment(image[:1024, :1024])  # what is made once
    start, work = time.perf_counter(), time.process_time()
    found = segmenter.segment(image)
    seconds, work = time.perf_counter() - start, time.process_time() - work
    said = ", ".join([readout, *(f"{name}={value}" for name, value in options.items())])
    print(
        f"\n2048 x 2048, {said}: {seconds:.2f} s, {work:.2f} s of processor time, {found.max()} particles, "
        f"{torch.get_num_threads()} threads"
    )


_LARGE = """
import sys, resource, time
import numpy as np
from nanolab.segmentation.segmenter import Segmenter
rng = np.random.default_rng(0)
side = int(sys.argv[2])
image = np.tile(rng.random((250, 250), dtype=np.float32), (side // 250, side // 250))
image[100::250, 100::250] = 2
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
start = time.perf_counter()
Segmenter(sys.argv[1]).segment(image)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{side} x {side}: {time.perf_counter() - start:.0f} s, at most {peak:.1f} GiB, {before:.1f} GiB before")
"""


@pytest.mark.parametrize("readout", ["interior+border"])
def test_memory_for_20000_by_20000(tmp_path: Path, readout: str) -> None:
    command = [sys.executable, "-c", _LARGE, str(model(tmp_path, readout, 5)), "20000"]
    print("\n" + subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 12 * 2**20  # KiB; it must fit into 16 GB
