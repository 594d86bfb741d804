"""JSON Schemas of settings, so that editors complete and check YAML, and what each key means."""

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

__all__ = ["field_descriptions", "json_schema"]

_SECTION = re.compile(r"^Attributes\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)
_LATER = re.compile(r"^\w[^\n]*\n-{3,}$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z`])")
_NAME = re.compile(r"`(\w+)`")
_ENTRY = re.compile(r"^(\w+(?:, \w+)*)\n((?: +[^\n]*\n?|\n)+)", re.MULTILINE)


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model, with the meaning of every key of all its parts."""
    schema = model.model_json_schema(schema_generator=_Described)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def field_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what the keys of a model mean, by name, as its docstring says.

    The section Attributes comes first, then the first sentence of the text that names a key between backticks. What a
    docstring leaves out is taken from those of the classes it is derived from. Keys that are explained together have
    the same text.
    """
    told: dict[str, str] = {}
    listed: dict[str, str] = {}
    for each in reversed(model.__mro__):
        docstring = inspect.cleandoc(each.__doc__ or "")
        told |= _told(_LATER.split(docstring)[0])
        section = _SECTION.search(docstring)
        for names, text in _ENTRY.findall(section[1] + "\n" if section else ""):
            listed |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    described = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: text for name, text in {**told, **listed, **described}.items() if name in model.model_fields}


def _told(prose: str) -> dict[str, str]:
    """Return for each name between backticks the first sentence with it, or the part of one that begins with it."""
    told: dict[str, str] = {}
    for sentence in _SENTENCE.split(" ".join(prose.split())):
        for part in re.split("; (?=`)", sentence):
            if begins := _NAME.match(part):
                told.setdefault(begins[1], part.rstrip(".") + ".")
        for name in _NAME.findall(sentence):
            told.setdefault(name, sentence)
    return told


class _Described(GenerateJsonSchema):
    """Adds the meaning of each key, and keeps of a part's docstring only the summary."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        part = super().model_schema(schema)
        if "description" in part:
            part["description"] = part["description"].split("\n\n", 1)[0].replace("\n", " ")
        for name, text in field_descriptions(schema["cls"]).items():
            part["properties"][name].setdefault("description", text)
        return part
