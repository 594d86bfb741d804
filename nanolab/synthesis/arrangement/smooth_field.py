"""Smooth random fields on the plane: where islands lie, which way particles point."""

import numpy as np

from nanolab.core.typing import FloatArray

__all__ = ["smooth_field"]

WAVES = 24


def smooth_field(points: FloatArray, scale_nm: float, rng: np.random.Generator) -> FloatArray:
    """Return noise (N,) of mean 0 and SD 1 at points (N, 2): plane waves of lengths around 2 `scale_nm`."""
    angles, phases = rng.uniform(0, 2 * np.pi, (2, WAVES))
    waves = np.pi / scale_nm * rng.uniform(0.6, 1.4, WAVES) * np.stack([np.cos(angles), np.sin(angles)])
    return np.asarray(np.cos(points @ waves + phases).sum(axis=1) * np.sqrt(2 / WAVES))
