"""Label maps of discs that do not touch."""

import numpy as np
import numpy.typing as npt


def discs(seed: int, count: int = 16, size: int = 160, scale: float = 1.0) -> npt.NDArray[np.int32]:
    """Draw discs on a grid, none of which touches another or the border."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.int32)
    for k in range(count):
        row, col = 20 + 40 * (k // 4), 20 + 40 * (k % 4)
        labels[np.hypot(rows - row, cols - col) <= scale * rng.uniform(5, 15)] = k + 1
    return labels
