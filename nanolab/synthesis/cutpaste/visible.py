"""What is left to be seen of particles that others were pasted over."""

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.typing import LabelMap

__all__ = ["Pasted"]

Box = tuple[slice, slice]

# A visible piece below this many pixels, or below this part of what is visible of its particle, is a splinter that
# nobody could tell from the rim of the particle on top of it.
_SPLINTER_PX, _SPLINTER = 5, 0.01
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Pasted:
    """Which particle lies on top at each pixel, while particles are pasted one by one.

    Attributes
    ----------
    numbers
        Shape (size_px, size_px): 0 = background, 1..N in the order of pasting.
    """

    def __init__(self, size_px: int) -> None:
        self.numbers = np.zeros((size_px, size_px), dtype=np.int32)
        self._windows: list[Box] = []
        self._visible_px = np.zeros(1, dtype=np.int64)
        self._covered: set[int] = set()

    def paste(self, window: Box, mask: npt.NDArray[np.uint8]) -> None:
        """Put the next particle on top; `mask` has the shape of the window."""
        there, inside = self.numbers[window], mask != 0
        taken = np.bincount(there[inside], minlength=len(self._visible_px))
        taken[0] = 0
        self._covered.update(np.flatnonzero(taken).tolist())
        self._windows.append(window)
        self._visible_px = np.append(self._visible_px - taken, np.count_nonzero(inside))
        there[inside] = len(self._windows)

    def labels(self) -> tuple[LabelMap, LabelMap, npt.NDArray[np.int64]]:
        """Number the particles that are visible, and give splinters of hidden ones to the particle on top.

        Returns
        -------
        labels, number, visible_px
            The label map with labels 1..N; the label of each particle pasted, 0 where hidden; its visible pixels.
        """
        for particle in sorted(self._covered):
            self._clear_splinters(particle)
        seen = self._visible_px > 0
        number = np.where(seen, np.cumsum(seen), 0).astype(np.int32)
        labels = self.numbers if seen[1:].all() else number[self.numbers]
        return labels, number[1:], self._visible_px[1:]

    def _clear_splinters(self, particle: int) -> None:
        """Give pieces of a particle that are too small to the highest number next to them, which lies on top."""
        there = self.numbers[self._windows[particle - 1]]
        _, pieces, stats, _ = cv2.connectedComponentsWithStats((there == particle).astype(np.uint8), connectivity=4)
        areas = stats[1:, cv2.CC_STAT_AREA]
        for piece in 1 + np.flatnonzero(areas < max(_SPLINTER_PX, _SPLINTER * areas.sum())):
            splinter = pieces == piece
            beside = cv2.dilate(splinter.astype(np.uint8), _CROSS) > splinter
            on_top = int(there[beside].max(initial=0))
            if on_top > particle:
                there[splinter] = on_top
                self._visible_px[[particle, on_top]] += np.array([-1, 1]) * int(areas[piece - 1])
