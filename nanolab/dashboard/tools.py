"""The tools by which particles are looked at and corrected: their names, keys and hints, and what a stroke becomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.dashboard.edits import Action, Edit, simplified

__all__ = ["REDO_KEYS", "TOOLS", "UNDO_KEYS", "Stroke", "Tool", "edit_of"]

#: Row and column in px from the top left of the image, in the order in which they were drawn.
Stroke = Sequence[tuple[float, float]]

UNDO_KEYS = ("ctrl+z",)
REDO_KEYS = ("ctrl+y", "ctrl+shift+z")
_ELLIPSE_POINTS = 72


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes
    ----------
    name
        On its button.
    key
        That chooses it.
    hint
        How it is used.
    draws
        Dragging draws with it, in place of moving the picture.
    brush
        It has a width.
    """

    name: str
    key: str
    hint: str
    draws: bool = False
    brush: bool = False


TOOLS = {
    "show": Tool("Show", "v", "Hover or click a particle for its numbers. Wheel zooms, dragging moves."),
    "drop": Tool("Drop", "x", "Click a particle that is wrong: it is dropped."),
    "merge": Tool("Merge", "m", "Click two neighbours that are one particle."),
    "split": Tool("Split", "s", "Drag a line across a particle, from outside to outside: it falls apart there.", True),
    "draw": Tool("Draw", "d", "Drag around a particle that is missing.", True),
    "ellipse": Tool("Ellipse", "e", "Drag from corner to corner of the box around a missing particle.", True),
    "paint": Tool("Paint", "p", "Drag from within a particle: it grows. From outside of all: a new one.", True, True),
    "erase": Tool("Erase", "r", "Drag over what is not particle.", True, True),
    "background": Tool("Empty", "b", "Drag around a region in which there is no particle.", True),
    "look": Tool("Seen", "l", "Drag around what is right as it is: a network can learn from it.", True),
}


def edit_of(tool: str, stroke: Stroke, width_px: float) -> Edit:
    """Return the correction that a stroke with a tool is.

    Raises
    ------
    InputError
        If the stroke is too short or too long for it.
    """
    if tool == "ellipse":
        return Edit("draw", points=simplified(_ellipse(stroke), closed=True))
    points = simplified(stroke, closed=tool in ("draw", "background", "look"))
    return Edit(cast(Action, tool), points=points, width_px=width_px if TOOLS[tool].brush else 0)


def _ellipse(stroke: Stroke) -> FloatArray:
    """Return the outline of the ellipse that fills the box between both ends of a stroke, shape (points, 2)."""
    ends = np.array([stroke[0], stroke[-1]])
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(ends.mean(axis=0) + np.ptp(ends, axis=0) / 2 * np.hstack([np.sin(angles), np.cos(angles)]))
