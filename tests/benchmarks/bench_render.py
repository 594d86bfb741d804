"""How fast annotated micrographs are made. `make bench` prints the numbers; nothing here asserts a time."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from nanolab.core.seeds import generator
from nanolab.synthesis.generate import SCENE, render
from nanolab.synthesis.recipe import Recipe, load_recipe
from nanolab.synthesis.rendering.client import Renderer
from nanolab.synthesis.scene.scene import draw_scene

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
    render(recipe, folder, first, seed=0, workers=workers, device="cpu", progress=False)
    start = time.perf_counter()
    render(recipe, folder, last, seed=0, workers=workers, device="cpu", progress=False)
    # The second call starts its workers anew; a call for no more images costs just that and is taken off.
    cost = time.perf_counter()
    render(recipe, folder, last, seed=0, workers=workers, device="cpu", progress=False)
    return (2 * cost - start - time.perf_counter()) / (last - first)


class Memory:
    """The largest amount of memory that this process and its children have held together, so far."""

    gib = 0.0


@contextmanager
def peak_memory() -> Iterator[Memory]:
    """Watch the memory while the block runs."""
    memory, done, me = Memory(), threading.Event(), psutil.Process()

    def watch() -> None:
        while not done.wait(0.1):
            held = 0
            for process in [me, *me.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    held += process.memory_info().rss
            memory.gib = max(memory.gib, held / 2**30)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        done.set()
        watcher.join()


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


@pytest.mark.parametrize(("name", "hours"), [("sio2_him", 3.5), ("tio2_him", 5.5), ("ag_wires_him", 16.0)])
def test_the_papers_datasets(name: str, hours: float, tmp_path: Path) -> None:
    """180 scenes of 507 x 507, as Mill et al. rendered them (10.1002/smtd.202100223), with their degradation."""
    content = load_recipe(name).model_dump(mode="json")
    content["image"] |= {"width_px": 507, "height_px": 507}
    content |= {"appearances_per_scene": 1, "degradation": {"kind": "mill2021"}}
    start = time.perf_counter()
    render(Recipe.model_validate(content), tmp_path / "set", 180, seed=0, device="cpu", progress=False)
    minutes = (time.perf_counter() - start) / 60
    ratio = 60 * hours / minutes
    print(f"\n{name}: 180 scenes in {minutes:.1f} min; the paper needed {hours} h, {ratio:.0f} times as long")


def test_memory_does_not_grow(tmp_path: Path) -> None:
    """A thousand small images by one worker: what this process and all its children hold, after 10 and at the end."""
    recipe = changed(load_recipe("tio2_sem"), 128, 128, 10)
    after = {}
    with peak_memory() as memory:
        render(recipe, tmp_path / "set", 10, seed=0, workers=1, device="cpu", progress=False)
        after[10] = memory.gib
        render(recipe, tmp_path / "set", 1000, seed=0, workers=1, device="cpu", progress=False)
        after[1000] = memory.gib
    print(
        f"\npeak {after[10]:.2f} GiB after 10 images, {after[1000]:.2f} GiB after 1000: {after[1000] / after[10]:.2f}"
    )


def test_large_image(tmp_path: Path) -> None:
    recipe = changed(load_recipe("tio2_sem"), 2048, 2048, 1000)
    with peak_memory() as memory:
        start = time.perf_counter()
        render(recipe, tmp_path / "large", 1, seed=0, workers=1, device="cpu", progress=False)
        cold = time.perf_counter() - start
    print(f"\n2048x2048, 1000 particles: {cold:.1f} s from a cold start, peak {memory.gib:.2f} GiB")
