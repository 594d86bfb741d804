"""Recipes: what a sample and its micrograph look like, in nm, with ranges. Read from YAML and validated."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zlib import crc32

import numpy as np
import yaml
from pydantic import Field, model_validator

from nanolab.core.checks import InputError, check_file
from nanolab.core.validation import parse_mapping, validated
from nanolab.synthesis.arrangement import Arrangement, Rings, Scattered, Wires
from nanolab.synthesis.detectors.databar import DataBar
from nanolab.synthesis.detectors.degrade import Degradation
from nanolab.synthesis.detectors.detect import Detector, draw_appearance, shown_pixel_size, shown_shape
from nanolab.synthesis.detectors.marks import Lettering
from nanolab.synthesis.draws import Model, Record
from nanolab.synthesis.particles import ParticleKind, Wire
from nanolab.synthesis.substrates.substrate import SubstrateLayer

__all__ = [
    "ImageFormat",
    "OtherParticles",
    "Recipe",
    "dump_recipe",
    "load_recipe",
    "parse_recipe",
    "shipped_recipes",
]


class ImageFormat(Model):
    """Size of the images and of their pixels.

    Attributes
    ----------
    width_px, height_px
        Sides of an image.
    pixel_size_nm
        Edge of a pixel.
    """

    width_px: Annotated[int, Field(ge=16, le=16384)]
    height_px: Annotated[int, Field(ge=16, le=16384)]
    pixel_size_nm: Annotated[float, Field(ge=1e-4, le=1e5)]


class _Population(Model):
    """Kinds of particles that are arranged together.

    Attributes
    ----------
    particles
        What particles there are: their shapes and sizes.
    arrangement
        How they lie.
    """

    particles: Annotated[list[ParticleKind], Field(min_length=1)]
    arrangement: Arrangement

    @model_validator(mode="after")
    def _wires_lie_as_wires(self) -> Self:
        for kind in self.particles:
            if isinstance(kind, Wire) and not isinstance(self.arrangement, (Wires, Scattered)):
                raise ValueError(f"template wire needs the arrangement wires or scattered, got {self.arrangement.kind}")
            if isinstance(self.arrangement, Wires) and not isinstance(kind, Wire):
                raise ValueError(f"the arrangement wires needs the template wire, got {kind.template}")
        return self


class OtherParticles(_Population):
    """Particles of another sort and arrangement in the same field; `role` names them in the truth, such as `large`."""

    role: Annotated[str, Field(pattern=r"^[a-z0-9_]*$")] = ""


class Recipe(_Population):
    """Everything that makes a set of synthetic micrographs, but for the seed and the count.

    `labels` says what the label maps show: each particle, or the rings that particles form together, as in PLOS ONE
    2024, 10.1371/journal.pone.0311228; the particles' own map is then kept next to it. `data_bar` writes on the
    micrographs what instruments and authors write there, and `lettering` what a printed figure has on it, in all forms;
    `degradation` makes them as poor as published ones were made.

    Attributes
    ----------
    name
        What the recipe is called: small letters, digits and underscores.
    description
        What the sample is, for people.
    image
        Size of the images.
    others
        Particles of another sort in the same field, arranged in another way.
    background
        Matter that is no particle and has no label: a support, carriers, fibres, fragments. It is placed first; the
        particles lie on it or keep clear of it, and where the detector sees through it, it hides none of them.
    substrate
        What the particles lie on, layer by layer; each is drawn anew for every image.
    detector
        The instrument: how passes become grey values.
    appearances_per_scene
        How many images are made of one arrangement of particles, each with another substrate and detector.
    occlusion_distance_nm
        How far away other matter still darkens a point: about the diameter of the particles.
    occlusion_samples
        Rays for each pixel by which Blender computes that; more are slower and less noisy.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    description: str = ""
    image: ImageFormat
    others: list[OtherParticles] = []
    background: list[OtherParticles] | None = None
    substrate: list[SubstrateLayer] = []
    detector: Detector
    data_bar: DataBar | None = None
    lettering: Lettering | None = None
    degradation: Degradation | None = None
    labels: Literal["particles", "rings"] = "particles"
    appearances_per_scene: Annotated[int, Field(ge=1)] = 1
    occlusion_distance_nm: Annotated[float, Field(gt=0)]
    occlusion_samples: Annotated[int, Field(ge=1, le=1024)] = 2

    @model_validator(mode="after")
    def _rings_to_label(self) -> Self:
        arrangements = [self.arrangement, *(other.arrangement for other in self.others)]
        if self.labels == "rings" and not any(isinstance(one, Rings) for one in arrangements):
            raise ValueError("labels: rings needs an arrangement of kind rings")
        return self

    def within(self, side_px: int) -> Self:
        """Return the recipe for images of at most `side_px` a side, with the same pixels."""
        image = self.image
        size = {"width_px": min(image.width_px, side_px), "height_px": min(image.height_px, side_px)}
        return self.model_copy(update={"image": image.model_copy(update=size)})

    def draw_appearance(self, rng: np.random.Generator) -> Record:
        """Draw all that is random in a micrograph of a scene, for `nanolab.synthesis.detectors.detect.detect`."""
        record = draw_appearance(self.detector, self.substrate, rng)
        if self.degradation is not None:
            record["degradation"] = self.degradation.draw(rng)
        shape = shown_shape((self.image.height_px, self.image.width_px), record)
        pixel_size_nm = shown_pixel_size(self.image.pixel_size_nm, record)
        if self.data_bar is not None and (bar := self.data_bar.draw(shape, pixel_size_nm, rng)) is not None:
            record["data_bar"] = bar
        if self.lettering is not None:
            # a stream of its own, so that nothing else is drawn differently, and not the same letters in all recipes
            own = np.random.default_rng([crc32(self.name.encode()), record["seed"]])
            if (marks := self.lettering.draw(shape, pixel_size_nm, own)) is not None:
                record["lettering"] = marks
        return record


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

    Examples
    --------
    >>> recipe = load_recipe("spheres_sem")
    >>> recipe.image.pixel_size_nm
    5.0
    """
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        path = shipped[str(recipe)]
    elif Path(recipe).suffix in (".yaml", ".yml"):
        path = check_file(recipe, "recipe")
    else:
        raise InputError(f"recipe {recipe!s}: must be a .yaml file or one of {', '.join(shipped)}")
    return parse_recipe(path.read_bytes(), str(path), folder=path.parent)


def parse_recipe(text: str | bytes, where: str, *, folder: Path | None = None) -> Recipe:
    """Validate a recipe given as YAML text; `where` names it in errors, and paths in it begin at `folder`."""
    content = parse_mapping(text, where, "recipe")
    return validated(Recipe, content, f"{where}: not a valid recipe", context={"folder": folder or Path()})


def dump_recipe(recipe: Recipe, *, exclude: set[str] | None = None) -> str:
    """Return the recipe as YAML text with all defaults resolved; `parse_recipe` gives the same recipe back.

    Keys to `exclude` are left out; then it is no whole recipe any more.
    """
    content = recipe.model_dump(mode="json", exclude=exclude, exclude_none=True)
    first = [key for key in ("name", "description", "image") if key in content]
    ordered = {key: _shorthand(content[key]) for key in (*first, *content)}
    return str(yaml.safe_dump(ordered, sort_keys=False, default_flow_style=None, width=120))


def _shorthand(content: Any) -> Any:
    """Write constants as numbers, ranges as pairs, and in every mapping the kind first, as people do."""
    if isinstance(content, list):
        return [_shorthand(item) for item in content]
    if not isinstance(content, dict):
        return content
    if content.get("kind") == "constant":
        return content["value"]
    if content.get("kind") == "uniform":
        return [content["min"], content["max"]]
    first = [key for key in ("kind", "template") if key in content]
    return {key: _shorthand(content[key]) for key in (*first, *content)}
