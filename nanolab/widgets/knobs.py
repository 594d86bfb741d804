"""The numbers of a recipe that can be turned, each with its place, its value and how far it goes."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from nanolab.synthesis.recipe import Recipe

__all__ = ["Knob", "changed", "knobs"]

Path = tuple[str | int, ...]

# Which of a distribution's own keys are knobs. Of a uniform one the two ends are one knob.
_PARAMETERS = {
    "constant": (("value",),),
    "uniform": (("min", "max"),),
    "normal": (("mean",), ("sd",)),
    "lognormal": (("median",), ("gsd",)),
}
# A knob goes so far beyond its value, if the recipe allows it.
_FARTHEST = (3.0, 2.0, 1.5, 1.25)
# No one turns these while looking at an image: they change how many images there are, or how long they take.
_NO_KNOBS = {"appearances_per_scene", "occlusion_samples", "width_px", "height_px"}


# In this order one thinks of a sample: how large a field, what lies in it and how, on what, seen by what.
_ORDER = (
    "image",
    "particles",
    "arrangement",
    "others",
    "substrate",
    "detector",
    "degradation",
    "data_bar",
    "lettering",
)


def _place_of(key: str) -> int:
    return _ORDER.index(key) if key in _ORDER else len(_ORDER)


@dataclass(frozen=True)
class Knob:
    """One number (`keys` has one name) or the two ends of a range (two names) at a place in a recipe's content.

    `section` and `name` say for people where that is; `low` and `high` are how far it can be turned.
    """

    section: str
    name: str
    place: Path
    keys: tuple[str, ...]
    value: tuple[float, ...]
    low: float
    high: float


def knobs(recipe: Recipe) -> list[Knob]:
    """Return all numbers of a recipe that can be turned, from how much is seen to how it is recorded."""
    content = recipe.model_dump(mode="json")
    content = {key: content[key] for key in sorted(content, key=_place_of)}
    return [
        Knob(_section(content, place), _name(place, keys), place, keys, value, *_limits(content, place, keys, value))
        for place, keys, value in _numbers(content, ())
    ]


def changed(content: Mapping[str, Any], place: Path, keys: tuple[str, ...], value: tuple[float, ...]) -> dict[str, Any]:
    """Return a copy of a recipe's content with other numbers at a place."""
    copy = deepcopy(dict(content))
    there: Any = copy
    for step in place:
        there = there[step]
    there.update(zip(keys, value, strict=True))
    return copy


def _numbers(content: Any, place: Path) -> Iterator[tuple[Path, tuple[str, ...], tuple[float, ...]]]:
    """Walk through a recipe's content and give each knob's place, keys and value."""
    if isinstance(content, list):
        for number, item in enumerate(content):
            yield from _numbers(item, (*place, number))
    if not isinstance(content, dict):
        return
    for keys in _PARAMETERS.get(str(content.get("kind")), ()):
        yield place, keys, tuple(float(content[key]) for key in keys)
    if content.get("kind") in _PARAMETERS:
        return
    for key, item in content.items():
        if isinstance(item, float | int) and not isinstance(item, bool) and key not in _NO_KNOBS:
            yield place, (key,), (float(item),)
        else:
            yield from _numbers(item, (*place, key))


def _limits(
    content: Mapping[str, Any], place: Path, keys: tuple[str, ...], value: tuple[float, ...]
) -> tuple[float, float]:
    """Return how far a knob goes: up to three times its largest value, as far as the recipe stays a valid one."""
    low, high = min(value), max(value)
    size = max(abs(low), abs(high)) or 1.0
    top = _first_valid(content, place, keys, high, [factor * size for factor in _FARTHEST] + [1.0])
    downwards = [-size] * (low < 0) + [0.0, 0.2 * low, 1.01, 0.5 * low]
    bottom = _first_valid(content, place, keys, low, [end for end in downwards if end <= low])
    return min(bottom, low), max(top, high)


def _first_valid(
    content: Mapping[str, Any], place: Path, keys: tuple[str, ...], end: float, candidates: list[float]
) -> float:
    for candidate in candidates:
        low, high = min(candidate, end), max(candidate, end)
        if len(keys) > 1 and low == high:
            continue
        tried = (low, high) if len(keys) > 1 else (candidate,)
        try:
            Recipe.model_validate(changed(content, place, keys, tried))
        except ValidationError:
            continue
        return candidate
    return end


def _section(content: Mapping[str, Any], place: Path) -> str:
    """Name the part of the recipe: "substrate 2: outlines"."""
    if not place:
        return "renderer"
    if len(place) == 1 or not isinstance(place[1], int):
        return str(place[0])
    item = content[str(place[0])][place[1]]
    kind = item.get("template") or item.get("kind") or item.get("role") or ""
    return f"{place[0]} {place[1] + 1}" + (f": {kind}" if kind else "")


def _name(place: Path, keys: tuple[str, ...]) -> str:
    """Name the number within its section: "diameter_nm median"."""
    inner = [str(step) for step in place[1:] if not isinstance(step, int)]
    own = [] if keys in (("value",), ("min", "max")) else list(keys)
    return " ".join([*inner, *own])
