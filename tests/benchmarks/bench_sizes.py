"""How long measuring takes."""

import time

import numpy as np
import pytest

from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.particles import measure


@pytest.mark.bench
def test_a_thousand_particles_are_measured_within_a_second(rng: np.random.Generator) -> None:
    labels = np.zeros((2048, 2048), np.int32)
    rows, cols = np.mgrid[:60, :60] - 30
    for k in range(1024):
        row, col = 64 * (k // 32), 64 * (k % 32)
        distance = np.hypot(rows, cols / rng.uniform(0.5, 1))
        labels[row : row + 60, col : col + 60][distance < rng.uniform(8, 29)] = k + 1
    image = rng.random(labels.shape).astype(np.float32)
    begin = time.process_time()  # of this process alone, whatever else the machine does
    table = measure(labels, pixel_size=PixelSize.typed(2.0), image=image)
    seconds = time.process_time() - begin
    print(f"{len(table)} particles in 2048 x 2048 px: {seconds:.2f} s")
    assert seconds < 1
