"""Datasets rendered by Blender: the truth lies where the particles are, and a kill changes nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nanolab.core.checks import InputError
from nanolab.datasets.dataset import Dataset
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import Recipe, parse_recipe

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")

RECIPE = """
name: small
image: {width_px: 96, height_px: 64, pixel_size_nm: 4}
particles: [{template: sphere, diameter_nm: [40, 80]}]
arrangement: {kind: scattered, count: 8, min_gap_nm: 10}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5, blur_px: 0.5, electrons: 5000}
appearances_per_scene: 2
occlusion_distance_nm: 50
"""
RENDER = """
import sys
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import parse_recipe
if __name__ == "__main__":
    render(parse_recipe(sys.argv[1], "test"), sys.argv[2], 12, seed=3, workers=2, device="cpu")
"""


def recipe(count: int = 8) -> Recipe:
    return parse_recipe(RECIPE.replace("count: 8", f"count: {count}"), "test")


def hashes(dataset: Dataset) -> dict[str, str]:
    assert dataset.manifest is not None
    return dict(dataset.manifest["files"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve images rendered without interruption by one worker."""
    folder = tmp_path_factory.mktemp("data") / "whole"
    return render(recipe(), folder, 12, seed=3, workers=1, device="cpu", progress=False)


def test_labels_lie_where_the_table_says(whole: Dataset) -> None:
    table = whole.particles()
    assert set(table["image"]) == set(whole.names)
    for sample in whole:
        labels = sample.labels
        assert labels is not None
        rows = table[(table["image"] == sample.name) & (table["label"] > 0)]
        assert sorted(rows["label"]) == list(range(1, labels.max() + 1))
        inner = rows[~rows["touches_border"]]
        for row in inner.itertuples():
            pixels = np.argwhere(labels == row.label) + 0.5
            assert pixels.mean(axis=0) * 4 == pytest.approx([row.y_nm, row.x_nm], abs=1.5)  # a third of a pixel
            # 10 px across, a disc of pixels knows its area to some per cent.
            assert len(pixels) * 16 == pytest.approx(np.pi / 4 * row.diameter_nm**2, rel=0.12)
        assert sample.image[labels > 0].mean() > 3 * sample.image[labels == 0].mean()


def test_appearances_of_a_scene_share_the_truth_and_differ_in_look(whole: Dataset) -> None:
    first, second, third = whole[0], whole[1], whole[2]
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.labels, third.labels)
    assert np.abs(first.image - second.image).mean() > 0.002


def test_dataset_is_calibrated_and_verified(whole: Dataset) -> None:
    whole.verify()
    assert whole[0].pixel_size.nm == pytest.approx(4)
    assert whole.manifest is not None
    assert whole.manifest["records"]["000000"]["particles_requested"] == 8


def test_a_kill_and_other_workers_give_the_same_files(whole: Dataset, tmp_path: Path) -> None:
    script = tmp_path / "render.py"
    script.write_text(RENDER)
    command = [sys.executable, str(script), RECIPE, str(tmp_path / "killed")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "killed").glob("images/0*.tif"))) < 3:
        assert process.poll() is None, "the rendering ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(InputError, match="interrupted"):
        Dataset(tmp_path / "killed")
    time.sleep(2)  # workers notice within half a second that their parent is gone
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("images/0*.tif")}
    dataset = render(recipe(), tmp_path / "killed", 12, seed=3, workers=2, device="cpu", progress=False)
    assert hashes(dataset) == hashes(whole)
    kept = [path for path, when in before.items() if path.stat().st_mtime_ns == when]
    assert len(kept) >= len(before) - 2  # but for those under way, nothing is made twice
    assert not list((tmp_path / "killed").glob("**/.*"))


def test_more_images_are_added_and_none_made_again(whole: Dataset, tmp_path: Path) -> None:
    few = render(recipe(), tmp_path / "set", 4, seed=3, workers=1, device="cpu", progress=False)
    assert hashes(few).items() >= {k: v for k, v in hashes(whole).items() if k[-10:-4] in few.names}.items()
    stamp = (tmp_path / "set/images/000000.tif").stat().st_mtime_ns
    more = render(recipe(), tmp_path / "set", 12, seed=3, workers=1, device="cpu", progress=False)
    assert hashes(more) == hashes(whole)
    assert (tmp_path / "set/images/000000.tif").stat().st_mtime_ns == stamp


def test_a_folder_of_another_recipe_or_seed_is_refused(whole: Dataset) -> None:
    with pytest.raises(InputError, match="another recipe"):
        render(recipe(count=9), whole.folder, 12, seed=3, progress=False)
    with pytest.raises(InputError, match="seed 3, not 4"):
        render(recipe(), whole.folder, 12, seed=4, progress=False)
    with pytest.raises(InputError, match="count must be between 1 and"):
        render(recipe(), whole.folder, 0, seed=3, progress=False)
