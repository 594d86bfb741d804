"""Where particles lie: positions and turns, with no knowledge of images or Blender."""

from typing import Annotated

from pydantic import Field

from nanolab.synth.arrangement.agglomerates import Agglomerates, Piles
from nanolab.synth.arrangement.base import Ground, Placed, Placement, Spec, Structure
from nanolab.synth.arrangement.fractal import Compact, Fractal
from nanolab.synth.arrangement.lattice import Lattice
from nanolab.synth.arrangement.monolayer import Monolayer
from nanolab.synth.arrangement.rings import Rings
from nanolab.synth.arrangement.samples import Samples
from nanolab.synth.arrangement.scattered import Scattered
from nanolab.synth.arrangement.touching import Touching
from nanolab.synth.arrangement.wires import Wires

__all__ = [
    "Agglomerates",
    "Arrangement",
    "Compact",
    "Fractal",
    "Ground",
    "Lattice",
    "Monolayer",
    "Piles",
    "Placed",
    "Placement",
    "Rings",
    "Samples",
    "Scattered",
    "Spec",
    "Structure",
    "Touching",
    "Wires",
]

Arrangement = Annotated[
    Scattered | Touching | Lattice | Monolayer | Agglomerates | Piles | Fractal | Compact | Rings | Wires | Samples,
    Field(discriminator="kind"),
]
