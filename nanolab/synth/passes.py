"""Passes: what the renderer computes of a scene, from which any number of micrographs can be made."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.checks import InputError, check_file
from nanolab.files import atomic

__all__ = ["Passes", "denoise_occlusion", "load_passes", "save_passes"]

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Passes:
    """Geometry seen along the beam, one value a pixel, sampled at the pixel's centre.

    `labels` (height, width) int32, 0 = substrate, k = particle k of the scene; `height_nm` (height, width) above the
    substrate; `normals` (height, width, 3), unit vectors (x right, y down, z to the beam); `openness`
    (height, width) in [0, 1], the part of the sky above a point that nothing hides (1 - ambient occlusion).
    """

    labels: npt.NDArray[np.int32]
    height_nm: Image
    normals: Image
    openness: Image
    pixel_size_nm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.labels.shape
        return height, width


def denoise_occlusion(openness: Image, labels: npt.NDArray[np.int32], sigma_px: float) -> Image:
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


def save_passes(path: Path | str, passes: Passes) -> None:
    """Keep passes in a compressed NumPy archive, atomically."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            labels=passes.labels,
            height_nm=passes.height_nm.astype(np.float16),
            normals=passes.normals.astype(np.float16),
            openness=passes.openness.astype(np.float16),
            pixel_size_nm=passes.pixel_size_nm,
        )


def load_passes(path: Path | str) -> Passes:
    """Read passes that `save_passes` kept."""
    path = check_file(path, "passes")
    try:
        with np.load(path, allow_pickle=False) as content:
            fields = {name: content[name].astype(np.float32) for name in ("height_nm", "normals", "openness")}
            return Passes(content["labels"].astype(np.int32), pixel_size_nm=float(content["pixel_size_nm"]), **fields)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: not a file of passes ({error}); render them again") from error
