"""Training material that costs nothing: bright discs on noise, and a network small enough to learn them at once."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize


def disc_labels(
    rng: np.random.Generator, shape: tuple[int, int], count: int, radii_px: tuple[float, float] = (5, 9)
) -> npt.NDArray[np.int32]:
    """Draw discs that may touch but hardly overlap: one that would cover another by more than 1 px is left out."""
    labels = np.zeros(shape, dtype=np.int32)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    drawn: list[tuple[float, float, float]] = []
    for _ in range(count):
        row, col, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(*radii_px)
        if all(np.hypot(row - r, col - c) > radius + other - 1 for r, c, other in drawn):
            drawn.append((row, col, radius))
            labels[((rows - row) ** 2 + (cols - col) ** 2 < radius**2) & (labels == 0)] = len(drawn)
    return labels


def disc_sample(seed: int, shape: tuple[int, int] = (96, 96), count: int = 15) -> AnnotatedImage:
    """Make an annotated image of discs of grey value 0.6 on 0.4, with noise of standard deviation 0.05."""
    rng = np.random.default_rng(seed)
    labels = disc_labels(rng, shape, count)
    image = np.where(labels > 0, 0.6, 0.4) + 0.05 * rng.standard_normal(shape)
    return AnnotatedImage(
        f"discs{seed}", image.astype(np.float32), labels, PixelSize.typed(2.0), Path(f"discs{seed}.tif")
    )


class TinyNetwork(nn.Module):
    """Three convolutions that see 7 pixels around each: enough for the foreground of discs, and no MONAI to import."""

    def __init__(self, out_channels: int, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 5, padding=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, padding=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(width, out_channels, 7, padding=3),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(image)
        return logits


class Threshold(nn.Module):
    """Takes a pixel for particle if it is brighter than mid-grey: a network whose answers are known."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.full((out_channels, 1, 1), 20.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.steepness * (image - 0.5)


def valleys() -> npt.NDArray[np.float32]:
    """Make an image of one bright bar in three parts; to `Threshold` the valleys between them are 0.27 less deep."""
    image = np.full((64, 96), 0.2, dtype=np.float32)
    image[20:44, 20:78] = 0.8
    for col in (39, 58):
        image[20:44, col - 1 : col + 1] = 0.51
    return image


TINY = {"tiny": "helpers.discs:TinyNetwork"}
THRESHOLD = {"threshold": "helpers.discs:Threshold"}
