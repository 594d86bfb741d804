"""Images as a user has them: loose files with names of all kinds, masks next to them or none, no pixel size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from helpers.discs import disc_sample
from PIL import Image

from nanolab.datasets.annotated import AnnotatedImage


def disc_images(count: int, side_px: int = 160, first: int = 0) -> list[AnnotatedImage]:
    return [disc_sample(k, shape=(side_px, side_px), count=30) for k in range(first, first + count)]


def write_own(folder: Path, images: Sequence[AnnotatedImage], *, masks: bool = True) -> Path:
    """Write images as `probe (#k).png`, and each one's label map next to it, as Cellpose calls it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(images):
        stem = f"probe (#{number})"
        grey = np.rint(np.clip(each.image, 0, 1) * 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{stem}.png")
        if masks and each.labels is not None:
            Image.fromarray(each.labels.astype(np.uint16)).save(folder / f"{stem}_cp_masks.png")
    return folder
