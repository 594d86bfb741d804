"""Images of discs and a network that takes touching ones for one: twins that need no rendering."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.discs import disc_labels
from scipy import ndimage

from nanolab.core.typing import AnyImage, LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.summary import MeasuredImage, measure_image
from nanolab.models.readouts.interior_border import InteriorBorder
from nanolab.synthesis.recipe import Recipe
from nanolab.twin.twins import Network, Twins

PIXEL_SIZE = PixelSize.typed(2.0)
Radii = tuple[float, float]


def disc_image(
    seed: int, radii_px: Radii, *, count: int = 100, noise: float = 0.03, dark: float = 0.3
) -> AnnotatedImage:
    rng = np.random.default_rng(seed)
    labels = disc_labels(rng, (256, 256), count, radii_px)
    image = np.where(labels > 0, rng.uniform(0.6, 0.8), rng.uniform(dark - 0.1, dark))
    image = ndimage.gaussian_filter(image, rng.uniform(0.4, 0.8)) + noise * rng.uniform(0.7, 1.3) * rng.standard_normal(
        labels.shape
    )
    return AnnotatedImage(f"discs{seed}", image.astype(np.float32), labels, PIXEL_SIZE, Path(f"discs{seed}.tif"))


@dataclass(frozen=True)
class Touching(Network):
    """Finds what is brighter than mid-grey; discs that touch are one, pieces below 30 px none."""

    model: Path = Path("touching.safetensors")
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def segmenter(self) -> Any:
        said = ", ".join(["nanolab", "touching", *(f"{name} {value}" for name, value in self.options.items())])
        return SimpleNamespace(made_by=said, readout=InteriorBorder(), magnification=lambda image: 1.0)

    def find(self, images: Iterable[AnyImage], *, pixel_size_nm: float, progress: bool = True) -> list[LabelMap]:
        return [touching(image) for image in images]


def touching(image: AnyImage) -> LabelMap:
    labels, count = ndimage.label(ndimage.gaussian_filter(image, 1) > 0.45)
    small = np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1) < 30)
    labels[np.isin(labels, small)] = 0
    return np.asarray(labels, dtype=np.int32)


def measured(images: list[AnnotatedImage], *, truth: bool = False) -> list[MeasuredImage]:
    return [
        measure_image(
            each.name, each.labels if truth else touching(each.image), pixel_size=PIXEL_SIZE, image=each.image
        )
        for each in images
        if each.labels is not None
    ]


def use_twins(images: list[AnnotatedImage], monkeypatch: pytest.MonkeyPatch) -> None:
    """Take these images for what a recipe renders."""

    def rendered(recipe: Recipe, count: int, *, root: Path) -> Any:
        assert (recipe.image.height_px, recipe.image.pixel_size_nm) == (256, 2.0)
        made = SimpleNamespace(dataset=images, count=count, scene=np.arange(count))
        made.matched = lambda *given: Twins.matched(made, *given)
        return made

    monkeypatch.setattr(Twins, "rendered", rendered)
