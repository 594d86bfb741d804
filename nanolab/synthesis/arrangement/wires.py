"""Wires that cross and bundle, each bent over those that lie under it."""

from typing import Annotated, Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import Counted, Ground, Placement, whole
from nanolab.synthesis.arrangement.floor import Relief
from nanolab.synthesis.arrangement.plane import smooth_field, turning
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, between, default
from nanolab.synthesis.particles.wires import Wire

__all__ = ["Wires"]


# Points across a wire at which it is let down and laid on the map, and across its width at least.
ACROSS = 13
# A wire's bend over another is rounded over so many widths.
ROUNDED = 1.5


class Wires(Counted):
    """Wires at random, alone or in bundles, each let down onto those before it.

    `bundle_size` is the number of wires in a bundle, which lie side by side and on one another within about
    `bundle_widths` wires' widths; `align` the degree to which all wires run the same way; `rise` the steepest slope at
    which a wire comes down from another one; `overlap` the part of its radius by which it sinks into that.
    """

    kind: Literal["wires"] = "wires"
    bundle_size: Positive = default(1)
    bundle_widths: NotNegative = default(2)
    align: Fraction = default(0)
    rise: Annotated[Distribution, between(0.02, 2)] = default(0.2)
    overlap: Annotated[Distribution, between(0, 0.5)] = default(0.05)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place wires bundle by bundle; a random point of each bundle's first wire lies in the field."""
        kinds = [kind for kind in population.kinds if not isinstance(kind, Wire)]
        if kinds:
            raise InputError(f"arrangement wires: places particles of template wire only, got {kinds[0].template}")
        numbers = self.draw(population, rng)
        align, rise, overlap = self.drawn(rng, "align", "rise", "overlap").values()
        weave = _Weave(population, ground, rise, overlap)
        main = rng.uniform(0, np.pi)
        placement = Placement(len(numbers))
        left, bundle = 0, -1
        for k in numbers:
            line = _centreline(population, k, rng)
            if left == 0:
                left, bundle = max(1, whole(self.bundle_size, rng)), bundle + 1
                (widths,) = self.bundle_widths.draw(rng, 1)
                angle = main + (1 - align) * rng.uniform(-np.pi, np.pi)
                line = (line - line[rng.integers(len(line))]) @ turning(angle) + ground.anywhere(0, rng)
                leader = line
            else:
                line = _beside(leader, line, widths * population.size_nm(k), rng)
            left -= 1
            axis = weave.lay(line, population.size_nm(k) / 2)
            about = {"group": bundle, "group_kind": "bundle", "line_nm": axis}
            placement.add(k, axis.mean(axis=0), grounded=False, **about)
        return placement


class _Weave:
    """The map of heights that wires are laid on."""

    def __init__(self, population: Population, ground: Ground, rise: float, overlap: float) -> None:
        widths = [population.size_nm(k) for k in range(len(population))] or [1.0]
        self._relief = Relief(ground.field_nm, 4 * max(widths), max(population.pixel_size_nm, min(widths) / ACROSS))
        for one in ground.placed:
            self._relief.add(self._relief.stamp(one.mesh), one.centre_nm)
        self._rise, self._overlap = rise, overlap

    def lay(self, line: FloatArray, radius: float) -> FloatArray:
        """Let a wire down whose axis is above points (n, 2); return the axis (m, 3) when it lies."""
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        step = min(self._relief.pitch_nm, radius / 2)
        stations = np.linspace(0, along[-1], int(np.ceil(along[-1] / step)) + 1)
        points = np.stack([np.interp(stations, along, v) for v in line.T], axis=1)
        tangents = np.gradient(points, axis=0)
        normals = np.column_stack([-tangents[:, 1], tangents[:, 0]])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        aside = np.linspace(-1, 1, ACROSS) * radius * 0.98
        cross = points[:, None] + aside[:, None] * normals[:, None]
        rim = np.sqrt(radius**2 - aside**2)
        under = self._relief.heights(cross)
        needed = np.where(under > 0, under + rim - self._overlap * radius, radius).max(axis=1)
        heights = self._bent(np.maximum(needed, radius), stations, radius)
        self._relief.raise_to(cross, heights[:, None] + rim, radius)
        kept = np.unique(np.append(np.arange(0, len(points), max(1, int(radius / 2 / step))), len(points) - 1))
        return np.column_stack([points[kept], heights[kept]])

    def _bent(self, needed: FloatArray, stations: FloatArray, radius: float) -> FloatArray:
        """Return heights not below those needed, no steeper than a wire bends, and rounded where they change."""
        step = stations[1] - stations[0]
        slope = self._rise * stations
        rising = np.maximum.accumulate((needed - slope)[::-1])[::-1] + slope
        falling = np.maximum.accumulate(needed + slope) - slope
        width = 2 * int(np.ceil(ROUNDED * radius / step)) + 1
        # A mean of largest values within its own reach is nowhere below the values themselves.
        return np.asarray(uniform_filter1d(maximum_filter1d(np.maximum(rising, falling), width), width))


def _centreline(population: Population, k: int, rng: np.random.Generator) -> FloatArray:
    kind = population.kind(k)
    assert isinstance(kind, Wire)  # noqa: S101 (`place` has checked it)
    return kind.centreline(population.size_nm(k), rng)


def _beside(leader: FloatArray, own: FloatArray, spread: float, rng: np.random.Generator) -> FloatArray:
    """Return a wire's line (n, 2) that follows the bundle's first one, somewhere next to it and shifted along it."""
    steps = np.hypot(*np.diff(leader, axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    tangents = np.gradient(leader, axis=0)
    normals = np.column_stack([-tangents[:, 1], tangents[:, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    drift = smooth_field(np.column_stack([along, along]) / np.sqrt(2), 0.5 * along[-1], rng)
    shifted = leader + (spread * (rng.normal(0, 0.5) + 0.3 * drift))[:, None] * normals
    length = min(float(np.hypot(*np.diff(own, axis=0).T).sum()), along[-1])
    start = rng.uniform(0, along[-1] - length) if length < along[-1] else 0.0
    # A piece may be shorter than a step of the bundle's first wire, so that its ends need points of their own.
    inside = along[(along > start) & (along < start + length)]
    stations = np.concatenate([[start], inside, [start + length]])
    return np.stack([np.interp(stations, along, column) for column in shifted.T], axis=1)
