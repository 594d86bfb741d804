"""A report is made again from what it says of itself."""

from pathlib import Path

import pytest
from helpers.grid_discs import discs
from typer.testing import CliRunner, Result

from nanolab.cli import app
from nanolab.core.files import read_json, write_json
from nanolab.images.labels import write_labels


def _run(words: str) -> Result:
    return CliRunner().invoke(app, words.split())


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for k in range(3):
        write_labels(tmp_path / "maps" / f"i{k}.labels.tif", discs(k), pixel_size_nm=2.0)
    done = _run("measure maps -o first --fit normal --quantity feret_min --border drop")
    assert done.exit_code == 0, done.output
    return tmp_path


def test_the_same_options_give_the_same_numbers_from_another_folder(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made / "elsewhere").mkdir()
    monkeypatch.chdir(made / "elsewhere")
    done = _run("measure --repeat ../first/sizes.json -o again")
    assert done.exit_code == 0, done.output
    first, again = (read_json(made / name / "sizes.json") for name in ("first", "elsewhere/again"))
    assert first.pop("request")["options"]["labels"] == ["../maps"]
    assert again.pop("request")["options"]["labels"] == ["../../maps"]
    assert first == again
    assert "not what it was" not in done.output


def test_a_file_that_has_changed_is_named(made: Path) -> None:
    write_labels(made / "maps" / "i1.labels.tif", discs(7), pixel_size_nm=2.0)
    done = _run("measure --repeat first/sizes.json -o again")
    assert done.exit_code == 0
    assert "../maps/i1.labels.tif: not what it was then" in done.output
    assert done.output.count("not what it was") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("measure -o again", "needs label maps"),
        ("measure maps --repeat first/sizes.json -o again", "says it already"),
        ("measure --repeat first/sizes.json --fit normal -o again", "says it already"),
        ("measure --repeat other.json -o again", "does not say how it was made"),
        ("measure --repeat strange.json -o again", "'nothing' is none of this version"),
        ("measure --repeat wrong.json -o again", "should be a valid integer"),
    ],
)
def test_what_cannot_be_repeated_is_told(made: Path, words: str, said: str) -> None:
    write_json(made / "other.json", [])
    write_json(made / "strange.json", {"request": {"options": {"nothing": 1}}})
    write_json(made / "wrong.json", {"request": {"options": {"labels": ["maps"], "min_area_px": "many"}}})
    done = _run(words)
    assert done.exit_code == 2
    assert said in done.output
    assert not (made / "again").exists()
