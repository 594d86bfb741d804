"""Bright and dark regions in crystals, each particle's its own."""

from typing import cast

import numpy as np

from nanolab.core.typing import Image
from nanolab.synthesis.noise import streaky_noise
from nanolab.synthesis.passes import Matter, Passes

__all__ = ["facets"]

# Side of the pattern that all particles take their own from, each at another place and in another direction.
_PATTERN_PX = 512


def facets(passes: Passes, width_nm: float, rng: np.random.Generator) -> Image:
    """Return, for each entry of `passes.matter`, a value of mean 0 and SD 1 that varies in bands of `width_nm`."""
    matter = cast(Matter, passes.matter)
    pattern = streaky_noise((_PATTERN_PX, _PATTERN_PX), width_nm / passes.pixel_size_nm, rng.uniform(1, 4), 0.0, rng)
    count = int(matter.label.max(initial=0)) + 1
    angle = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    shift = rng.uniform(0, 2 * _PATTERN_PX, (count, 2)).astype(np.float32)
    row, column = np.divmod(matter.pixel, passes.shape[1])
    cosine, sine = np.cos(angle)[matter.label], np.sin(angle)[matter.label]
    y = cosine * row + sine * column + shift[matter.label, 0]
    x = cosine * column - sine * row + shift[matter.label, 1]
    return pattern[_mirrored(y), _mirrored(x)]


def _mirrored(place: Image) -> Image:
    """Whole numbers within the pattern: beyond its border it goes on mirrored, without a seam."""
    return np.abs(place.astype(np.int32) % (2 * _PATTERN_PX - 1) - (_PATTERN_PX - 1))
