"""Rendered micrographs that several runs need, rendered once."""

from pathlib import Path

from nanolab.core.files import read_json, write_json
from nanolab.core.shared import ROOT, alone, shared_folder
from nanolab.datasets.dataset import Dataset, LazyImages
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import dump_recipe, load_recipe

__all__ = ["rendered_images"]


def rendered_images(recipe: str | Path, count: int, *, seed: int) -> LazyImages:
    """Return the first `count` micrographs that a recipe and a seed give, rendered unless another run has done so.

    All counts of one recipe and seed share a folder, because image k is the same in all: asking for 400 after 100
    renders 300.

    Parameters
    ----------
    recipe
        The name of a shipped recipe, or a .yaml file.
    """
    content = load_recipe(recipe)
    folder, about = shared_folder(content.name, {"recipe": dump_recipe(content), "seed": seed}, ROOT)
    with alone(folder):
        there = read_json(folder / "shared.json")["count"] if (folder / "shared.json").exists() else 0
        if there < count:
            render(content, folder, count, seed=seed)
            write_json(folder / "shared.json", {**about, "count": count})
    return Dataset(folder)[:count]
