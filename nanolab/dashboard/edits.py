"""Corrections by hand of a label map: drop a particle, merge two."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap

__all__ = ["MOST_GAP_PX", "Edit", "apply_edits"]


#: Two pieces of a particle may lie this far apart; what is between them becomes particle as well.
MOST_GAP_PX = 10


@dataclass(frozen=True)
class Edit:
    """One correction: `drop` particles, or `merge` two, which then have the first one's label."""

    action: Literal["drop", "merge"]
    labels: tuple[int, ...]


def apply_edits(found: LabelMap, edits: Iterable[Edit]) -> LabelMap:
    """Return the label map, shape (height, width), after corrections; particles keep their labels.

    Raises
    ------
    InputError
        If a particle is not there (any more), or two to be merged lie further apart than `MOST_GAP_PX`.
    """
    labels = found.copy()
    for edit in edits:
        for label in edit.labels:
            if label <= 0 or not (labels == label).any():
                raise InputError(f"particle {label}: there is none of this number; hover a particle to see its number")
        if edit.action == "drop":
            labels[np.isin(labels, edit.labels)] = 0
        else:
            _merge(labels, edit.labels)
    return labels


def _merge(labels: LabelMap, pair: tuple[int, ...]) -> None:
    if len(set(pair)) != 2:
        raise InputError(f"merge: needs two different particles, got {', '.join(map(str, pair))}")
    (window,) = ndimage.find_objects(np.isin(labels, pair).astype(np.uint8))
    here = labels[window]
    mask = np.isin(here, pair)
    closed = _joined(mask)
    if closed is None:
        raise InputError(
            f"particles {pair[0]} and {pair[1]}: more than {MOST_GAP_PX} px apart; merge particles that are neighbours"
        )
    here[mask | (closed & (here == 0))] = pair[0]


def _joined(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Close the mask with the smallest disc that makes one piece of it; None if that is too large a disc."""
    for radius in range(MOST_GAP_PX // 2 + 1):
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
        if cv2.connectedComponents(closed, connectivity=8)[0] == 2:  # background and one piece
            return np.asarray(closed > 0)
    return None
