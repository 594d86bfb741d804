"""Ways to compare: which patches, which features, which map of them."""

from dataclasses import dataclass
from typing import Literal

from nanolab.core.checks import InputError
from nanolab.realism.embedding import Method

__all__ = ["PRESETS", "Extractor", "Preset", "find_preset"]

Extractor = Literal["efficientnet-lite0", "vgg16"]


@dataclass(frozen=True)
class Preset:
    """One way to compare two sets.

    Attributes
    ----------
    patch_px
        Side of a patch. Real ones are cut side by side, synthetic ones at random, the same number of each.
    extractor
        The network whose features are compared.
    variance
        Part of the features' variance that the principal components keep which t-SNE sees.
    max_patches
        At most so many real patches, and as many synthetic ones; None: all that the real images hold.
    pixel_size
        At which of both sets' pixel sizes they are compared where these differ: the "coarser", which loses detail
        honestly and makes none up, or the "real" one.
    method, perplexity, learning_rate, iterations
        Of t-SNE (see `nanolab.realism.embedding.tsne`).
    """

    patch_px: int
    extractor: Extractor
    method: Method
    variance: float
    perplexity: float
    learning_rate: float | Literal["auto"]
    iterations: int
    max_patches: int | None = 1750
    pixel_size: Literal["coarser", "real"] = "coarser"


PRESETS: dict[str, Preset] = {
    "default": Preset(96, "efficientnet-lite0", "openTSNE", 0.9, 30, "auto", 500),
    # Mill et al. 2021, 10.1002/smtd.202100223, section 'Data Set Comparison and Visualization'
    "mill2021": Preset(144, "vgg16", "scikit-learn", 0.9, 50, 10.0, 5000, None, "real"),
}


def find_preset(name: str) -> Preset:
    """Return a preset by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"preset {name}: must be one of {', '.join(PRESETS)}")
    return PRESETS[name]
