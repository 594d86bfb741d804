"""The benchmark, on sets whose errors are known exactly."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.disc_twins import Touching, disc_image, touching, use_twins
from helpers.square_sets import COUNT, FOUND, squares, write_found, write_set

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.experiments import benchmark, finders
from nanolab.experiments.benchmark import Benchmark, benchmark_images, run_benchmark
from nanolab.experiments.finders import Finder
from nanolab.experiments.images import TestImages
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff
from nanolab.images.trust import Trust


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    """A tenth of the draws behind intervals, whose values are not looked at."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(benchmark, "_REPEATS", 99)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("benchmark")
    write_set(place / "squares")
    write_found(place / "found")
    return place


@pytest.fixture(scope="module")
def result(folder: Path) -> Benchmark:
    method, sets = f"mine={folder / 'found'}", [str(folder / "squares")]
    return run_benchmark([method], folder / "out", sets=sets, progress=False)


def values(result: Benchmark) -> "pd.Series[float]":
    return result.summary.set_index("measure")["value"]


def test_every_image_has_the_errors_that_were_made(result: Benchmark) -> None:
    rows = result.images.set_index("image")
    assert rows.loc["exact", ["f1", "ap", "D10_error", "D50_error", "D90_error", "count_error"]].tolist() == [
        *(1, 1, 0, 0, 0, 0)
    ]
    # 16 x 16 of 17 x 17 pixels are an IoU of 0.886, which is above eight of the ten thresholds of AP
    large = [1, 0.8, 1 / 16, 1 / 16, 1 / 16, 0]
    assert rows.loc["large", ["f1", "ap", "D10_error", "D50_error", "D90_error", "count_error"]].tolist() == (
        pytest.approx(large)
    )
    missed = rows.loc["missed"]
    assert missed[["f1", "count_error", "D50_error"]].tolist() == pytest.approx([6 / 7, -1 / 4, 0])
    assert missed["ap"] == pytest.approx(76 / 101)  # COCO's recalls up to 0.75, at a precision of 1


def test_the_measures_of_a_set_follow_from_its_images(result: Benchmark) -> None:
    found = values(result)
    assert found["F1, pooled"] == pytest.approx(2 * 176 / (2 * 176 + 16))  # 16 of 192 squares are missed
    assert found["F1, mean over images"] == pytest.approx((2 + 6 / 7) / 3)
    assert found["images with D50 within 5 %"] == pytest.approx(2 / 3)
    assert found["images with D50 within 10 %"] == 1
    assert found["error of D50, median image"] == 0
    assert found["error of count, all images"] == pytest.approx(-16 / 192)
    # all squares of an image are alike, so that its interval has no width: one image in three is beside it
    assert found["images whose interval of D50 holds"] == pytest.approx(2 / 3)
    assert "images flagged" not in found  # these label maps carry no trust


def test_intervals_hold_their_value(result: Benchmark) -> None:
    bounds = result.summary.dropna(subset="low")
    assert len(bounds) == len(result.summary)
    assert (bounds["low"] <= bounds["value"] + 1e-12).all()
    assert (bounds["value"] <= bounds["high"] + 1e-12).all()


def test_tables_are_written_for_people_and_for_programs(result: Benchmark, folder: Path) -> None:
    table = pd.read_csv(folder / "out/squares.csv").set_index("measure")["mine"]
    assert table["images with D50 within 10 %"] == "1.000 (1.000 to 1.000)"
    assert len(pd.read_csv(folder / "out/images.csv")) == len(FOUND)
    (about,) = pd.read_csv(folder / "out/methods.csv").to_dict("records")
    assert about["made_by"].startswith("label maps ")
    assert about["images"] == len(FOUND)


def test_nothing_found_is_an_error_and_no_failure(folder: Path, tmp_path: Path) -> None:
    for name in FOUND:
        write_labels(tmp_path / f"none/{name}.tif", squares(count=0))
    sets = [str(folder / "squares")]
    found = values(run_benchmark([f"none={tmp_path / 'none'}"], tmp_path, sets=sets, progress=False))
    assert found["F1, pooled"] == 0
    assert found["error of D50, median image"] == 1
    assert found["error of count, all images"] == -1
    assert found["images with D50 within 10 %"] == 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that the method `counting` was asked for; it is interrupted once, at the third."""
    names: list[str] = []

    def find(image: AnnotatedImage) -> tuple[np.ndarray, Trust]:
        names.append(image.name)
        if len(names) == len(FOUND):
            raise KeyboardInterrupt
        trust = 0.9 if image.name == "exact" else 0.1
        return FOUND[image.name], Trust(particles=(0.9,) * int(FOUND[image.name].max()), image=trust)

    monkeypatch.setitem(finders.METHODS, "counting", lambda: Finder(f"counting {'again' * (len(names) > 4)}", find))
    return names


def test_what_was_finished_is_not_lost(asked: list[str], folder: Path, tmp_path: Path) -> None:
    sets = [str(folder / "squares")]
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(["counting"], tmp_path, sets=sets, progress=False)
    result = run_benchmark(["counting"], tmp_path, sets=sets, progress=False)
    assert asked == ["exact", "large", "missed", "missed"]
    assert result.images["seconds"].notna().all()
    run_benchmark(["counting"], tmp_path, sets=sets, progress=False)
    assert len(asked) == 4
    asked.append("and now it is another method")
    run_benchmark(["counting"], tmp_path, sets=sets, progress=False)
    assert asked[5:] == ["exact", "large", "missed"]


def test_images_that_are_not_trusted_are_flagged(asked: list[str], folder: Path, tmp_path: Path) -> None:
    asked += ["no interruption"] * 3
    found = values(run_benchmark(["counting"], tmp_path, sets=[str(folder / "squares")], progress=False))
    assert found["images flagged"] == pytest.approx(2 / 3)
    assert found["of images not flagged, D50 within 10 %"] == 1


@pytest.fixture
def catalysts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image with four boxes; a fifth has no width."""
    monkeypatch.setenv("NANOLAB_DATA", str(tmp_path))
    for name in ("a", "b"):
        write_tiff(tmp_path / f"catalysts/images/{name}.tif", squares().astype(np.uint8), pixel_size_nm=None)
        boxes = pd.DataFrame({"x0": [0, 24, 48, 72, 9], "y0": [0] * 5, "x1": [16, 40, 64, 88, 9], "y1": [16] * 5})
        (tmp_path / "catalysts/boxes").mkdir(exist_ok=True)
        boxes.to_csv(tmp_path / f"catalysts/boxes/{name}.csv")
    return tmp_path


def test_boxes_count_what_has_its_centre_in_one_of_its_own(catalysts: Path) -> None:
    labels = squares(count=10)  # eight in the first row, of which four have boxes, and two in the second
    labels[:, :24][labels[:, :24] == 1] = 0
    for name in ("a", "b"):
        write_labels(catalysts / f"found/{name}.tif", labels)
    result = run_benchmark([f"mine={catalysts / 'found'}"], catalysts / "out", progress=False)
    assert result.images[["tp", "fp", "fn"]].to_numpy().tolist() == [[3, 6, 1]] * 2
    assert values(result)["error of count, all images"] == pytest.approx(5 / 4)
    assert "AP, pooled" not in values(result)


def test_few_images_are_spread_over_the_set(catalysts: Path) -> None:
    assert [each.name for each in benchmark_images("catalysts", 1).images] == ["a"]
    assert [each.name for each in benchmark_images("catalysts", 2).images] == ["a", "b"]


def test_a_set_or_method_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for sets, message in {
        (): "needs a method and a set",
        ("emps",): "nanolab data get emps",
        ("catalysts",): "not on this machine",
        ("nowhere",): "must be a folder",
    }.items():
        with pytest.raises(InputError, match=message):
            run_benchmark(["otsu"], tmp_path, sets=sets, progress=False)


def with_twins(
    real: list[AnnotatedImage], twins: list[AnnotatedImage], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Benchmark:
    """Benchmark what takes touching discs for one, on images of discs, with these twins."""
    by_name = {each.name: each for each in real}
    images = TestImages(LazyImages(by_name, by_name.__getitem__), "discs", 0)
    use_twins(twins, monkeypatch)
    touch = Finder("touching", lambda image: (touching(image.image), None), Touching())
    monkeypatch.setitem(finders.METHODS, "touching", lambda: touch)
    monkeypatch.setitem(benchmark.SETS, "discs", "spheres_sem")
    monkeypatch.setattr(benchmark, "real_images", lambda name: images)
    return run_benchmark(["touching"], folder, sets=["discs"], twins=len(twins), progress=False)


def test_sizes_of_a_sample_are_corrected_with_its_twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = [disc_image(seed, (5, 11)) for seed in range(6)]
    result = with_twins(real, [disc_image(seed, (4, 13)) for seed in range(100, 120)], tmp_path, monkeypatch)
    table = result.summary.set_index("measure")
    for name in ("D50", "D90", "count"):
        found, corrected = (table.loc[f"error of {name}, all images{end}"] for end in ("", ", corrected"))
        # as far as 20 twins undo it, see the tests of twins
        assert abs(corrected["value"]) < 0.05
        assert abs(corrected["value"]) < max(abs(found["value"]), 0.02)
        assert corrected["low"] < corrected["value"] < corrected["high"]
    assert table.loc["error of D90, all images", "value"] > 0.05  # touching discs are one
    assert "D50 corrected with twins" in result.methods["note"].item()


def test_a_twin_unlike_the_set_corrects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = [disc_image(seed, (5, 11)) for seed in range(4)]
    unlike = [disc_image(seed, (20, 30), count=9, dark=0.2) for seed in range(100, 130)]
    result = with_twins(real, unlike, tmp_path, monkeypatch)
    assert not result.summary["measure"].str.contains("corrected").any()
    assert "does not resemble" in result.methods["note"].item()


def test_squares_are_as_many_as_said() -> None:
    assert squares().max() == COUNT
