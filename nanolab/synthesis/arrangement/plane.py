"""Outlines of particles on the plane: do they overlap, how far are they apart; and smooth random fields on it."""

import numpy as np
import numpy.typing as npt

from nanolab.core.typing import FloatArray

__all__ = ["Footprint", "Plane", "disc", "footprint", "separations", "smooth_field", "turning"]


# Sides of the polygon around an outline: those of triangles, squares and hexagons are among them.
SIDES = 24
_ANGLES = np.arange(SIDES) * 2 * np.pi / SIDES
NORMALS = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])


class Footprint:
    """A convex outline about the centre, as a disc, or as a polygon of 24 sides around it.

    `normals` (24, 2) of the sides, their distances `support` (24,) from the centre, the corners between them `corners`
    (24, 2), and the `radius` of the circle around the centre that holds it; `is_disc` if it is that circle.
    """

    __slots__ = ("corners", "is_disc", "normals", "radius", "support")

    def __init__(
        self, normals: FloatArray, support: FloatArray, corners: FloatArray, radius: float, *, is_disc: bool
    ) -> None:
        self.normals, self.support, self.corners = normals, support, corners
        self.radius, self.is_disc = radius, is_disc

    @property
    def area_nm2(self) -> float:
        """Its area in nm^2."""
        if self.is_disc:
            return float(np.pi * self.radius**2)
        x, y = self.corners.T
        return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)

    def turned(self, angle: float) -> "Footprint":
        """Return the outline turned about the beam, from x towards y."""
        if self.is_disc or angle == 0:
            return self
        turn = turning(angle)
        return Footprint(self.normals @ turn, self.support, self.corners @ turn, self.radius, is_disc=False)


def turning(angle: float) -> FloatArray:
    """Return the matrix (2, 2) that turns points (n, 2), from the left, by an angle in radians from x towards y."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def disc(radius_nm: float) -> Footprint:
    """Return the outline of a ball."""
    support = np.full(SIDES, radius_nm)
    return Footprint(NORMALS, support, _corners(support), radius_nm, is_disc=True)


def footprint(points: FloatArray) -> Footprint:
    """Return the outline of points (N, 2 or more), of which the first two coordinates count."""
    flat = points[:, :2]
    support = (flat @ NORMALS.T).max(axis=0)
    radius = float(np.sqrt((flat**2).sum(axis=1).max()))
    return Footprint(NORMALS, support, _corners(support), radius, is_disc=False)


def _corners(support: FloatArray) -> FloatArray:
    """Where each side of the polygon meets the next."""
    step = 2 * np.pi / SIDES
    along = (np.roll(support, -1) - support * np.cos(step)) / np.sin(step)
    return np.asarray(support[:, None] * NORMALS + along[:, None] * np.column_stack([-NORMALS[:, 1], NORMALS[:, 0]]))


class Plane:
    """Outlines that lie on the plane, and how far others are from the nearest of them."""

    def __init__(self) -> None:
        self._count = 0
        self._centres, self._radii, self._discs = np.empty((64, 2)), np.empty(64), np.empty(64, dtype=bool)
        self._normals, self._corners = np.empty((64, SIDES, 2)), np.empty((64, SIDES, 2))
        self._support = np.empty((64, SIDES))

    def __len__(self) -> int:
        return self._count

    @property
    def centres(self) -> FloatArray:
        """Centres of the outlines, shape (N, 2)."""
        return self._centres[: self._count]

    def add(self, shape: Footprint, centre: FloatArray) -> None:
        """Lay an outline down."""
        columns = ("_centres", "_radii", "_discs", "_normals", "_corners", "_support")
        values = (centre[:2], shape.radius, shape.is_disc, shape.normals, shape.corners, shape.support)
        for name, value in zip(columns, values, strict=True):
            column = getattr(self, name)
            if self._count == len(column):
                column = np.concatenate([column, np.empty_like(column)])
                setattr(self, name, column)
            column[self._count] = value
        self._count += 1

    def gap(self, shape: Footprint, centre: FloatArray, reach: float = 0.0) -> float:
        """Return the distance in nm from an outline to the nearest one; see `gaps`."""
        return float(self.gaps(shape, np.asarray(centre)[None, :2], reach)[0])

    def gaps(self, shape: Footprint, centres: FloatArray, reach: float = 0.0) -> FloatArray:
        """Return the distances in nm, (C,), from an outline at several centres, (C, 2), to the nearest one there.

        Below 0 it is how deep the two overlap. It is exact for discs and never too large for polygons. Beyond `reach`
        nm it may be any value larger than that.
        """
        away = self.centres - centres[:, None]
        gaps = np.sqrt((away**2).sum(axis=2)) - self._radii[: self._count] - shape.radius
        near = gaps <= reach
        if shape.is_disc:
            near &= ~self._discs[: self._count]
        ours, theirs = np.nonzero(near)
        if len(ours):
            apart = self._separation(shape, theirs, away[ours, theirs])
            gaps[ours, theirs] = np.maximum(gaps[ours, theirs], apart)
        return np.asarray(gaps.min(axis=1, initial=np.inf))

    def contact(self, shape: Footprint, k: int, directions: FloatArray, gap: float) -> FloatArray:
        """Return centres (C, 2) at which an outline, coming from directions (C, 2), is `gap` nm from outline `k`."""
        if shape.is_disc and self._discs[k]:
            return np.asarray(self._centres[k] + (self._radii[k] + shape.radius + gap) * directions)
        # The outline's centre must stay outside the sum of one polygon and the other one turned by half a turn.
        normals = np.concatenate([self._normals[k], -shape.normals])
        reach = np.concatenate(
            [
                self._support[k] - (shape.corners @ self._normals[k].T).min(axis=0),
                shape.support + (self._corners[k] @ -shape.normals.T).max(axis=0),
            ]
        )
        rate = directions @ normals.T
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(rate > 1e-9, (reach + gap) / rate, np.inf).min(axis=1)
        return np.asarray(self._centres[k] + distance[:, None] * directions)

    def _separation(self, shape: Footprint, others: npt.NDArray[np.int64], away: FloatArray) -> FloatArray:
        """Largest gap between polygons along any of their sides' normals, (P,): the separating axis theorem."""
        corners = self._corners[others] + away[:, None]
        ours = (shape.normals @ corners.swapaxes(1, 2)).min(axis=2) - shape.support
        back = (shape.corners - away[:, None]).swapaxes(1, 2)
        theirs = (self._normals[others] @ back).min(axis=2) - self._support[others]
        return np.asarray(np.maximum(ours.max(axis=1), theirs.max(axis=1)))


def separations(
    shapes: list[Footprint], centres: FloatArray, pairs: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return the gaps of pairs (P, 2) of outlines, (P,), and the unit vectors from the first to the second, (P, 2).

    A negative gap is how deep the two overlap; moving them apart along the vector by that much parts them.
    """
    first, second = pairs.T
    radii = np.array([shape.radius for shape in shapes])
    away = centres[second] - centres[first]
    distance = np.maximum(np.linalg.norm(away, axis=1), 1e-9)
    gaps, ways = distance - radii[first] - radii[second], away / distance[:, None]
    discs = np.array([shape.is_disc for shape in shapes])
    near = np.flatnonzero((gaps < 0) & ~(discs[first] & discs[second]))
    normals, corners = (np.stack([getattr(shape, name) for shape in shapes]) for name in ("normals", "corners"))
    support = np.stack([shape.support for shape in shapes])
    a, b, away = first[near], second[near], away[near, None]
    ours = (normals[a] @ (corners[b] + away).swapaxes(1, 2)).min(axis=2) - support[a]
    theirs = (normals[b] @ (corners[a] - away).swapaxes(1, 2)).min(axis=2) - support[b]
    both = np.concatenate([ours, theirs], axis=1)
    best = both.argmax(axis=1)
    side = np.where((best < SIDES)[:, None], normals[a, best % SIDES], -normals[b, best % SIDES])
    row = np.arange(len(near))
    closer = both[row, best] > gaps[near]
    gaps[near[closer]], ways[near[closer]] = both[row, best][closer], side[closer]
    return gaps, ways


WAVES = 24


def smooth_field(points: FloatArray, scale_nm: float, rng: np.random.Generator) -> FloatArray:
    """Return noise (N,) of mean 0 and SD 1 at points (N, 2): plane waves of lengths around 2 `scale_nm`."""
    angles, phases = rng.uniform(0, 2 * np.pi, (2, WAVES))
    waves = np.pi / scale_nm * rng.uniform(0.6, 1.4, WAVES) * np.stack([np.cos(angles), np.sin(angles)])
    return np.asarray(np.cos(points @ waves + phases).sum(axis=1) * np.sqrt(2 / WAVES))
