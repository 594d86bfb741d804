"""How long a comparison of 3,500 patches takes. `make bench` prints the numbers; nothing here asserts a time."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.opening import open_images
from nanolab.images.pixel_size import PixelSize
from nanolab.realism.comparison import compare_sets
from nanolab.realism.features import VGG16, extract_features, load_extractor
from nanolab.realism.patches import sequential_patches
from nanolab.realism.presets import PRESETS

pytestmark = pytest.mark.bench


def textured(name: str) -> AnnotatedImage:
    """Make an image of blocks and noise, 1008 px a side."""
    rng = np.random.default_rng(int(name))
    labels = np.kron(rng.integers(0, 4, (42, 42)) == 0, np.ones((24, 24), dtype=np.int32)).astype(np.int32)
    image = np.clip(0.2 + 0.5 * labels + 0.03 * rng.standard_normal(labels.shape), 0, 1).astype(np.float32)
    return AnnotatedImage(name, image, labels, PixelSize.typed(2.0), Path(name))


@pytest.mark.parametrize("preset", ["default", "mill2021"])
def test_comparison_of_3500_patches(preset: str, tmp_path: Path) -> None:
    sets = [LazyImages([str(first + k) for k in range(36)], textured) for first in (0, 100)]
    weights = None
    if PRESETS[preset].extractor == "vgg16":  # how long it takes does not depend on what the weights are
        torch.manual_seed(0)
        weights = tmp_path / "vgg16.pth"
        torch.save(VGG16().state_dict(), weights)
    start = time.perf_counter()
    found = compare_sets(*sets, preset=preset, seed=0, weights=weights, progress=False)
    seconds = time.perf_counter() - start
    assert len(found.real) == len(found.synthetic) == 1750
    steps = ", ".join(f"{step} {each:.0f}" for step, each in found.seconds.items())
    print(f"\n{preset}, {2 * len(found.real)} patches of {found.real.size_px} px: {seconds:.0f} s ({steps})")


@pytest.mark.parametrize("size_px", [64, 96, 144, 224])
def test_features(size_px: int, bam_folder: Path) -> None:
    patches = sequential_patches(open_images("bam-tio2")[:4], size_px, limit=200)
    network = load_extractor("efficientnet-lite0")
    extract_features(patches.pixels[:64], network, progress=False)
    start = time.perf_counter()
    extract_features(patches.pixels, network, progress=False)
    print(f"\nEfficientNet-Lite0, {size_px} px: {len(patches) / (time.perf_counter() - start):.0f} patches a second")
