"""From a recipe to a dataset on disk: scenes are rendered once each, and appear in one or more micrographs.

Image k shows scene ``k // appearances_per_scene``; it depends on the recipe, the seed and k alone. Processes that
render side by side, a kill and a new start therefore give the same files as one uninterrupted run.
"""

import atexit
import os
from concurrent.futures import as_completed
from itertools import groupby
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from nanolab.checks import InputError
from nanolab.dataset import Dataset, DatasetWriter
from nanolab.seeds import generator
from nanolab.synth.detector import detect, draw_appearance
from nanolab.synth.recipe import Recipe, dump_recipe, parse_recipe
from nanolab.synth.render import Device, Renderer
from nanolab.synth.scene import draw_scene
from nanolab.synth.truth import ground_truth
from nanolab.workers import worker_pool

__all__ = ["render_dataset"]

# Keys of `generator`, so that a scene and an appearance of the same number share no random values.
SCENE, APPEARANCE = 0, 1


def render_dataset(
    recipe: Recipe,
    folder: Path | str,
    count: int,
    *,
    seed: int,
    workers: int | None = None,
    device: Device = "auto",
    progress: bool = True,
) -> Dataset:
    """Render `count` annotated micrographs of a recipe into `folder`, or complete what is there.

    Parameters
    ----------
    recipe
        What to render.
    folder
        The dataset's folder; one that holds another recipe's or seed's images is refused.
    count
        How many images the dataset shall have in the end.
    seed
        The run's one seed.
    workers
        Processes that render side by side, each with a Blender of its own; by default one a processor core.
    device
        "auto" renders on a GPU where Blender finds one, "cpu" never does.

    Raises
    ------
    InputError
        If the folder cannot be used, or `count` is below 1.
    nanolab.synth.render.RenderError
        If Blender fails at a scene twice; what was finished before stays.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}")
    text = dump_recipe(recipe)
    writer = DatasetWriter(folder, text, {"seed": seed})
    missing = writer.missing(count)
    scenes = [(scene, list(images)) for scene, images in groupby(missing, lambda k: k // recipe.appearances_per_scene)]
    workers = min(workers or os.cpu_count() or 1, max(len(scenes), 1))
    bar = tqdm(total=count, initial=count - len(missing), unit="image", desc="render", disable=not progress)
    with bar, worker_pool(workers) as pool:
        jobs = [pool.submit(_scene, text, str(folder), seed, scene, images, device) for scene, images in scenes]
        for job in as_completed(jobs):
            bar.update(job.result())
    return writer.finish(count)


_renderers: dict[Device, Renderer] = {}


def _renderer(device: Device) -> Renderer:
    """Return this process's renderer, which outlives the scenes."""
    if device not in _renderers:
        _renderers[device] = Renderer(threads=1, device=device)
        atexit.register(_renderers[device].close)
    return _renderers[device]


def _scene(recipe_text: str, folder: str, seed: int, scene_index: int, images: list[int], device: Device) -> int:
    """Render one scene and write the given images of it; return how many."""
    recipe = parse_recipe(recipe_text, "recipe.yaml")
    scene = draw_scene(recipe, generator(seed, SCENE, scene_index))
    renderer = _renderer(device)
    passes = renderer.render(
        scene,
        seed=scene_index,
        occlusion_distance_nm=recipe.occlusion_distance_nm,
        samples=recipe.occlusion_samples,
    )
    labels, particles = ground_truth(scene, passes)
    writer = DatasetWriter(folder, recipe_text, {"seed": seed})
    for index in images:
        appearance = draw_appearance(recipe.detector, recipe.substrate, generator(seed, APPEARANCE, index))
        image = np.rint(detect(passes, appearance) * 255).astype(np.uint8)
        record = {
            "scene": scene_index,
            "particles_requested": scene.requested,
            "particles_placed": len(scene.particles),
            "renderer": renderer.about,
            "appearance": appearance,
        }
        writer.write(index, image, labels, particles, scene.pixel_size_nm, record)
    return len(images)
