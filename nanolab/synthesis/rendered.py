"""Rendered micrographs that several runs need, rendered once."""

from pathlib import Path
from typing import Any

from nanolab.core.checks import check_between
from nanolab.core.files import read_json, write_json
from nanolab.core.shared import ROOT, alone, shared_folder
from nanolab.datasets.dataset import Dataset, LazyImages
from nanolab.synthesis.detectors.marks import Lettering
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import Recipe, dump_recipe, load_recipe

__all__ = ["rendered_dataset", "rendered_images"]


def rendered_images(
    recipe: str | Path | Recipe, count: int, *, seed: int, appearances: int = 0, lettering: float = 0.0
) -> LazyImages:
    """Return the first `count` micrographs of `rendered_dataset`.

    Parameters
    ----------
    recipe
        A recipe, the name of a shipped one, or a .yaml file.
    appearances
        How many images there are of each scene; what the recipe says if 0.
    lettering
        Share of the images that get marks of print, in place of those of the recipe; what the recipe says if 0.
    """
    read = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    changed: dict[str, Any] = {"appearances_per_scene": appearances} if appearances else {}
    if lettering:
        check_between(lettering, "lettering", 0, 1)
        changed["lettering"] = Lettering(probability=lettering)
    return rendered_dataset(read.model_copy(update=changed), count, seed=seed)[:count]


def rendered_dataset(recipe: Recipe, count: int, *, seed: int, root: Path = ROOT) -> Dataset:
    """Return at least the first `count` micrographs of a recipe and a seed, rendered unless another run has done so.

    All counts of one recipe and seed share a folder, because image k is the same in all: asking for 400 after 100
    renders 300.
    """
    folder, about = shared_folder(recipe.name, {"recipe": dump_recipe(recipe), "seed": seed}, root)
    with alone(folder):
        there = read_json(folder / "shared.json")["count"] if (folder / "shared.json").exists() else 0
        if there < count:
            render(recipe, folder, count, seed=seed)
            write_json(folder / "shared.json", {**about, "count": count})
    return Dataset(folder)
