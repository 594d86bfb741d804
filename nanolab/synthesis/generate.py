"""From a recipe to a dataset on disk: scenes are rendered once each, and appear in one or more micrographs.

Image k shows scene ``k // appearances_per_scene``; it depends on the recipe, the seed and k alone. Processes that
render side by side, a kill and a new start therefore give the same files as one uninterrupted run.
"""

import atexit
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nanolab.core.files import locked
from nanolab.core.processes import processor_cores, worker_count, worker_pool
from nanolab.core.seeds import generator
from nanolab.core.typing import Image, LabelMap
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.writer import DatasetWriter
from nanolab.synthesis.dataset_folder import check_count, warn_of_few
from nanolab.synthesis.detectors.detect import detect, shown_heights, shown_labels, shown_pixel_size
from nanolab.synthesis.draws import Record
from nanolab.synthesis.passes import Passes
from nanolab.synthesis.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from nanolab.synthesis.rendering.client import Device, Renderer
from nanolab.synthesis.rendering.passes_folder import PassesFolder, scene_text
from nanolab.synthesis.scene.matter import matter
from nanolab.synthesis.scene.scene import Scene, draw_scene
from nanolab.synthesis.scene.truth import ground_truth, ring_labels

__all__ = ["Preview", "RenderedImage", "make_image", "render", "render_scene", "scene_of"]


# Keys of `generator`, so that a scene and an appearance of the same number share no random values.
SCENE, APPEARANCE = 0, 1


def render(
    recipe: Recipe | Path | str,
    folder: Path | str,
    count: int,
    *,
    seed: int = 0,
    workers: int | None = None,
    device: Device = "auto",
    passes: Path | str | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> Dataset:
    """Render `count` annotated micrographs of a recipe into `folder`, or complete what is there.

    Parameters
    ----------
    recipe
        What to render: a recipe, the name of one that comes with nanolab, or a .yaml file.
    folder
        The dataset's folder; one that holds another recipe's or seed's images is refused.
    count
        How many images the dataset shall have in the end.
    seed
        The run's one seed: another one gives other images, the same one the same.
    workers
        Processes that render side by side, each with a Blender of its own; by default one per core. Cores
        that are left over are shared out among them.
    device
        "auto" renders on a GPU where Blender finds one, "cpu" never does.
    passes
        A folder to keep the scenes' passes in and to take them from where they are there already: another detector,
        another substrate or more appearances then need no Blender.
    executor
        Does the rendering instead of processes of this machine, such as that of `nanolab.core.dask.dask_executor`; its
        workers must see the folders.

    Raises
    ------
    InputError
        If the folder cannot be used, another process writes into it, or `count` is not from 1 to a million.
    nanolab.synthesis.rendering.client.RenderError
        If Blender fails at a scene twice; what was finished before stays.

    Examples
    --------
    >>> dataset = render("spheres_sem", "data/synthetic/spheres", 10)  # doctest: +SKIP
    >>> dataset[0].labels.max()  # doctest: +SKIP
    31
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    check_count(count, recipe.image.width_px * recipe.image.height_px, folder)
    cores, workers = processor_cores(), worker_count(workers)
    with locked(folder, "writes"):
        writer = DatasetWriter(folder, dump_recipe(recipe), {"seed": seed})
        if passes is not None:
            PassesFolder(passes, recipe, seed)  # refuses a folder of other scenes before anything is rendered
        missing = writer.missing(count)
        scenes = [(k, list(images)) for k, images in groupby(missing, lambda k: k // recipe.appearances_per_scene)]
        workers = min(workers, max(len(scenes), 1))
        threads = max(cores // workers, 1) if executor is None else 1  # of another machine's cores nothing is known
        run = _Run(
            dump_recipe(recipe), Path(folder).resolve(), seed, device, threads, passes and Path(passes).resolve()
        )
        bar = tqdm(total=count, initial=count - len(missing), unit="image", desc="render", disable=not progress)
        with bar, worker_pool(workers) if executor is None else nullcontext(executor) as pool:
            for job in as_completed([pool.submit(run.scene, *scene) for scene in scenes]):
                bar.update(job.result())
        dataset = writer.finish(count)
    warn_of_few(dataset)
    return dataset


_renderers: dict[tuple[int, Device, int], Renderer] = {}


def _renderer(device: Device, threads: int) -> Renderer:
    """Return this thread's renderer, which outlives the scenes; a worker may have several threads."""
    key = threading.get_ident(), device, threads
    if key not in _renderers:
        _renderers[key] = Renderer(threads=threads, device=device)
        atexit.register(_renderers[key].close)
    return _renderers[key]


@dataclass(frozen=True)
class RenderedImage:
    """One micrograph and what is known of it.

    `image` (height, width) float32 in [0, 1]; `labels` int32; `maps` further maps of that shape by name; `particles`,
    the table of `nanolab.synthesis.scene.truth.ground_truth`.
    """

    image: Image
    labels: LabelMap
    maps: dict[str, LabelMap | Image]
    particles: pd.DataFrame
    pixel_size_nm: float


def scene_of(recipe: Recipe, seed: int, index: int) -> Scene:
    """Return scene number `index` of the datasets that a recipe and a seed give."""
    return draw_scene(recipe, generator(seed, SCENE, index))


def render_scene(renderer: Renderer, recipe: Recipe, scene: Scene, index: int) -> Passes:
    """Return what Blender computes of a scene; `index` fixes the noise of the occlusion.

    A detector that sees through matter sees particles through their background, too.
    """
    if recipe.detector.sees_through:
        scene = replace(scene, background=())
    return renderer.render(
        scene, seed=index, occlusion_distance_nm=recipe.occlusion_distance_nm, samples=recipe.occlusion_samples
    )


def make_image(recipe: Recipe, scene: Scene, passes: Passes, appearance: Record) -> RenderedImage:
    """Return the micrograph of a scene by a record of `Recipe.draw_appearance`, with its truth."""
    pixel_size_nm = shown_pixel_size(scene.pixel_size_nm, appearance)
    particles_only = np.where(passes.labels > len(scene.particles), 0, passes.labels)
    seen = shown_labels(particles_only, appearance, eroded=False)
    eroded = shown_labels(particles_only, appearance) if "degradation" in appearance else None
    labels, particles = ground_truth(scene, seen, pixel_size_nm, labels=eroded)
    maps: dict[str, Any] = {"heights": shown_heights(passes.height_nm, appearance)}
    if recipe.labels == "rings":
        maps["particles"] = labels
        labels, particles["ring"] = ring_labels(scene, particles, appearance)
    return RenderedImage(detect(_completed(passes, scene, recipe), appearance), labels, maps, particles, pixel_size_nm)


def _completed(passes: Passes, scene: Scene, recipe: Recipe) -> Passes:
    """Return the passes with what Blender knows nothing of: materials, and what the beam goes through."""
    contrast = np.array([1, *(body.contrast for body in scene.bodies)], dtype=np.float32)
    if recipe.detector.sees_through and passes.matter is None:
        passes = replace(passes, matter=matter(scene))
    return replace(passes, contrast=contrast)


@lru_cache(maxsize=1)
def _parsed(recipe_text: str) -> Recipe:
    return parse_recipe(recipe_text, "recipe.yaml")


@dataclass(frozen=True)
class _Run:
    """What each worker must know; workers start elsewhere, so its paths are whole."""

    recipe_text: str
    folder: Path
    seed: int
    device: Device
    threads: int
    passes: Path | str | None

    def scene(self, index: int, images: Sequence[int]) -> int:
        """Render one scene, or take its passes from where they are kept; write its given images, return how many."""
        recipe = _parsed(self.recipe_text)
        scene = scene_of(recipe, self.seed, index)
        kept = None if self.passes is None else PassesFolder(self.passes, recipe, self.seed)
        passes = kept.get(index) if kept is not None else None
        if passes is None:
            passes = render_scene(_renderer(self.device, self.threads), recipe, scene, index)
            if kept is not None:
                kept.put(index, passes)
        passes = _completed(passes, scene, recipe)
        writer = DatasetWriter(self.folder, self.recipe_text, {"seed": self.seed})
        for image in images:
            appearance = recipe.draw_appearance(generator(self.seed, APPEARANCE, image))
            made = make_image(recipe, scene, passes, appearance)
            record = {
                "scene": index,
                "particles_requested": scene.requested,
                "particles_placed": len(scene.particles),
                "renderer": dict(passes.renderer),
                "appearance": appearance,
            }
            pixels = np.rint(made.image * 255).astype(np.uint8)
            writer.write(image, pixels, made.labels, made.particles, made.pixel_size_nm, record, maps=made.maps)
        return len(images)


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
