"""What there is to cut and paste: the cutouts and backgrounds of the sources, and what names them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_image, check_same_shape
from nanolab.core.seeds import generator
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.synthesis.cutpaste.backgrounds import Background, background_pool
from nanolab.synthesis.cutpaste.cutouts import Cutout, cut_particles, whole_particles
from nanolab.synthesis.cutpaste.ground import find_ground
from nanolab.synthesis.cutpaste.settings import CutPasteSettings
from nanolab.synthesis.cutpaste.texture import patch_places

__all__ = ["Material", "check_source", "describe_source", "prepare"]

# Key of `generator`, so that no source shares random values with an image of the same number.
POOL, IMAGE = 0, 1


@dataclass(frozen=True)
class Material:
    """Cutouts and backgrounds of one source or several, their names, and the pixel size they share (None: unknown)."""

    sources: tuple[str, ...]
    cutouts: tuple[Cutout, ...]
    backgrounds: tuple[Background, ...]
    pixel_size_nm: float | None


def prepare(sources: Sequence[tuple[int, AnnotatedImage]], settings: CutPasteSettings, *, seed: int) -> Material:
    """Cut the particles out of annotated micrographs and make backgrounds of them.

    Parameters
    ----------
    sources
        Micrographs, each with its number in the run, which with the seed decides about its textures.

    Raises
    ------
    InputError
        If one has no annotation, no whole particle or no background, or if their pixel sizes differ.
    """
    cutouts: list[Cutout] = []
    backgrounds: list[Background] = []
    for number, sample in sources:
        labels = _checked(sample)
        ground = find_ground(sample.image, labels, sample.name)
        cutouts += cut_particles(sample.image, labels, ground, settings, sample.name)
        rng = generator(seed, POOL, number)
        backgrounds += background_pool(sample.image, ground, settings, rng, sample.name)
    sizes = {sample.pixel_size.nm for _, sample in sources}
    if len(sizes) > 1:
        listed = ", ".join(f"{sample.name}: {sample.pixel_size}" for _, sample in sources)
        raise InputError(f"sources to be mixed must have one pixel size, got {listed}; do not mix them")
    names = tuple(sample.name for _, sample in sources)
    return Material(names, tuple(cutouts), tuple(backgrounds), sizes.pop())


def check_source(sample: AnnotatedImage, settings: CutPasteSettings) -> None:
    """Require of a micrograph what `prepare` needs, without preparing it.

    Raises
    ------
    InputError
        If it has no annotation, no whole particle, or no background.
    """
    labels = _checked(sample)
    whole_particles(labels, settings, sample.name)
    ground = find_ground(sample.image, labels, sample.name)
    if set(settings.backgrounds) != {"mean"}:
        patch_places(ground.bare, sample.name)


def describe_source(sample: AnnotatedImage) -> dict[str, Any]:
    """Say which micrograph and which annotation were used: name, size, and SHA-256 of the values."""
    labels = _checked(sample)
    return {
        "name": sample.name,
        "image": sample.path.name,
        "shape": list(sample.image.shape),
        "pixel_size_nm": sample.pixel_size.nm,
        "image_sha256": _digest(sample.image.astype("<f4")),
        "labels_sha256": _digest(labels.astype("<i4")),
    }


def _checked(sample: AnnotatedImage) -> LabelMap:
    if sample.labels is None:
        raise InputError(f"{sample.path}: has no annotation; cut and paste needs the particles' masks")
    check_image(sample.image, str(sample.path))
    check_same_shape(sample.image, sample.labels, str(sample.path))
    return sample.labels


def _digest(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
