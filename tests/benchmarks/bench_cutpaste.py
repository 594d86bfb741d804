"""How fast images are cut and pasted. `make bench` prints the numbers; nothing here asserts a time."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.synthesis.cutpaste.composition import compose, draw_composition
from nanolab.synthesis.cutpaste.generate import cut_and_paste
from nanolab.synthesis.cutpaste.material import IMAGE, prepare
from nanolab.synthesis.cutpaste.settings import CutPasteSettings

pytestmark = pytest.mark.bench

IMAGES = 200
# UTILE-Gen's own code, an image of 50 particles on one core of the machine on which this was written.
PAPER_S = 1.3


def discs(side: int = 1024, count: int = 60, radius: float = 25) -> AnnotatedImage:
    """Make an annotated image of bright discs on noise."""
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:side, :side]
    labels = np.zeros((side, side), dtype=np.int32)
    for label, (row, col) in enumerate(rng.uniform(0, side, (count, 2)), start=1):
        labels[(np.hypot(rows - row, cols - col) < radius) & (labels == 0)] = label
    image = np.clip(np.where(labels > 0, 0.6, 0.2) + 0.03 * rng.standard_normal((side, side)), 0, 1)
    return AnnotatedImage("discs", image.astype(np.float32), labels, PixelSize.typed(2.0), Path("discs.tif"))


def cost(folder: Path, source: AnnotatedImage, count: int) -> tuple[float, float]:
    """Seconds, and seconds of all processors together, to make a dataset from nothing."""
    start, before = time.perf_counter(), os.times()
    cut_and_paste([source], folder, count, CutPasteSettings(), seed=0, progress=False)
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])


def test_images_of_50_particles_at_1024(tmp_path: Path) -> None:
    source, settings = discs(), CutPasteSettings()
    start = time.process_time()
    material = prepare([(0, source)], settings, seed=0)
    prepared = time.process_time() - start
    start = time.process_time()
    for index in range(20):
        compose(material, settings, draw_composition(material, settings, generator(0, IMAGE, index)))
    composed = (time.process_time() - start) / 20
    print(f"\npreparing the source: {prepared:.2f} s of one core; composing an image: {composed * 1e3:.0f} ms")
    few, many = cost(tmp_path / "few", source, 40), cost(tmp_path / "many", source, 40 + IMAGES)
    seconds, processor_s = ((after - before) / IMAGES for before, after in zip(few, many, strict=True))
    print(
        f"from start to end: {40 + IMAGES} images in {many[0]:.1f} s, of which starting {few[0] - 40 * seconds:.1f} s"
    )
    print(f"written with labels and truth: {1 / seconds:.1f} images a second on {os.cpu_count()} cores,")
    print(f"{processor_s * 1e3:.0f} ms of one core each; {PAPER_S / seconds:.0f} times the paper's code ({PAPER_S} s)")
