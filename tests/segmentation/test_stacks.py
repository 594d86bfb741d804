"""Stacks and movies through `segment_files`: one label map and one row per image."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers.discs import THRESHOLD, Threshold

from nanolab.images.labels import read_label_file
from nanolab.images.tiff import write_tiff
from nanolab.measurement.label_files import measure_files
from nanolab.models.checkpoint import save_checkpoint
from nanolab.models.registry import NETWORKS
from nanolab.segmentation.files import segment_files
from nanolab.segmentation.segmenter import Segmenter


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the checkpoint of a network that knows."""
    monkeypatch.setitem(NETWORKS, "threshold", THRESHOLD["threshold"])
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, Threshold(1).state_dict(), {"settings": {"network": "threshold", "readout": "foreground"}})
    return path


def growing(count: int) -> np.ndarray:
    """Return a movie of nine discs whose radius grows from 6 px by 1 px an image."""
    rows, cols = np.ogrid[:120, :120]
    movie = np.full((count, 120, 120), 50, np.uint8)
    for number in range(count):
        for row in (20, 60, 100):
            for col in (20, 60, 100):
                movie[number, (rows - row) ** 2 + (cols - col) ** 2 < (6 + number) ** 2] = 200
    movie[:, 0, 0] = 100  # a third grey value; with two it would pass for a mask
    return movie


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = tmp_path / "movie.tif"
    about = {"axes": "TYX", "finterval": 2.0, "unit": "nm"}
    tifffile.imwrite(path, growing(5), imagej=True, resolution=(0.5, 0.5), metadata=about)
    return path


def run(images: list[Path], model: Path, out: Path, **options: object) -> pd.DataFrame:
    done = segment_files(images, model, out, progress=False, overlays=False, **options)
    assert done.failures == {}
    return done.table


def test_all_images_of_a_movie_have_a_row_each_and_the_right_sizes(model: Path, movie: Path, tmp_path: Path) -> None:
    write_tiff(tmp_path / "still.tif", growing(1)[0], pixel_size_nm=2.0)
    table = run([movie, tmp_path / "still.tif"], model, tmp_path / "out", frames="all")
    assert table["image"].tolist() == [*(f"movie_f{number:04d}" for number in range(5)), "still"]
    assert table["frame"].tolist()[:5] == [0, 1, 2, 3, 4]
    assert table["time_s"].tolist()[:5] == [0, 2, 4, 6, 8]
    assert np.isnan(table["frame"].iloc[5])
    assert (table["particles"] == 9).all()
    areas_px = (growing(5) > 150).sum(axis=(1, 2)) / 9
    # four digits are right to half a unit of the last one
    np.testing.assert_allclose(table["d50"][:5], 2.0 * np.sqrt(4 * areas_px / np.pi), rtol=5e-4)
    particles = pd.read_csv(tmp_path / "out/particles.csv")
    assert set(particles["image"]) == set(table["image"])


def test_measure_finds_each_image_again(model: Path, movie: Path, tmp_path: Path) -> None:
    run([movie], model, tmp_path / "out", frames="1:4:2")
    assert read_label_file(tmp_path / "out/movie_f0003.labels.tif").frame == 3
    for options in ({}, {"images": movie.parent}):
        measured, failures = measure_files([tmp_path / "out"], **options)
        assert failures == {}
        assert [each.name for each in measured] == ["movie_f0001", "movie_f0003"]
        for each, number in zip(measured, (1, 3), strict=True):
            assert each.image is not None
            np.testing.assert_allclose(each.image, growing(5)[number] / 255, atol=1e-6)


def test_images_named_one_by_one_are_those_of_the_range(model: Path, movie: Path, tmp_path: Path) -> None:
    one_by_one = run([Path(f"{movie}[4]"), Path(f"{movie}[1]"), Path(f"{movie}[4]")], model, tmp_path / "a")
    assert one_by_one["image"].tolist() == ["movie_f0001", "movie_f0004"]
    pd.testing.assert_frame_equal(one_by_one, run([movie], model, tmp_path / "b", frames="1::3"))


def test_what_is_wrong_with_a_stack_stops_no_other(model: Path, movie: Path, tmp_path: Path) -> None:
    write_tiff(tmp_path / "movie_f0001.tif", growing(1)[0], pixel_size_nm=2.0)
    files = [tmp_path / "movie_f0001.tif", movie]
    done = segment_files(files, model, tmp_path / "out", frames="all", progress=False)
    assert done.failures == {f"{movie}[1]": f"{movie}[1]: would be called like {files[0]}; rename the file"}
    assert sorted(done.table["image"]) == [f"movie_f{number:04d}" for number in range(5)]
    done = segment_files([movie], model, tmp_path / "other", progress=False)
    assert "must hold one image, got 5 images: 0 to 4" in done.failures[str(movie)]
    done = segment_files([movie], model, tmp_path / "other", frames="9", progress=False)
    assert "it holds 5 images" in done.failures[str(movie)]


def test_a_stack_goes_on_where_it_was_stopped(
    model: Path, movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run([movie], model, tmp_path / "whole", frames="all")
    run([movie], model, tmp_path / "out", frames="0:3")
    seen: list[float] = []
    find = Segmenter.find
    monkeypatch.setattr(
        Segmenter, "find", lambda self, image, **more: (seen.append(float(image.sum())), find(self, image, **more))[1]
    )
    again = run([movie], model, tmp_path / "out", frames="all", keep=True)
    assert len(seen) == 2
    pd.testing.assert_frame_equal(again, whole, check_dtype=False)


def test_the_first_of_several_signals_is_said_to_be_it(model: Path, tmp_path: Path) -> None:
    import h5py
    from helpers.instrument_files import write_emd

    path = tmp_path / "two.emd"
    write_emd(path, growing(1)[0], 2.0)
    with h5py.File(path, "r+") as file:
        file.copy("data/image", "data/second")
        file["data/second/data"][:] = file["data/second/data"][:] // 2
    for _ in range(2):
        table = run([path], model, tmp_path / "out", keep=True)
        assert table["image"].tolist() == ["two"]
        assert table["notes"][0].startswith("the first of 2 images in the file, ")
    named = run([path], model, tmp_path / "named", frames="second")
    assert named["image"].tolist() == ["two_f0001"]


def test_panels_of_a_figure_are_images_of_their_own(model: Path, tmp_path: Path) -> None:
    from PIL import Image

    figure = np.full((120, 250), 255, np.uint8)
    figure[:, :120], figure[:, 130:] = growing(2)
    Image.fromarray(figure).save(tmp_path / "figure.png")
    options = {"pixel_size_nm": 2.0}
    whole = run([tmp_path / "figure.png"], model, tmp_path / "whole", **options)
    assert "looks like a figure of 2 panels" in whole["notes"][0]
    for _ in range(2):  # the second time all is kept
        table = run([tmp_path / "figure.png"], model, tmp_path / "out", panels=True, keep=True, **options)
        assert table["image"].tolist() == ["figure_p0", "figure_p1"]
        assert table["particles"].tolist() == [9, 9]
        assert not table["notes"].str.contains("figure of").any()
    for where in ({}, {"images": tmp_path}):
        measured, failures = measure_files([tmp_path / "out"], **where)
        assert failures == {}
        for each, shown in zip(measured, growing(2), strict=True):
            assert each.image is not None
            np.testing.assert_allclose(each.image, shown / 255, atol=1e-6)


def test_a_stopped_command_goes_on_and_writes_parquet(model: Path, movie: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from nanolab.cli import app

    out = tmp_path / "out"
    run([movie], model, out, frames="0:3")
    first = out / "movie_f0000.labels.tif"
    done_at = first.stat().st_mtime_ns
    asked = ["segment", str(movie), "--model", str(model), "-o", str(out), "--frames", "all", "--resume", "--parquet"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert first.stat().st_mtime_ns == done_at
    assert (out / "sizes_over_time.png").is_file()
    particles = pd.read_parquet(out / "particles.parquet")
    # four digits are right to half a unit of the last one
    np.testing.assert_allclose(pd.read_csv(out / "particles.csv")["ecd_nm"], particles["ecd_nm"], rtol=5e-4)
    assert set(particles["image"]) == {f"movie_f{number:04d}" for number in range(5)}
