"""Rendered images that the network that ships has not learned from, for what is fitted to its answers."""

from pathlib import Path

from nanolab.datasets.annotated import LazyImages
from nanolab.datasets.opening import open_images
from nanolab.synthesis.rendered import rendered_images

LETTERING = 0.4  # share of the images of a recipe, as the network has seen it


def opened(rendered: str, most: int, seed: int) -> tuple[str, LazyImages]:
    """Return a name for images that are rendered, in a folder or of a recipe, and the images."""
    if (folder := Path(rendered)).is_dir():
        return "_".join(folder.resolve().parts[-2:]), open_images(folder)[:most]
    return f"{rendered}_{seed}", rendered_images(rendered, most, seed=seed, lettering=LETTERING)
