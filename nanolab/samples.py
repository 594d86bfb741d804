"""Micrographs together with their annotation, read when asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from nanolab.pixelsize import PixelSize

__all__ = ["LazySamples", "Sample"]


@dataclass(frozen=True)
class Sample:
    """A micrograph with its label map.

    Attributes
    ----------
    name
        Name of the image, without folder and suffix.
    image
        Shape (height, width), values in [0, 1].
    labels
        Shape (height, width), 0 = background, or None where nobody annotated the image.
    pixel_size
        Size of a pixel and where it is known from.
    path
        The image file.
    """

    name: str
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32] | None
    pixel_size: PixelSize
    path: Path


class LazySamples(Sequence[Sample]):
    """Samples that are read when asked for; a slice is as lazy as the whole.

    Parameters
    ----------
    names
        One name a sample.
    load
        Reads the sample of a name.
    """

    def __init__(self, names: Iterable[str], load: Callable[[str], Sample]) -> None:
        self.names = tuple(names)
        self._load = load

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "LazySamples": ...
    def __getitem__(self, index: int | slice) -> "Sample | LazySamples":
        if isinstance(index, slice):
            return LazySamples(self.names[index], self._load)
        return self._load(self.names[index])

    def without(self, *names: str) -> "LazySamples":
        """Return the samples other than those named."""
        return LazySamples((name for name in self.names if name not in names), self._load)
