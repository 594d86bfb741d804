"""Where somebody looked at an image: written next to the labels, and read with them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.looked_at import write_looked_at
from nanolab.datasets.opening import open_images
from nanolab.datasets.writer import DatasetWriter
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 40), dtype=np.uint8)
LABELS = np.zeros((32, 40), dtype=np.int32)
LABELS[4:12, 4:12], LABELS[20:30, 20:30] = 1, 2
UPPER = np.zeros((32, 40), dtype=bool)
UPPER[:16] = True


def own_folder(folder: Path) -> Path:
    for name in ("a", "b"):
        write_tiff(folder / "images" / f"{name}.tif", PIXELS, pixel_size_nm=2.0)
        write_labels(folder / "masks" / f"{name}.tif", LABELS)
    write_looked_at(folder, "a", UPPER)
    return folder


@pytest.mark.parametrize("opened", [Dataset, open_images])
def test_an_image_without_a_file_counts_as_a_whole(tmp_path: Path, opened: type[Dataset]) -> None:
    first, second = opened(own_folder(tmp_path))
    np.testing.assert_array_equal(first.looked_at, UPPER)
    np.testing.assert_array_equal(first.labels, LABELS)
    assert second.looked_at is None


def test_the_file_may_have_the_rows_of_the_data_bar_but_no_other_size(tmp_path: Path) -> None:
    own_folder(tmp_path)
    write_looked_at(tmp_path, "a", np.vstack([UPPER, UPPER]))
    np.testing.assert_array_equal(Dataset(tmp_path)[0].looked_at, UPPER)
    write_looked_at(tmp_path, "a", UPPER[:, 1:])
    with pytest.raises(InputError, match=r"looked_at/a\.png and its image: both must have one size"):
        Dataset(tmp_path)[0]


def test_all_and_nothing_can_be_looked_at(tmp_path: Path) -> None:
    own_folder(tmp_path)
    for everywhere in (True, False):
        write_looked_at(tmp_path, "a", np.full(LABELS.shape, everywhere))
        seen = Dataset(tmp_path)[0].looked_at
        assert seen is not None
        assert (seen == everywhere).all()


def test_a_dataset_is_written_with_it_verified_and_swept(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, "name: corrected\n", {"seed": 0}, replaces=True)
    for name in ("a", "b"):
        writer.write(name, PIXELS, LABELS, None, 2.0, looked_at=UPPER)
    dataset = writer.finish(["a", "b"])
    np.testing.assert_array_equal(dataset[0].looked_at, UPPER)
    np.testing.assert_array_equal(open_images(tmp_path)[0].looked_at, UPPER)
    dataset.verify()
    writer.finish(["b"])
    assert [path.name for path in (tmp_path / "looked_at").iterdir()] == ["b.png"]
    Image.fromarray(PIXELS).save(tmp_path / "looked_at" / "b.png")
    with pytest.raises(InputError, match=r"looked_at/b\.png"):
        Dataset(tmp_path).verify()
    assert not writer.records()  # what was changed counts as not written
