"""Pages on the keys of recipes, trainings and sweeps, written from the pydantic models and their docstrings."""

import inspect
import math
import re
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nanolab.core.schema import field_descriptions
from nanolab.synthesis.draws import Constant

UNITS = {
    "nm": "nm",
    "nm2": "nm²",
    "nm3": "nm⁻³",
    "px": "px",
    "deg": "°",
    "kv": "kV",
    "v": "V",
    "mrad": "mrad",
    "s": "s",
    "um": "µm⁻¹",
    "um2": "µm⁻²",
    "mb": "MB",
}
SIMPLE = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "anything"}
KIND_KEYS = ("kind", "template")


def key_page(title: str, lead: str, model: type[BaseModel], prefix: str) -> str:
    """Return a page in MyST Markdown: a section for each part of a model, a row for each of its keys."""
    sections = [_section(part, prefix, first=part is model) for part in parts(model)]
    return "\n\n".join([f"# {title}", lead, *sections]) + "\n"


def parts(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return the model and all models within it, each once: first what it holds itself, then what these hold."""
    found = [model]
    for part in found:  # grows meanwhile
        for field in part.model_fields.values():
            found += [one for one in dict.fromkeys(_models(field.annotation)) if one not in found]
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _section(model: type[BaseModel], prefix: str, *, first: bool) -> str:
    rows = [
        f"| `{key}` | {', '.join(filter(None, [*values(field, prefix), unit(key)]))}; {default(field)} | "
        f"{meaning(model, key)} |"
        for key, field in model.model_fields.items()
    ]
    header = ["| key | value | meaning |", "|---|---|---|"]
    title, summary = heading(model), "" if first else _escaped(_paragraphs(model)[0])
    return "\n".join([f"({anchor(model, prefix)})=", f"## {title}", "", summary, "", *header, *rows])


def anchor(model: type[BaseModel], prefix: str) -> str:
    """Return the name of the section of a part."""
    return f"{prefix}-{model.__name__.lower()}"


def heading(model: type[BaseModel]) -> str:
    """Return how a part is chosen in YAML, such as `template: cube`, or else its name in words."""
    for key in KIND_KEYS:
        if key in model.model_fields and get_origin(model.model_fields[key].annotation) is Literal:
            return f"`{key}: {get_args(model.model_fields[key].annotation)[0]}`"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).capitalize()


def unit(key: str) -> str:
    """Return the unit that a key's name ends with, such as `in nm`; a share or a factor has none."""
    word = UNITS.get(key.rsplit("_", 1)[-1], "") if "_" in key else ""
    return f"in {word}" if word else ""


def default(field: FieldInfo) -> str:
    """Return the default as it would be written in YAML, or that there is none."""
    if field.is_required():
        return "**must be given**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "default: all of its own"
    words = {None: "none", True: "true", False: "false", "": "empty"}
    if isinstance(value, (str, bool, types.NoneType)):
        return f"default {words.get(value, f'`{value}`')}"
    text = str(list(value) if isinstance(value, tuple) else value).replace("'", "")
    return f"default `{text}`"


def values(field: FieldInfo, prefix: str) -> Iterator[str]:
    """Give what a key may hold: its kind, then its range."""
    kind, limits = _kind(field.annotation, prefix)
    yield kind
    if text := _range([*limits, *field.metadata]):
        yield text


def _kind(annotation: Any, prefix: str) -> tuple[str, list[Any]]:
    """Return what kind of value an annotation means, in words, and the limits that stand within it."""
    if get_origin(annotation) is Annotated:
        inner, *limits = get_args(annotation)
        kind, more = _kind(inner, prefix)
        return kind, [*more, *(limit for one in limits for limit in getattr(one, "metadata", [one]))]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation)), []
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return _union([one for one in get_args(annotation) if one is not types.NoneType], prefix)
    if get_origin(annotation) in (list, tuple, dict):
        return _container(get_origin(annotation), get_args(annotation), prefix), []
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{heading(annotation).split(': ')[-1].strip('`').lower()}](#{anchor(annotation, prefix)})", []
    return SIMPLE.get(annotation, str(getattr(annotation, "__name__", annotation))), []


def _union(members: list[Any], prefix: str) -> tuple[str, list[Any]]:
    if Constant in members:
        return "number or distribution", []
    described = [_kind(member, prefix) for member in members]
    return ", ".join(kind for kind, _ in described), [limit for _, limits in described for limit in limits]


def _container(kind: Any, inner: tuple[Any, ...], prefix: str) -> str:
    if kind is dict:
        return f"mapping of names to {_kind(inner[1], prefix)[0]}"
    if kind is tuple:
        what, limits = _kind(inner[0], prefix)
        return f"[{what}, {what}] {_range(limits)}".strip()
    what, limits = _kind(inner[0], prefix)
    return f"list of {what} {_range(limits)}".strip()


def _range(limits: list[Any]) -> str:
    """Return limits as text, such as `0 to 1` or `above 0`."""
    low, high = "", ""
    for limit in limits:
        function = getattr(limit, "func", None)
        bounds = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
        if "low" in bounds:  # what `draws.between` returns
            low, high = f"{bounds['low']:g}", "" if math.isinf(bounds["high"]) else f"{bounds['high']:g}"
        elif getattr(function, "__name__", "") == "_positive":
            low = "above 0"
        low = f"{limit.ge:g}" if isinstance(limit, Ge) else f"above {limit.gt:g}" if isinstance(limit, Gt) else low
        high = f"{limit.le:g}" if isinstance(limit, Le) else f"below {limit.lt:g}" if isinstance(limit, Lt) else high
        if isinstance(limit, MinLen) and limit.min_length == 1:
            return "at least one"
    if low and high:
        return f"{low} {'and ' if high.startswith('below') else 'to '}{high}"
    if low:
        return low if low.startswith("above") else f"at least {low}"
    return high if high.startswith("below") or not high else f"at most {high}"


def meaning(model: type[BaseModel], key: str) -> str:
    """Return what a key means, or nothing."""
    return "Chooses this part." if key in KIND_KEYS else _escaped(field_descriptions(model).get(key, ""))


def _paragraphs(model: type[BaseModel]) -> list[str]:
    """Return the docstring's text before its sections, each paragraph on one line."""
    text = inspect.cleandoc(model.__dict__.get("__doc__") or "") if model.__doc__ else ""
    text = re.split(r"\n\n\w+\n---+\n", text)[0]
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
