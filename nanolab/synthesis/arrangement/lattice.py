"""Particles on a lattice, with what spoils it: vacancies, grains, jitter and edges."""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import Ground, Placement, Spec, whole
from nanolab.synthesis.arrangement.plane import Footprint, Plane, smooth_field, turning
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Distribution, NotNegative, Positive, between, default

__all__ = ["Lattice"]


# The cell is made for this many particles' sizes, and fits all but the largest of them.
SAMPLE, FITTING = 32, 0.95
# Neighbours may overlap by this part of the radius: outlines are polygons around the particles.
TOLERANCE = 0.02
# More sites than this in one field are a mistake in the recipe.
SITES = 20_000


class Lattice(Spec):
    """A lattice that fills the field, all particles turned along it.

    Its `cell` is hexagonal, or square (a rectangle for long particles). Neighbours are `gap_nm` apart, by their largest
    extent, or `spacing_nm` from centre to centre if that is given. `vacancies` is the part of the sites that is empty;
    `jitter` the standard deviation of the positions over the spacing; `turn_deg` that of the turns; `grains` the number
    of grains, each turned at random, with boundaries between them; `coverage` the part of the field that islands of the
    lattice cover. Particles that overlap with neighbours, where they are too large or at a boundary, are left out.
    """

    kind: Literal["lattice"] = "lattice"
    cell: Literal["hexagonal", "square"] = "hexagonal"
    gap_nm: NotNegative = default(0)
    spacing_nm: Positive | None = None
    vacancies: Annotated[Distribution, between(0, 0.95)] = default(0)
    jitter: Annotated[Distribution, between(0, 0.3)] = default(0)
    turn_deg: Annotated[Distribution, between(0, 90)] = default(0)
    grains: Annotated[Distribution, between(1, 1000)] = default(1)
    coverage: Annotated[Distribution, between(0.01, 1)] = default(1)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place particles on the sites, in an order that does not favour a side."""
        sample = population.draw(SAMPLE)
        spacing, margin = self._spacing(population, sample, rng)
        sites, angles, grains = self._sites(spacing, margin, np.asarray(ground.field_nm), rng)
        vacancies, jitter, turn_deg = self.drawn(rng, "vacancies", "jitter", "turn_deg").values()
        kept = np.flatnonzero(rng.random(len(sites)) >= vacancies)
        rng.shuffle(kept)
        population.draw(max(0, len(kept) - SAMPLE))
        placement, plane = Placement(len(kept)), ground.plane()
        for k, site in enumerate(kept):
            turn = float(angles[site] + rng.normal(0, np.deg2rad(turn_deg)))
            point = sites[site] + rng.normal(0, jitter * spacing.min(), 2)
            shape = population.footprint(k).turned(turn)
            if plane.gap(shape, point) >= -TOLERANCE * shape.radius:
                plane.add(shape, point)
                about = {"turn": turn, "group": int(grains[site]), "group_kind": "lattice"}
                placement.add(k, [*point, population.rest_nm(k)], **about)
        return placement

    def _spacing(self, population: Population, sample: range, rng: np.random.Generator) -> tuple[FloatArray, float]:
        """Return the distances of particles in a row and of rows, and how far particles reach."""
        shapes = [population.footprint(k) for k in sample]
        margin = max(shape.radius for shape in shapes)
        if self.spacing_nm is not None:
            (spacing,) = self.spacing_nm.draw(rng, 1)
            return spacing * np.array([1, np.sqrt(3) / 2 if self.cell == "hexagonal" else 1]), margin
        (gap,) = self.gap_nm.draw(rng, 1)
        typical = sorted(shapes, key=lambda shape: shape.area_nm2)[int(FITTING * (SAMPLE - 1))]
        quarter = len(typical.support) // 4
        along, across = typical.support[: 2 * quarter : quarter] + typical.support[2 * quarter :: quarter] + gap
        if self.cell == "hexagonal":
            across = _row_distance(typical, along, gap)
        return np.array([along, across]), margin

    def _sites(
        self, spacing: FloatArray, margin: float, size: FloatArray, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
        """Return the sites (n, 2), and of each the angle and the number of its grain."""
        grains = max(1, whole(self.grains, rng))
        if np.prod(size + 2 * margin) > SITES * np.prod(spacing):
            raise InputError(
                f"arrangement lattice: more than {SITES} particles of {spacing[0]:.3g} nm would fill the field; "
                "make the field smaller or the particles larger"
            )
        seeds = rng.uniform(0, 1, (grains, 2)) * size
        nearest = cKDTree(seeds)
        sites, angles = [np.empty((0, 2))], []
        for grain in range(grains):
            angle = rng.uniform(0, 2 * np.pi)
            points = _grid(self.cell, spacing, size + 2 * margin, angle, rng)
            inside = ((points > -margin) & (points < size + margin)).all(axis=1)
            points = points[inside]
            points = points[nearest.query(points)[1] == grain]
            sites.append(points)
            angles.append(np.full(len(points), angle))
        points, turns = np.concatenate(sites), np.concatenate(angles)
        (coverage,) = self.coverage.draw(rng, 1)
        if coverage < 1:
            height = smooth_field(points, 0.5 * float(size.max()), rng)
            covered = height >= np.quantile(height, 1 - coverage)
            points, turns = points[covered], turns[covered]
        return points, turns, np.asarray(nearest.query(points)[1], dtype=np.int64)


def _row_distance(shape: Footprint, along: float, gap: float) -> float:
    """Return how near to a row the next one comes, which is shifted by half the distance of the particles in a row."""
    plane = Plane()
    plane.add(shape, np.zeros(2))
    low, high = 0.0, 2 * shape.radius + gap
    for _ in range(20):
        middle = (low + high) / 2
        apart = plane.gap(shape, np.array([along / 2, middle]), gap) >= gap
        low, high = (low, middle) if apart else (middle, high)
    return high


def _grid(cell: str, spacing: FloatArray, size: FloatArray, angle: float, rng: np.random.Generator) -> FloatArray:
    """Return points (n, 2) of a turned lattice, shifted at random, that covers a field of `size` and more."""
    reach = float(np.hypot(*size))
    columns, rows = (int(np.ceil(reach / step)) for step in spacing)
    row, column = (a.astype(float) for a in np.mgrid[-rows : rows + 1, -columns : columns + 1])
    if cell == "hexagonal":
        column += 0.5 * (row % 2)
    points = (np.stack([column, row], axis=-1) * spacing).reshape(-1, 2)
    points = points[np.abs(points).max(axis=1) <= reach]
    return np.asarray(points @ turning(angle) + size / 2 + rng.uniform(-0.5, 0.5, 2) * spacing)
