"""Splits by shape class, and which synthetic images go with them."""

from pathlib import Path

import pytest
from helpers.own_images import disc_images, write_own

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
    made = synthetic_like(train, "cut and paste", 1, seed=0, source="emps")
    assert {shape: len(list(those)) for shape, those in made.items()} == {"cube": 1, "rod": 1}
    folders = sorted((tmp_path / "data" / "synthetic").glob("pasted-*"))
    assert [folder.name.split("-")[1] for folder in folders] == ["cube", "rod"]
    assert train["cube"][0].name in (folders[0] / "recipe.yaml").read_text()
    synthetic_like(train, "cut and paste", 1, seed=0, source="emps")
    assert sorted((tmp_path / "data" / "synthetic").glob("pasted-*")) == folders


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Three annotated images of each of two classes, each in a folder of its own."""
    for first, name in enumerate(("faceted", "round (small)")):
        write_own(tmp_path / "mine" / name, disc_images(3, first=3 * first))
    return tmp_path / "mine"


def test_a_sub_folder_of_ones_own_is_a_class(own: Path) -> None:
    images = images_by_shape(own)
    assert {name: len(those) for name, those in images.images.items()} == {"faceted": 3, "round (small)": 3}
    assert (images.source, images.stand_in) == (str(own), False)


def test_a_table_gives_the_classes_of_ones_own_images(own: Path, tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("image,remark,class\nprobe (#0).png,,b\nprobe (#1),,a\nprobe (#2),good,b\n")
    images = images_by_shape(own / "faceted", classes=table).images
    assert {name: those.names for name, those in images.items()} == {  # type: ignore[attr-defined]
        "a": ("probe (#1)",),
        "b": ("probe (#0)", "probe (#2)"),
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["probe (#0),a", "probe (#1),b"], r"must name each image once, not so probe \(#2\); add or drop rows"),
        (["probe (#0),a", "probe (#1),b", "probe (#2),b", "probe (#3),b"], r"not so probe \(#3\)"),
        (["probe (#0),a", "probe (#0).png,b", "probe (#1),b", "probe (#2),b"], r"not so probe \(#0\)"),
        (["probe (#0),a", "probe (#1),a", "probe (#2),a"], "must have two classes of images or more, got a"),
    ],
)
def test_a_table_that_does_not_go_with_the_images_is_refused(
    own: Path, tmp_path: Path, rows: list[str], message: str
) -> None:
    (tmp_path / "classes.csv").write_text("\n".join(["image,class", *rows]))
    with pytest.raises(InputError, match=message):
        images_by_shape(own / "faceted", classes=tmp_path / "classes.csv")
    (tmp_path / "classes.csv").write_text("image,shape\nprobe (#0),a\n")
    with pytest.raises(InputError, match=r"is not a CSV file with these columns .*class"):
        images_by_shape(own / "faceted", classes=tmp_path / "classes.csv")


def test_a_class_of_one_image_leaves_none_to_test_on(own: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        for ending in ("", "_cp_masks"):
            (own / "faceted" / f"probe (#{number}){ending}.png").unlink()
    with pytest.raises(InputError, match=r"faceted: has 1 image, 1 to learn from .* or add images of this class"):
        split_by_shape(images_by_shape(own), 1, 1, seed=0)


def test_cutting_up_ones_own_images_needs_their_annotation_and_follows_it(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"seed": 0, "source": str(own)}
    train = {"round (small)": list(images_by_shape(own).images["round (small)"][:1])}
    made = synthetic_like(train, "cut and paste", 1, **options)
    assert len(list(made["round (small)"])) == 1
    write_own(own / "round (small)", disc_images(1, first=5))  # the same name, other particles
    train = {"round (small)": list(images_by_shape(own).images["round (small)"][:1])}
    synthetic_like(train, "cut and paste", 1, **options)
    assert len(list((tmp_path / "data" / "synthetic").glob("pasted-round*"))) == 2
    (own / "round (small)" / "probe (#0)_cp_masks.png").unlink()
    train = {"round (small)": list(images_by_shape(own).images["round (small)"][:1])}
    with pytest.raises(InputError, match=r"probe \(#0\)\.png: has no annotation"):
        synthetic_like(train, "cut and paste", 1, **options)
    with pytest.raises(InputError, match=r"recipes for sphere, cube, rod, not for round \(small\)"):
        synthetic_like(train, "rendered", 1, **options)


def test_what_is_not_there_is_refused(own: Path) -> None:
    (own / "images").mkdir()
    with pytest.raises(InputError, match=r"a folder of images with `classes`"):
        images_by_shape(own)
    with pytest.raises(InputError, match="must be 'emps'"):
        images_by_shape("bam-tio2")
    with pytest.raises(InputError, match="must be one of none, cut and paste, rendered"):
        synthetic_like({}, "drawn", 3, seed=0, source="emps")
    assert synthetic_like({"cube": []}, "none", 3, seed=0, source="emps") == {"cube": ()}
