import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nanolab.core.checks import InputError
from nanolab.images.labels import read_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.rle import encode_rle
from nanolab.measurement.particles import measure
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.segmenter import Segmenter, options_said
from nanolab.synthesis.recipe import load_recipe
from nanolab.twin import twins
from nanolab.twin.twins import Counting, Network, network_of, twin_recipe


def test_a_twin_has_the_pixels_of_the_images_and_as_many_particles_for_an_area() -> None:
    recipe = load_recipe("tio2_sem")
    twin = twin_recipe(recipe, pixel_size_nm=2 * recipe.image.pixel_size_nm, shape=(256, 1000))
    assert (twin.image.height_px, twin.image.width_px) == (256, 512)  # larger ones are several twins
    assert twin.image.pixel_size_nm == 2 * recipe.image.pixel_size_nm
    # half the pixels, each four times as large: twice the area
    assert twin.arrangement.count.components[0].min == 2 * recipe.arrangement.count.components[0].min
    assert twin.arrangement.count.weights == recipe.arrangement.count.weights


def test_particles_that_the_border_cuts_do_not_count_and_the_others_count_for_them() -> None:
    labels = np.zeros((100, 100), dtype=np.int32)
    labels[0:10, 0:10], labels[40:60, 40:60] = 1, 2
    table = measure(labels, pixel_size=PixelSize.typed(2.0))
    counted = Counting().counted(table)
    assert counted.labels.tolist() == [2]
    assert counted.weights == pytest.approx(1 / 0.8**2)
    assert counted.sizes == pytest.approx(2 * np.sqrt(4 / np.pi * 400))
    assert Counting(border="keep").counted(table).labels.tolist() == [1, 2]
    assert Counting(border="keep", min_area_px=101).counted(table).labels.tolist() == [2]


def test_hidden_particles_count_by_their_whole_outline() -> None:
    outlines = [
        encode_rle(np.ones((20, 10), dtype=bool), (100, 100), (40, 40)),
        encode_rle(np.ones((0, 0), dtype=bool), (100, 100)),
    ]
    table = pd.DataFrame(
        {"label": [0, 1], "diameter_nm": [30.0, 40.0], "touches_border": False, "amodal_rle": outlines}
    )
    counted = Counting().known(table, (100, 100), "diameter_nm")
    assert counted.sizes.tolist() == [30]  # the other one is not in the image
    assert counted.weights == pytest.approx(1 / 0.8 / 0.9)


def test_label_maps_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def segment(self: Segmenter, image: np.ndarray, *, pixel_size_nm: float) -> np.ndarray:
        asked.append(pixel_size_nm)
        return (image > 0.5).astype(np.int32)

    monkeypatch.setattr(Segmenter, "segment", segment)
    image = np.eye(40, dtype=np.float32)
    for _ in range(2):
        (found,) = Network(shipped_model(), root=tmp_path).find([image], pixel_size_nm=2.0, progress=False)
        assert found.sum() == 40
    assert asked == [2.0]
    Network(shipped_model(), {"magnification": 2.0}, tmp_path).find([image], pixel_size_nm=2.0, progress=False)
    assert len(asked) == 2  # another setting
    assert all(read_labels(path).shape == (40, 40) for path in tmp_path.rglob("*.tif"))


def test_label_maps_are_kept_of_the_settings_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segmenter, "segment", lambda self, image, **_options: np.ones(image.shape, np.int32))
    (tmp_path / "renders").mkdir()
    for number in range(twins._MOST_FOUND + 2):
        (tmp_path / f"found-{number}").mkdir()
        os.utime(tmp_path / f"found-{number}", (number, number))  # seconds since 1970
    image = np.eye(40, dtype=np.float32)
    Network(shipped_model(), root=tmp_path).find([image], pixel_size_nm=2.0, progress=False)
    there = {path.name for path in tmp_path.iterdir()}
    assert len(there) == twins._MOST_FOUND + 1
    assert "renders" in there
    assert there.isdisjoint({"found-0", "found-1", "found-2"})


def test_the_network_is_the_one_that_label_maps_name() -> None:
    made_by = Segmenter(shipped_model(), magnification=1.4, dynamic=0.3, min_area_px=50).made_by
    network = network_of([made_by, made_by])
    assert network.options == options_said(made_by) == {"magnification": 1.4, "dynamic": 0.3, "min_area_px": 50}
    assert network.segmenter.made_by == made_by


@pytest.mark.parametrize(
    ("made_by", "message"),
    [
        ([""], "got nothing; segment again"),
        (["nanolab 1, a, flips True", "nanolab 1, a"], "one network and its settings"),
    ],
)
def test_label_maps_of_no_one_network_are_refused(made_by: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        network_of(made_by)


def test_another_network_than_that_of_the_label_maps_is_refused() -> None:
    with pytest.raises(InputError, match="give --model"):
        network_of(["nanolab 1, run/epochs/0003.safetensors"])
