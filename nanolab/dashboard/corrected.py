"""A label map that a person corrects: each correction changes a window of it, and can be taken back."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap, Mask
from nanolab.dashboard.edits import Edit, Window, line_mask, polygon_mask, stroke_mask

__all__ = ["MOST_GAP_PX", "CorrectedLabels", "apply_edits"]

#: Two pieces of a particle may lie this far apart; what is between them becomes particle as well.
MOST_GAP_PX = 10
_LEAST_PX = 9  # what is cut off a particle and is smaller is a crumb
_NOTHING: Window = (slice(0, 0), slice(0, 0))

Boxes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Step:
    """One correction that was made, with what it takes to take it back."""

    edit: Edit
    window: Window
    before: LabelMap
    boxes: Boxes
    changed: tuple[int, ...]


class CorrectedLabels:
    """The particles of one image as found, and then as corrected; particles keep their labels, new ones get new ones.

    Parameters
    ----------
    found
        Shape (height, width), 0 = background. It is changed in place: a copy of a large map takes longer than a
        correction may.

    Attributes
    ----------
    labels
        The label map as it is now.
    boxes
        Top, left, bottom and right of each label, shape (labels + 1, 4); zeros where there is no such particle (any
        more). The last label is the highest that was ever given.
    held
        Somebody else holds on to `labels` as they are: the next change makes a copy.
    """

    def __init__(self, found: LabelMap) -> None:
        self.labels, self.held = found, False
        self.boxes = np.zeros((int(found.max(initial=0)) + 1, 4), dtype=np.int32)
        self._steps: list[_Step] = []
        for label, box in enumerate(ndimage.find_objects(found), start=1):
            if box is not None:
                self.boxes[label] = _corners(box)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The corrections in their order."""
        return tuple(step.edit for step in self._steps)

    @property
    def shaped(self) -> set[int]:
        """Labels of the particles that owe their shape to a correction."""
        return {label for step in self._steps for label in step.changed if self.boxes[label, 2]}

    def window_of(self, label: int) -> Window:
        """Return the bounding box of a particle.

        Raises
        ------
        InputError
            If there is none of this label.
        """
        if not 0 < label < len(self.boxes) or not self.boxes[label, 2]:
            raise InputError(f"particle {label}: there is none of this number; hover a particle to see its number")
        top, left, bottom, right = self.boxes[label].tolist()
        return slice(top, bottom), slice(left, right)

    def apply(self, edit: Edit) -> Window:
        """Make a correction and return the window within which the label map has changed.

        Raises
        ------
        InputError
            If it is impossible; nothing has changed then.
        """
        window, patch = _ACTIONS[edit.action](self, edit)
        here = self.labels[window]
        differs = here != patch
        changed = np.union1d(here[differs], patch[differs])
        changed = changed[changed > 0]
        self._steps.append(_Step(edit, window, here.copy(), self.boxes, tuple(changed.tolist())))
        self._put(window, patch)
        self.boxes = self._boxes_after(changed, window)
        return window

    def take_back(self) -> Window:
        """Take the last correction back and return the window within which the label map has changed."""
        step = self._steps.pop()
        self._put(step.window, step.before)
        self.boxes = step.boxes
        return step.window

    def change_to(self, edits: tuple[Edit, ...]) -> list[Window]:
        """Make these the corrections and return the windows within which the label map has changed, one a step.

        Raises
        ------
        InputError
            If they are impossible; nothing has changed then.
        """
        before = self.edits
        same = next((at for at, pair in enumerate(zip(before, edits, strict=False)) if pair[0] != pair[1]), None)
        shared = min(len(before), len(edits)) if same is None else same
        windows = [self.take_back() for _ in before[shared:]]
        try:
            return windows + [self.apply(edit) for edit in edits[shared:]]
        except InputError:
            while len(self._steps) > shared:
                self.take_back()
            for edit in before[shared:]:
                self.apply(edit)
            raise

    def looked_at(self) -> Mask:
        """Return where somebody has looked, shape (height, width): around each correction, and where that was said."""
        mask = np.zeros(self.labels.shape, dtype=bool)
        for number, step in enumerate(self._steps, start=1):
            if step.edit.action in ("look", "background"):
                window, inside = self._outlined(step.edit)
                mask[window] |= inside
            after = self._steps[number].boxes if number < len(self._steps) else self.boxes
            for label in step.changed:
                for boxes in (step.boxes, after):
                    if label < len(boxes) and boxes[label, 2]:
                        mask[_around(boxes[label])] = True
        return mask

    def _put(self, window: Window, patch: LabelMap) -> None:
        if self.held:
            self.labels, self.held = self.labels.copy(), False
        self.labels[window] = patch

    def _outlined(self, edit: Edit) -> tuple[Window, Mask]:
        if not edit.points:
            return (slice(None), slice(None)), np.ones(self.labels.shape, dtype=bool)
        return polygon_mask(edit.points, self.labels.shape)

    def _boxes_after(self, changed: npt.NDArray[np.int32], window: Window) -> Boxes:
        """Return the boxes once the labels `changed`, which lie wholly in the window, are others."""
        if not len(changed):
            return self.boxes
        after = np.zeros((max(len(self.boxes), int(changed.max()) + 1), 4), dtype=np.int32)
        after[: len(self.boxes)] = self.boxes
        after[changed] = 0
        found = ndimage.find_objects(self.labels[window], int(changed.max()))
        for label in changed.tolist():
            if (box := found[label - 1]) is not None:
                top, left = window[0].start, window[1].start
                after[label] = _corners(box) + np.array([top, left, top, left])
        return after

    def with_those_in(self, window: Window, mask: Mask) -> tuple[Window, Mask, npt.NDArray[np.int32]]:
        """Return a window that holds the particles below a mask wholly, the mask in it, and their labels."""
        below = np.unique(self.labels[window][mask])
        below = below[below > 0]
        whole = _union([window, *(self.window_of(label) for label in below.tolist())])
        wide = np.zeros([each.stop - each.start for each in whole], dtype=bool)
        rows, cols = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(window, whole, strict=True))
        wide[rows, cols] = mask
        return whole, wide, below


def apply_edits(found: LabelMap, edits: Iterable[Edit]) -> LabelMap:
    """Return a corrected copy of a label map, shape (height, width); see `CorrectedLabels`."""
    corrected = CorrectedLabels(found.copy())
    for edit in edits:
        corrected.apply(edit)
    return corrected.labels


def _corners(box: Window) -> npt.NDArray[np.int32]:
    return np.array([box[0].start, box[1].start, box[0].stop, box[1].stop], dtype=np.int32)


def _union(windows: Sequence[Window]) -> Window:
    rows, cols = ([each[axis] for each in windows] for axis in (0, 1))
    return tuple(slice(min(s.start for s in along), max(s.stop for s in along)) for along in (rows, cols))  # type: ignore[return-value]


def _around(box: npt.NDArray[np.int32]) -> Window:
    """Return what a person sees who corrects a particle: its box and a quarter of that around it."""
    top, left, bottom, right = box.tolist()
    margin = max(8, max(bottom - top, right - left) // 4)
    return slice(max(top - margin, 0), bottom + margin), slice(max(left - margin, 0), right + margin)


# what each action makes of a window of the label map

_Changed = tuple[Window, LabelMap]


def _drop(of: CorrectedLabels, edit: Edit) -> _Changed:
    window = _union([of.window_of(label) for label in edit.labels] or [_NOTHING])
    patch = of.labels[window].copy()
    patch[np.isin(patch, edit.labels)] = 0
    return window, patch


def _merge(of: CorrectedLabels, edit: Edit) -> _Changed:
    pair = edit.labels
    windows = [of.window_of(label) for label in pair]
    if len(pair) != 2 or pair[0] == pair[1]:
        raise InputError(f"merge: needs two different particles, got {', '.join(map(str, pair))}")
    window = _union(windows)
    patch = of.labels[window].copy()
    mask = np.isin(patch, pair)
    closed = _joined(mask)
    if closed is None:
        raise InputError(
            f"particles {pair[0]} and {pair[1]}: more than {MOST_GAP_PX} px apart; merge particles that are neighbours"
        )
    patch[mask | (closed & (patch == 0))] = pair[0]
    return window, patch


def _joined(mask: Mask) -> Mask | None:
    """Close the mask with the smallest disc that makes one piece of it; None if that is too large a disc."""
    for radius in range(MOST_GAP_PX // 2 + 1):
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
        if cv2.connectedComponents(closed, connectivity=8)[0] == 2:  # background and one piece
            return np.asarray(closed > 0)
    return None


def _draw(of: CorrectedLabels, edit: Edit) -> _Changed:
    return _new_particle(of, *polygon_mask(edit.points, of.labels.shape))


def _new_particle(of: CorrectedLabels, window: Window, mask: Mask) -> _Changed:
    """Make a particle of the largest piece of a mask that is free."""
    patch = of.labels[window].copy()
    pieces, areas = _pieces(mask & (patch == 0))
    if not len(areas) or areas.max() < _LEAST_PX:
        raise InputError(
            f"a new particle needs at least {_LEAST_PX} px where none is yet; draw it larger, or beside the others"
        )
    patch[pieces == areas.argmax() + 1] = len(of.boxes)
    return window, patch


def _paint(of: CorrectedLabels, edit: Edit) -> _Changed:
    window, mask = stroke_mask(edit.points, edit.width_px, of.labels.shape)
    row, col = (int(np.clip(at, 0, size - 1)) for at, size in zip(edit.points[0], of.labels.shape, strict=True))
    grows = int(of.labels[row, col])
    if not grows:
        return _new_particle(of, window, mask)
    window, mask, below = of.with_those_in(window, mask)
    patch = of.labels[window].copy()
    patch[mask] = grows
    return window, _settled(patch, below[below != grows], len(of.boxes))


def _erase(of: CorrectedLabels, edit: Edit) -> _Changed:
    return _emptied(of, *stroke_mask(edit.points, edit.width_px, of.labels.shape))


def _background(of: CorrectedLabels, edit: Edit) -> _Changed:
    return _emptied(of, *polygon_mask(edit.points, of.labels.shape))


def _emptied(of: CorrectedLabels, window: Window, mask: Mask) -> _Changed:
    window, mask, below = of.with_those_in(window, mask)
    patch = of.labels[window].copy()
    patch[mask] = 0
    return window, _settled(patch, below, len(of.boxes))


def _settled(patch: LabelMap, cut: Iterable[int], number: int) -> LabelMap:
    """Give the pieces of particles that fell apart new labels from `number` on, but the largest; crumbs go."""
    for label in cut:
        pieces, areas = _pieces(patch == label)
        for rank, piece in enumerate(np.argsort(-areas, kind="stable")):
            if areas[piece] < _LEAST_PX:
                patch[pieces == piece + 1] = 0
            elif rank:
                patch[pieces == piece + 1] = number
                number += 1
    return patch


def _split(of: CorrectedLabels, edit: Edit) -> _Changed:
    window, line = line_mask(edit.points, of.labels.shape)
    window, line, below = of.with_those_in(window, line)
    patch, number = of.labels[window].copy(), len(of.boxes)
    for label in below.tolist():
        whole = patch == label
        pieces, areas = _pieces(whole & ~line)
        large = np.flatnonzero(areas >= _LEAST_PX)
        large = large[np.argsort(-areas[large], kind="stable")]
        nearest = _nearest(np.isin(pieces, large + 1))
        for piece in large[1:]:
            patch[whole & (pieces[nearest] == piece + 1)] = number
            number += 1
    if number == len(of.boxes):
        raise InputError("split: the line must cross a particle from one side to the other; begin and end it outside")
    return window, patch


def _nearest(mask: Mask) -> tuple[npt.NDArray[np.int32], ...]:
    """Return row and column of the pixel of the mask that is nearest to each pixel."""
    return tuple(ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True))


def _pieces(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the connected pieces of a mask, numbered from 1, and their areas in that order."""
    _, pieces, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return np.asarray(pieces), np.asarray(about[1:, cv2.CC_STAT_AREA])


def _look(of: CorrectedLabels, edit: Edit) -> _Changed:
    if edit.points:
        polygon_mask(edit.points, of.labels.shape)  # says what is wrong with it
    return _NOTHING, of.labels[_NOTHING].copy()


_ACTIONS: dict[str, Callable[[CorrectedLabels, Edit], _Changed]] = {
    "drop": _drop, "merge": _merge, "draw": _draw, "split": _split, "paint": _paint, "erase": _erase,
    "background": _background, "look": _look,
}  # fmt: skip
