"""Made-up micrographs and comparisons to test realism on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.labels import write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.tiff import write_tiff
from nanolab.realism.comparison import RealismComparison, compare_sets

Maker = Callable[..., list[AnnotatedImage]]


def disc_image(rng: np.random.Generator, side: int, noise: float, blur: float) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:side, :side]
    labels = np.zeros((side, side), dtype=np.int32)
    for label in range(1, 4):
        row, column = rng.uniform(0.1 * side, 0.6 * side, 2)
        labels[np.hypot(rows - row, columns - column) < side / 10] = label
    clean = gaussian_filter(np.where(labels > 0, 0.7, 0.2), blur)
    image = np.clip(clean + noise * rng.standard_normal(labels.shape), 0, 1)
    return image.astype(np.float32), labels


@pytest.fixture(scope="session")
def discs() -> Maker:
    """Make images of three bright discs each, as different from one another as noise and place make them."""

    def make(
        count: int, seed: int, *, side: int = 192, noise: float = 0.02, blur: float = 1.0, nm: float | None = 2.0
    ) -> list[AnnotatedImage]:
        made = []
        for index in range(count):
            image, labels = disc_image(np.random.default_rng([seed, index]), side, noise, blur)
            size = PixelSize.unknown("made up") if nm is None else PixelSize.typed(nm)
            made.append(AnnotatedImage(f"discs{index}", image, labels, size, Path(f"discs{index}.tif")))
        return made

    return make


@pytest.fixture(scope="session")
def compared(discs: Maker) -> RealismComparison:
    """Compare sharp discs with blurred ones."""
    return compare_sets(discs(6, seed=1, side=288), discs(6, seed=2, side=288, blur=2), seed=0, progress=False)


@pytest.fixture(scope="session")
def saved() -> Callable[..., Path]:
    """Write samples into a folder: images/ and masks/, or, if `labels` is given, images alone and label maps there."""

    def save(folder: Path, samples: list[AnnotatedImage], *, labels: Path | None = None) -> Path:
        images, masks, suffix = (
            (folder / "images", folder / "masks", "") if labels is None else (folder, labels, ".labels")
        )
        for sample in samples:
            grey = np.rint(sample.image * 255).astype(np.uint8)
            write_tiff(images / f"{sample.name}.tif", grey, pixel_size_nm=2.0)
            write_labels(masks / f"{sample.name}{suffix}.tif", sample.labels, pixel_size_nm=2.0)
        return folder

    return save
