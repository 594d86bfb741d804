"""A micrograph: grey values, pixel size with provenance, source and metadata."""

from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanolab.core.checks import reading
from nanolab.images.formats.data_bar import find_data_bar
from nanolab.images.formats.frames import frame_name, split_frame
from nanolab.images.formats.grey import robust_range, stretch
from nanolab.images.formats.image_file import read_grey, signals_grey
from nanolab.images.formats.in_memory import name_of_signal, signals_of
from nanolab.images.panels import Box, find_panels, panel_name
from nanolab.images.pixel_size import PixelSize, pixel_size_from_metadata, pixel_size_of_signals

__all__ = ["Micrograph", "PixelSize", "read", "read_panels"]


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
        was asked for, and ``images``, how many there are, where none was; of a figure's panel ``panel``, its number.

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
        """The file name without folder and suffix, with the number of one of several images or panels: movie_f0003."""
        name = frame_name(self.path.stem, self.metadata.get("frame"))
        return panel_name(name, self.metadata["panel"]) if "panel" in self.metadata else name

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
        return self._crop((0, 0, top, self.pixels.shape[1]), data_bar_rows=(top, len(self.pixels)))

    def crop_panel(self, number: int, box: Box) -> "Micrograph":
        """Return one panel of a figure, see `nanolab.images.panels.find_panels`; text is to be read in it anew."""
        return replace(self, metadata={**self.metadata, "lettering": ()})._crop(box, panel=number)

    def _crop(self, box: Box, **about: Any) -> "Micrograph":
        """Cut out a part; where the grey range was taken from the values, it is taken anew."""
        top, left, low, right = box
        pixels, metadata = self.pixels[top:low, left:right].copy(), {**self.metadata, **about}
        if metadata.get("stretched"):
            limits, (dark, bright) = robust_range(pixels), metadata["grey_range"]
            stretch(pixels, limits)
            metadata["grey_range"] = tuple(dark + limit * (bright - dark) for limit in limits)
        return replace(self, pixels=pixels, metadata=metadata)

    def with_scale_bar(self) -> "Micrograph":
        """Return this micrograph with the pixel size of the scale bar in it, and what text there is; see `lettering`.

        A pixel size that is known stays.
        """
        if self.pixel_size.nm is not None:
            return self
        from nanolab.images.lettering import read_lettering

        with reading(self.path, "scale bar", "read it without find_scale_bar"):
            found, lettering = read_lettering(self.pixels)
        unknown = PixelSize.unknown(f"{self.pixel_size.detail}; {found.detail}")
        metadata = {**self.metadata, "lettering": lettering}
        return replace(self, pixel_size=unknown if found.nm is None else found, metadata=metadata)


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
    micrograph = Micrograph(pixels, pixel_size, path, metadata)
    return micrograph.with_scale_bar() if find_scale_bar else micrograph


def read_panels(
    image: Path | str | npt.NDArray[np.generic] | Any,
    *,
    frame: int | str | None = None,
    pixel_size_nm: float | None = None,
    find_scale_bar: bool = False,
) -> list[Micrograph]:
    """Read a figure of several panels, such as a screenshot of a paper, as a micrograph each; any other image as one.

    See `nanolab.images.panels.find_panels` for what is taken for panels, and `read` for what the others mean. With
    `find_scale_bar` each panel's own bar is read.

    Examples
    --------
    >>> figure = np.ones((100, 210))
    >>> figure[:, :100], figure[:, 110:] = np.random.default_rng(0).uniform(0.2, 0.8, (2, 100, 100))
    >>> [(panel.name, panel.pixels.shape) for panel in read_panels(figure)]
    [('array_p0', (100, 100)), ('array_p1', (100, 100))]
    """
    whole = read(image, frame=frame, pixel_size_nm=pixel_size_nm)
    panels = [whole.crop_panel(number, box) for number, box in enumerate(find_panels(whole.pixels))] or [whole]
    return [panel.with_scale_bar() for panel in panels] if find_scale_bar else panels
