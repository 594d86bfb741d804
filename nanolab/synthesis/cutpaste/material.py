"""What there is to cut and paste: the cutouts and backgrounds of the sources, and what names them."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_image, check_same_shape
from nanolab.core.seeds import generator
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.measurement.particles import equivalent_diameter
from nanolab.synthesis.cutpaste.backgrounds import Background, background_pool, patch_places
from nanolab.synthesis.cutpaste.cutouts import Cutout, cut_particles, whole_particles
from nanolab.synthesis.cutpaste.ground import find_ground
from nanolab.synthesis.cutpaste.settings import CutPasteSettings

__all__ = ["Material", "check_source", "describe_source", "prepare"]

logger = logging.getLogger(__name__)

# Key of `generator`, so that no source shares random values with an image of the same number.
POOL, IMAGE = 0, 1


@dataclass(frozen=True)
class Material:
    """Cutouts and backgrounds of one source or several, their names, and the pixel size they share (None: unknown)."""

    sources: tuple[str, ...]
    cutouts: tuple[Cutout, ...]
    backgrounds: tuple[Background, ...]
    pixel_size_nm: float | None

    def on_brighter_ground(self, change: float) -> "Material":
        """Return the material with backgrounds that are brighter by so much; the full range of grey values is 1."""
        brighter = [replace(each, pixels=each.pixels + change, level=each.level + change) for each in self.backgrounds]
        return replace(self, backgrounds=tuple(brighter))


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
    for number, pair in sources:
        labels = _checked(pair)
        ground = find_ground(pair.image, labels, pair.name)
        cutouts += cut_particles(pair.image, labels, ground, settings, pair.name)
        rng = generator(seed, POOL, number)
        annotated = len(np.unique(labels[labels > 0]))
        pool = background_pool(pair.image, ground, settings, rng, pair.name)
        backgrounds += [replace(each, particles=annotated) for each in pool]
    sizes = {pair.pixel_size.nm for _, pair in sources}
    if len(sizes) > 1:
        listed = ", ".join(f"{pair.name}: {pair.pixel_size}" for _, pair in sources)
        raise InputError(f"sources to be mixed must have one pixel size, got {listed}; do not mix them")
    names = tuple(pair.name for _, pair in sources)
    return Material(names, tuple(cutouts), tuple(backgrounds), sizes.pop())


def check_source(pair: AnnotatedImage, settings: CutPasteSettings) -> None:
    """Require of a micrograph what `prepare` needs, without preparing it.

    Raises
    ------
    InputError
        If it has no annotation, no whole particle, or no background.
    """
    labels = _checked(pair)
    whole = whole_particles(labels, settings, pair.name)
    areas = np.bincount(labels.ravel())[list(whole)]
    if large := sum(settings.scale[1] * equivalent_diameter(area) > settings.size_px for area in areas):
        can = f"{large} of {len(whole)} particles can come out larger than the images of {settings.size_px} px"
        logger.warning("%s: %s; they are then made to fit", pair.name, can)
    ground = find_ground(pair.image, labels, pair.name)
    if set(settings.backgrounds) - {"mean", "plain"}:
        patch_places(ground.bare, pair.name)


def describe_source(pair: AnnotatedImage) -> dict[str, Any]:
    """Say which micrograph and which annotation were used: name, size, and SHA-256 of the values."""
    labels = _checked(pair)
    return {
        "name": pair.name,
        "image": pair.path.name,
        "shape": list(pair.image.shape),
        "pixel_size_nm": pair.pixel_size.nm,
        "image_sha256": _digest(pair.image.astype("<f4")),
        "labels_sha256": _digest(labels.astype("<i4")),
    }


def _checked(pair: AnnotatedImage) -> LabelMap:
    if pair.labels is None:
        raise InputError(f"{pair.path}: has no annotation; cut and paste needs the particles' masks")
    check_image(pair.image, str(pair.path))
    check_same_shape(pair.image, pair.labels, str(pair.path))
    return pair.labels


def _digest(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
