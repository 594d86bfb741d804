"""Data sets by cut and paste: the record replays the image, workers change nothing."""

import logging

import numpy as np
import pytest
import yaml
from helpers.cutpaste_sources import DISCS, settings, source

from nanolab.core.checks import InputError
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.public import public_images
from nanolab.synthesis.cutpaste.composition import compose
from nanolab.synthesis.cutpaste.generate import cut_and_paste
from nanolab.synthesis.cutpaste.material import prepare
from nanolab.synthesis.cutpaste.settings import PRESETS, CutPasteSettings

SMALL = settings(particles=(5, 9), size_px=96, scale=(0.5, 1), salt_pepper=0.02, textures=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six images of two sources, made by one process."""
    folder = tmp_path_factory.mktemp("cutpaste") / "whole"
    return cut_and_paste(PAIRS, folder, 6, SMALL, seed=3, workers=1, progress=False)


PAIRS = [DISCS, source(("disc", 60, 60, 14), ("square", 130, 130, 16), seed=1)]


def files(dataset: Dataset) -> dict[str, str]:
    assert dataset.manifest is not None
    return dict(dataset.manifest["files"])


def test_a_dataset_has_images_labels_and_truth(whole) -> None:
    whole.verify()
    table = whole.particles()
    assert len(whole) == 6
    for index, sample in enumerate(whole):
        rows = table[table["image"] == sample.name]
        assert sample.image.shape == (96, 96)
        assert sample.pixel_size.nm == pytest.approx(2.0)
        assert set(rows["source"]) == {PAIRS[index % 2].name}  # sources take turns
        assert 5 <= len(rows) <= 9
        assert rows["projected_area_nm2"].to_numpy() == pytest.approx(4.0 * rows["area_px"])


def test_the_recipe_says_what_made_it(whole) -> None:
    recipe = yaml.safe_load((whole.folder / "recipe.yaml").read_text())
    assert CutPasteSettings.model_validate(recipe["settings"]) == SMALL
    assert [source["name"] for source in recipe["sources"]] == ["source0", "source1"]
    assert len({source["image_sha256"] for source in recipe["sources"]}) == 2
    assert whole.manifest["seed"] == 3


def test_the_record_replays_the_image(whole) -> None:
    for index in range(2):
        material = prepare([(index, PAIRS[index])], SMALL, seed=3)
        again = compose(material, SMALL, whole.manifest["records"][whole.names[index]])
        assert np.array_equal(again.image, np.rint(whole[index].image * 255))
        assert np.array_equal(again.labels, whole[index].labels)


def test_an_image_depends_on_seed_and_number_alone(whole, tmp_path) -> None:
    cut_and_paste(PAIRS, tmp_path / "set", 3, SMALL, seed=3, workers=1, progress=False)
    grown = cut_and_paste(PAIRS, tmp_path / "set", 6, SMALL, seed=3, workers=1, progress=False)
    assert files(grown) == files(whole)
    other = cut_and_paste(PAIRS, tmp_path / "other", 1, SMALL, seed=4, workers=1, progress=False)
    assert not np.array_equal(other[0].image, whole[0].image)


def test_several_processes_give_the_same_files(whole, tmp_path) -> None:
    several = cut_and_paste(PAIRS, tmp_path / "set", 6, SMALL, seed=3, workers=2, progress=False)
    assert files(several) == files(whole)


def test_another_source_or_setting_is_refused(whole) -> None:
    for pairs, chosen in ((PAIRS[:1], SMALL), (PAIRS, settings())):
        with pytest.raises(InputError, match="another recipe"):
            cut_and_paste(pairs, whole.folder, 6, chosen, seed=3, progress=False)
    with pytest.raises(InputError, match="count must be between 1 and"):
        cut_and_paste(PAIRS, whole.folder, 0, SMALL, seed=3, progress=False)


def test_unusable_pairs_are_left_out_aloud(tmp_path, caplog) -> None:
    cut = source(("disc", 0, 0, 30), seed=2)
    with caplog.at_level(logging.WARNING):
        dataset = cut_and_paste([cut, DISCS], tmp_path / "set", 2, SMALL, seed=0, workers=1, progress=False)
    assert "left out: source2: no particle can be cut out (1 cut by the border)" in caplog.text
    assert set(dataset.particles()["source"]) == {"source0"}
    assert list(yaml.safe_load((tmp_path / "set/recipe.yaml").read_text())["left_out"]) == ["source2"]
    with pytest.raises(InputError, match="cut by the border"):
        cut_and_paste([cut], tmp_path / "none", 1, SMALL, seed=0, progress=False)
    with pytest.raises(InputError, match="at least one annotated micrograph"):
        cut_and_paste([], tmp_path / "none", 1, SMALL, seed=0, progress=False)


def test_mixed_sources_meet_in_one_image(tmp_path) -> None:
    mixed = SMALL.model_copy(update={"mix_sources": True, "particles": 20})
    dataset = cut_and_paste(PAIRS, tmp_path / "set", 1, mixed, seed=0, workers=1, progress=False)
    assert set(dataset.particles()["source"]) == {"source0", "source1"}


def test_real_micrographs(bam_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.parent))
    chosen = CutPasteSettings.model_validate(PRESETS["realistic"].model_dump() | {"size_px": 512, "textures": 1})
    dataset = cut_and_paste(
        public_images("bam-tio2")[:1], tmp_path / "set", 2, chosen, seed=0, workers=1, progress=False
    )
    real = public_images("bam-tio2")[0]
    for sample in dataset:
        assert sample.labels.max() > 40
        assert sample.pixel_size.nm == pytest.approx(7.34375)
        # Particles and ground have the grey values of the real ones.
        for mask, real_mask in ((sample.labels > 0, real.labels > 0), (sample.labels == 0, real.labels == 0)):
            assert np.median(sample.image[mask]) == pytest.approx(np.median(real.image[real_mask]), abs=0.08)
