"""Particles one by one on the plane, apart from one another."""

from typing import Literal

import numpy as np

from nanolab.synthesis.arrangement.base import TRIES, Counted, Ground, Placement
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.draws import NotNegative, default

__all__ = ["Scattered"]


class Scattered(Counted):
    """Particles at random on the substrate, at least `min_gap_nm` apart (random sequential addition)."""

    kind: Literal["scattered"] = "scattered"
    min_gap_nm: NotNegative = default(0)

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Place the large ones first, while there is room."""
        numbers = self.draw(population, rng)
        (gap,) = self.min_gap_nm.draw(rng, 1)
        placement, plane = Placement(len(numbers)), ground.plane()
        margin = ground.margin_nm(population, numbers)
        for k in sorted(numbers, key=lambda k: -population.footprint(k).radius):
            shape = population.footprint(k)
            for _ in range(TRIES):
                point = ground.anywhere(margin, rng)
                turn = 0.0 if shape.is_disc else rng.uniform(0, 2 * np.pi)
                turned = shape.turned(turn)
                if plane.gap(turned, point, gap) >= gap:
                    plane.add(turned, point)
                    placement.add(k, [*point, population.rest_nm(k)], turn=turn)
                    break
        return placement
