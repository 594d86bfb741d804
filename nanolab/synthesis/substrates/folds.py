"""Films that are no smooth ground: ridged and fibrous ones, leaves that overlap and fold."""

from typing import Literal

import numpy as np

from nanolab.core.typing import Image
from nanolab.synthesis.draws import Positive, Record, default
from nanolab.synthesis.noise import octave_noise, smooth_noise, streaky_noise
from nanolab.synthesis.substrates.layer import PatchyLayer

__all__ = ["Ridges", "Sheets"]


class Ridges(PatchyLayer):
    """Ridges `width_nm` wide and `pitch_nm` apart: a net of cracks or fibres, or, drawn out by `stretch`, stripes."""

    kind: Literal["ridges"] = "ridges"
    width_nm: Positive
    pitch_nm: Positive
    stretch: Positive = default(1)

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Level lines of smooth noise, of height up to 1, each uneven along its way."""
        pitch_px, total = record["pitch_nm"] / pixel_size_nm, np.zeros(shape, dtype=np.float32)
        width_px = np.float32(max(record["width_nm"] / pixel_size_nm / 2, 0.7))
        angle = rng.uniform(0, np.pi)
        for _ in range(2):  # the lines of one noise never cross
            surface = streaky_noise(shape, 1.5 * pitch_px, record["stretch"], angle + rng.normal(0, 0.05), rng)
            down, right = np.gradient(surface)
            distance = np.abs(surface) / (np.sqrt(down**2 + right**2) + np.float32(1e-6))
            height = np.clip(1 + np.float32(0.5) * smooth_noise(shape, pitch_px, rng), 0, None)
            np.maximum(total, height * np.exp(-((distance / width_px) ** 2)), out=total)
        return total


class Sheets(PatchyLayer):
    """Leaves that overlap, about `count` of them, `scale_nm` wide, whose edges and folds are `width_nm` wide.

    Graphene, clay or other membranes; where several lie on one another they add up.
    """

    kind: Literal["sheets"] = "sheets"
    scale_nm: Positive
    width_nm: Positive
    count: Positive = default([2, 6])

    @staticmethod
    def texture(record: Record, shape: tuple[int, int], pixel_size_nm: float, rng: np.random.Generator) -> Image:
        """Leaves of uneven thickness, with dark folds and thin edges."""
        scale_px, total = record["scale_nm"] / pixel_size_nm, np.zeros(shape, dtype=np.float32)
        width_px = np.float32(max(record["width_nm"] / pixel_size_nm, 0.7))
        for _ in range(max(round(record["count"]), 1)):
            surface = octave_noise(shape, scale_px, 0.3, rng) + np.float32(rng.uniform(-0.8, 0.8))
            down, right = np.gradient(surface)
            depth = surface / (np.sqrt(down**2 + right**2) + np.float32(1e-6))  # in px from the edge, about
            leaf = np.clip(depth + np.float32(0.5), 0, 1)
            folds = streaky_noise(shape, 0.25 * scale_px, rng.uniform(3, 8), rng.uniform(0, np.pi), rng)
            across = np.abs(folds) / (np.hypot(*np.gradient(folds)) + np.float32(1e-6))
            folded = np.exp(-((across / width_px) ** 2)) * np.clip(smooth_noise(shape, 0.5 * scale_px, rng), 0, 1)
            edge = np.exp(-((depth / width_px) ** 2)) * np.clip(smooth_noise(shape, 0.3 * scale_px, rng) + 1, 0, 2)
            uneven = np.float32(0.3) + np.float32(0.15) * octave_noise(shape, 0.6 * scale_px, 0.5, rng)
            total += leaf * (np.maximum(uneven, 0) + folded) * np.float32(rng.uniform(0.3, 1)) + np.float32(0.4) * edge
        return np.asarray(total, dtype=np.float32)
