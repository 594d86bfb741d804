"""What in a picture is surely lettering: lines of text that were read, and the scale bar."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from nanolab.images.formats.bars import Bar
from nanolab.images.formats.ocr import Text
from nanolab.images.pixel_size import PixelSize
from nanolab.images.scale_bar import read_lines, weigh_bars

__all__ = ["Box", "read_lettering", "sure_boxes", "without_lettering"]

#: First row, first column, end of the rows, end of the columns; ends are exclusive.
Box = tuple[int, int, int, int]

_SURE = 0.9  # of the reader; below, textures are read as letters as well
_LETTERS = re.compile(r"[A-Za-z0-9]")
_ROUND = re.compile(r"[oO0QDCc8\W]*")  # what particles are read as
_WITHIN = 0.8  # of a particle's pixels that lie in one box, from which on it is lettering
_READ: dict[str, tuple[PixelSize, tuple[Box, ...]]] = {}  # by the SHA-256 of a picture
_MOST_READ = 1000


def read_lettering(pixels: npt.NDArray[np.float32]) -> tuple[PixelSize, tuple[Box, ...]]:
    """Return the pixel size that the scale bar gives (see `nanolab.images.scale_bar`), and where lettering stands.

    A picture that was read before is not read again: it takes seconds.

    Parameters
    ----------
    pixels
        Shape (height, width), float32 in [0, 1], the data bar not cut off.
    """
    picture = hashlib.sha256(pixels.tobytes()).hexdigest()
    if picture not in _READ:
        texts = read_lines(pixels)
        pixel_size, bar = weigh_bars(texts, pixels)
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        _READ[picture] = pixel_size, tuple(sure_boxes(texts, bar))
    return _READ[picture]


def sure_boxes(texts: Sequence[Text], bar: Bar | None = None) -> Iterator[Box]:
    """Give the boxes of lines of text that are surely none of particles, and that of the bar."""
    for text in texts:
        if text.score >= _SURE and _LETTERS.search(text.content) and not _ROUND.fullmatch(text.content):
            yield max(floor(text.top), 0), max(floor(text.left), 0), ceil(text.bottom), ceil(text.right)
    if bar is not None:
        yield max(bar.top - 1, 0), max(floor(bar.left) - 1, 0), bar.bottom + 1, ceil(bar.right) + 1


def without_lettering(labels: npt.NDArray[np.int32], boxes: Sequence[Box]) -> tuple[npt.NDArray[np.int32], int]:
    """Return a label map without what lies in lettering that was read, numbered anew, and how many that were.

    Parameters
    ----------
    labels
        Particles found, shape (height, width); rows of a data bar may be cut off.
    boxes
        Of `Micrograph.lettering`.
    """
    kept = np.arange(int(labels.max(initial=0)) + 1)
    area = np.bincount(labels.ravel(), minlength=len(kept))
    for top, left, bottom, right in boxes:
        within = np.bincount(labels[top:bottom, left:right].ravel(), minlength=len(kept))
        kept[within >= np.maximum(_WITHIN * area, 1)] = 0
    left_out = np.count_nonzero((kept == 0) & (area > 0)) - int(area[0] > 0)
    if not left_out:
        return labels, 0
    return np.unique(kept, return_inverse=True)[1].astype(np.int32)[labels], int(left_out)
