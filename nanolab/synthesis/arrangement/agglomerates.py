"""Particles that fall onto the substrate and onto one another: agglomerates and piles."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import TRIES, Counted, Ground, Placement, Position, whole
from nanolab.synthesis.arrangement.floor import Floor, floor_for
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import Fraction, Positive, default

__all__ = ["Agglomerates", "Piles"]


# A particle that rolls off its neighbour finds the lowest of so many places around it.
ROLLS = 8
# A particle on a pile rolls on so often, by this part of its radius, as long as it comes to lie lower.
STEPS, STEP = 20, 0.4


class _Falling(Counted):
    """`overlap` is the fraction of the smaller one's radius, or half height, by which two may intersect.

    `max_height_nm` is how high above the substrate a particle may reach, unless it lies on it.
    """

    overlap: Fraction = default(0.05)
    max_height_nm: Annotated[float, Field(gt=0)] = 1e6

    def fits(self, population: Population, k: int, height: float) -> bool:
        """Whether a particle with its centre at a height stays below the limit; one on the substrate always does."""
        above = population.top_nm(k)
        return height + above <= max(self.max_height_nm, 2 * above)


class Agglomerates(_Falling):
    """Clusters that grow particle by particle, each dropped from above onto the substrate or onto the cluster.

    This is ballistic deposition (Vold, J. Colloid Sci. 1959, 10.1016/0095-8522(59)90041-8) around growing clusters.
    `cluster_size` is the number of particles in one; `chain` is the chance that a particle goes next to the newest
    one, which makes strings, rather than next to any; `pile` is the chance that it stays where it lands instead of
    rolling to a low place, and how far over its neighbour it may land (0: next to it; 1: right above it); `overlap`
    is the fraction of the smaller radius by which two may intersect.
    """

    kind: Literal["agglomerates"] = "agglomerates"
    cluster_size: Positive
    chain: Fraction = default(0.5)
    pile: Fraction = default(0.5)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place the particles in the order in which they were drawn."""
        numbers = self.draw(population, rng)
        chain, pile, overlap = self.drawn(rng, "chain", "pile", "overlap").values()
        margin = max((population.extent_nm(k) for k in numbers), default=0.0)
        floor, placement = floor_for(population, overlap, margin, ground), Placement(len(numbers))
        members: list[Position] = []  # of the cluster that grows
        wanted, cluster = 0, -1
        for k in numbers:
            if len(members) >= wanted:
                members, wanted = [], max(1, whole(self.cluster_size, rng))
                cluster += 1
            for _ in range(TRIES):
                if members:
                    neighbour = members[-1] if rng.random() < chain else members[rng.integers(len(members))]
                    reach = population.reach_nm(k, rng) + population.reach_nm(neighbour.index, rng)
                    points = _around(neighbour.centre_nm[:2], reach, pile, rng)
                else:
                    points = ground.anywhere(margin, rng)[None]
                turn = floor.turn(rng)
                heights = floor.rest(k, points, turn)
                lowest = int(np.argmin(heights))
                if self.fits(population, k, heights[lowest]):
                    centre = np.array([*points[lowest], heights[lowest]])
                    floor.add(k, centre, turn)
                    stands = population.stands(k, heights[lowest])
                    placement.add(k, centre, turn=turn, grounded=stands, group=cluster, group_kind="agglomerate")
                    members.append(placement.positions[-1])
                    break
        return placement


class Piles(_Falling):
    """Heaps: particles fall around a heap's middle and roll down to where nothing near them is lower.

    `heap_size` is the number of particles in one, `width_nm` its width before they roll (two standard deviations each
    way).
    """

    kind: Literal["piles"] = "piles"
    heap_size: Positive
    width_nm: Positive

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place the particles heap by heap."""
        numbers = self.draw(population, rng)
        (overlap,) = self.overlap.draw(rng, 1)
        margin = max((population.extent_nm(k) for k in numbers), default=0.0)
        floor, placement = floor_for(population, overlap, margin, ground), Placement(len(numbers))
        left, heap = 0, -1
        for k in numbers:
            if left == 0:
                heap += 1
                left, middle = max(1, whole(self.heap_size, rng)), ground.anywhere(0, rng)
                (width,) = self.width_nm.draw(rng, 1)
            left -= 1
            for _ in range(TRIES):
                turn = floor.turn(rng)
                point = middle + rng.normal(0, width / 4, 2)
                centre = _rolled(floor, k, point, turn, STEP * population.reach_nm(k, rng), rng)
                if self.fits(population, k, centre[2]):
                    floor.add(k, centre, turn)
                    stands = population.stands(k, centre[2])
                    placement.add(k, centre, turn=turn, grounded=stands, group=heap, group_kind="pile")
                    break
        return placement


def _around(centre: FloatArray, reach: float, pile: float, rng: np.random.Generator) -> FloatArray:
    """Points (n, 2) around a neighbour, of which the particle takes the lowest: the more it may pile, the fewer."""
    count = 1 if rng.random() < pile else ROLLS
    angles = rng.uniform(0, 2 * np.pi, count)
    distances = reach * (1 - pile * rng.random(count))
    return np.asarray(centre + distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _rolled(floor: Floor, k: int, point: FloatArray, turn: float, step: float, rng: np.random.Generator) -> FloatArray:
    """Return where a particle that lands at a point comes to rest, (x, y, z)."""
    height = float(floor.rest(k, point[None], turn)[0])
    for _ in range(STEPS):
        angles = rng.uniform(0, 2 * np.pi) + np.arange(ROLLS) * 2 * np.pi / ROLLS
        around = point + step * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        heights = floor.rest(k, around, turn)
        lowest = int(np.argmin(heights))
        if heights[lowest] >= height:
            break
        point, height = around[lowest], float(heights[lowest])
    return np.array([*point, height])
