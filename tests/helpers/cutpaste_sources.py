"""Annotated images to cut particles out of, whose truth is known."""

from pathlib import Path

import numpy as np

from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.synthesis.cutpaste.composition import Composition, compose, draw_composition
from nanolab.synthesis.cutpaste.material import prepare
from nanolab.synthesis.cutpaste.settings import CutPasteSettings

GROUND, PARTICLE, NOISE = 0.3, 0.7, 0.02
PLAIN = {"salt_pepper": 0, "gaussian_blur_px": 0, "size_px": 256}


def source(
    *shapes: tuple[str, float, float, float], side: int = 200, seed: int = 0, nm: float | None = 2.0
) -> AnnotatedImage:
    """An annotated image of discs and squares, each (kind, row, col, radius or half side), on noisy ground."""
    rows, cols = np.mgrid[:side, :side]
    labels = np.zeros((side, side), dtype=np.int32)
    for label, (kind, row, col, size) in enumerate(shapes, start=1):
        down, right = rows - row, cols - col
        inside = np.hypot(down, right) < size if kind == "disc" else np.maximum(abs(down), abs(right)) < size
        labels[inside] = label
    noise = NOISE * np.random.default_rng(seed).standard_normal(labels.shape)
    image = np.where(labels > 0, PARTICLE, GROUND) + noise
    pixel_size = PixelSize.unknown("test") if nm is None else PixelSize.typed(nm)
    return AnnotatedImage(f"source{seed}", image.astype(np.float32), labels, pixel_size, Path(f"source{seed}.tif"))


DISCS = source(("disc", 50, 50, 12), ("disc", 60, 130, 15), ("disc", 140, 90, 13))


def settings(**changed: object) -> CutPasteSettings:
    return CutPasteSettings.model_validate(PLAIN | changed)


def made(sample: AnnotatedImage, chosen: CutPasteSettings, index: int = 0) -> Composition:
    material = prepare([(0, sample)], chosen, seed=0)
    return compose(material, chosen, draw_composition(material, chosen, generator(0, 1, index)))
