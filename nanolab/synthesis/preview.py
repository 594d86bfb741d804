"""Single images of a recipe that is being changed, without a dataset: Blender runs only when the scene has changed."""

import os
from typing import Self

from nanolab.core.seeds import generator
from nanolab.synthesis.generate import APPEARANCE, RenderedImage, make_image, render_scene, scene_of
from nanolab.synthesis.passes import Passes
from nanolab.synthesis.recipe import Recipe
from nanolab.synthesis.rendering.client import Device, Renderer
from nanolab.synthesis.rendering.passes_folder import scene_text
from nanolab.synthesis.scene.scene import Scene

__all__ = ["Preview"]


class Preview:
    """Shows what a dataset of a recipe and a seed would hold, image by image.

    Parameters
    ----------
    seed
        As for `nanolab.synthesis.generate.render`.
    device
        "auto" renders on a GPU where Blender finds one, "cpu" never does.
    """

    def __init__(self, *, seed: int, device: Device = "auto") -> None:
        self._seed = seed
        self._renderer = Renderer(threads=os.cpu_count() or 1, device=device)
        self._last: tuple[tuple[str, int], Scene, Passes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the Blender process."""
        self._renderer.close()

    def scene(self, recipe: Recipe, scene: int = 0) -> tuple[Scene, Passes]:
        """Return scene number `scene` and its passes, those of the last call if nothing in the scene has changed.

        Raises
        ------
        nanolab.synthesis.rendering.client.RenderError
            If Blender fails.
        """
        key = scene_text(recipe), scene
        if self._last is None or self._last[0] != key:
            drawn = scene_of(recipe, self._seed, scene)
            self._last = key, drawn, render_scene(self._renderer, recipe, drawn, scene)
        return self._last[1:]

    def image(self, recipe: Recipe, scene: int = 0, look: int = 0) -> RenderedImage:
        """Return image number `scene` * `appearances_per_scene` + `look` of the dataset, with its truth."""
        drawn, passes = self.scene(recipe, scene)
        number = scene * recipe.appearances_per_scene + look
        return make_image(recipe, drawn, passes, recipe.draw_appearance(generator(self._seed, APPEARANCE, number)))
