"""What lies under and between the particles: textures of the substrate and dirt, as relative signal.

Each layer adds to a map that is 0 for a clean, smooth substrate; -0.2 is a spot whose signal is 20 % lower. Values are
drawn into a record first and rendered from it, so that a record replays the picture.
"""

from collections.abc import Sequence
from typing import Annotated, get_args

import numpy as np
from pydantic import Field

from nanolab.core.typing import Image
from nanolab.synthesis.draws import Record
from nanolab.synthesis.substrates.dirt import Blobs, Contamination, Drops, Outlines, Smears, Specks
from nanolab.synthesis.substrates.film import Carbon, Grain, Holes, Relief, Scratches, Support
from nanolab.synthesis.substrates.folds import Ridges, Sheets
from nanolab.synthesis.substrates.layer import Layer

__all__ = ["SubstrateLayer", "draw_substrate", "render_substrate"]

SubstrateLayer = Annotated[
    Grain
    | Relief
    | Carbon
    | Scratches
    | Holes
    | Ridges
    | Sheets
    | Outlines
    | Blobs
    | Specks
    | Smears
    | Contamination
    | Drops
    | Support,
    Field(discriminator="kind"),
]

_LAYERS: dict[str, type[Layer]] = {
    layer.model_fields["kind"].default: layer for layer in get_args(get_args(SubstrateLayer)[0])
}


def draw_substrate(layers: Sequence[Layer], rng: np.random.Generator) -> list[Record]:
    """Draw which layers an image has, and every value in them."""
    return [layer.draw(rng) for layer in layers if rng.random() < layer.probability]


def render_substrate(records: Sequence[Record], shape: tuple[int, int], pixel_size_nm: float) -> Image:
    """Return the relative change of the substrate's signal, shape (height, width), 0 where it is clean."""
    ground = np.zeros(shape, dtype=np.float32)
    for record in records:
        rng = np.random.default_rng(record["seed"])
        ground = _LAYERS[record["kind"]].apply(ground, record, pixel_size_nm, rng)
    return ground
