import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.writer import DatasetWriter
from nanolab.images.labels import labels_from_mask, write_labels
from nanolab.images.tiff import write_tiff

RECIPE = "name: squares\nedge_nm: 10\n"
SETTINGS = {"seed": 7, "size": [32, 40]}


def writer(folder: Path, seed: int = 7, recipe: str = RECIPE) -> DatasetWriter:
    return DatasetWriter(folder, recipe, SETTINGS | {"seed": seed})


def drawn(index: int) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, dict]:
    """Image `index` with its truth; every third image has no particle."""
    rng = generator(7, index)
    labels = labels_from_mask(rng.random((32, 40)) > (0.7 if index % 3 else 2))
    image = rng.integers(0, 256, labels.shape, dtype=np.uint8)
    numbers = np.unique(labels[labels > 0])
    particles = pd.DataFrame({"label": numbers, "diameter_nm": rng.normal(100, 10, len(numbers)), "template": "cube"})
    return image, labels, particles, {"index": index, "blur_px": float(rng.random())}


def fill(folder: Path, count: int, only: list[int] | None = None) -> DatasetWriter:
    dataset = writer(folder)
    for index in dataset.missing(count) if only is None else only:
        image, labels, particles, record = drawn(index)
        dataset.write(index, image, labels, particles, 2.5, record)
    return dataset


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    fill(tmp_path / "set", 4).finish(4)
    return tmp_path / "set"


def test_what_is_written_is_what_is_read(finished: Path) -> None:
    dataset = Dataset(finished)
    assert len(dataset) == 4
    for index, sample in enumerate(dataset):
        image, labels, *_ = drawn(index)
        assert sample.name == f"{index:06d}"
        np.testing.assert_array_equal(sample.image, image / np.float32(255))
        np.testing.assert_array_equal(sample.labels, labels)
        # The TIFF holds a ratio of two 32-bit integers.
        assert sample.pixel_size.nm == pytest.approx(2.5, rel=1e-8)
        assert sample.pixel_size.source == "metadata"


def test_the_layout_on_disk_is_exactly_this(finished: Path) -> None:
    images = {f"{kind}/{index:06d}.tif" for kind in ("images", "masks") for index in range(4)}
    assert contents(finished).keys() == images | {"recipe.yaml", "particles.parquet", "manifest.json"}


def test_the_particle_table_has_the_rows_of_all_images_in_order(finished: Path) -> None:
    expected = [drawn(index)[2].assign(image=f"{index:06d}") for index in range(4)]
    table = Dataset(finished).particles()
    assert list(table) == ["image", "label", "diameter_nm", "template"]
    pd.testing.assert_frame_equal(
        table, pd.concat([each for each in expected if len(each)], ignore_index=True)[list(table)], check_dtype=False
    )


def test_the_manifest_says_what_made_it_and_replays_each_image(finished: Path) -> None:
    manifest = Dataset(finished).manifest
    assert manifest is not None
    assert (manifest["seed"], manifest["count"], manifest["settings"]) == (7, 4, SETTINGS)
    assert manifest["records"]["000002"] == drawn(2)[3]
    assert {"nanolab", "numpy"} <= manifest["versions"].keys()
    assert set(manifest["files"]) == contents(finished).keys() - {"manifest.json"}


def test_the_same_seed_gives_the_same_bytes_in_any_order_and_in_steps(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    fill(other, 4, only=[3, 0])
    fill(other, 4).finish(4)
    assert contents(other) == contents(finished)
    grown = tmp_path / "grown"
    fill(grown, 2).finish(2)
    fill(grown, 4).finish(4)
    assert contents(grown) == contents(finished)


def test_a_finished_dataset_is_left_alone(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    dataset = writer(finished)
    assert dataset.missing(4) == []
    dataset.finish(4)
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert after.items() <= before.items()


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("harm", ["truncate", "remove", "change"])
@pytest.mark.parametrize("when", ["unfinished", "finished"])
def test_a_broken_file_is_named_and_only_its_image_is_made_again(
    tmp_path: Path, kind: str, harm: str, when: str
) -> None:
    dataset = fill(tmp_path, 4)
    if when == "finished":
        dataset.finish(4)
    whole = contents(tmp_path)
    path = tmp_path / kind / "000001.tif"
    if harm == "remove":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if harm == "truncate" else data[:-1] + bytes([data[-1] ^ 1]))
    if when == "finished":
        with pytest.raises(InputError, match=rf"not as written: {kind}/000001\.tif; render again"):
            Dataset(tmp_path).verify()
    assert writer(tmp_path).missing(4) == [1]
    fill(tmp_path, 4)
    assert writer(tmp_path).missing(4) == []
    if when == "finished":
        writer(tmp_path).finish(4).verify()
        assert contents(tmp_path) == whole


def test_a_lost_particle_table_is_made_again(finished: Path) -> None:
    whole = contents(finished)
    (finished / "particles.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"particles\.parquet"):
        Dataset(finished).verify()
    assert writer(finished).missing(4) == [0, 1, 2, 3]
    fill(finished, 4).finish(4)
    assert contents(finished) == whole


def test_a_truncated_part_is_made_again(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    part = tmp_path / ".parts" / "000002.parquet"
    part.write_bytes(part.read_bytes()[:100])
    assert writer(tmp_path).missing(3) == [2]


def test_finishing_needs_all_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 of 4 images are missing, the first is 1"):
        fill(tmp_path, 4, only=[0, 2]).finish(4)
    assert not (tmp_path / "manifest.json").exists()


def test_an_unfinished_dataset_is_not_opened(tmp_path: Path) -> None:
    fill(tmp_path, 4, only=[0])
    with pytest.raises(InputError, match="was interrupted; give the same command again"):
        Dataset(tmp_path)


def test_fewer_images_than_there_are_is_refused(finished: Path) -> None:
    with pytest.raises(InputError, match="already holds 4 images, more than 2"):
        writer(finished).finish(2)


@pytest.mark.parametrize("when", ["unfinished", "finished"])
def test_another_recipe_or_seed_is_refused(tmp_path: Path, when: str) -> None:
    dataset = fill(tmp_path, 2)
    if when == "finished":
        dataset.finish(2)
    with pytest.raises(InputError, match=r"recipe\.yaml: the folder was made by another recipe"):
        writer(tmp_path, recipe=RECIPE + "more: 1\n")
    with pytest.raises(InputError, match="was made with seed 7, not 8"):
        writer(tmp_path, seed=8)
    assert writer(tmp_path).missing(2) == []  # neither attempt changed anything


def test_a_folder_of_own_images_is_not_rendered_into(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="holds a dataset without recipe"):
        writer(tmp_path)


def test_settings_without_a_seed_or_a_record_that_is_no_json_are_programming_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must name its seed"):
        DatasetWriter(tmp_path, RECIPE, {})
    image, labels, particles, _ = drawn(1)
    with pytest.raises(ValueError, match="JSON"):
        writer(tmp_path).write(0, image, labels, particles, None, {"blur_px": float("nan")})


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    image, labels, particles, _ = drawn(1)
    with pytest.raises(InputError, match=r"000000: both must have one size, got \(32, 40\) and \(31, 40\)"):
        writer(tmp_path).write(0, image, labels[1:], particles, None)


def _fill_slowly(folder: str, indices: list[int], count: int) -> None:
    dataset = writer(Path(folder))
    for index in indices:
        image, labels, particles, record = drawn(index)
        dataset.write(index, image, labels, particles, 2.5, record)
        time.sleep(0.002)  # so that the processes overlap
    assert not set(indices) & set(dataset.missing(count))


def test_two_processes_may_write_one_dataset(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    halves = [list(range(start, 20, 2)) for start in (0, 1)]
    workers = [context.Process(target=_fill_slowly, args=(str(tmp_path / "two"), half, 20)) for half in halves]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    writer(tmp_path / "two").finish(20).verify()
    fill(tmp_path / "one", 20).finish(20)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_killed_process_leaves_complete_images_or_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_fill_slowly, args=(str(tmp_path / "killed"), list(range(500)), 500))
    worker.start()
    while len(list((tmp_path / "killed" / ".parts").glob("0*.parquet"))) < 5:
        assert worker.is_alive()
        time.sleep(0.01)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(60)
    there = len(list((tmp_path / "killed" / ".parts").glob("0*.parquet")))
    count = there + 3
    assert writer(tmp_path / "killed").missing(count) == list(range(there, count))
    fill(tmp_path / "killed", count).finish(count).verify()
    fill(tmp_path / "whole", count).finish(count)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    dataset = fill(tmp_path, 2)
    leftover = tmp_path / "images" / ".000001.x1y2z3.part.tif"  # as nanolab.core.files.atomic names it
    leftover.write_bytes(b"II*")
    dataset.finish(2)
    assert not leftover.exists()
    assert len(Dataset(tmp_path)) == 2


def test_slices_and_exclusions_are_lazy_and_named(finished: Path) -> None:
    dataset = Dataset(finished)
    (finished / "images" / "000000.tif").unlink()
    assert dataset[1:3].names == ("000001", "000002")
    assert dataset.without("000000", "000002").names == ("000001", "000003")
    assert dataset[-1].name == dataset[1:][2].name == "000003"
    with pytest.raises(InputError, match=r"images/000000\.tif: .*not found"):
        dataset[0]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two images of a user's own in different formats, one of them annotated."""
    for name in ("b.png", "a.tif"):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "images" / name)
    write_labels(tmp_path / "masks" / "a.tif", np.eye(3, 4, dtype=int), pixel_size_nm=None)
    return tmp_path


def test_own_images_and_masks_are_a_dataset(own: Path) -> None:
    dataset = Dataset(own)
    assert (dataset.names, dataset.manifest) == (("a", "b"), None)
    assert dataset[0].labels is not None
    assert dataset[0].labels.tolist() == np.eye(3, 4).tolist()
    assert dataset[1].labels is None
    assert dataset[1].pixel_size.nm is None
    with pytest.raises(InputError, match=r"no manifest\.json"):
        dataset.verify()
    with pytest.raises(InputError, match=r"particles\.parquet: not found; only a rendered dataset has it"):
        dataset.particles()


def test_own_masks_must_fit_their_images(own: Path) -> None:
    write_labels(own / "masks" / "b.tif", np.eye(3, dtype=int), pixel_size_nm=None)
    with pytest.raises(InputError, match=r"b\.tif: both must have one size, got \(3, 4\) and \(3, 3\)"):
        Dataset(own)[1]
    (own / "masks" / "b.tif").rename(own / "masks" / "c.tif")
    with pytest.raises(InputError, match=r"c\.tif: a mask must have an image of the same stem"):
        Dataset(own)
    (own / "masks" / "c.tif").unlink()
    write_tiff(own / "images" / "b.tif", np.zeros((3, 4), np.uint8), pixel_size_nm=None)
    with pytest.raises(InputError, match=r"b\.tif: shares its stem with b\.png|b\.png: shares its stem with b\.tif"):
        Dataset(own)


def test_a_folder_without_images_is_not_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must have a folder images/"):
        Dataset(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="at least one image, found none"):
        Dataset(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"files": [], "records": {}, "settings": {}}',
        b'{"files": {"../../x": "0"}, "records": {}, "settings": {}}',
        b'{"files": {}, "records": {"../secret": {}}, "settings": {}}',
        b'{"files": {}, "records": {"a": 5}, "settings": {}}',
        b'{"files": {"a/b.tif": 7}, "records": {}, "settings": {}}',
    ],
)
def test_a_manifest_that_is_none_is_refused(finished: Path, content: bytes) -> None:
    (finished / "manifest.json").write_bytes(content)
    for use in (Dataset, writer):
        with pytest.raises(InputError, match=r"manifest\.json"):
            use(finished)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"no table"])
def test_a_damaged_table_of_particles_is_refused(finished: Path, content: bytes) -> None:
    (finished / "particles.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"particles\.parquet: not a readable table"):
        Dataset(finished).particles()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table", None])
def test_a_part_that_is_none_counts_as_missing(tmp_path: Path, content: bytes | None) -> None:
    fill(tmp_path, 2)
    part = tmp_path / ".parts/000001.parquet"
    if content is None:
        pd.DataFrame({"a": [1]}).to_parquet(part)
    else:
        part.write_bytes(content)
    assert writer(tmp_path).missing(2) == [1]


def test_parts_of_more_images_than_are_asked_for_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, 4).finish(2)
    assert writer(tmp_path).missing(4) == []
    assert len(writer(tmp_path).finish(4)) == 4
