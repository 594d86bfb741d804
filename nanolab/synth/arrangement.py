"""Where particles lie: positions from radii, with no knowledge of shapes, images or Blender."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nanolab.synth.draws import Fraction, Model, NotNegative, Positive

__all__ = ["Agglomerates", "Arrangement", "Placement", "Scattered", "place"]

Array = npt.NDArray[np.float64]

# A position is given up after so many draws; the particle is then left out and the record says so.
TRIES = 50
# A particle that rolls off its neighbour finds the lowest of so many places around it.
ROLLS = 8


@dataclass(frozen=True)
class Placement:
    """Centres (N, 3) in nm as (x, y, z), z above the substrate; `index` (N,) says which of the radii each has.

    `grounded` (N,) is true where the particle stands on the substrate and not on another one.
    """

    centres_nm: Array
    index: npt.NDArray[np.int64]
    grounded: npt.NDArray[np.bool_]


class Scattered(Model):
    """Particles one by one on the substrate, at least `min_gap_nm` apart (random sequential addition)."""

    kind: Literal["scattered"] = "scattered"
    count: Positive
    min_gap_nm: NotNegative = Field(default=0.0, validate_default=True)


class Agglomerates(Model):
    """Clusters that grow particle by particle, each dropped from above onto the substrate or onto the cluster.

    This is ballistic deposition (Vold, J. Colloid Sci. 1959, 10.1016/0095-8522(59)90041-8) around growing clusters.
    `cluster_size` is the number of particles in one; `chain` is the chance that a particle goes beside the newest
    one, which makes strings, rather than beside any; `pile` is the chance that it stays where it lands instead of
    rolling to a low place, and how far over its neighbour it may land (0: beside it; 1: right above it); `overlap`
    is the fraction of the smaller radius by which two may intersect.
    """

    kind: Literal["agglomerates"] = "agglomerates"
    count: Positive
    cluster_size: Positive
    chain: Fraction = Field(default=0.5, validate_default=True)
    pile: Fraction = Field(default=0.5, validate_default=True)
    overlap: Fraction = Field(default=0.05, validate_default=True)
    max_height_nm: Annotated[float, Field(gt=0)] = 1e6


Arrangement = Annotated[Scattered | Agglomerates, Field(discriminator="kind")]


def place(
    arrangement: Scattered | Agglomerates, radii_nm: Array, field_nm: tuple[float, float], rng: np.random.Generator
) -> Placement:
    """Place particles of the given radii, shape (N,), in a field of (width, height) nm.

    Centres may lie up to the largest radius outside the field, so that the image's border cuts particles as in a
    real micrograph. What finds no place is left out; the result holds what was placed.
    """
    if isinstance(arrangement, Scattered):
        return _scattered(arrangement, radii_nm, field_nm, rng)
    return _agglomerates(arrangement, radii_nm, field_nm, rng)


def _anywhere(radii_nm: Array, field_nm: tuple[float, float], rng: np.random.Generator) -> Array:
    margin = radii_nm.max(initial=0.0)
    return rng.uniform((-margin, -margin), np.asarray(field_nm) + margin)


def _scattered(spec: Scattered, radii_nm: Array, field_nm: tuple[float, float], rng: np.random.Generator) -> Placement:
    (gap,) = spec.min_gap_nm.draw(rng, 1)
    centres, index = np.empty((0, 3)), np.empty(0, dtype=np.int64)
    for k in np.argsort(-radii_nm):  # large ones first, while there is room
        for _ in range(TRIES):
            point = _anywhere(radii_nm, field_nm, rng)
            distances = np.hypot(*(centres[:, :2] - point).T)
            if (distances >= radii_nm[index] + radii_nm[k] + gap).all():
                centres = np.vstack([centres, [*point, radii_nm[k]]])
                index = np.append(index, k)
                break
    return Placement(centres, index, np.ones(len(index), dtype=bool))


def _agglomerates(
    spec: Agglomerates, radii_nm: Array, field_nm: tuple[float, float], rng: np.random.Generator
) -> Placement:
    chain, pile, overlap = (float(d.draw(rng, 1)[0]) for d in (spec.chain, spec.pile, spec.overlap))
    centres = np.empty((0, 3))
    index = np.empty(0, dtype=np.int64)
    members: list[int] = []  # rows of the cluster that grows
    wanted = 0
    for k, radius in enumerate(radii_nm):
        if len(members) >= wanted:
            members, wanted = [], max(1, round(float(spec.cluster_size.draw(rng, 1)[0])))
        for _ in range(TRIES):
            if members:
                neighbour = members[-1] if rng.random() < chain else members[rng.integers(len(members))]
                points = _around(centres[neighbour, :2], radius + radii_nm[index[neighbour]], pile, rng)
            else:
                points = _anywhere(radii_nm, field_nm, rng)[None]
            heights = [_drop(point, radius, centres, radii_nm[index], overlap) for point in points]
            lowest = int(np.argmin(heights))
            if heights[lowest] + radius <= max(spec.max_height_nm, 2 * radius):
                members.append(len(centres))
                centres = np.vstack([centres, [*points[lowest], heights[lowest]]])
                index = np.append(index, k)
                break
    return Placement(centres, index, centres[:, 2] <= radii_nm[index] * (1 + 1e-9))


def _around(centre: Array, reach: float, pile: float, rng: np.random.Generator) -> Array:
    """Points (n, 2) around a neighbour, of which the particle takes the lowest: the more it may pile, the fewer."""
    count = 1 if rng.random() < pile else ROLLS
    angles = rng.uniform(0, 2 * np.pi, count)
    distances = reach * (1 - pile * rng.random(count))
    return np.asarray(centre + distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _drop(point: Array, radius: float, centres: Array, radii: Array, overlap: float) -> float:
    """Height at which a ball that falls at `point` first meets the substrate (then its radius) or another ball."""
    contact = radius + radii - overlap * np.minimum(radius, radii)
    beside = ((centres[:, :2] - point) ** 2).sum(axis=1)
    rise = np.sqrt(np.clip(contact**2 - beside, 0, None))
    return float(np.max(centres[:, 2] + rise, where=rise > 0, initial=radius))
