"""YAML that people write, read safely, and what is wrong in a content said in their words."""

import difflib
import re
from collections import Counter
from collections.abc import Hashable, Mapping
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nanolab.core.checks import InputError, check_file

__all__ = ["explained", "parse_mapping", "parse_yaml", "read_yaml", "validated"]

Model = TypeVar("Model", bound=BaseModel)

_MOST_BYTES = 2**19  # no recipe and no sweep is as long; PyYAML takes about eight seconds for so many
_MOST_NODES = 100_000  # values, with those that aliases repeat
_MOST_LINES = 10
_MERGE = "tag:yaml.org,2002:merge"  # of the key <<


class _Loader(yaml.SafeLoader):
    """The safe loader, strict where it is silent and plain where YAML 1.1 surprises.

    A key given twice is an error, because the first value would be dropped without a word; so are aliases that grow
    beyond reason. `1e-3` is a number, as in YAML 1.2.
    """

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _nodes(node, {}) > _MOST_NODES:
            raise yaml.constructor.ConstructorError(None, None, f"it has more than {_MOST_NODES} values", None)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
        counts = Counter(key for key in keys if isinstance(key, Hashable))
        if twice := [key for key, count in counts.items() if count > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _nodes(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node has with all its aliases written out; infinitely many if it is part of itself."""
    if id(node) not in known:
        known[id(node)] = inf
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        each = (part for child in children for part in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_nodes(part, known) for part in each)
    return known[id(node)]


def read_yaml(path: Path | str, what: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; `what` the file is called in errors.

    Raises
    ------
    InputError
        If there is no such file, it is not valid YAML (see `parse_yaml`), or it holds no mapping.
    """
    return parse_mapping(check_file(path, what).read_bytes(), str(path), what)


def parse_mapping(text: str | bytes, where: str, what: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds; see `parse_yaml`."""
    content = parse_yaml(text, where)
    if not isinstance(content, dict):
        raise InputError(f"{where}: a {what} is a mapping of keys to values, got {type(content).__name__}")
    return content


def parse_yaml(text: str | bytes, where: str) -> Any:
    """Return the value that a YAML text in UTF-8 stands for; `where` names it in errors.

    Raises
    ------
    InputError
        If it is not UTF-8 or not YAML, a key is given twice, a date or a number is none, or it is long, nested or
        repeated beyond reason.
    """
    if len(text) > _MOST_BYTES:
        raise InputError(f"{where}: must have at most {_MOST_BYTES} bytes, got {len(text)}; is it the right file?")
    try:
        return yaml.load(text if isinstance(text, str) else text.decode("utf-8-sig"), _Loader)  # noqa: S506  # safe
    except RecursionError as error:
        raise InputError(f"{where}: not valid YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError) as error:
        # PyYAML lets through what fails in making a value of a tag, such as 2024-99-99 or !!bool maybe
        raise InputError(f"{where}: not valid YAML: {error}") from error


def validated(model: type[Model], content: Any, where: str, *, context: Mapping[str, Any] | None = None) -> Model:
    """Return `content` as `model`; `where` says what it is in an error.

    Raises
    ------
    InputError
        If it does not fit; the message names every wrong key, its value and what was expected.
    """
    try:
        return model.model_validate(content, context=context)
    except ValidationError as error:
        raise InputError(f"{where}\n{explained(error, model)}") from error


def explained(error: ValidationError, model: type[BaseModel]) -> str:
    """Say for people what is wrong: one line for each wrong key, with its value and what `model` expects."""
    problems = error.errors(include_url=False)
    more = [f"  and {len(problems) - _MOST_LINES} more"] if len(problems) > _MOST_LINES else []
    return "\n".join([*(f"  {_problem(item, model)}" for item in problems[:_MOST_LINES]), *more])


def _problem(item: Any, model: type[BaseModel]) -> str:
    key, expected = ".".join(map(str, item["loc"])), _expected(item, model)
    return f"{key}: {expected}, got {_short(item['input'])}" if key else expected  # without one: about several together


def _expected(item: Any, model: type[BaseModel]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        return message
    key, known = str(item["loc"][-1]), _known_keys(model)
    if key in known:
        return "unknown key here (it belongs elsewhere)"
    near = difflib.get_close_matches(key, known, n=1)
    return "unknown key" + (f" (did you mean {near[0]}?)" if near else "")


def _known_keys(model: type[BaseModel]) -> list[str]:
    """All keys of all parts of a model, to suggest one for a misspelt key."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for part in parts for key in part.get("properties", {})})


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
