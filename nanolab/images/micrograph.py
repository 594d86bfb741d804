"""A micrograph: grey values, pixel size with provenance, source and metadata."""

from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.images.formats.data_bar import find_data_bar
from nanolab.images.formats.frames import frame_name, split_frame
from nanolab.images.formats.grey import robust_range, stretch
from nanolab.images.formats.image_file import read_grey, signals_grey
from nanolab.images.formats.in_memory import name_of_signal, signals_of
from nanolab.images.pixel_size import PixelSize, pixel_size_from_metadata, pixel_size_of_signals

__all__ = ["Micrograph", "PixelSize", "read"]


@dataclass(frozen=True, eq=False, repr=False)
class Micrograph:
    """One grey image from a microscope.

    Attributes
    ----------
    pixels
        Shape (height, width), float32 in [0, 1].
    pixel_size
        Edge of a pixel in nm and where that number comes from, or that it is unknown.
    path
        The file it was read from.
    metadata
        ``format``; ``dtype`` as stored; ``grey_range``, the stored values that became 0 and 1, and ``stretched``,
        whether it was found in the values; ``vendor``, what the instrument wrote; and once `crop_data_bar` has cut
        one off, ``data_bar_rows``: the first row cut and the one after the last; where text was read, ``lettering``,
        the boxes of it and of the scale bar; of a file with several images ``frame``, the number of this one where it
        was asked for, and ``images``, how many there are, where none was.

    Examples
    --------
    >>> pixels = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    >>> Micrograph(pixels, PixelSize.typed(2.5), Path("grid.tif"))
    Micrograph('grid', 4 x 3 px, pixel size 2.5 nm (typed))
    """

    pixels: npt.NDArray[np.float32]
    pixel_size: PixelSize
    path: Path
    metadata: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Name, size in pixels, and pixel size with its source."""
        height, width = self.pixels.shape
        return f"Micrograph({self.name!r}, {width} x {height} px, pixel size {self.pixel_size})"

    @property
    def name(self) -> str:
        """The file name without folder and suffix, with the number of one of several images: movie_f0003."""
        return frame_name(self.path.stem, self.metadata.get("frame"))

    @property
    def pixel_size_nm(self) -> float | None:
        """Edge of a pixel in nm, or None where it is not known."""
        return self.pixel_size.nm

    @property
    def lettering(self) -> tuple[tuple[int, int, int, int], ...]:
        """Boxes of the text and the scale bar that were read, see `nanolab.images.lettering`; none if none was."""
        boxes: tuple[tuple[int, int, int, int], ...] = self.metadata.get("lettering", ())
        return boxes

    def with_pixel_size(self, nm: float) -> "Micrograph":
        """Return this micrograph with a pixel size typed by hand, in nm.

        Raises
        ------
        InputError
            If `nm` is not a number above zero.
        """
        return replace(self, pixel_size=PixelSize.typed(nm))

    def crop_data_bar(self) -> "Micrograph":
        """Return this micrograph without the data bar burnt in at its bottom; itself if there is none to be seen.

        See `nanolab.images.formats.data_bar.find_data_bar` for what counts as one. The rows cut are kept in the
        metadata. Where the grey range was taken from the values, it is taken anew, so that white text does not darken
        the image.
        """
        top = find_data_bar(self.pixels)
        if top is None:
            return self
        pixels, metadata = self.pixels[:top].copy(), {**self.metadata, "data_bar_rows": (top, len(self.pixels))}
        if metadata.get("stretched"):
            limits, (low, high) = robust_range(pixels), metadata["grey_range"]
            stretch(pixels, limits)
            metadata["grey_range"] = tuple(low + limit * (high - low) for limit in limits)
        return replace(self, pixels=pixels, metadata=metadata)


def read(
    image: Path | str | npt.NDArray[np.generic] | Any,
    *,
    frame: int | str | None = None,
    pixel_size_nm: float | None = None,
    find_scale_bar: bool = False,
) -> Micrograph:
    """Read a micrograph from a TIFF, PNG, JPEG, BMP, DM3, DM4, EMD, SER or MRC file, an array, or a signal.

    Grey values become float32 in [0, 1]: 8-bit images keep the range of their type, in others the range that the image
    uses is stretched over [0, 1] (see `nanolab.images.formats.grey.to_grey`). Colour becomes luma. A stack is refused;
    of a file with several signals the first image is read; `frame` chooses (see `list_frames`).

    Parameters
    ----------
    image
        The image file; ``movie.tif[3]`` is its image 3. An array, shape (height, width) or with channels behind. A
        signal of HyperSpy or RosettaSciIO's dictionary: its axes have the pixel size.
    frame
        Of a file with several images, which: its number, counted from 0, or its name.
    pixel_size_nm
        Pixel size typed by hand, in nm; it overrides what the file says.
    find_scale_bar
        Where the file says nothing, read the scale bar in the picture.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, of another type, too large for the free memory, or holds no single
        picture; there is no such `frame`; or if `pixel_size_nm` is not a number above zero.

    Examples
    --------
    >>> import tempfile
    >>> from nanolab.images.tiff import write_tiff
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tiff(Path(folder, "a.tif"), np.eye(32, dtype=np.uint8), pixel_size_nm=2.5)
    ...     read(Path(folder, "a.tif")).pixel_size_nm
    2.5
    """
    typed = None if pixel_size_nm is None else PixelSize.typed(pixel_size_nm)
    if isinstance(image, str | PathLike):
        path, asked = split_frame(Path(image))
        pixels, metadata = read_grey(path, asked if frame is None else frame)
        pixel_size = typed or pixel_size_from_metadata(path, metadata.get("frame"))
    else:
        signals = signals_of(image)
        path = name_of_signal(signals[0])
        pixels, metadata = signals_grey(signals, frame, path)
        pixel_size = typed or pixel_size_of_signals(signals, metadata.get("frame"))
    if pixel_size.nm is None and find_scale_bar:
        from nanolab.images.lettering import read_lettering

        found, metadata["lettering"] = read_lettering(pixels)
        pixel_size = PixelSize.unknown(f"{pixel_size.detail}; {found.detail}") if found.nm is None else found
    return Micrograph(pixels, pixel_size, path, metadata)
