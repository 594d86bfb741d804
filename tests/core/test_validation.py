from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from nanolab.core.checks import InputError
from nanolab.core.files import parse_json, read_record
from nanolab.core.validation import parse_mapping, parse_yaml, read_yaml, validated

BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))

DAMAGED_YAML = {
    "a key given twice": "size: 3\nsize: 4",
    "aliases that double forty times": BOMB,
    "a list that holds itself": "a: &a [*a]",
    "ten thousand brackets": "[" * 10_000,
    "a day that no month has": "made: 2024-02-31",
    "a date of no calendar": "made: !!timestamp yesterday",
    "an integer of no digits": "a: !!int ''",
    "an integer of letters": "a: !!int abc",
    "a number of five thousand digits": "a: " + "9" * 5000,
    "a flag that is none": "a: !!bool perhaps",
    "an object of Python": "a: !!python/object/apply:os.getcwd []",
    "a list for a key": "{[1]: 2}",
    "a tab for an indent": "a:\n\t- 1",
    "a null byte": "a: \0",
    "Latin-1": "name: Größe".encode("latin-1"),
    "UTF-16": "name: x".encode("utf-16"),
    "two documents": "a: 1\n---\na: 2",
    "more than half a megabyte": "a: 1\n" + "#" * 2**19,
}


@pytest.mark.parametrize("text", DAMAGED_YAML.values(), ids=DAMAGED_YAML)
def test_yaml_that_is_damaged_or_meant_to_do_harm_is_refused_by_name(text: str | bytes) -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: "):
        parse_yaml(text, "mine.yaml")


def test_yaml_of_one_value_is_no_mapping() -> None:
    with pytest.raises(InputError, match="a recipe is a mapping of keys to values, got list"):
        parse_mapping("[1, 2]", "mine.yaml", "recipe")


def test_an_alias_used_once_or_twice_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes("first: &one {a: 1}\nsecond: {<<: *one, a: 2}\nthird: *one".encode("utf-8-sig"))
    assert read_yaml(path, "recipe") == {"first": {"a": 1}, "second": {"a": 2}, "third": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "value"),
    [("2e-3", 0.002), ("-1.5E+2", -150.0), (".5e1", 5.0), ("3", 3), ("1.5", 1.5), ("[-1, 2e-3]", [-1, 0.002])],
)
def test_numbers_are_read_as_people_write_them(text: str, value: object) -> None:
    assert parse_yaml(text, "x") == value


@pytest.mark.parametrize("text", ["2e-3nm", "e3", "1e", "v1e3", "1-2"])
def test_texts_that_look_like_numbers_stay_texts(text: str) -> None:
    assert parse_yaml(text, "x") == text


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", b"\xff\xfe{}", "", "nan"])
def test_json_that_is_damaged_is_refused_by_name(text: str | bytes) -> None:
    with pytest.raises(InputError, match=r"run\.json: not valid JSON .*; make it again"):
        parse_json(text, "run.json")


def test_a_record_is_a_mapping_with_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("[1]")
    with pytest.raises(InputError, match="must hold a mapping of keys to values, got list"):
        read_record(path)
    path.write_text('{"settings": 1}')
    with pytest.raises(InputError, match="has no key status"):
        read_record(path, "settings", "status")
    assert read_record(path, "settings") == {"settings": 1}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    particles: int = 1


def test_wrong_settings_are_explained_with_the_key_that_was_meant() -> None:
    with pytest.raises(InputError, match=r"sweep\n  particels: unknown key \(did you mean particles\?\), got 3"):
        validated(_Model, {"particels": 3}, "sweep")
    with pytest.raises(InputError, match=r"particles: .*integer.*, got 'a'"):
        validated(_Model, {"particles": "a"}, "sweep")


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    part: _Model = _Model()


def test_a_key_in_the_wrong_place_is_not_suggested_again() -> None:
    with pytest.raises(InputError, match=r"particles: unknown key here \(it belongs elsewhere\), got 3"):
        validated(_Outer, {"particles": 3}, "sweep")


def test_a_thousand_wrong_keys_are_told_in_a_few_lines() -> None:
    with pytest.raises(InputError) as caught:
        validated(_Model, {f"k{k}": 1 for k in range(1000)}, "sweep")
    assert str(caught.value).endswith("and 990 more")
