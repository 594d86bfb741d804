"""What the values of a mask mean: a binary mask, particles by number or by colour, a smoothed mask, or no mask."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label as flat_zones

from nanolab.core.checks import InputError, check_label_map
from nanolab.core.typing import LabelMap, Mask

__all__ = ["MaskKind", "labels_from_mask", "labels_from_values"]

#: See `labels_from_values`.
MaskKind = Literal["auto", "binary", "instance", "colour", "soft", "own"]

_LARGEST = np.iinfo(np.int32).max
_PIECES = (
    2  # a particle on average: of 366 EMPS maps at most 1.5, of micrographs taken for maps at least 98 a grey level
)
_SOLID = 0.5  # of the numbers of a label map fill a square of 2x2 pixels somewhere; the levels of soft outlines do not
_DUST = 0.1  # of a binary mask's area lies in no such square: strokes and stray pixels of masks are far less
_PLATEAU = 1 / 8  # of the range: values so near to its ends are background or particle, those between soft outline
_LEVEL, _FLAT = 1 / 255, 0.6  # this share of the pixels of each plateau lies within a grey level: there is no noise
_OUTLINE_PX = 4  # how far from a particle's outline a soft outline reaches
_THRESHOLDS = 0.25, 0.5, 0.75  # of the range, at which a soft mask must show the same particles
_DIFFERENCE = 0.02  # of the particles, which may differ between the thresholds
_FRAME = 0.95  # of the border in particles is more than any mask has: 0.92 of the densest of 386 public ones
_REMEDY = "save the particles numbered 1..N on 0, or as 255 on 0, without smoothing or resizing"


def labels_from_mask(mask: npt.NDArray[np.generic]) -> LabelMap:
    """Number the particles of a binary mask in which touching particles are cut apart by lines one pixel wide.

    Particles are the 4-connected components. With 8-connectivity they would join again across a diagonal cut.

    Parameters
    ----------
    mask
        Shape (height, width); every value other than 0 is particle.

    Returns
    -------
    labels
        Shape (height, width), 0 = background, 1..N in the order of each particle's first pixel, row by row.
    """
    if mask.ndim != 2:
        raise InputError(f"a mask must have shape (height, width), got {mask.shape}; export it as a grey image")
    labels = np.empty(mask.shape, dtype=np.int32)
    ndimage.label(mask != 0, output=labels)
    return labels


def labels_from_values(values: npt.NDArray[Any], where: str, kind: MaskKind = "auto") -> LabelMap:
    """Understand the values of a mask as a label map, or refuse them.

    "binary": every value other than 0 is particle, and particles are the 4-connected pieces. "instance": the values are
    the labels. "colour": each colour is a particle; black, or where there is none the most frequent colour, is
    background. "soft": a binary mask with soft outlines, as resizing, smoothing and JPEG leave it, if every threshold
    shows the same. "auto": two values or colours are a binary mask; more are particles by colour or by number, if
    each is in one piece or nearly so; else a soft mask. "own": as "auto", but one number is one particle however many
    pieces it has, as in the label maps that nanolab writes.

    Parameters
    ----------
    values
        Shape (height, width) or (height, width, channels), booleans or numbers.
    where
        What to call the mask in an error: its path.

    Returns
    -------
    labels
        Shape (height, width), 0 = background. Numbers are kept, but renumbered in their order beyond 2**31 - 1.

    Raises
    ------
    InputError
        If the values are no mask, such as the grey levels of a micrograph, or could mean several things.
    """
    plane = _plane(values, where, kind)
    if kind == "binary":
        return labels_from_mask(plane)
    if kind in ("instance", "colour"):
        return _numbers(plane, where)
    there = np.unique(plane)
    if len(there) <= 2:
        return _numbers(plane, where) if kind == "own" else _pieces_of(_binary(plane, there, where), where)
    if kind == "soft" or not _whole(plane):
        return _soft_or_refused(plane, where, f"{len(there)} values")
    labels = _numbers(plane, where) if there[0] >= 0 else None
    doubt = f"negative labels ({there[0]})" if labels is None else _doubt(labels, len(there))
    return labels if labels is not None and not doubt else _soft_or_refused(plane, where, doubt)


def _plane(values: npt.NDArray[Any], where: str, kind: MaskKind) -> npt.NDArray[Any]:
    """One number a pixel: the grey value, or the number of the colour where channels differ."""
    if values.ndim not in (2, 3) or values.dtype.kind not in "buif" or 0 in values.shape:
        raise InputError(f"{where}: a mask must have shape (height, width), got {values.shape} {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{where}: the mask holds NaN or infinite values; {_REMEDY}")
    if values.ndim == 2 and kind != "colour":
        return values.astype(np.uint8) if values.dtype == bool else values
    channels = np.atleast_3d(values)
    channels = channels[..., : 1 if channels.shape[2] == 2 else 3]  # without transparency
    colours = bool((channels != channels[..., :1]).any())
    if kind not in ("auto", "colour") and colours:
        raise InputError(f"{where}: a mask of this kind must be grey, got colours; import it as colour")
    return _colour_numbers(channels, where) if colours or kind == "colour" else channels[..., 0]


def _colour_numbers(channels: npt.NDArray[Any], where: str) -> npt.NDArray[np.int64]:
    """Number the colours in the order of their first pixels, as pieces are numbered; 0 is the background."""
    if channels.dtype.kind not in "bu" or channels.max() >= 2**16:
        raise InputError(f"{where}: colours must have 8 or 16 bits a channel, got {channels.dtype}; convert the mask")
    packed = np.zeros(channels.shape[:2], dtype=np.int64)
    for channel in channels.transpose(2, 0, 1):
        packed = packed << 16 | channel.astype(np.int64)
    colours, first, index, counts = np.unique(packed, return_index=True, return_inverse=True, return_counts=True)
    background = 0 if colours[0] == 0 else int(counts.argmax())
    first[background] = -1
    return np.argsort(np.argsort(first))[index].reshape(packed.shape)


def _whole(plane: npt.NDArray[Any]) -> bool:
    return plane.dtype.kind != "f" or bool((plane == np.rint(plane)).all() and np.abs(plane).max() < 2**53)


def _numbers(plane: npt.NDArray[Any], where: str) -> LabelMap:
    plane = plane.astype(np.int64) if _whole(plane) and plane.dtype.kind == "f" else plane
    check_label_map(plane, where)
    if plane.max() > _LARGEST:
        there, index = np.unique(plane, return_inverse=True)
        plane = (index + (there[0] > 0)).reshape(plane.shape)
    return plane.astype(np.int32, copy=False)


def _binary(plane: npt.NDArray[Any], there: npt.NDArray[Any], where: str) -> Mask:
    """Particles of at most two values: what is not 0; without a 0 what is less than half of image and border."""
    if there[0] < 0:
        raise InputError(f"{where}: a mask must not hold negative values, got {there[0]}; {_REMEDY}")
    if there[0] == 0 and _border(plane != 0).mean() > _FRAME and len(there) == 2:
        raise InputError(f"{where}: {there[1]} is all around and 0 within, as if particles were 0; invert the mask")
    if there[0] == 0:
        return np.asarray(plane != 0)
    if len(there) == 1:
        if plane.dtype.kind == "u" and there[0] == np.iinfo(plane.dtype).max:
            return np.ones(plane.shape, dtype=bool)
        raise InputError(f"{where}: all pixels have the value {there[0]}; a mask needs particles on a background of 0")
    high = plane == there[1]
    if (high.mean() > 0.5) != (_border(high).mean() > 0.5):
        raise InputError(f"{where}: which of {there[0]} and {there[1]} is background cannot be told; save it as 0")
    return np.asarray(~high if high.mean() > 0.5 else high)


def _pieces_of(mask: Mask, where: str) -> LabelMap:
    labels = labels_from_mask(mask)
    solid = _squares(labels)
    pieces, kept = int(labels.max()), len(np.unique(labels[:-1, :-1][solid]))
    dust = mask & ~ndimage.binary_opening(mask, np.ones((2, 2)))
    if kept < (1 - _SOLID) * pieces and dust.sum() > _DUST * mask.sum():
        raise InputError(
            f"{where}: {pieces - kept} of the {pieces} pieces in this mask are lines or dots, as thresholds make of "
            f"noise; smooth the image before the threshold, or remove the specks"
        )
    return labels


def _squares(labels: LabelMap) -> Mask:
    """Where the upper left corner of a square of 2x2 pixels of one particle lies."""
    corner = labels[:-1, :-1]
    same = (corner == labels[1:, :-1]) & (corner == labels[:-1, 1:]) & (corner == labels[1:, 1:])
    return np.asarray(same & (corner > 0))


def _border(mask: Mask) -> Mask:
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _doubt(labels: LabelMap, values: int) -> str:
    """Why numbers are no label map, empty if they may be one: in one piece each, solid, on a background."""
    if labels.min() > 0:
        return f"{values} values without a background of 0"
    pieces = int(flat_zones(labels, connectivity=2, background=0).max())
    if pieces > _PIECES * (values - 1):
        return f"{values - 1} values in {pieces} separate pieces"
    thin = values - 1 - len(np.unique(labels[:-1, :-1][_squares(labels)]))
    return f"{values - 1} values, {thin} of them thin lines or dots" if thin > (1 - _SOLID) * (values - 1) else ""


def _soft_or_refused(plane: npt.NDArray[Any], where: str, doubt: str) -> LabelMap:
    """Threshold a mask with soft outlines at half its range."""
    level = plane.astype(np.float32) - np.float32(plane.min())
    level /= max(level.max(), np.finfo(np.float32).tiny)
    mask = level >= _THRESHOLDS[1]
    plateaus = level >= 1 - _PLATEAU, level <= _PLATEAU
    if not all(_is_flat(level[plateau]) for plateau in plateaus) or _far_from_outline(
        mask, ~(plateaus[0] | plateaus[1])
    ):
        raise InputError(
            f"{where}: must be a mask or a label map, got {doubt}, as in a micrograph or a mask too smooth to tell; "
            f"{_REMEDY}"
        )
    counts = [int(ndimage.label(level >= threshold)[1]) for threshold in _THRESHOLDS]
    if max(counts) - min(counts) > _DIFFERENCE * counts[1]:
        raise InputError(
            f"{where}: the outlines in this mask are soft, and {min(counts)} to {max(counts)} particles are in it, "
            f"depending on the threshold; {_REMEDY}"
        )
    return labels_from_mask(mask)


def _is_flat(levels: npt.NDArray[np.float32]) -> bool:
    return levels.size > 0 and bool((np.abs(levels - np.median(levels)) <= _LEVEL).mean() >= _FLAT)


def _far_from_outline(mask: Mask, between: Mask) -> bool:
    inside, outside = (ndimage.distance_transform_cdt(side, "chessboard") for side in (mask, ~mask))
    return bool((between & (np.maximum(inside, outside) > _OUTLINE_PX)).any())
