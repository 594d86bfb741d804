"""How fast annotated micrographs are made. `make bench` prints the numbers; nothing here asserts a time."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from nanolab.seeds import generator
from nanolab.synth.generate import SCENE, render_dataset
from nanolab.synth.recipe import Recipe, load_recipe
from nanolab.synth.render import Renderer
from nanolab.synth.scene import draw_scene

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")
pytestmark = pytest.mark.bench


def changed(recipe: Recipe, width: int, height: int, count: int) -> Recipe:
    """Return a recipe with another image size, a fixed number of particles, and one appearance a scene."""
    content = recipe.model_dump(mode="json")
    content["image"] |= {"width_px": width, "height_px": height}
    content["arrangement"] |= {"count": count}
    return Recipe.model_validate(content | {"appearances_per_scene": 1})


def seconds_a_image(recipe: Recipe, folder: Path, first: int, last: int, workers: int) -> float:
    """Seconds for each image after the first few, which also pay for starting the processes."""
    render_dataset(recipe, folder, first, seed=0, workers=workers, device="cpu", progress=False)
    start = time.perf_counter()
    render_dataset(recipe, folder, last, seed=0, workers=workers, device="cpu", progress=False)
    # The second call starts its workers anew; a call for no more images costs just that and is taken off.
    cost = time.perf_counter()
    render_dataset(recipe, folder, last, seed=0, workers=workers, device="cpu", progress=False)
    return (2 * cost - start - time.perf_counter()) / (last - first)


def test_image_of_150_particles_against_the_bare_render(tmp_path: Path) -> None:
    recipe = changed(load_recipe("tio2_sem"), 512, 512, 150)
    cores = os.cpu_count() or 1
    whole = seconds_a_image(recipe, tmp_path / "set", 4, 44, cores)
    scenes = [draw_scene(recipe, generator(0, SCENE, k)) for k in range(20)]
    with Renderer(threads=cores, device="cpu") as renderer:
        options = {"occlusion_distance_nm": recipe.occlusion_distance_nm, "samples": recipe.occlusion_samples}
        renderer.render(scenes[0], seed=0, **options)
        start = time.perf_counter()
        for scene in scenes:
            renderer.render(scene, seed=0, **options)
        bare = (time.perf_counter() - start) / len(scenes)
    print(f"\n512x512, 150 particles, {cores} cores: {whole:.2f} s an image, {whole / bare:.2f} bare renders")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_scaling_over_workers(workers: int, tmp_path: Path) -> None:
    recipe = changed(load_recipe("tio2_sem"), 512, 512, 150)
    each = seconds_a_image(recipe, tmp_path / "set", 4, 28, workers)
    print(f"\n{workers} workers on {os.cpu_count()} cores: {1 / each:.2f} images a second")


def test_large_image(tmp_path: Path) -> None:
    recipe = changed(load_recipe("tio2_sem"), 2048, 2048, 1000)
    start = time.perf_counter()
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        me = psutil.Process()
        while not done.wait(0.1):
            family = [me, *me.children(recursive=True)]
            peak = max(peak, sum(p.memory_info().rss for p in family if p.is_running()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        render_dataset(recipe, tmp_path / "large", 1, seed=0, workers=1, device="cpu", progress=False)
    finally:
        done.set()
        watcher.join()
    seconds = time.perf_counter() - start
    print(f"\n2048x2048, 1000 particles: {seconds:.1f} s from a cold start, peak {peak / 2**30:.2f} GiB")
