"""How often a drawn scale bar is read, and how often wrongly, on real micrographs."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.scale_bars import draw_scale_bar

from nanolab.images.scale_bar import read_scale_bar

_WRONG = 0.02  # of the pixel size


@pytest.mark.bench
def test_drawn_scale_bars_are_read_right_or_not_at_all(emps_folder: Path, bam_folder: Path) -> None:
    count = int(os.environ.get("NANOLAB_SCALE_BARS", "100"))  # about 0.3 s each on a quiet machine
    emps = sorted((emps_folder / "images").glob("*.png"))
    bam = sorted((bam_folder / "Datasets" / "Electron Microscopy Images" / "SEM").glob("*.tif"))
    seen: Counter[str] = Counter()
    confidences: list[tuple[float, bool]] = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        files = bam if rng.random() < 0.3 else emps
        bar = draw_scale_bar(rng, files[int(rng.integers(len(files)))])
        found = read_scale_bar((bar.pixels / 255).astype(np.float32))
        if found.nm is not None and found.confidence is not None:
            wrong = abs(found.nm / bar.nm_per_px - 1) > _WRONG
            seen.update(["read", *(["wrong"] if wrong else [])])
            confidences.append((found.confidence, not wrong))
            if wrong:
                print(f"seed {seed}: {bar.style}, {bar.label} over {bar.length_px:.1f} px; got {found}")
    print(f"{count} bars: {seen['read'] / count:.1%} read, {seen['wrong'] / count:.1%} more than 2 % wrong")
    for low, high in ((0.55, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01)):
        right = [is_right for confidence, is_right in confidences if low <= confidence < high]
        if right:
            print(f"confidence {low} to {high}: {len(right)} read, {np.mean(right):.1%} right")
    assert seen["wrong"] <= 0.05 * count
