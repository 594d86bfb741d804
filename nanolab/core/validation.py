"""YAML files that people write: read safely, and what is wrong in one said in their words."""

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from nanolab.core.checks import InputError, check_file

__all__ = ["explained", "read_yaml"]


class _Loader(yaml.SafeLoader):
    """The safe loader, but for a key given twice: the first value would be dropped without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for index, key in enumerate(keys) if key in keys[:index]]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str, what: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; `what` the file is called in errors.

    Raises
    ------
    InputError
        If there is no such file, it is not valid YAML, a key is given twice, or it holds no mapping.
    """
    path = check_file(path, what)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe loader, see above
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a {what} is a mapping of keys to values, got {type(content).__name__}")
    return content


def explained(error: ValidationError, model: type[BaseModel]) -> str:
    """Say for people what is wrong: one line for each wrong key, with its value and what `model` expects."""
    return "\n".join(f"  {_problem(item, model)}" for item in error.errors())


def _problem(item: Any, model: type[BaseModel]) -> str:
    key, expected = ".".join(map(str, item["loc"])), _expected(item, model)
    return f"{key}: {expected}, got {_short(item['input'])}" if key else expected  # without one: about several together


def _expected(item: Any, model: type[BaseModel]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        return message
    near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(model), n=1)
    return "unknown key" + (f" (did you mean {near[0]}?)" if near else "")


def _known_keys(model: type[BaseModel]) -> list[str]:
    """All keys of all parts of a model, to suggest one for a misspelt key."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for part in parts for key in part.get("properties", {})})


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
