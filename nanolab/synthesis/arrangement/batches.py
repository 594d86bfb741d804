"""One of several batches, drawn for each scene."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.agglomerates import Agglomerates, Piles
from nanolab.synthesis.arrangement.attached import Attached
from nanolab.synthesis.arrangement.base import Ground, Placement, Spec
from nanolab.synthesis.arrangement.fractal import Compact, Fractal
from nanolab.synthesis.arrangement.lattice import Lattice
from nanolab.synthesis.arrangement.monolayer import Monolayer
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.arrangement.rings import Rings
from nanolab.synthesis.arrangement.scattered import Scattered, Touching
from nanolab.synthesis.arrangement.wires import Wires
from nanolab.synthesis.draws import Model, Positive, default
from nanolab.synthesis.particles.kind import Kind

__all__ = ["Arrangement", "Batch", "Batches"]

_Arrangement = Annotated[
    Scattered | Touching | Lattice | Monolayer | Agglomerates | Piles | Fractal | Compact | Attached,
    Field(discriminator="kind"),
]


class Batch(Model):
    """What one scene may show: some of the recipe's `particles`, counted from 0, in an `arrangement` of their own.

    `share` is the weight of the batch among the others; `size` a factor for the sizes of all particles in a scene, by
    which batches differ.
    """

    share: Annotated[float, Field(gt=0)] = 1.0
    particles: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    size: Positive = default(1)
    arrangement: _Arrangement


class Batches(Spec):
    """One of the batches `of` which a data set is a collection, drawn for each scene.

    Published micrographs differ so: in one scene there are particles of one batch, arranged in one way.
    """

    kind: Literal["samples"] = "samples"
    of: Annotated[list[Batch], Field(min_length=1)]

    def place(self, population: Population, ground: Ground, rng: np.random.Generator) -> Placement:
        """Choose a batch and place its particles."""
        shares = np.array([batch.share for batch in self.of])
        batch = self.of[rng.choice(len(shares), p=shares / shares.sum())]
        if max(batch.particles) >= len(population.kinds):
            raise InputError(
                f"arrangement samples: particles are counted from 0 to {len(population.kinds) - 1}, got "
                f"{max(batch.particles)}; name one of these"
            )
        (factor,) = batch.size.draw(rng, 1)
        # Nothing has been drawn from the population yet, so that it can still be narrowed to the batch's kinds.
        population.kinds = [_resized(population.kinds[number], float(factor)) for number in batch.particles]
        return batch.arrangement.place(population, ground, rng)


@dataclass(frozen=True)
class _Scaled:
    """A distribution whose values are multiplied by a factor."""

    distribution: Any
    factor: float

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Return `size` values, shape (size,)."""
        return np.asarray(self.factor * self.distribution.draw(rng, size))


def _resized(kind: Kind, factor: float) -> Kind:
    """Return a kind of particles that are larger by a factor."""
    return kind.model_copy(update={kind.SIZE: _Scaled(kind.size, factor)})


Arrangement = Annotated[
    Scattered
    | Touching
    | Lattice
    | Monolayer
    | Agglomerates
    | Piles
    | Fractal
    | Compact
    | Attached
    | Rings
    | Wires
    | Batches,
    Field(discriminator="kind"),
]
