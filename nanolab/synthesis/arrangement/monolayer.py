"""A dense random layer of particles on the plane."""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import PARTICLES, Ground, Placement, Spec
from nanolab.synthesis.arrangement.plane import Footprint, separations, smooth_field
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Distribution, Fraction, between, default

__all__ = ["Monolayer"]

Pairs = npt.NDArray[np.int64]

SAMPLE = 32
# Overlapping particles push one another apart so often at most, until the deepest overlap is this part of a radius.
PUSHES, DEEPEST = 120, 0.01


class Monolayer(Spec):
    """Particles at random, as dense as `coverage`, the part of the field that they cover; each on the substrate.

    Thrown down at random, they push one another apart until they no longer overlap; what still does is left out, so
    that a coverage beyond what can be packed (0.8 for discs) is not reached. `align` is the degree to which long
    particles lie as their neighbours do, and `domain` the width of the domains in which they do, in particles.
    """

    kind: Literal["monolayer"] = "monolayer"
    coverage: Annotated[Distribution, between(0.01, 0.9)] = default([0.6, 0.8])
    align: Fraction = default(0)
    domain: Annotated[Distribution, between(1, 1000)] = default(8)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Draw as many particles as the coverage needs and push them apart."""
        coverage, align, domain = self.drawn(rng, "coverage", "align", "domain").values()
        shapes = [population.footprint(k) for k in population.draw(SAMPLE)]
        margin, area = max(shape.radius for shape in shapes), float(np.mean([shape.area_nm2 for shape in shapes]))
        count = round(coverage * float(np.prod(np.asarray(ground.field_nm) + 2 * margin)) / area)
        if count > PARTICLES:
            raise InputError(
                f"arrangement monolayer: {count} particles would cover {coverage:.0%} of the field, at most "
                f"{PARTICLES} are possible; make the field smaller or the particles larger"
            )
        population.draw(max(0, count - SAMPLE))
        points = np.array([ground.anywhere(margin, rng) for _ in range(count)]).reshape(-1, 2)
        # Half the angle of a smooth random vector: a rod and one turned by half a turn lie alike.
        east, north = (smooth_field(points, domain * np.sqrt(area), rng) for _ in range(2))
        turns = np.arctan2(north, east) / 2 + rng.normal(0, 1, count) * (1 - align) * np.pi
        outlines = [population.footprint(k).turned(turn) for k, turn in enumerate(turns)]
        points = _pushed_apart(points, outlines)
        placement, plane = Placement(count), ground.plane()
        for k in rng.permutation(count).tolist():
            if plane.gap(outlines[k], points[k]) >= -2 * DEEPEST * outlines[k].radius:
                plane.add(outlines[k], points[k])
                placement.add(k, [*points[k], population.rest_nm(k)], turn=turns[k])
        return placement


def _pushed_apart(points: FloatArray, outlines: list[Footprint]) -> FloatArray:
    """Move overlapping outlines apart, each pair along the way that is shortest for it."""
    if len(points) < 2:
        return points
    radii = np.array([shape.radius for shape in outlines])
    points = points.copy()
    for _ in range(PUSHES):
        pairs = cKDTree(points).query_pairs(2 * radii.max(), output_type="ndarray")
        gaps, ways = separations(outlines, points, pairs)
        overlaps = gaps < 0
        if not overlaps.any() or -gaps.min() < DEEPEST * radii.min():
            break
        pairs, push = pairs[overlaps], -0.5 * gaps[overlaps, None] * ways[overlaps]
        for column in (0, 1):
            points[:, column] -= np.bincount(pairs[:, 0], push[:, column], len(points))
            points[:, column] += np.bincount(pairs[:, 1], push[:, column], len(points))
    return points
