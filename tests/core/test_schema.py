import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from nanolab.core.schema import field_descriptions, json_schema
from nanolab.core.validation import read_yaml
from nanolab.runs.sweeps.spec import Sweep
from nanolab.synthesis.cutpaste.settings import CutPasteSettings
from nanolab.synthesis.recipe import Recipe, shipped_recipes
from nanolab.training.settings import TrainingSettings


class _Base(BaseModel):
    """A base.

    Attributes
    ----------
    width, height
        Sides, in px.
    name
        What to call it.
    """

    width: int = 1
    height: int = 1
    name: str = ""


class _Derived(_Base):
    """More of it.

    Attributes
    ----------
    depth
        A side
        in nm.

        Two paragraphs.
    name
        Another meaning.

    Raises
    ------
    InputError
        Never.
    """

    depth: int = 1
    count: int = Field(1, description="How many.")


def test_meanings_come_from_docstrings_of_the_class_and_its_bases_and_from_fields() -> None:
    assert field_descriptions(_Derived) == {
        "width": "Sides, in px.",
        "height": "Sides, in px.",
        "name": "Another meaning.",
        "depth": "A side in nm. Two paragraphs.",
        "count": "How many.",
    }


class _Prose(BaseModel):
    """A sum of `one` and another.

    `two` is the second; `three` the third; it is large. Between `two` and `four` lies a gap.
    """

    one: int = 1
    two: int = 2
    three: int = 3
    four: int = 4


def test_without_a_section_the_sentence_that_names_a_key_says_what_it_means() -> None:
    assert field_descriptions(_Prose) == {
        "one": "A sum of `one` and another.",
        "two": "`two` is the second.",
        "three": "`three` the third; it is large.",
        "four": "Between `two` and `four` lies a gap.",
    }


@pytest.mark.parametrize("model", [Recipe, TrainingSettings, Sweep, CutPasteSettings])
def test_every_key_of_settings_has_a_meaning(model: type[BaseModel]) -> None:
    schema = json_schema(model)
    parts = [schema, *schema.get("$defs", {}).values()]
    keys = [(key, about) for part in parts for key, about in part["properties"].items() if "const" not in about]
    assert [key for key, about in keys if not about.get("description")] == []


@pytest.mark.parametrize("name", shipped_recipes())
def test_an_editor_accepts_the_recipes_that_ship(name: str) -> None:
    validator = Draft202012Validator(json_schema(Recipe))
    content = read_yaml(shipped_recipes()[name], "recipe")
    assert [error.message for error in validator.iter_errors(content)] == []


def test_an_editor_marks_a_misspelt_key_of_a_recipe() -> None:
    content = read_yaml(shipped_recipes()["spheres_sem"], "recipe")
    content["imagee"] = content.pop("image")
    assert not Draft202012Validator(json_schema(Recipe)).is_valid(content)
