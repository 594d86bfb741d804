"""Splits by shape class, and which synthetic images go with them."""

from pathlib import Path

import pytest

from nanolab.classification.learning import ClassifierSettings
from nanolab.core.checks import InputError
from nanolab.experiments.classes import ImagesByShape, class_trial, images_by_shape, split_by_shape, synthetic_like


def test_no_image_is_learned_from_and_tested_on(emps_folder: Path) -> None:
    images = images_by_shape("emps")
    assert not images.stand_in
    split = split_by_shape(images, 15, 30, seed=3)
    # 22 cubes and 39 rods are there: 7 and 24 are left
    assert {shape: (len(each.train), len(each.test)) for shape, each in split.items()} == {
        "sphere": (15, 30),
        "cube": (15, 7),
        "rod": (15, 24),
    }
    names = [sample.name for each in split.values() for part in (each.train, each.test) for sample in part]
    assert len(set(names)) == len(names)
    other = split_by_shape(images, 15, 30, seed=4)
    assert {sample.name for sample in other["cube"].test} != {sample.name for sample in split["cube"].test}


def test_a_split_leaves_images_to_test_on(emps_folder: Path) -> None:
    with pytest.raises(InputError, match="cube: has 22 images"):
        split_by_shape(images_by_shape("emps"), 22, 10, seed=0)


def test_of_each_class_the_papers_share_is_learned_from_and_the_others_are_the_test(emps_folder: Path) -> None:
    images = images_by_shape("emps")
    split = split_by_shape(images, 15, 1000, seed=0, share=126 / 179)
    assert {shape: (len(each.train), len(each.test)) for shape, each in split.items() if shape != "sphere"} == {
        "cube": (15, 7),
        "rod": (27, 12),
    }
    assert len(split["sphere"].train) == round(126 / 179 * len(images.images["sphere"]))


def test_without_real_images_synthetic_ones_are_needed() -> None:
    with pytest.raises(InputError, match="nothing to learn from: without the real images"):
        class_trial(ImagesByShape({}, "emps"), ClassifierSettings(), n_real=1, n_test=1, learn_from_real=False)


def test_pasted_images_are_made_once_of_those_learned_from(
    emps_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(emps_folder.parent.resolve()))
    monkeypatch.chdir(tmp_path)  # shared folders come to data/synthetic
    split = split_by_shape(images_by_shape("emps"), 1, 1, seed=0)
    train = {shape: list(split[shape].train) for shape in ("cube", "rod")}
    made = synthetic_like(train, "cut and paste", 1, seed=0, stand_in=False)
    assert {shape: len(list(those)) for shape, those in made.items()} == {"cube": 1, "rod": 1}
    folders = sorted((tmp_path / "data" / "synthetic").glob("pasted-*"))
    assert [folder.name.split("-")[1] for folder in folders] == ["cube", "rod"]
    assert train["cube"][0].name in (folders[0] / "recipe.yaml").read_text()
    synthetic_like(train, "cut and paste", 1, seed=0, stand_in=False)
    assert sorted((tmp_path / "data" / "synthetic").glob("pasted-*")) == folders


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="must be 'emps'"):
        images_by_shape("bam-tio2")
    with pytest.raises(InputError, match="must be one of none, cut and paste, rendered"):
        synthetic_like({}, "drawn", 3, seed=0, stand_in=False)
    assert synthetic_like({"cube": []}, "none", 3, seed=0, stand_in=False) == {"cube": ()}
