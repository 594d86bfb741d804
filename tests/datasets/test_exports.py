"""What a dataset becomes for other programs, read back as they read it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.annotations.coco import read_coco
from nanolab.datasets.annotations.imagej import read_imagej
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.exports import export, star_convex_labels
from nanolab.images.labels import read_labels, write_labels
from nanolab.images.masks import BACKGROUND, BORDER, INTERIOR
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import PixelSize
from nanolab.images.tiff import read_tiff, write_tiff
from nanolab.synthesis.cutpaste.generate import cut_and_paste
from nanolab.synthesis.cutpaste.settings import CutPasteSettings

Labels = npt.NDArray[np.int32]


def particles() -> Labels:
    """Two touching squares of 20 px and one apart, cut in two by a bar that is a particle, too."""
    labels = np.zeros((80, 90), dtype=np.int32)
    labels[5:25, 5:25], labels[5:25, 25:45] = 1, 2
    labels[40:70, 30:60] = 3
    labels[50:55, 20:80] = 4
    return labels


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two images of 2.5 nm pixels."""
    for name, labels in (("a", particles()), ("b", particles()[::-1])):
        pixels = np.where(labels > 0, 40000, 9000).astype(np.uint16)
        write_tiff(tmp_path / f"set/images/{name}.tif", pixels, pixel_size_nm=2.5)
        write_labels(tmp_path / f"set/masks/{name}.tif", labels, pixel_size_nm=2.5)
    return Dataset(tmp_path / "set")


def test_coco_and_imagej_give_the_label_maps_back(dataset: Dataset, tmp_path: Path) -> None:
    from_coco = read_coco(export(dataset, "coco", tmp_path / "coco.json"))
    folder = export(dataset, "imagej", tmp_path / "rois")
    from_imagej = [annotation for name in "ab" for annotation in read_imagej(folder / f"{name}.zip")]
    assert [each.image for each in from_coco] == ["a.tif", "b.tif"]
    for annotations in (from_coco, from_imagej):
        for annotation, sample in zip(annotations, dataset, strict=True):
            assert sample.labels is not None
            assert np.array_equal(annotation.labels(sample.labels.shape), sample.labels)


def test_masks_are_of_two_classes_or_three_and_calibrated(dataset: Dataset, tmp_path: Path) -> None:
    folders = {kind: export(dataset, kind, tmp_path / kind) for kind in ("semantic", "three-class")}  # type: ignore[arg-type]
    semantic, three = (read_tiff(folder / "a.tif") for folder in folders.values())
    assert np.array_equal(semantic, particles() > 0)
    assert np.array_equal(three == BACKGROUND, particles() == 0)
    # a square of 20 px recedes by 1 px on each side, also from the one it touches
    assert (three[:30] == INTERIOR).sum() == 2 * 18**2
    assert (three[:30] == BORDER).sum() == 2 * (20**2 - 18**2)
    assert read(folders["semantic"] / "b.tif").pixel_size_nm == pytest.approx(2.5)
    receded = read_tiff(export(dataset, "semantic", tmp_path / "eroded", erosion_px=3) / "a.tif")
    assert receded[:30].sum() == 2 * 14**2


def test_stardist_gets_images_and_objects_in_one_piece(dataset: Dataset, tmp_path: Path) -> None:
    folder = export(dataset, "stardist", tmp_path / "stardist")
    labels = read_labels(folder / "masks/a.tif")
    assert labels.max() == 5  # the bar cuts one square in two
    assert np.array_equal(labels > 0, particles() > 0)
    image = read(folder / "images/a.tif")
    assert image.pixel_size_nm == pytest.approx(2.5)
    assert np.allclose(image.pixels, dataset[0].image, atol=2**-16)  # half a step of 16 bits


@given(arrays(np.int32, st.tuples(st.integers(3, 25), st.integers(3, 25)), elements=st.integers(0, 3)))
def test_star_convex_objects_are_whole_and_of_one_particle(labels: Labels) -> None:
    found = star_convex_labels(labels)
    assert sorted(np.unique(found[found > 0])) == list(range(1, found.max() + 1))
    for label in range(1, found.max() + 1):
        mask = found == label
        assert mask.sum() >= 4
        assert ndimage.label(mask)[1] == 1
        assert len(np.unique(labels[mask & (labels > 0)])) == 1
        # a hole that is left belongs to another particle, or to a piece of one that was too small
        holes = ndimage.binary_fill_holes(mask) & ~mask
        assert (labels[holes] > 0).any() or not holes.any()


def test_whole_outlines_of_pasted_particles(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:160, :160]
    labels = np.zeros((160, 160), dtype=np.int32)
    for label, (row, column) in enumerate([(40, 40), (40, 110), (110, 40), (115, 115)], start=1):
        labels[np.hypot(rows - row, columns - column) < 14] = label
    image = np.where(labels > 0, 0.7, 0.2).astype(np.float32)
    source = AnnotatedImage("a", image, labels, PixelSize.typed(2.0), Path("a.tif"))
    settings = CutPasteSettings(size_px=128, particles=25, backgrounds=("mean",))
    pasted = cut_and_paste([source], tmp_path / "set", 2, settings, seed=0, workers=1, progress=False)
    content = COCO(str(export(pasted, "coco", tmp_path / "coco.json", amodal=True)))
    for number, sample in enumerate(pasted, start=1):
        assert sample.labels is not None
        found = content.loadAnns(content.getAnnIds(imgIds=[number]))
        assert len(found) == sample.labels.max()
        for label, particle in enumerate(found, start=1):
            whole = coco_mask.decode(particle["segmentation"]) > 0
            assert whole[sample.labels == label].mean() > 0.95  # splinters of others went to the one on top
            assert particle["area"] == whole.sum()
            assert 0 < particle["visible_fraction"] <= 1
    assert any(particle["visible_fraction"] < 0.9 for particle in content.anns.values())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("yolo", {}, "format must be one of coco, imagej, semantic, three-class, stardist, got 'yolo'"),
        ("imagej", {"amodal": True}, "amodal: whole outlines overlap"),
        ("coco", {"erosion_px": 1}, "erosion_px: is for semantic and three-class masks"),
        ("semantic", {"erosion_px": -1}, "erosion_px must be at least 0"),
        ("coco", {"amodal": True}, "only a rendered dataset has it"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    dataset: Dataset, tmp_path: Path, kind: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export(dataset, kind, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "masks", "images", "../set/masks"])
def test_a_dataset_is_not_written_over(dataset: Dataset, name: str) -> None:
    before = {path: path.read_bytes() for path in dataset.folder.rglob("*.tif")}
    for kind in ("semantic", "stardist", "imagej"):
        with pytest.raises(InputError, match="must not be the dataset's own folder"):
            export(dataset, kind, dataset.folder / name)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in dataset.folder.rglob("*.tif")} == before


@pytest.mark.parametrize("kind", ["coco", "imagej", "semantic", "three-class", "stardist"])
def test_an_image_without_annotation_is_named(dataset: Dataset, tmp_path: Path, kind: Any) -> None:
    (dataset.folder / "masks/b.tif").unlink()
    with pytest.raises(InputError, match=r"b\.tif: has no annotation to export; annotate it"):
        export(Dataset(dataset.folder), kind, tmp_path / "out")
