from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.images.labels import write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.trust import Trust
from nanolab.measurement.conditions import fulfilling
from nanolab.measurement.size_sample import size_sample
from nanolab.measurement.summary import measure_image, summarise_sizes

PX = PixelSize.unknown("a test")
TABLE = pd.DataFrame(
    {
        "ecd_nm": [5.0, 10.0, 20.0, np.nan],
        "touches_border": [True, False, False, True],
        "class": ["cube", "sphere", "cube", ""],
        "trust": [0.2, 0.5, 0.9, 0.7],
    }
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("", [0, 1, 2, 3]),
        ("trust > 0.5", [2, 3]),
        ("trust>=.5", [1, 2, 3]),
        ("  ecd_nm < 1e1  ", [0]),
        ("ecd_nm > 0 and trust != 0.5 and class == cube", [0, 2]),
        ("class != 'cube'", [1, 3]),
        ("touches_border == False", [1, 2]),
        ("ecd_nm > -1", [0, 1, 2]),  # an empty cell is neither above nor below
        ("ecd_nm != 5", [1, 2, 3]),
    ],
)
def test_a_condition_picks_known_rows(where: str, rows: list[int]) -> None:
    assert np.flatnonzero(fulfilling(TABLE, where)).tolist() == rows


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("trust", "must be a column, one of <, <=, >, >=, ==, !=, and a number, such as trust > 0.5, got 'trust'"),
        ("trust > 0.5 or ecd_nm > 1", "got 'trust > 0.5 or ecd_nm > 1'"),
        ("__import__('os').remove('a') > 1", "must be a column"),
        ("size > 3", "no column 'size'; choose from ecd_nm"),
        ("trust > much", "trust can be compared with a number alone, got 'trust > much'"),
        ("class > cube", "class can be compared with a number alone"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_would_be(where: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)").replace("__", "__")):
        fulfilling(TABLE, where)


def squares(*sides: int) -> np.ndarray:
    labels = np.zeros((40, 40 * len(sides)), np.int32)
    for number, side in enumerate(sides, start=1):
        labels[5 : 5 + side, 40 * number - 35 : 40 * number - 35 + side] = number
    return labels


def test_only_particles_that_fulfil_it_count_and_the_others_stay_in_the_table() -> None:
    image = measure_image(
        "a", squares(6, 8, 10, 12), pixel_size=PX, trust=Trust(particles=(0.1, 0.9, 0.8, 0.7), image=0.6)
    )
    assert image.particles["trust"].tolist() == [0.1, 0.9, 0.8, 0.7]
    sample = size_sample(image.particles, "sqrt_area", where="trust > 0.5 and area_px < 144")
    assert (sample.sizes.tolist(), sample.refused) == ([8, 10], 2)
    report = summarise_sizes([image], where="trust > 0.5")
    assert report.particles["weight"].isna().tolist() == [True, False, False, False]
    assert "1 left out that are not trust > 0.5." in " ".join(report.notes)
    assert report.settings["where"] == "trust > 0.5"
    with pytest.raises(InputError, match=r"none of 4 particles fulfils 'trust > 1'"):
        size_sample(image.particles, where="trust > 1")


def test_without_a_condition_nothing_changes() -> None:
    trusted = measure_image("a", squares(6, 8, 10, 12), pixel_size=PX, trust=Trust(particles=(0.0,) * 4, image=0.0))
    plain = measure_image("a", squares(6, 8, 10, 12), pixel_size=PX)
    assert summarise_sizes([trusted]).statistics == summarise_sizes([plain]).statistics


def test_the_least_trusted_image_comes_first_with_its_reasons() -> None:
    sure = measure_image("sure", squares(6, 8), pixel_size=PX, trust=Trust(particles=(0.9, 0.9), image=0.9))
    doubt = Trust(particles=(0.9, 0.2), image=0.3, notes=("fewer than 10 particles",))
    doubted = measure_image("doubted", squares(6, 8), pixel_size=PX, trust=doubt)
    report = summarise_sizes([sure, doubted])
    assert list(report.trust) == ["doubted", "sure"]
    assert "Look at these first: doubted (0.30: fewer than 10 particles)." in report.notes
    assert not [note for note in report.notes if note.startswith("Of all images")]
    assert "Hatched: 1 particle with a trust below 0.5." in report.notes
    assert report.to_dict()["trust"]["doubted"] == {"image": 0.3, "notes": ("fewer than 10 particles",)}


def test_what_is_so_of_all_images_is_said_once() -> None:
    trust = Trust(particles=(0.9, 0.9), image=0.9, notes=("not calibrated",))
    images = [measure_image(name, squares(6, 8), pixel_size=PX, trust=trust) for name in "abc"]
    notes = " ".join(summarise_sizes(images).notes)
    assert notes.count("not calibrated") == 1
    assert "Of all images: not calibrated." in notes
    assert "Look at these first" not in notes


def test_measure_counts_only_particles_like_those_asked_for(tmp_path: Path) -> None:
    trust = Trust(particles=(0.1, 0.9, 0.8, 0.7), image=0.6)
    write_labels(tmp_path / "a.labels.tif", squares(6, 8, 10, 12), pixel_size_nm=2, trust=trust)
    run = CliRunner().invoke
    for out, option in (("all", []), ("some", ["--where", "trust > 0.5"])):
        assert run(app, ["measure", str(tmp_path / "a.labels.tif"), "-o", str(tmp_path / out), *option]).exit_code == 0
    counts = [read_json(tmp_path / out / "sizes.json")["statistics"]["count"] for out in ("all", "some")]
    assert counts == [4, 3]
    table = tmp_path / "t.csv"
    assert (
        run(app, ["measure", str(tmp_path / "a.labels.tif"), "-o", str(table), "--where", "trust > 0.75"]).exit_code
        == 0
    )
    assert pd.read_csv(table)["trust"].tolist() == [0.9, 0.8]
