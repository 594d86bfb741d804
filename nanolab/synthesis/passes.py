"""Passes: what the renderer computes of a scene, from which any number of micrographs can be made."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import atomic, parse_json
from nanolab.core.typing import Image, LabelMap

__all__ = ["Matter", "Passes", "denoise_occlusion", "load_passes", "save_passes"]


@dataclass(frozen=True)
class Matter:
    """How thick each particle is along the beam, pixel by pixel; where several overlap, each has its entry.

    Arrays of one length: `pixel` int32, the number of the pixel, row by row; `label` int32, that of the particle in the
    scene; `thickness_nm` float32; `scattering_nm` float32, the thickness of the detector's own material that scatters
    as much: it differs where a kind or a core has a contrast.
    """

    pixel: LabelMap
    label: LabelMap
    thickness_nm: Image
    scattering_nm: Image

    def total(self, amount: npt.NDArray[np.floating], shape: tuple[int, int]) -> Image:
        """Return the sum of an amount given for each entry over the particles in each pixel, shape (height, width)."""
        sums = np.bincount(self.pixel, amount, minlength=shape[0] * shape[1])
        return np.asarray(sums.reshape(shape), dtype=np.float32)


@dataclass(frozen=True)
class Passes:
    """Geometry seen along the beam, one value a pixel, sampled at the pixel's centre.

    `labels` (height, width) int32, 0 = substrate, k = particle k of the scene; `height_nm` (height, width) above the
    substrate; `normals` (height, width, 3), unit vectors (x right, y down, z to the beam); `openness`
    (height, width) in [0, 1], the part of the sky above a point that nothing hides (1 - ambient occlusion); `matter`,
    what the beam goes through, only where a detector needs it; `contrast` (number of particles + 1,), the signal of
    each particle's material relative to the detector's, None if they are all alike; `renderer`, what computed them.
    """

    labels: LabelMap
    height_nm: Image
    normals: Image
    openness: Image
    pixel_size_nm: float
    matter: Matter | None = None
    contrast: Image | None = None
    renderer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.labels.shape
        return height, width

    @property
    def thickness_nm(self) -> Image | None:
        """Thickness of all particles together along the beam, shape (height, width), or None if it is not known."""
        return None if self.matter is None else self.matter.total(self.matter.thickness_nm, self.shape)


def denoise_occlusion(openness: Image, labels: LabelMap, sigma_px: float) -> Image:
    """Smooth the few-sample occlusion within particles and within the substrate, not across their border.

    Normalised convolution (Knutsson & Westin 1993, 10.1109/CVPR.1993.341081) with a Gaussian of `sigma_px`.
    """
    smooth = np.empty_like(openness)
    for region in (labels > 0, labels == 0):
        weight = region.astype(np.float32)
        total = cv2.GaussianBlur(openness * weight, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
        count = cv2.GaussianBlur(weight, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
        smooth[region] = total[region] / count[region]
    return smooth


_PLANES = ("labels", "height_nm", "normals", "openness")
_ENTRIES = ("pixel", "label", "thickness_nm", "scattering_nm")


def save_passes(path: Path | str, passes: Passes) -> None:
    """Keep passes in a compressed NumPy archive, atomically and without loss: the same micrographs come of them."""
    arrays = {name: getattr(passes, name) for name in _PLANES}
    if passes.matter is not None:
        arrays |= {f"matter_{name}": getattr(passes.matter, name) for name in _ENTRIES}
    if passes.contrast is not None:
        arrays["contrast"] = passes.contrast
    with atomic(path) as temporary, temporary.open("wb") as file:
        about = json.dumps(dict(passes.renderer), sort_keys=True)
        np.savez_compressed(file, pixel_size_nm=passes.pixel_size_nm, renderer=about, **arrays)


def load_passes(path: Path | str) -> Passes:
    """Read passes that `save_passes` kept.

    Raises
    ------
    InputError
        If the file is missing, damaged, or something else.
    """
    path = check_file(path, "passes")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            planes = {name: content[name] for name in _PLANES}
            entries = {name: content[f"matter_{name}"] for name in _ENTRIES if f"matter_{name}" in content}
            contrast = content.get("contrast")
            matter = Matter(**entries) if entries else None
            about = parse_json(str(content["renderer"]), "renderer")
            pixel_size_nm = float(content["pixel_size_nm"])
            return Passes(**planes, pixel_size_nm=pixel_size_nm, matter=matter, contrast=contrast, renderer=about)
    except (ValueError, KeyError, OSError, EOFError, TypeError, RuntimeError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a file of passes ({error}); render them again") from error
