"""Agglomerates that formed before they came to lie on the substrate: fractal ones and compact ones."""

from typing import Annotated, Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import Counted, Ground, Placement, whole
from nanolab.synthesis.arrangement.floor import BallFloor
from nanolab.synthesis.arrangement.population import Population, about_beam
from nanolab.synthesis.draws import Distribution, Positive, between, default
from nanolab.synthesis.particles.kind import random_rotation

__all__ = [
    "Compact",
    "Fractal",
]


# Pairs of balls by which two clusters are tried to be joined, the turns tried for each pair, and how often a cluster
# is begun anew.
PAIRS, TURNS, BEGINNINGS = 30, 10, 2
# So few balls may have no arrangement that obeys the law; they come as near to it as they can, in steps of this size.
FEW, LOOSER, STEPS = 8, 1.03, 150
# Balls may overlap by this part of the smallest radius: rounding.
ROUNDING = 1e-6
# Directions from which a ball comes to a compact cluster.
DIRECTIONS = 32


def gyration_radius(centres: FloatArray, radii: FloatArray) -> float:
    """Return the radius of gyration of solid balls of one density, each with its own 3/5 r^2."""
    mass = radii**3 / (radii**3).sum()
    away = ((centres - mass @ centres) ** 2).sum(axis=1)
    return float(np.sqrt(mass @ (away + 0.6 * radii**2)))


def fractal_cluster(radii: FloatArray, dimension: float, prefactor: float, rng: np.random.Generator) -> FloatArray:
    """Return the centres (n, 3) of touching balls that fulfil N = prefactor (Rg / a)^dimension.

    Cluster-cluster aggregation after Filippov, Zurita & Rosner (J. Colloid Interface Sci. 2000,
    10.1006/jcis.2000.7027): halves of a cluster, made in the same way, are joined at the distance of their centres
    that gives the whole its radius of gyration. For balls of several sizes a is their geometric mean and masses weigh
    (Morán et al., Comput. Phys. Commun. 2019, 10.1016/j.cpc.2019.01.015).

    Where the halves of a cluster cannot be joined in a bounded number of tries, it is begun anew, and at last made of
    the first half of the balls: the result may have fewer rows than `radii` and still obeys the law, unless it has
    8 balls or fewer.
    """
    for _ in range(BEGINNINGS):
        centres = _grown(radii, dimension, prefactor, rng)
        if centres is not None:
            return centres
    return fractal_cluster(radii[: len(radii) // 2], dimension, prefactor, rng)


def compact_cluster(radii: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the centres (n, 3) of touching balls, each come to the middle as near as some direction lets it."""
    centres = np.zeros((len(radii), 3))
    for k in range(1, len(radii)):
        ways = rng.normal(size=(DIRECTIONS, 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        along = ways @ centres[:k].T
        beside = (centres[:k] ** 2).sum(axis=1) - along**2
        room = (radii[:k] + radii[k]) ** 2 - beside
        stops = np.where(room > 0, along + np.sqrt(np.maximum(room, 0)), 0).max(axis=1)
        centres[k] = ways[stops.argmin()] * stops.min()
    return centres


def _grown(radii: FloatArray, dimension: float, prefactor: float, rng: np.random.Generator) -> FloatArray | None:
    """Return a cluster about its centre of mass, or None if its halves could not be joined."""
    if len(radii) == 1:
        return np.zeros((1, 3))
    half = len(radii) // 2
    first, second = (_grown(part, dimension, prefactor, rng) for part in (radii[:half], radii[half:]))
    if first is None or second is None:
        return None
    mass = np.array([(radii[:half] ** 3).sum(), (radii[half:] ** 3).sum()])
    mass /= mass.sum()
    wanted = np.exp(np.log(radii).mean()) * (len(radii) / prefactor) ** (1 / dimension)
    inner = mass[0] * gyration_radius(first, radii[:half]) ** 2 + mass[1] * gyration_radius(second, radii[half:]) ** 2
    distance = np.sqrt(max(wanted**2 - inner, 0) / mass.prod())
    joined = _joined(first, second, radii, distance, rng)
    for _ in range(STEPS if len(radii) <= FEW else 0):
        if joined is not None:
            break
        distance = max(distance, 0.1 * radii.min()) * LOOSER
        joined = _joined(first, second, radii, distance, rng)
    if joined is None:
        return None
    return np.asarray(joined - (radii**3 / (radii**3).sum()) @ joined)


def _joined(
    first: FloatArray, second: FloatArray, radii: FloatArray, distance: float, rng: np.random.Generator
) -> FloatArray | None:
    """Turn two clusters so that they touch and do not overlap with their centres at a distance; None if that fails.

    A ball i of the first is brought to p and a ball j of the second to q so that they touch: the first one's centre,
    p, and the second one's centre form a triangle, and so do p, q and the second one's centre.
    """
    own, other = radii[: len(first)], radii[len(first) :]
    reach, reach_other = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    touch = own[:, None] + other
    farthest = (reach[:, None] + reach_other + touch).max()
    distance = min(distance, (1 - 1e-9) * farthest) if len(radii) <= FEW else distance
    low = np.maximum(np.abs(distance - reach)[:, None], np.abs(reach_other - touch))
    high = np.minimum((distance + reach)[:, None], reach_other + touch)
    possible = np.argwhere(low <= high * (1 + 1e-9))
    centre = np.array([0.0, 0, distance])
    for i, j in possible[rng.permutation(len(possible))[:PAIRS]]:
        side = rng.uniform(low[i, j], max(high[i, j], low[i, j]))
        p = _at_distance(reach[i], centre, side, rng)
        q = _at_distance(reach_other[j], p - centre, touch[i, j], rng)
        for _ in range(TURNS):
            one = first @ _bringing(first[i], p, rng).T
            two = second @ _bringing(second[j], q, rng).T + centre
            gaps = np.sqrt(((one[:, None] - two) ** 2).sum(axis=2)) - touch
            if gaps.min() >= -ROUNDING * radii.min():
                return np.concatenate([one, two])
            if len(first) == len(second) == 1:
                break
    return None


def _at_distance(length: float, target: FloatArray, distance: float, rng: np.random.Generator) -> FloatArray:
    """Return a random vector of a given length whose end lies at a given distance from a target."""
    away = float(np.linalg.norm(target))
    if length == 0 or away == 0:
        return length * random_rotation(rng)[0]
    cosine = np.clip((length**2 + away**2 - distance**2) / (2 * length * away), -1, 1)
    axis = target / away
    side = np.cross(axis, rng.normal(size=3))
    side /= np.linalg.norm(side)
    return np.asarray(length * (cosine * axis + np.sqrt(1 - cosine**2) * side))


def _bringing(start: FloatArray, end: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a rotation (3, 3) that brings one vector to another of its length, with a random spin about it."""
    if not start.any():
        return random_rotation(rng)
    return np.asarray(_frame(end, rng).T @ _frame(start, rng))


def _frame(direction: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return three orthogonal unit vectors as rows, the first along a direction, the others random."""
    first = direction / np.linalg.norm(direction)
    second = np.cross(first, rng.normal(size=3))
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)])


class _Clusters(Counted):
    """Rigid clusters that lie on the substrate, or on one another, with their flattest side down.

    Particles are taken for balls of their volume; `cluster_size` is the number of them in one.
    """

    cluster_size: Positive

    def cluster(self, radii_nm: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the centres (n, 3) of a cluster of balls, of all or only of the first ones."""
        raise NotImplementedError

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Make clusters, let each down somewhere, and leave out what a cluster could not take up."""
        numbers = self.draw(population, rng)
        radii = population.radii_nm()
        floor, placement = BallFloor(radii, 0.0, ground), Placement(len(numbers))
        first, group = 0, 0
        while first < len(numbers):
            size = min(max(1, whole(self.cluster_size, rng)), len(numbers) - first)
            own = radii[first : first + size]
            centres = _lying(self.cluster(own, rng), rng)
            centres[:, :2] += ground.anywhere(0, rng)
            centres[:, 2] += (floor.rest_of(own[: len(centres)], centres[:, :2]) - centres[:, 2]).max()
            for k, centre in enumerate(centres, start=first):
                floor.add(k, centre)
                stands = population.stands(k, centre[2])
                placement.add(k, centre, grounded=stands, group=group, group_kind="agglomerate")
            first, group = first + size, group + 1
        return placement


class Fractal(_Clusters):
    """Fractal agglomerates: N = `prefactor` (Rg / a)^`dimension` balls of radius a have the radius of gyration Rg.

    Soot and other flame-made particles have a dimension near 1.8 and a prefactor of 1.2 to 1.4 (diffusion-limited
    cluster-cluster aggregation). `overlap` is the part of their mean radius by which neighbours are sintered together.
    """

    kind: Literal["fractal"] = "fractal"
    dimension: Annotated[Distribution, between(1.2, 2.5)] = default([1.7, 1.9])
    prefactor: Annotated[Distribution, between(0.6, 2.0)] = default([1.2, 1.4])
    overlap: Annotated[Distribution, between(0, 0.5)] = default(0)

    def cluster(self, radii_nm: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the centres of a fractal cluster."""
        dimension, prefactor, overlap = self.drawn(rng, "dimension", "prefactor", "overlap").values()
        # Sintered balls are touching ones brought nearer; the law holds for the touching ones.
        return fractal_cluster(radii_nm, dimension, prefactor, rng) * (1 - overlap / 2)


class Compact(_Clusters):
    """Compact agglomerates: dense, nearly round clusters, such as those of a dried spray."""

    kind: Literal["compact"] = "compact"

    def cluster(self, radii_nm: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the centres of a compact cluster."""
        return compact_cluster(radii_nm, rng)


def _lying(centres: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Turn a cluster so that it is flattest along z, and at random about it."""
    centres = centres - centres.mean(axis=0)
    if len(centres) < 3:
        return centres
    axes = np.linalg.svd(centres, full_matrices=False)[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    return np.asarray(centres @ axes.T @ about_beam(rng.uniform(0, 2 * np.pi)).T)
