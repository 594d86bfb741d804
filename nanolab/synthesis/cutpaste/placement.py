"""Where particles go: each arrangement takes particles in turn and gives each its centre, or none."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.synthesis.cutpaste.cutouts import Cutout
from nanolab.synthesis.cutpaste.settings import CutPasteSettings
from nanolab.synthesis.cutpaste.stamp import Footprint, footprint, windows

__all__ = ["Turned", "place"]

Centre = tuple[float, float]
#: A cutout with its angle in degrees and its scale.
Turned = tuple[Cutout, float, float]
Particles = Sequence[Turned]
Centres = Iterator[Centre | None]

_STEPS = 64  # places in a pixel
# UTILE-Gen's grid has a fifth more cells than particles.
_SPARE_CELLS = 1.2
# Two particles of an agglomerate may intersect by this part of their radii.
_OVERLAP = (0.0, 0.25)
# Chance that a particle goes next to the newest one, which makes strings, rather than next to any.
_CHAIN = 0.5


def place(particles: Particles, settings: CutPasteSettings, rng: np.random.Generator) -> list[Centre | None]:
    """Return the centre (row, col) of each particle's centroid, None where it found no place.

    Centres lie in the image; but for the "grid", its border may cut particles, as in a real micrograph.
    """
    return list(_ARRANGEMENTS[settings.arrangement](particles, settings, rng))


def _anywhere(size_px: int, rng: np.random.Generator) -> Centre:
    """Return a place in steps that are exact in binary, so that whole pixels can be added to it."""
    row, col = rng.integers(size_px * _STEPS, size=2) / _STEPS
    return float(row), float(col)


def _overlapping(particles: Particles, settings: CutPasteSettings, rng: np.random.Generator) -> Centres:
    return (_anywhere(settings.size_px, rng) for _ in particles)


def _agglomerated(particles: Particles, settings: CutPasteSettings, rng: np.random.Generator) -> Centres:
    there: list[tuple[Centre, float]] = []
    for cutout, _, scale in particles:
        radius = scale * cutout.ecd_px / 2
        centre = _anywhere(settings.size_px, rng)
        if there and rng.random() < settings.cluster_fraction:
            centre = _beside(there, radius, settings, rng)
        there.append((centre, radius))
        yield centre


def _beside(
    there: Sequence[tuple[Centre, float]], radius: float, settings: CutPasteSettings, rng: np.random.Generator
) -> Centre:
    """Find a place next to one that is there and not deep in any other; after some tries the last one is taken."""
    centres = np.array([centre for centre, _ in there])
    radii = np.array([each for _, each in there])
    point = centres[0]
    for _ in range(settings.tries):
        neighbour = len(there) - 1 if rng.random() < _CHAIN else rng.integers(len(there))
        angle, overlap = rng.uniform(0, 2 * np.pi), rng.uniform(*_OVERLAP)
        reach = (radii[neighbour] + radius) * (1 - overlap)
        point = centres[neighbour] + reach * np.array([np.sin(angle), np.cos(angle)])
        apart = np.hypot(*(centres - point).T) >= (radii + radius) * (1 - _OVERLAP[1]) - 1e-9
        if apart.all() and (point >= 0).all() and (point < settings.size_px).all():
            break
    row, col = np.clip(point, 0, settings.size_px - 1)
    return float(row), float(col)


def _separate(particles: Particles, settings: CutPasteSettings, rng: np.random.Generator) -> list[Centre | None]:
    """Throw darts, large particles first: each at random places until its true footprint is free."""
    occupied = np.zeros((settings.size_px, settings.size_px), dtype=np.uint8)
    centres: list[Centre | None] = [None] * len(particles)
    for k in np.argsort([-cutout.area_px * scale**2 for cutout, _, scale in particles], kind="stable").tolist():
        start = _anywhere(settings.size_px, rng)
        cutout, angle, scale = particles[k]
        there = footprint(cutout, angle, scale, start)
        for move in _moves(start, settings, rng):
            if _claimed(occupied, there, move, settings.gap_px):
                centres[k] = (start[0] + move[0], start[1] + move[1])
                break
    return centres


def _moves(start: Centre, settings: CutPasteSettings, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Give the first place and then others, whole pixels from it so that the footprint stays what it is."""
    yield 0, 0
    first = [int(np.ceil(-side)) for side in start]
    last = [int(np.floor(settings.size_px - 1 - side)) for side in start]
    yield from map(tuple, rng.integers(first, last, size=(settings.tries - 1, 2), endpoint=True).tolist())


def _claimed(occupied: npt.NDArray[np.uint8], there: Footprint, move: tuple[int, int], gap_px: int) -> bool:
    """Occupy a moved footprint and the gap around it if the footprint is free; tell whether it was."""
    top, left = there.top + move[0], there.left + move[1]
    window, part = windows(top, left, there.mask.shape, len(occupied))
    mask = there.mask[part]
    if not mask.any() or (occupied[window] & mask).any():
        return False
    grown = np.pad(there.mask, gap_px)
    cv2.dilate(grown, np.ones((2 * gap_px + 1,) * 2, dtype=np.uint8), dst=grown)
    window, part = windows(top - gap_px, left - gap_px, grown.shape, len(occupied))
    occupied[window] |= grown[part]
    return True


def _grid(particles: Particles, settings: CutPasteSettings, rng: np.random.Generator) -> Centres:
    """Give each particle a cell of its own, and a random place in it; one larger than the cell finds none."""
    cells = int(np.ceil(np.sqrt(_SPARE_CELLS * len(particles))))
    side = settings.size_px // max(cells, 1)
    order = rng.permutation(cells**2)[: len(particles)]
    for (cutout, angle, scale), cell in zip(particles, order, strict=True):
        there = footprint(cutout, angle, scale, (0.0, 0.0))
        rows, cols = (np.flatnonzero(there.mask.any(axis=axis)) for axis in (1, 0))
        slack = side - settings.gap_px - np.array([np.ptp(rows), np.ptp(cols)]) - 1
        if (slack < 0).any():
            yield None
            continue
        corner = np.array(divmod(int(cell), cells)) * side + rng.integers(slack + 1)
        yield float(corner[0] - rows[0] - there.top), float(corner[1] - cols[0] - there.left)


_ARRANGEMENTS = {"overlapping": _overlapping, "agglomerated": _agglomerated, "separate": _separate, "grid": _grid}
