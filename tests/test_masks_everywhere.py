"""A mask means the same wherever it comes in, and what is no mask is refused there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotated import read_annotated
from nanolab.datasets.annotations.importing import import_labels
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.opening import open_images
from nanolab.images.labels import labels_from_mask, write_labels
from nanolab.measurement.label_files import measure_files
from nanolab.metrics.evaluate import evaluate_folders

BOXES = ((80, 80, 160, 160), (280, 100, 400, 220), (120, 300, 240, 420))


def drawn() -> Image.Image:
    """Three discs, white on black, in 480x480 pixels."""
    picture = Image.new("L", (480, 480))
    for box in BOXES:
        ImageDraw.Draw(picture).ellipse(box, fill=255)
    return picture


def discs() -> np.ndarray:
    return np.asarray(drawn()) > 0


def grey() -> np.ndarray:
    """A micrograph of the discs: soft, with noise."""
    rng = np.random.default_rng(0)
    return (60 + 120 * discs() + rng.normal(0, 8, (480, 480))).clip(0, 255).astype(np.uint8)


MASKS: dict[str, Callable[[Path], Any]] = {
    "zero_one.tif": lambda path: tifffile.imwrite(path, discs().astype(np.uint8)),
    "zero_65535.tif": lambda path: tifffile.imwrite(path, discs().astype(np.uint16) * 65535),
    "one_two.tif": lambda path: tifffile.imwrite(path, 1 + discs().astype(np.uint8)),
    "one_bit.png": lambda path: Image.fromarray(discs()).save(path),
    "soft.png": lambda path: drawn().resize((960, 960)).resize((480, 480), Image.Resampling.LANCZOS).save(path),
    "damaged.jpg": lambda path: drawn().save(path, quality=80),
}


def entered(how: str, folder: Path, name: str) -> LabelMap | int:
    """The label map that comes of `image/a.tif` and a mask, or the number of its particles."""
    image, mask = folder / "images/a.tif", folder / "masks" / name
    match how:
        case "train and cut-and-paste":
            labels = read_annotated(image, mask).labels
        case "a folder of images and masks":
            labels = Dataset(folder)[0].labels
        case "realism":
            labels = open_images(image.parent, labels=mask.parent)[0].labels
        case "import-labels":
            labels = import_labels(mask.parent, image.parent, folder / "set", progress=False)[0].labels
        case "measure":
            done, failures = measure_files([mask], pixel_size_nm=1.0)
            if failures:
                raise InputError(next(iter(failures.values())))
            return len(done[0].particles)
        case "evaluate":
            write_labels(folder / "found" / f"{mask.stem}.labels.tif", labels_from_mask(discs()), pixel_size_nm=None)
            scores = evaluate_folders(mask.parent, folder / "found")["pooled"]
            return 3 if scores["instance_f1_50"] == 1 else 0
    assert labels is not None
    return labels


ENTRIES = (
    *("train and cut-and-paste", "a folder of images and masks", "realism", "import-labels", "measure"),
    "evaluate",
)


def prepared(folder: Path, name: str) -> None:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    tifffile.imwrite(folder / "images/a.tif", grey())


@pytest.mark.parametrize("how", ENTRIES)
@pytest.mark.parametrize("mask", MASKS)
def test_the_same_three_particles(tmp_path: Path, how: str, mask: str) -> None:
    prepared(tmp_path, mask)
    name = "a" + Path(mask).suffix
    MASKS[mask](tmp_path / "masks" / name)
    found = entered(how, tmp_path, name)
    if isinstance(found, int):
        assert found == 3
        return
    expected = labels_from_mask(discs())
    assert found.max() == 3
    # soft outlines are cut at half of their height: at most the pixels of the rim differ, 700 px long in all
    assert (found != expected).sum() <= (0 if mask.endswith((".tif", "bit.png")) else 700)


@pytest.mark.parametrize("how", ENTRIES)
def test_a_micrograph_is_no_mask(tmp_path: Path, how: str) -> None:
    prepared(tmp_path, "a.tif")
    tifffile.imwrite(tmp_path / "masks/a.tif", grey()[::-1])
    with pytest.raises(InputError, match=r"a\.tif"):
        entered(how, tmp_path, "a.tif")
