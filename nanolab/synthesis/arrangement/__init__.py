"""Where particles lie: positions and turns, with no knowledge of images or Blender."""

from typing import Annotated

from pydantic import Field

from nanolab.synthesis.arrangement.agglomerates import Agglomerates, Piles
from nanolab.synthesis.arrangement.base import Ground, Placed, Placement, Position, Spec, Structure
from nanolab.synthesis.arrangement.batches import Batches
from nanolab.synthesis.arrangement.fractal import Compact, Fractal
from nanolab.synthesis.arrangement.lattice import Lattice
from nanolab.synthesis.arrangement.monolayer import Monolayer
from nanolab.synthesis.arrangement.rings import Rings
from nanolab.synthesis.arrangement.scattered import Scattered
from nanolab.synthesis.arrangement.touching import Touching
from nanolab.synthesis.arrangement.wires import Wires

__all__ = [
    "Agglomerates",
    "Arrangement",
    "Batches",
    "Compact",
    "Fractal",
    "Ground",
    "Lattice",
    "Monolayer",
    "Piles",
    "Placed",
    "Placement",
    "Position",
    "Rings",
    "Scattered",
    "Spec",
    "Structure",
    "Touching",
    "Wires",
]

Arrangement = Annotated[
    Scattered | Touching | Lattice | Monolayer | Agglomerates | Piles | Fractal | Compact | Rings | Wires | Batches,
    Field(discriminator="kind"),
]
