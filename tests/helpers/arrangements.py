"""Particles arranged on a field, and what a placement must keep."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement import Arrangement, Ground, Placement
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.particles import ParticleKind

FIELD = (2000.0, 1500.0)
PIXEL_NM = 5.0
ROUNDING = 1e-6  # of a radius: what sums and roots of doubles may leave, with much to spare

BALL = {"template": "sphere", "diameter_nm": 100}
BALLS = {"template": "sphere", "diameter_nm": [40, 160]}
CUBE = {"template": "cube", "edge_nm": 80, "rounding": 0}
ROD = {"template": "rod", "width_nm": 40, "aspect_ratio": 4}
WIRE = {"template": "wire", "width_nm": 40, "length_nm": 1200, "persistence_nm": 4000}

ONE_OF_EACH = {
    "scattered": ({"count": 30, "min_gap_nm": 5}, BALLS),
    "touching": ({"count": 30, "cluster_size": 6}, CUBE),
    "lattice": ({"gap_nm": 10, "vacancies": 0.1, "jitter": 0.02}, BALL),
    "monolayer": ({"coverage": 0.5}, BALLS),
    "agglomerates": ({"count": 40, "cluster_size": 10}, BALLS),
    "piles": ({"count": 40, "heap_size": 20, "width_nm": 400}, BALLS),
    "fractal": ({"count": 40, "cluster_size": 20}, BALL),
    "compact": ({"count": 40, "cluster_size": 20}, BALLS),
    "rings": ({"count": 2, "radius_nm": 300, "lines": 2, "line_nm": 400, "loose": 5}, BALLS),
    "wires": ({"count": 6, "bundle_size": 2}, WIRE),
    "samples": ({"of": [{"particles": [0], "arrangement": {"kind": "scattered", "count": 20}}]}, BALLS),
}


def spec_of(kind: str, **values: Any) -> Any:
    return TypeAdapter(Arrangement).validate_python({"kind": kind, **values})


def population_of(*kinds: dict[str, Any], rng: np.random.Generator) -> Population:
    return Population([TypeAdapter(ParticleKind).validate_python(kind) for kind in kinds], PIXEL_NM, rng)


class Arranged:
    """A placement as arrays, one row per particle that was placed."""

    def __init__(self, placement: Placement) -> None:
        self.requested, self.structures = placement.requested, placement.structures
        rows = placement.positions
        self.centres_nm = np.array([row.centre_nm for row in rows]).reshape(-1, 3)
        self.index = np.array([row.index for row in rows], dtype=np.int64)
        self.grounded = np.array([row.grounded for row in rows], dtype=bool)
        self.turns = np.array([row.turn for row in rows], dtype=float)
        self.group = np.array([row.group for row in rows], dtype=np.int64)
        self.group_kind = tuple(row.group_kind for row in rows)
        self.lines = {row.index: row.line_nm for row in rows if row.line_nm is not None}


def arranged(
    kind: str,
    *particles: dict[str, Any],
    seed: int = 0,
    field: tuple[float, float] = FIELD,
    ground: Ground | None = None,
    **values: Any,
) -> tuple[Arranged, Population]:
    rng = np.random.default_rng(seed)
    population = population_of(*particles, rng=rng)
    return Arranged(spec_of(kind, **values).place(population, ground or Ground(field), rng)), population


def radii_of(placement: Arranged, population: Population) -> FloatArray:
    return population.radii_nm()[placement.index]


def gaps_between(centres: FloatArray, radii: FloatArray) -> FloatArray:
    """Distances (N, N) between the surfaces of balls or discs; infinite from one to itself."""
    gaps = squareform(pdist(centres)) - radii[:, None] - radii
    np.fill_diagonal(gaps, np.inf)
    return gaps


def deepest_overlap(centres: FloatArray, radii: FloatArray) -> float:
    """Largest intersection of two balls, as a fraction of the smaller radius."""
    return float((-gaps_between(centres, radii) / np.minimum(radii[:, None], radii)).max(initial=0.0))


def outlines_of(placement: Arranged, population: Population) -> list[FloatArray]:
    """The convex outlines (n, 2) of the bodies where they lie, from their meshes and not from their footprints."""
    outlines = []
    for k, turn, centre in zip(placement.index, placement.turns, placement.centres_nm, strict=True):
        flat = population.body(int(k)).turned(float(turn)).vertices[:, :2] + centre[:2]
        outlines.append(flat[ConvexHull(flat).vertices])
    return outlines


def distance_between(first: FloatArray, second: FloatArray) -> float:
    """Distance of two convex polygons; below 0, at least how deep they overlap."""
    sides = np.concatenate([np.roll(first, -1, axis=0) - first, np.roll(second, -1, axis=0) - second])
    normals = np.column_stack([sides[:, 1], -sides[:, 0]]) / np.linalg.norm(sides, axis=1, keepdims=True)
    normals = np.concatenate([normals, -normals])
    apart = float(((second @ normals.T).min(axis=0) - (first @ normals.T).max(axis=0)).max())
    return apart if apart <= 0 else min(_corner_to_sides(first, second), _corner_to_sides(second, first))


def _corner_to_sides(corners: FloatArray, polygon: FloatArray) -> float:
    sides = np.roll(polygon, -1, axis=0) - polygon
    away = corners[:, None] - polygon
    along = np.clip((away * sides).sum(axis=2) / (sides**2).sum(axis=1), 0, 1)
    return float(np.linalg.norm(away - along[..., None] * sides, axis=2).min())
