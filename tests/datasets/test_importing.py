"""Annotations of a user's own images, wherever they lie, become a data set."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.annotated_files import (
    RECTANGLE,
    SHAPE,
    WRITERS,
    coco_content,
    expected,
    write_binary,
    write_coco,
    write_labelme,
    write_regions,
)

from nanolab.core.checks import InputError
from nanolab.core.files import locked
from nanolab.datasets.annotations.importing import import_labels
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.public import public_images
from nanolab.datasets.writer import DatasetWriter
from nanolab.images.labels import relabel, write_labels
from nanolab.images.tiff import write_tiff


@pytest.mark.parametrize("format_", WRITERS)
@pytest.mark.parametrize("told", [True, False])
def test_every_format_becomes_the_same_dataset(image_folder: Path, tmp_path: Path, format_: str, told: bool) -> None:
    name, write = WRITERS[format_]
    source = tmp_path / "annotations"
    source.mkdir()
    write(source / name, "a.tif")
    dataset = import_labels(
        source, image_folder, tmp_path / "set", format_.removesuffix(" csv") if told else "auto", progress=False
    )
    dataset.verify()
    assert dataset.names == ("a",)
    found = dataset[0]
    # A binary mask is numbered by the first row of each particle, which is the order here as well.
    assert np.array_equal(found.labels, expected())
    assert np.array_equal(np.rint(found.image * 255), tifffile.imread(image_folder / "a.tif"))
    assert found.pixel_size.nm == pytest.approx(2.5)
    assert dataset.manifest is not None
    assert dataset.manifest["records"]["a"]["particles"] == 3


def test_annotations_may_lie_beside_the_images(image_folder: Path, tmp_path: Path) -> None:
    write_labelme(image_folder / "a.json", "a.tif")
    write_regions(image_folder / "b.zip", "b.tif")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a", "b")
    assert np.array_equal(dataset[0].labels, dataset[1].labels)


def test_a_folder_of_images_and_masks_is_understood(image_folder: Path, tmp_path: Path) -> None:
    image_folder.rename(tmp_path / "images")
    write_labels(tmp_path / "masks" / "b.tif", expected() * 5, pixel_size_nm=None)
    dataset = import_labels(tmp_path, None, tmp_path / "set", progress=False)
    assert dataset.names == ("b",)
    assert np.array_equal(dataset[0].labels, expected())


def test_an_import_is_completed_and_not_repeated(image_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_labelme(image_folder / f"{name}.json", f"{name}.tif")
    whole = import_labels(image_folder, None, tmp_path / "set", progress=False)
    files = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("*.tif")}
    again = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert {path: path.stat().st_mtime_ns for path in again.folder.rglob("*.tif")} == files
    (whole.folder / "masks/b.tif").write_bytes(b"II*")
    with pytest.raises(InputError, match=r"masks/b\.tif"):
        whole.verify()
    import_labels(image_folder, None, tmp_path / "set", progress=False).verify()
    assert whole.manifest == Dataset(whole.folder).manifest
    assert (whole.folder / "images/a.tif").stat().st_mtime_ns == files[whole.folder / "images/a.tif"]
    write_labelme(image_folder / "b.json", "a.tif")
    (image_folder / "a.json").unlink()
    with pytest.raises(InputError, match="or of other files"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)


def test_what_cannot_be_used_is_left_out_and_comes_in_when_it_is_mended(image_folder: Path, tmp_path: Path) -> None:
    write_labelme(image_folder / "a.json", "a.tif")
    write_labelme(image_folder / "b.json", "b.tif", size=(61, 80))
    write_labelme(image_folder / "c.json", "c.tif")
    (image_folder / "d.json").write_text("{")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert dataset.manifest is not None
    left_out = {Path(where).name: why for where, why in dataset.manifest["left_out"].items()}
    assert sorted(left_out) == ["b.json", "c.json", "d.json"]
    assert "b.tif: must have the size of its image, 80 x 60 pixels, got 80 x 61" in left_out["b.json"]
    assert "its image c.tif is not in" in left_out["c.json"]
    assert "not valid JSON" in left_out["d.json"]
    stamp = (tmp_path / "set/images/a.tif").stat().st_mtime_ns
    write_labelme(image_folder / "b.json", "b.tif")
    for name in ("c", "d"):
        (image_folder / f"{name}.json").unlink()
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    dataset.verify()
    assert dataset.names == ("a", "b")
    assert dataset.manifest is not None
    assert dataset.manifest["left_out"] == {}
    assert (tmp_path / "set/images/a.tif").stat().st_mtime_ns == stamp
    assert not list(dataset.folder.glob("**/.*"))


def test_an_image_whose_annotation_was_spoilt_is_taken_out_again(image_folder: Path, tmp_path: Path) -> None:
    write_labelme(image_folder / "a.json", "a.tif")
    write_labelme(image_folder / "b.json", "b.tif")
    (image_folder / "c.json").write_text("{")
    assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("a", "b")
    (image_folder / "b.json").write_text("{")
    assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("a",)
    assert [path.name for path in (tmp_path / "set").glob("*/*.tif")] == ["a.tif"] * 2


def test_two_imports_into_one_folder_do_not_mix(image_folder: Path, tmp_path: Path) -> None:
    write_coco(tmp_path / "c.json", "a.tif")
    with (
        locked(tmp_path / "set", "writes"),
        pytest.raises(InputError, match="another process writes here; wait until it ends"),
    ):
        import_labels(tmp_path / "c.json", image_folder, tmp_path / "set", progress=False)
    import_labels(tmp_path / "c.json", image_folder, tmp_path / "set", progress=False)
    assert not (tmp_path / "set" / ".lock").exists()


def test_an_import_of_nothing_is_refused(image_folder: Path, tmp_path: Path) -> None:
    write_labelme(image_folder / "b.json", "b.tif", size=(61, 80))
    with pytest.raises(InputError, match=r"b\.tif: must have the size of its image, 80 x 60 pixels, got 80 x 61"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert not list((tmp_path / "set").rglob("*.tif"))
    write_labelme(image_folder / "b.json", "b.tif")
    assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("b",)
    (tmp_path / "none.json").write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(InputError, match=r"none\.json: annotates no image"):
        import_labels(tmp_path / "none.json", image_folder, tmp_path / "other", progress=False)


def test_a_typed_pixel_size_goes_over_that_of_the_file(image_folder: Path, tmp_path: Path) -> None:
    write_labelme(image_folder / "a.json", "a.tif")
    dataset = import_labels(image_folder, None, tmp_path / "set", pixel_size_nm=7.5, progress=False)
    assert dataset[0].pixel_size.nm == pytest.approx(7.5)
    assert tifffile.imread(tmp_path / "set/masks/a.tif").shape == SHAPE
    with pytest.raises(InputError, match="other files or settings"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)
    with pytest.raises(InputError, match="pixel_size_nm must be a number of nm above 0"):
        import_labels(image_folder, None, tmp_path / "set", pixel_size_nm=-1, progress=False)


def test_masks_may_lie_beside_their_images(image_folder: Path, tmp_path: Path) -> None:
    write_binary(image_folder / "a_mask.png", "a.tif")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert np.array_equal(dataset[0].labels, expected())
    # the same by the mask's name, and with the folder named twice
    alone = import_labels(image_folder / "a_mask.png", None, tmp_path / "alone", progress=False)
    assert np.array_equal(alone[0].labels, expected())
    assert import_labels(image_folder, image_folder, tmp_path / "twice", "binary", progress=False).names == ("a",)


def test_a_folder_that_holds_something_else_is_refused(image_folder: Path, tmp_path: Path) -> None:
    write_labelme(image_folder / "a.json", "a.tif")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/recipe.yaml").write_text("name: tio2_sem\n")
    with pytest.raises(InputError, match="made by another recipe"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert (tmp_path / "set/recipe.yaml").read_text() == "name: tio2_sem\n"


@pytest.mark.parametrize("path", ["../../secret.tif", "/etc/passwd", "C:\\Users\\me\\a.tif", "images\\a.tif", ".."])
def test_only_the_name_of_a_path_within_a_file_counts(image_folder: Path, tmp_path: Path, path: str) -> None:
    write_tiff(tmp_path.parent / "secret.tif", np.eye(60, 80, dtype=np.uint8), pixel_size_nm=None)
    write_labelme(image_folder / "x.json", path)
    if path.endswith("a.tif"):
        assert import_labels(image_folder, None, tmp_path / "set", progress=False).names == ("a",)
    else:
        with pytest.raises(InputError, match=r"is not in .*micrographs"):
            import_labels(image_folder, None, tmp_path / "set", progress=False)
        assert not (tmp_path / "set").exists()


def test_mistakes_with_folders_are_explained(image_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with pytest.raises(InputError, match=r"no annotation there, which would end in .*_mask\.png or the like"):
        import_labels(image_folder, None, out)
    with pytest.raises(InputError, match="absent: must be a folder of annotations, found none"):
        import_labels(tmp_path / "absent", None, out)
    with pytest.raises(InputError, match=r"which would end in _mask\.png or the like; where .* name both"):
        import_labels(image_folder, None, out, "binary")
    with pytest.raises(InputError, match="format must be one of auto, labelme"):
        import_labels(image_folder, None, out, "pascal")  # type: ignore[arg-type]
    write_labelme(image_folder / "a.json", "a.tif")
    write_labelme(image_folder / "other.json", "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: is annotated 2 times, in .*a\.json, .*other\.json; keep one"):
        import_labels(image_folder, None, out)
    with pytest.raises(InputError, match="must be the folder of the images"):
        import_labels(image_folder / "a.json", tmp_path / "nowhere", out)
    (image_folder / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.tif: shares its stem with a\.png"):
        import_labels(image_folder / "a.json", None, out)
    (image_folder / "a.png").unlink()
    (tmp_path / "strange.json").write_text('{"file": {}}')
    with pytest.raises(InputError, match="neither labelme's JSON nor COCO's"):
        import_labels(tmp_path / "strange.json", image_folder, out)


def test_images_that_nobody_annotated_need_not_be_there(image_folder: Path, tmp_path: Path) -> None:
    content = coco_content("a.tif", [[RECTANGLE.ravel().tolist()]])
    content["images"].append({"id": 9, "file_name": "elsewhere.tif", "height": 5, "width": 5})
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert import_labels(tmp_path / "coco.json", image_folder, tmp_path / "set", progress=False).names == ("a",)


def test_the_bam_masks_are_read_as_by_the_catalog(
    bam_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(bam_folder.parent))
    datasets = bam_folder / "Datasets"
    name = public_images("bam-tio2").names[0]
    mask = datasets / "Electron Microscopy Image Masks/TiO2_Masks_Manual_4connected" / f"{name}_m.tif"
    dataset = import_labels(mask, datasets / "Electron Microscopy Images/SEM", tmp_path / "set", progress=False)
    real = public_images("bam-tio2")[0]
    assert dataset.names == (name,)
    assert np.array_equal(relabel(dataset[0].labels[:704]), real.labels)
    assert np.array_equal(dataset[0].image[:704], real.image)
    assert dataset[0].pixel_size.nm == pytest.approx(7.34375)


def test_a_region_that_is_left_out_does_not_cost_other_images_and_is_recorded(
    image_folder: Path, tmp_path: Path
) -> None:
    polygon = {"shape_attributes": {"name": "polygon", "all_points_x": [5, 30, 30], "all_points_y": [5, 5, 30]}}
    point = {"shape_attributes": {"name": "point", "cx": 3, "cy": 3}}
    images = {"a.tif": [polygon, point], "b.tif": [point, point]}
    project = {name: {"filename": name, "regions": regions} for name, regions in images.items()}
    (tmp_path / "via.json").write_text(json.dumps(project))
    dataset = import_labels(tmp_path / "via.json", image_folder, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert dataset.manifest is not None
    (remark,) = dataset.manifest["records"]["a"]["remarks"]
    assert remark.startswith("left out: ")
    assert "a.tif: region 2: must enclose a particle, got a point" in remark
    (why,) = dataset.manifest["left_out"].values()
    assert "b.tif: region 1: must enclose a particle, got a point" in why
    assert why.endswith("and 1 more like it")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("RoiSet.zip", write_regions),
        ("a_cp_masks.png", write_binary),
        ("coco.json", lambda path, _: write_coco(path, "1a2b3c4d-a.tif")),
        ("coco.json", lambda path, _: write_coco(path, "C:\\data\\1a2b3c4d-%61.tif")),
    ],
)
def test_names_that_programs_give_are_understood(tmp_path: Path, name: str, write: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    write_tiff(tmp_path / "a.tif", pixels, pixel_size_nm=None)
    write(tmp_path / name, "a.tif")
    dataset = import_labels(tmp_path, None, tmp_path / "set", progress=False)
    assert np.array_equal(dataset[0].labels, expected())


def test_a_roi_set_of_one_of_many_images_says_how_it_is_to_be_called(image_folder: Path, tmp_path: Path) -> None:
    write_regions(image_folder / "RoiSet.zip", "a.tif")
    with pytest.raises(InputError, match=r"its image RoiSet is not in .*call the file .*image_RoiSet\.zip for"):
        import_labels(image_folder, None, tmp_path / "set", progress=False)


def test_a_mask_that_names_a_task_belongs_to_the_only_image(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    write_tiff(tmp_path / "images/a.tif", pixels, pixel_size_nm=None)
    write_binary(tmp_path / "masks/task-1-annotation-7-by-1-tag-particle-0.png", "a.tif")
    dataset = import_labels(tmp_path / "masks", tmp_path / "images", tmp_path / "set", progress=False)
    assert np.array_equal(dataset[0].labels, expected())


def test_a_mask_that_names_a_task_of_many_says_how_it_is_to_be_called(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    write_binary(tmp_path / "masks/task-2-annotation-1-by-1-tag-particle-0.png", "a.tif")
    with pytest.raises(InputError, match=r"its image task-2-.* is not in .*call the file .*image_mask\.png"):
        import_labels(tmp_path / "masks", image_folder, tmp_path / "set", progress=False)


def test_an_image_that_is_annotated_twice_is_left_out_alone(image_folder: Path, tmp_path: Path) -> None:
    for name, image in (("a", "a.tif"), ("b", "b.tif"), ("again", "b.tif")):
        write_labelme(image_folder / f"{name}.json", image)
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert dataset.manifest is not None
    (why,) = dataset.manifest["left_out"].values()
    assert why.endswith("again.json, " + f"{image_folder / 'b.json'}; keep one")


def test_an_interrupted_import_goes_on_with_other_files_and_drops_what_is_gone(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        write_labelme(image_folder / f"{name}.json", f"{name}.tif")

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            import_labels(image_folder, None, tmp_path / "set", progress=False)
    with pytest.raises(InputError, match="was interrupted"):
        Dataset(tmp_path / "set")
    stamp = (tmp_path / "set/images/a.tif").stat().st_mtime_ns
    (image_folder / "b.json").unlink()
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    dataset.verify()
    assert dataset.names == ("a",)
    assert (tmp_path / "set/images/a.tif").stat().st_mtime_ns == stamp
    assert sorted(path.name for path in dataset.folder.rglob("*") if path.is_file()) == [
        *("a.tif", "a.tif", "manifest.json", "recipe.yaml")
    ]


def test_a_name_that_is_no_text_or_too_long_does_not_end_an_import(image_folder: Path, tmp_path: Path) -> None:
    names = ("caf\udce9", "x" * 240)
    for name in names:
        (image_folder / "b.tif").rename(image_folder / f"{name}.tif")
        write_tiff(image_folder / "b.tif", np.eye(*SHAPE, dtype=np.uint8), pixel_size_nm=None)
        write_binary(image_folder / f"{name}_m.png", "")
    write_binary(image_folder / "a_m.png", "")
    dataset = import_labels(image_folder, None, tmp_path / "set", progress=False)
    assert dataset.names == ("a",)
    assert dataset.manifest is not None
    whys = list(dataset.manifest["left_out"].values())
    assert ["rename" in why for why in whys] == [True, True]
