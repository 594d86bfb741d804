"""Agglomerates that formed before they came to lie on the substrate: fractal ones and compact ones."""

from typing import Annotated, Literal

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.base import Counted, Ground, Placement, whole
from nanolab.synthesis.arrangement.clusters import compact_cluster, fractal_cluster
from nanolab.synthesis.arrangement.floor import BallFloor
from nanolab.synthesis.arrangement.population import Population, about_beam
from nanolab.synthesis.draws import Distribution, Positive, between, default

__all__ = ["Compact", "Fractal"]


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
