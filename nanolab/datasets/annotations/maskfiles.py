"""Masks painted into images: binary ones, label maps, a colour for each particle."""

from functools import partial
from pathlib import Path

from nanolab.core.checks import check_file
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotations.annotation import Annotation
from nanolab.images.labels import MaskKind, read_labels, relabel

__all__ = ["MaskKind", "read_mask"]


def read_mask(path: Path, kind: MaskKind = "auto") -> list[Annotation]:
    """Prepare to read the mask of one image; its pixels are read when the label map is asked for.

    See `nanolab.images.label_values.labels_from_values` for the kinds.

    Raises
    ------
    InputError
        By `labels`: if the file is not readable or no mask, or of another size than the image.
    """
    check_file(path, "mask")
    return [Annotation(path.stem, str(path), None, None, partial(_labels, path, kind))]


def _labels(path: Path, kind: MaskKind, shape: tuple[int, int]) -> LabelMap:
    return relabel(read_labels(path, kind=kind, shape=shape))
