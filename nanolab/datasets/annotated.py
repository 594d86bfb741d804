"""Micrographs together with their annotation, read when asked for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import check_same_shape
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import PixelSize

__all__ = ["AnnotatedImage", "LazyImages", "read_annotated"]


@dataclass(frozen=True)
class AnnotatedImage:
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
    looked_at
        Shape (height, width), True where somebody looked at what the label map says; None where all of it counts. A
        training learns of nothing else.
    """

    name: str
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32] | None
    pixel_size: PixelSize
    path: Path
    looked_at: npt.NDArray[np.bool_] | None = None


class LazyImages(Sequence[AnnotatedImage]):
    """Annotated images that are read when asked for; a slice is as lazy as the whole.

    Parameters
    ----------
    names
        One name for each image.
    load
        Reads the image of a name.
    """

    def __init__(self, names: Iterable[str], load: Callable[[str], AnnotatedImage]) -> None:
        self.names = tuple(names)
        self._load = load

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> AnnotatedImage: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyImages": ...
    def __getitem__(self, index: int | slice) -> "AnnotatedImage | LazyImages":
        if isinstance(index, slice):
            return LazyImages(self.names[index], self._load)
        return self._load(self.names[index])

    def without(self, *names: str) -> "LazyImages":
        """Return the images other than those named."""
        return LazyImages((name for name in self.names if name not in names), self._load)


def read_annotated(
    image: Path | str, mask: Path | str | None = None, *, pixel_size_nm: float | None = None
) -> AnnotatedImage:
    """Read a micrograph without its data bar, and its annotation, which may still have those rows.

    Parameters
    ----------
    image
        The image file.
    mask
        Its label map or binary mask (see `nanolab.images.labels.read_labels`); None where nobody annotated it.
    pixel_size_nm
        Pixel size typed by hand, in nm; it overrides what the file says.

    Raises
    ------
    InputError
        If a file cannot be read, or the two are not of one size.
    """
    micrograph = read(image, pixel_size_nm=pixel_size_nm)
    cropped = micrograph.crop_data_bar()
    labels = None if mask is None else read_labels(mask)
    if labels is not None and labels.shape != cropped.pixels.shape:
        check_same_shape(micrograph.pixels, labels, f"{image} and {mask}")
        labels = labels[: len(cropped.pixels)]
    return AnnotatedImage(micrograph.name, cropped.pixels, labels, micrograph.pixel_size, micrograph.path)
