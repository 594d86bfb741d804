import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.disc_twins import PIXEL_SIZE, Touching, disc_image, measured, use_twins

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.summary import MeasuredImage, summarise_sizes
from nanolab.reports.sizes import size_report
from nanolab.twin.report import TwinReport, correct_sizes

REAL = [disc_image(seed, (5, 11)) for seed in range(10)]
TWINS = [disc_image(seed, (4, 13)) for seed in range(100, 130)]


@pytest.fixture(scope="module")
def report() -> TwinReport:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_twins(TWINS, monkeypatch)
        return correct_sizes(measured(REAL), "spheres_sem", Touching(), twins=len(TWINS), pixel_size_error=0.01)


def test_discs_taken_for_one_are_made_up_for(report: TwinReport) -> None:
    assert report.correction is not None
    true = summarise_sizes(measured(REAL, truth=True), repeats=0).statistics
    found = summarise_sizes(measured(REAL), repeats=0).statistics
    off = [found["number"][name] / true["number"][name] - 1 for name in ("d10", "d50", "d90")]
    left = [report.correction.values[f"{name}_nm"] / true["number"][name] - 1 for name in ("d10", "d50", "d90")]
    assert off[2] > 0.1
    assert left == pytest.approx([0, 0, 0], abs=0.03)
    assert found["count"] / true["count"] < 0.9
    assert report.correction.values["count"] / true["count"] == pytest.approx(1, abs=0.05)


def test_as_found_is_what_the_report_says_without_twins(report: TwinReport) -> None:
    assert report.correction is not None
    number = summarise_sizes(measured(REAL), repeats=0).statistics["number"]
    for name in ("d10", "d50", "d90"):
        assert report.correction.as_found[f"{name}_nm"] == pytest.approx(number[name])


def test_what_was_done_is_written(report: TwinReport) -> None:
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert written["twin"]["recipe"] == "spheres_sem"
    assert written["twin"]["images"] == len(TWINS)
    assert len(written["twin"]["settings"]) == 5  # the user's, two magnifications, two ways to cut
    assert sum(written["twin"]["fates"].values()) == pytest.approx(1)
    assert written["twin"]["resemblance"]["unlike"] == []
    assert sum(each["share"] for each in written["budget"]["d50_nm"].values()) == pytest.approx(1)


def test_the_report_of_sizes_holds_both(report: TwinReport, tmp_path: Path) -> None:
    found = size_report(measured(REAL), tmp_path, page=False, twin=report, repeats=9)
    written = read_json(tmp_path / "sizes.json")
    assert written["as_found"]["d50_nm"] > written["corrected"]["d50_nm"]
    assert any(note.startswith("D50 corrected with twins") for note in found.notes)
    assert (tmp_path / "corrected.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("wrong", [{"radii_px": (14, 22), "count": 25}, {"radii_px": (4, 13), "noise": 0.12}])
def test_twins_unlike_the_images_correct_nothing_unless_forced(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_twins([disc_image(seed, **wrong) for seed in range(200, 208)], monkeypatch)
    refused = correct_sizes(measured(REAL), "spheres_sem", Touching(), twins=8)
    assert refused.correction is None
    assert refused.notes()[0].startswith("This twin does not resemble your images: ")
    assert "corrected" not in refused.to_dict()
    assert "--force" in refused.notes()[-1]


def test_it_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    use_twins([disc_image(seed, (4, 13), noise=0.12) for seed in range(200, 208)], monkeypatch)
    forced = correct_sizes(measured(REAL), "spheres_sem", Touching(), twins=8, force=True)
    assert forced.correction is not None
    assert forced.notes()[0].startswith("This twin does not resemble your images: ")


def changed(pixel_size: PixelSize) -> list[MeasuredImage]:
    first, second = measured(REAL[:2])
    return [first, replace(second, pixel_size=pixel_size)]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "needs at least one image"),
        ([replace(measured(REAL[:1])[0], image=None)], "give --images"),
        (changed(PixelSize.unknown("none")), "has no pixel size, and recipes are in nm"),
        (changed(PixelSize.typed(2.1)), "must have one pixel size, got 2 to 2.1 nm"),
    ],
    ids=["none", "no micrograph", "no scale", "two scales"],
)
def test_what_cannot_be_corrected_is_refused(images: list[MeasuredImage], message: str) -> None:
    assert PIXEL_SIZE.nm == 2
    with pytest.raises(InputError, match=message):
        correct_sizes(images, "spheres_sem", Touching())
