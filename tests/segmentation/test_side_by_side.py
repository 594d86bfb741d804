"""Images segmented side by side, by processes here or on a Dask cluster, give what one after the other gives."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.grid_discs import discs
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.dask import cluster_client, dask_executor
from nanolab.images.labels import read_label_file
from nanolab.images.tiff import write_tiff
from nanolab.segmentation.files import SegmentedFiles, segment_files
from nanolab.segmentation.segmenter import Segmenter


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for k in range(4):
        grey = (60 + 120 * (discs(k) > 0)).astype(np.uint8)
        write_tiff(tmp_path / f"images/i{k}.tif", grey, pixel_size_nm=2.0)
    (tmp_path / "images/broken.tif").write_bytes(b"II*\0")
    monkeypatch.chdir(tmp_path)
    return Path("images")


def alike(one: SegmentedFiles, other: SegmentedFiles, folder: Path, others: Path) -> None:
    assert list(one.failures) == list(other.failures) == ["images/broken.tif"]
    pd.testing.assert_frame_equal(one.table, other.table)
    for name in ("particles.csv", "images.csv"):
        assert (folder / name).read_bytes() == (others / name).read_bytes()
    for k in range(4):
        first, second = (read_label_file(each / f"i{k}.labels.tif") for each in (folder, others))
        np.testing.assert_array_equal(first.labels, second.labels)
        assert (first.image, first.made_by, first.trust) == (second.image, second.made_by, second.trust)


def test_processes_and_a_cluster_do_the_same(images: Path) -> None:
    segmenter = Segmenter("shipped", dynamic=0.3, min_diameter_px=8)
    one = segment_files([images], segmenter, "one", progress=False)
    two = segment_files([images], segmenter, "two", workers=2, progress=False)
    alike(one, two, Path("one"), Path("two"))
    with cluster_client("local", 1, {}) as client, dask_executor(client) as executor:
        three = segment_files([images], segmenter, "three", executor=executor, progress=False)
    alike(one, three, Path("one"), Path("three"))
    (Path("two") / "i1.labels.tif").unlink()
    again = segment_files([images], segmenter, "two", workers=2, keep=True, progress=False)
    alike(one, again, Path("one"), Path("two"))


def test_workers_and_a_scheduler_exclude_each_other(images: Path) -> None:
    words = ["segment", str(images), "-o", "out", "--workers", "2", "--scheduler", "tcp://localhost:1"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 2
    assert "give one of them" in shown.output
    shown = CliRunner().invoke(app, ["segment", str(images), "-o", "out", "--workers", "0"])
    assert "--workers must be a number from 1" in shown.output
