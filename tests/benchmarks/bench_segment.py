"""How fast micrographs are segmented, and in how much memory. `make bench` prints it; nothing here asserts a time."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.discs import disc_labels

from nanolab.images.tiff import write_tiff
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.readouts.base import make_readout
from nanolab.models.registry import build
from nanolab.segmentation.segmenter import Segmenter

pytestmark = pytest.mark.bench

MANY = 300  # images


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


_MANY = """
import resource, sys, time
from pathlib import Path
from nanolab.segmentation.files import segment_files
from nanolab.segmentation.segmenter import Segmenter
if __name__ == "__main__":
    folder, count, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    files = sorted((folder / "images").iterdir())[:count]
    segmenter = Segmenter("shipped")
    start = time.perf_counter()
    done = segment_files(files, segmenter, folder / f"out{count}-{workers}", workers=workers, progress=False)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert len(done.table) == count and not done.failures
    print(took, peak)
"""


def test_many_images_need_no_more_memory_and_two_processes_are_faster(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for number in range(MANY):
        image = picture(disc_labels(rng, (256, 256), 40, (8, 14)), rng)
        write_tiff(tmp_path / f"images/{number:04d}.tif", (255 * image.clip(0, 1)).astype(np.uint8), pixel_size_nm=2.0)
    (tmp_path / "many.py").write_text(_MANY)
    known = {}
    for count, workers in ((MANY // 10, 1), (MANY, 1), (MANY, 2)):
        command = [sys.executable, str(tmp_path / "many.py"), str(tmp_path), str(count), str(workers)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        known[count, workers] = [float(each) for each in done.stdout.split()]
    (_, few), (one, many), (two, _) = known.values()
    print(f"\n{MANY} images of 256 x 256: {one:.0f} s, two processes {one / two:.2f} times as fast")
    print(f"memory {few:.2f} GiB with {MANY // 10} images, {many:.2f} with {MANY}")
    assert many < few + 0.2
