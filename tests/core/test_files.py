"""Files are complete or absent, whatever their names and whoever was killed."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nanolab.core.checks import InputError, check_between, check_file
from nanolab.core.files import atomic, output_folder, parse_json, read_json, write_json
from nanolab.core.tables import read_csv

HANG = """
import sys, time
from nanolab.core.files import atomic
with atomic(sys.argv[1]) as path:
    path.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def killed_writer(tmp_path: Path) -> int:
    """A process that is killed while it writes a file; its id."""
    with subprocess.Popen(
        [sys.executable, "-c", HANG, tmp_path / "report.pdf"], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
    return writer.pid


def test_what_a_killed_process_left_half_written_goes_with_the_next_work_in_the_folder(
    tmp_path: Path, killed_writer: int
) -> None:
    (left,) = tmp_path.iterdir()
    assert f"-{killed_writer}." in left.name
    with atomic(tmp_path / "table.csv") as mine:
        output_folder(tmp_path)
        assert mine.exists()  # its writer lives
        assert not left.exists()


def test_files_of_others_with_such_names_stay(tmp_path: Path) -> None:
    others = [tmp_path / ".notes.part.txt", tmp_path / ".a.elsewhere-1.x.part.pdf", tmp_path / "b.part"]
    for path in others:
        path.touch()
    output_folder(tmp_path)
    assert all(path.exists() for path in others)


def test_a_name_as_long_as_file_systems_take_can_be_written(tmp_path: Path) -> None:
    name = "n" * 250 + ".json"
    write_json(tmp_path / name, {"a": 1})
    assert read_json(tmp_path / name) == {"a": 1}


def test_a_name_that_is_not_utf8_is_refused_because_no_table_takes_it(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"gr\xf6\xdfe.tif")
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"cannot be read .*; rename it"):
        check_file(path, "image")


@pytest.mark.parametrize("name", ["n" * 300, "a\0b"], ids=["too long", "with a null character"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        check_file(tmp_path / name, "image")
    with pytest.raises(InputError, match="cannot be written"), atomic(tmp_path / name):
        pass
    with pytest.raises(InputError, match="cannot be written"):
        output_folder(tmp_path / name)


def test_links_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="cannot be read"):
        check_file(tmp_path / "a", "image")


@pytest.mark.parametrize("content", [b"\n", b"a,b\n1,2,3\n1,2,3,4\n", b"a\n\xff\xfe", b'a,b\n"1,2'])
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv: table is not a CSV file"):
        read_csv(tmp_path / "t.csv", "table")


@pytest.mark.parametrize("value", [0.05, 11, float("nan"), float("inf")])
def test_a_value_out_of_range_is_refused_with_the_range(value: float) -> None:
    with pytest.raises(InputError, match=r"magnification must be a number from 0\.1 to 10, got"):
        check_between(value, "magnification", 0.1, 10)
    check_between(0.1, "magnification", 0.1, 10)


def test_names_that_are_no_utf8_come_back_from_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"caf\udce9": 1})
    assert read_json(tmp_path / "a.json") == {"caf\udce9": 1}


def test_a_file_where_a_folder_is_needed_and_a_folder_where_a_file_is_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for write in (lambda: output_folder(tmp_path / "file"), lambda: write_json(tmp_path / "file" / "a.json", 1)):
        with pytest.raises(InputError, match="there is a file where a folder is needed"):
            write()
    with pytest.raises(InputError, match="is a folder; give the name of a file"):
        write_json(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"scale": 1, "scale": 2}', "the key 'scale' is given twice"),
        ('[{"a": {"b": 1, "c": 2, "b": 3}}]', "the key 'b' is given twice"),
        ('{"a": NaN}', "NaN is no finite number"),
        ("[-Infinity]", "-Infinity is no finite number"),
        ("1e999", "1e999 is no finite number"),
    ],
)
def test_json_that_says_two_things_or_no_number_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=rf"a\.json: not valid JSON \({why}\)"):
        read_json(tmp_path / "a.json")


def test_json_of_a_checkpoint_may_hold_scores_that_are_undefined() -> None:
    assert math.isnan(parse_json('{"dice": NaN}', "record", nan=True)["dice"])
