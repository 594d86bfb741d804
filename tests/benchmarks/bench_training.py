"""How fast training is, and whether it ever waits for patches. `make bench` prints the numbers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import product, repeat
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from nanolab.core.processes import worker_pool
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.models.device import choose_device, choose_precision
from nanolab.models.readouts.base import make_readout
from nanolab.training.learner import Learner
from nanolab.training.patches import Patches, prefetch
from nanolab.training.presets import preset_settings

pytestmark = pytest.mark.bench

STEPS, ROUNDS = 4, 5


def micrograph(seed: int, side: int = 512, count: int = 60) -> AnnotatedImage:
    """Make an annotated image of overlapping discs on noise."""
    rng = np.random.default_rng(seed)
    rows, cols = np.ogrid[:side, :side]
    labels = np.zeros((side, side), dtype=np.int32)
    for label, (row, col, radius) in enumerate(rng.uniform((0, 0, 10), (side, side, 30), (count, 3)), start=1):
        labels[(rows - row) ** 2 + (cols - col) ** 2 < radius**2] = label
    image = np.clip(np.where(labels > 0, 0.6, 0.3) + 0.05 * rng.standard_normal((side, side)), 0, 1)
    return AnnotatedImage(f"discs{seed}", image.astype(np.float32), labels, PixelSize.typed(2.0), Path("discs.tif"))


def steps(learner: Learner, batches: Iterator[Any], first: int) -> float:
    """Seconds that so many steps take."""
    start = time.perf_counter()
    for step in range(first, first + STEPS):
        learner.step(step, *next(batches))
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("default", {}), ("utilegen2023", {}), ("utilegen2023", {"readout_options.spacing_px": 2})],
)
def test_the_network_never_waits_for_patches(preset: str, changes: dict[str, Any]) -> None:
    device = choose_device("auto")
    machine = {"device": device.type, "precision": choose_precision("auto", device)}
    settings = preset_settings(preset, {**changes, **machine, "threads": torch.get_num_threads()})
    readout = make_readout(settings.readout, **settings.readout_options)
    patches = Patches([micrograph(seed) for seed in range(10)], readout, settings)
    learner, cached = Learner(settings, readout), repeat(patches.batch(0))
    steps(learner, cached, 0)
    live, still = [], []
    workers = 1 if device.type == "cpu" else 8
    with ExitStack() as stack:
        pool = stack.enter_context(worker_pool(workers)) if readout.holds_lock else None
        todo = range(ROUNDS * STEPS + 1)
        made = stack.enter_context(
            closing(prefetch(lambda step: patches.batch(step, pool=pool), todo, workers=workers))
        )
        next(made)
        for turn in range(ROUNDS):  # in turns, so that what else the machine does falls on both
            live.append(steps(learner, made, turn * STEPS))
            still.append(steps(learner, cached, turn * STEPS))
    alone = time.perf_counter()
    for step in range(STEPS):
        patches.batch(step)
    alone = (time.perf_counter() - alone) / STEPS
    each, best = median(live) / STEPS, median(still) / STEPS
    print(
        f"\n{preset} {changes or ''} on {device.type}, {settings.precision}: {each * 1e3:.0f} ms a step, "
        f"{settings.batch_size / each:.1f} patches of {settings.patch_px} px a second, "
        f"{each * settings.steps_per_epoch:.1f} s an epoch; "
        f"making a batch alone {alone * 1e3:.0f} ms; {best / each:.2f} of the speed on one cached batch"
    )


@contextmanager
def another_process(niceness: int) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that takes a core whenever it is let go on, and is stopped at first."""
    busy = subprocess.Popen([sys.executable, "-c", f"import os; os.nice({niceness})\nwhile True: pass"])
    busy.send_signal(signal.SIGSTOP)
    try:
        yield busy
    finally:
        busy.kill()
        busy.wait()


@pytest.mark.parametrize("waiting", ["PASSIVE", "ACTIVE"])  # the first is nanolab's; it counts before torch is there
def test_how_much_slower_it_is_with_another_process_next_to_it(waiting: str) -> None:
    environment = {**os.environ, "OMP_WAIT_POLICY": waiting}
    done = subprocess.run([sys.executable, __file__, "3"], env=environment, check=True, capture_output=True, text=True)
    print(f"\nOMP_WAIT_POLICY {waiting}, seconds a step of 8 patches\n{done.stdout}")


def busy_and_alone(turns: int) -> pd.DataFrame:
    """Return seconds a step by threads, alone and with a process on one core, and of processor time when alone."""
    device = choose_device("cpu")
    settings = preset_settings("default", {"device": device.type, "precision": choose_precision("auto", device)})
    readout = make_readout(settings.readout, **settings.readout_options)
    patches = Patches([micrograph(seed) for seed in range(10)], readout, settings)
    learner, cached, rows = Learner(settings, readout), repeat(patches.batch(0)), []
    steps(learner, cached, 0)
    with another_process(0) as busy:
        for turn, kind in product(range(turns), ("alone", "busy")):  # in turns: what else there is falls on all
            busy.send_signal(signal.SIGSTOP if kind == "alone" else signal.SIGCONT)
            for threads in sorted({1, os.cpu_count() or 1}):
                torch.set_num_threads(threads)
                work = time.process_time()
                rows.append((threads, kind, steps(learner, cached, turn) / STEPS, (time.process_time() - work) / STEPS))
    table = pd.DataFrame(rows, columns=["threads", "machine", "seconds", "processor"])
    return table.pivot_table(index="threads", columns="machine", values=["seconds", "processor"], aggfunc="median")


if __name__ == "__main__":
    print(busy_and_alone(int(sys.argv[1])).round(2).to_string())
