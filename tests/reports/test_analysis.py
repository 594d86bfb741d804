"""From micrographs to the report in one call."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.grid_discs import discs
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.images.tiff import write_tiff
from nanolab.images.trust import Trust
from nanolab.reports.analysis import analyse
from nanolab.reports.fitted import kept_twin
from nanolab.segmentation.segmenter import Segmenter
from nanolab.synthesis.recipe import Recipe, load_recipe
from nanolab.training.run import TrainingRun

RECIPE = """
name: few_spheres
image: {width_px: 160, height_px: 160, pixel_size_nm: 2.0}
particles: [{template: sphere, diameter_nm: [20, 60]}]
arrangement: {kind: scattered, count: 25}
detector: {kind: se, substrate_level: 0.2, particle_level: 0.6}
occlusion_distance_nm: 50
"""


@pytest.fixture
def micrographs(tmp_path: Path) -> Path:
    for k in range(2):
        grey = (60 + 120 * (discs(k) > 0)).astype("uint8")
        write_tiff(tmp_path / "micrographs" / f"i{k}.tif", grey, pixel_size_nm=2.0)
    return tmp_path / "micrographs"


def _never(*args: Any, **options: Any) -> None:
    raise AssertionError("done already")


def test_images_become_a_report_and_are_not_segmented_again(
    micrographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (micrographs / "broken.tif").write_bytes(b"no image")
    done = analyse([micrographs], tmp_path / "out", title="discs")
    assert list(done.failures) == [str(micrographs / "broken.tif")]
    assert 20 <= len(done.report.particles) <= 32  # 16 discs each, 10 to 30 px wide, not all of which it finds
    assert (tmp_path / "out/sizes/report.html").is_file()
    (micrographs / "broken.tif").unlink()
    images = pd.read_csv(tmp_path / "out/labels/images.csv")
    monkeypatch.setattr(Segmenter, "find", _never)
    again = analyse([micrographs], tmp_path / "out", title="discs")
    assert again.report.statistics == done.report.statistics
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out/labels/images.csv"), images)
    # only what is asked for counts, at the scale that is said now
    one = analyse([micrographs / "i0.tif"], tmp_path / "out", pixel_size_nm=4.0).report
    assert set(one.particles["image"]) == {"i0"}
    before = done.report.particles.query("image == 'i0'")["ecd_nm"]
    assert one.particles["ecd_nm"].tolist() == pytest.approx((2 * before).tolist())


@pytest.mark.parametrize(("trust", "said"), [(0.79, True), (0.81, False)])
def test_a_sample_that_the_network_is_not_trusted_with_is_said(
    micrographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: float, said: bool
) -> None:
    done = analyse([micrographs], tmp_path / "out")
    known = {f"i{k}": Trust(image=trust, particles=()) for k in range(2)}
    done = replace(done, report=replace(done.report, trust=known))
    monkeypatch.setattr("nanolab.reports.analysis.analyse", lambda *args, **options: done)
    shown = CliRunner().invoke(app, ["analyse", str(micrographs), "-o", str(tmp_path / "out")])
    assert ("--fit-from generic_sem learns your sample first" in shown.output) == said, shown.output


def test_only_what_is_missing_damaged_or_older_than_its_image_is_segmented_again(
    micrographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = analyse([micrographs], tmp_path / "out", title="discs")
    labels, tables = tmp_path / "out/labels", ("images.csv", "particles.csv")
    before = {name: (labels / name).read_bytes() for name in tables}
    sought: list[object] = []
    find = Segmenter.find
    monkeypatch.setattr(Segmenter, "find", lambda *args, **options: sought.append(1) or find(*args, **options))
    second = labels / "i1.labels.tif"
    for spoil in (
        second.unlink,
        lambda: second.write_bytes(b"II*\0"),
        lambda: os.utime(micrographs / "i1.tif", (time.time() + 9,) * 2),
    ):
        sought.clear()
        spoil()
        again = analyse([micrographs], tmp_path / "out", title="discs")
        assert len(sought) == 1
        assert again.report.statistics == done.report.statistics
        assert {name: (labels / name).read_bytes() for name in tables} == before


def test_with_a_recipe_it_is_learned_first_and_sizes_are_corrected(
    micrographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "few.yaml").write_text(RECIPE, encoding="utf-8")
    (micrographs / "broken.tif").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    words = "analyse micrographs -o out --recipe few.yaml --rendered 4 --twins 8 --force"
    short = ["--set", "epochs", "1", "--set", "steps_per_epoch", "2", "--set", "threads", "1"]
    done = CliRunner().invoke(app, [*words.split(), *short])
    assert done.exit_code == 2, done.output
    assert "1 of the 3 images could not be used:\nmicrographs/broken.tif" in done.output
    run = TrainingRun(tmp_path / "out/training")
    assert run.settings.start_from == "shipped"
    assert run.epochs == [1]
    saved = read_json(tmp_path / "out/sizes/sizes.json")
    assert saved["made_by"][0].split(", ")[1].endswith("training/epochs/0001.safetensors")
    assert saved["twin"]["images"] == 8
    assert saved["corrected"]["d50_nm"] == pytest.approx(saved["as_found"]["d50_nm"], rel=0.3)
    monkeypatch.setattr("nanolab.synthesis.rendered.render", _never)
    monkeypatch.setattr(Segmenter, "find", _never)
    again = CliRunner().invoke(app, [*words.split(), *short])
    assert again.exit_code == 2, again.output
    assert "sizes: report.html" in again.output


def test_a_recipe_is_fitted_first_and_kept(micrographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def fit(_files: list[Path], out: Path, *, parent: Recipe, **_options: Any) -> None:
        fits.append(parent.name)
        out.mkdir(parents=True, exist_ok=True)
        (out / "recipe.yaml").write_text(RECIPE, encoding="utf-8")

    monkeypatch.setattr("nanolab.reports.fitted.fit_twin", fit)
    settings = {"epochs": 1, "steps_per_epoch": 2, "threads": 1}
    for _ in range(2):
        options: Any = {"rendered": 4, "twins": 8, "settings": settings, "force": True}
        analyse([micrographs], tmp_path / "out", fit_from="generic_sem", **options)
        assert read_json(tmp_path / "out/sizes/sizes.json")["twin"]["recipe"] == "few_spheres"
    assert fits == ["generic_sem"]
    parent = load_recipe("generic_sem")
    files = sorted(micrographs.iterdir())
    kept_twin(files, tmp_path / "out/twin", parent)
    assert len(fits) == 1
    kept_twin(files, tmp_path / "out/twin", parent, pixel_size_nm=3.0)  # another scale
    kept_twin(files, tmp_path / "out/twin", parent.model_copy(update={"description": "changed"}), pixel_size_nm=3.0)
    assert len(fits) == 3
    with pytest.raises(InputError, match="recipe, fit_from"):
        analyse([micrographs], tmp_path / "out", fit_from="generic_sem", recipe="tio2_sem")


def test_what_cannot_be_analysed_is_told_before_anything_is_made(micrographs: Path, tmp_path: Path) -> None:
    write_tiff(micrographs / "i2.tif", (60 + 120 * (discs(2) > 0)).astype("uint8"), pixel_size_nm=None)
    with pytest.raises(InputError, match=r"i2: no pixel size.*--scales"):
        analyse([micrographs], tmp_path / "out", recipe="spheres_sem")
    with pytest.raises(InputError, match="recipe"):
        analyse([micrographs], tmp_path / "out", recipe="nothing_like_it")
    (micrographs / "i2.tif").unlink()
    with pytest.raises(InputError, match="did you mean epochs"):
        analyse([micrographs], tmp_path / "out", recipe="spheres_sem", settings={"epoch": 3})
    assert not (tmp_path / "out").exists()
