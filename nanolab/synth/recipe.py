"""Recipes: what a sample and its micrograph look like, in nm, with ranges. Read from YAML and validated."""

import difflib
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from nanolab.checks import InputError, check_file
from nanolab.synth.arrangement import Arrangement
from nanolab.synth.detector import Detector
from nanolab.synth.draws import Model
from nanolab.synth.particles import ParticleKind
from nanolab.synth.substrate import SubstrateLayer

__all__ = ["ImageFormat", "Recipe", "dump_recipe", "load_recipe", "parse_recipe", "shipped_recipes"]


class ImageFormat(Model):
    """Size of the images and of their pixels."""

    width_px: Annotated[int, Field(ge=16, le=16384)]
    height_px: Annotated[int, Field(ge=16, le=16384)]
    pixel_size_nm: Annotated[float, Field(gt=0, le=1e5)]


class Recipe(Model):
    """Everything that makes a set of synthetic micrographs, but for the seed and the count."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    description: str = ""
    image: ImageFormat
    particles: Annotated[list[ParticleKind], Field(min_length=1)]
    arrangement: Arrangement
    substrate: list[SubstrateLayer] = []
    detector: Detector
    appearances_per_scene: Annotated[int, Field(ge=1)] = 1
    occlusion_distance_nm: Annotated[float, Field(gt=0)]
    occlusion_samples: Annotated[int, Field(ge=1, le=1024)] = 2


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with nanolab, by name."""
    package = Path(__file__).parents[1]
    folders = (package / "_recipes", package.parent / "data" / "recipes")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def load_recipe(recipe: str | Path) -> Recipe:
    """Read a recipe from a YAML file, or a shipped one by its name.

    Raises
    ------
    InputError
        If it does not exist or is not valid; the message names every wrong key, its value and what was expected.
    """
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        path = shipped[str(recipe)]
    elif Path(recipe).suffix in (".yaml", ".yml"):
        path = check_file(recipe, "recipe")
    else:
        raise InputError(f"recipe {recipe!s}: must be a .yaml file or one of {', '.join(shipped)}")
    return parse_recipe(path.read_text(encoding="utf-8"), str(path))


def parse_recipe(text: str, where: str) -> Recipe:
    """Validate a recipe given as YAML text; `where` names it in errors."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{where}: a recipe is a mapping of keys to values, got {type(content).__name__}")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{where}: not a valid recipe\n" + "\n".join(_lines(error))) from error


def dump_recipe(recipe: Recipe) -> str:
    """Return the recipe as YAML text with all defaults resolved; `parse_recipe` gives the same recipe back."""
    return str(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))


def _lines(error: ValidationError) -> list[str]:
    return [
        f"  {'.'.join(map(str, item['loc'])) or '(top)'}: {_expected(item)}, got {_short(item['input'])}"
        for item in error.errors()
    ]


def _expected(item: Any) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        return message
    near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(), n=1)
    return "unknown key" + (f" (did you mean {near[0]}?)" if near else "")


def _known_keys() -> list[str]:
    """All keys of all parts of a recipe, to suggest one for a misspelt key."""
    schema = Recipe.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for part in parts for key in part.get("properties", {})})


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
