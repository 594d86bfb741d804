"""Sets to compare, from wherever they are, at one pixel size."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.annotated_files import WRITERS, expected, image_folder, write_binary, write_coco
from scipy.ndimage import gaussian_filter

from nanolab.core.checks import InputError
from nanolab.datasets.annotations.importing import import_labels
from nanolab.datasets.opening import open_images
from nanolab.images.labels import relabel, write_labels
from nanolab.images.tiff import write_tiff
from nanolab.realism.comparison import resample, typical_pixel_size

__all__ = ["image_folder"]  # a fixture


def write(folder: Path, samples: list[Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        write_tiff(folder / f"{sample.name}.tif", np.rint(sample.image * 255).astype(np.uint8), pixel_size_nm=2.0)
    return folder


def test_a_public_set_goes_by_its_name(bam_folder: Path) -> None:
    samples = open_images("bam-tio2")
    assert len(samples) == 20
    assert samples[0].image.shape == (704, 1024)
    assert typical_pixel_size(samples[:3]) == pytest.approx(7.34375)


def test_a_folder_of_images_with_and_without_label_maps(discs: Any, tmp_path: Path) -> None:
    made = discs(2, seed=0)
    images = write(tmp_path / "images_only", made)
    (images / "notes.txt").write_text("not an image")
    assert [sample.labels for sample in open_images(images)] == [None, None]
    write_labels(tmp_path / "labels" / "discs0.labels.tif", made[0].labels, pixel_size_nm=2.0)
    first, second = open_images(images, labels=tmp_path / "labels")
    assert np.array_equal(first.labels, made[0].labels)
    assert second.labels is None
    assert first.pixel_size.nm == pytest.approx(2)


def test_a_dataset_brings_its_own_labels(discs: Any, tmp_path: Path) -> None:
    made = discs(1, seed=0)
    write(tmp_path / "set" / "images", made)
    write_labels(tmp_path / "set" / "masks" / "discs0.tif", made[0].labels, pixel_size_nm=2.0)
    (sample,) = open_images(tmp_path / "set")
    assert np.array_equal(sample.labels, made[0].labels)
    with pytest.raises(InputError, match="this set has its own"):
        open_images(tmp_path / "set", labels=tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_annotation_is_found_as_the_import_finds_it(kind: str, image_folder: Path, tmp_path: Path) -> None:
    name, writer = WRITERS[kind]
    apart = kind == "colour"  # called as its image, it cannot lie next to it
    if apart:
        image_folder.rename(tmp_path / "images")
        image_folder = tmp_path
    annotation = (tmp_path / "masks" if apart else image_folder) / name
    annotation.parent.mkdir(exist_ok=True)
    writer(annotation, "a.tif")
    (imported,) = import_labels(image_folder, None, tmp_path / "set", progress=False)
    first, second = open_images(image_folder)
    assert np.array_equal(relabel(first.labels), imported.labels)
    assert second.labels is None
    assert open_images(image_folder, annotated=True).names == ("a",)


def test_a_table_that_lies_there_hides_no_masks(image_folder: Path) -> None:
    write_binary(image_folder / "a_m.png", "a.tif")
    (image_folder / "classes.csv").write_text("image,class\na,round\n")
    assert open_images(image_folder, annotated=True).names == ("a",)


def test_one_file_of_annotation_next_to_a_folder_of_images(image_folder: Path) -> None:
    folder = image_folder.parent
    image_folder.rename(folder / "images")
    write_coco(folder / "coco.json", "a.tif")
    assert np.array_equal(open_images(folder)[0].labels, expected())


def test_masks_may_lack_the_rows_of_the_data_bar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, (480, 640)).clip(0, 255)
    image[420:] = 0
    cv2.putText(image, "EHT = 20.00 kV   WD = 2.8 mm   Mag = 50.00 K X", (10, 455), 0, 0.5, 255, 1)
    write_tiff(tmp_path / "a.tif", image.astype(np.uint8), pixel_size_nm=2.0)
    labels = np.zeros((480, 640), dtype=np.int32)
    labels[100:120, 100:120] = 1
    for rows in (480, 420):
        write_labels(tmp_path / "a.labels.tif", labels[:rows], pixel_size_nm=2.0)
        assert np.array_equal(open_images(tmp_path)[0].labels, labels[:420])


def test_what_annotation_is_not_used_is_said(image_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_coco(image_folder / "coco.json", "a.tif")
    (image_folder / "b.json").write_text("{}")
    (image_folder / "c.json").write_text('{"lab": 1}')
    assert open_images(image_folder).names == ("a", "b")
    assert "c.json: neither labelme's JSON nor COCO's" in caplog.text


def test_where_annotation_is_needed_and_missing_it_is_said_what_to_do(image_folder: Path) -> None:
    with pytest.raises(InputError, match=r"micrographs: needs annotated images, found no .* its 2; .* a_mask\.png"):
        open_images(image_folder, annotated=True)
    (image_folder / "a.json").write_text('{"lab": 1}')
    with pytest.raises(InputError, match=r"\nnot used: .*a\.json: neither labelme's JSON"):
        open_images(image_folder, annotated=True)


def test_what_is_no_set_is_named(discs: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder or one of bam-tio2, emps"):
        open_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"must hold images \(.*\), found none"):
        open_images(tmp_path)
    images = write(tmp_path / "some", discs(1, seed=0))
    (images / "discs0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"discs0\.tif: shares its stem with discs0\.png"):
        open_images(images)
    (images / "discs0.png").unlink()
    with pytest.raises(InputError, match="must be a folder of label maps"):
        open_images(images, labels=tmp_path / "nowhere")[0]


def test_unknown_pixel_sizes_stay_unknown(discs: Any) -> None:
    assert typical_pixel_size(discs(3, seed=0, nm=None)) is None
    with pytest.raises(InputError, match="its pixel size must be known to resample it"):
        resample(discs(1, seed=0, nm=None)[0], 4.0)


def test_resampling_keeps_grey_values_and_places_and_averages_noise(discs: Any) -> None:
    (sample,) = discs(1, seed=0, noise=0.04)
    coarse = resample(sample, 4.0)
    assert coarse.image.shape == coarse.labels.shape == (96, 96)
    assert coarse.pixel_size.nm == 4.0
    assert np.array_equal(coarse.labels > 0, sample.labels[1::2, 1::2] > 0)
    ground = gaussian_filter((coarse.labels > 0).astype(float), 3) < 0.01
    assert coarse.image[ground].mean() == pytest.approx(0.2, abs=0.002)
    assert coarse.image[ground].std() == pytest.approx(0.02, rel=0.1)  # four pixels in one: half the noise
    assert resample(sample, 2.01) is sample  # the same to half a per cent


def test_coarse_images_are_interpolated(discs: Any) -> None:
    (sample,) = discs(1, seed=0)
    fine = resample(sample, 1.0)
    assert fine.image.shape == (384, 384)
    assert (fine.labels > 0).mean() == pytest.approx((sample.labels > 0).mean())
    assert fine.image.mean() == pytest.approx(sample.image.mean(), abs=1e-3)
