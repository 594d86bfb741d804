"""What editors need to complete and check YAML."""

import json
from enum import StrEnum
from pkgutil import resolve_name
from typing import Annotated

import typer

from nanolab.cli.app import app

__all__ = ["schema"]


class Settings(StrEnum):
    """Files and settings that have a schema."""

    RECIPE = "recipe"
    TRAINING = "training"
    SWEEP = "sweep"


_MODELS = {
    Settings.RECIPE: "nanolab.synthesis.recipe:Recipe",
    Settings.TRAINING: "nanolab.training.settings:TrainingSettings",
    Settings.SWEEP: "nanolab.runs.sweeps.spec:Sweep",
}


@app.command()
def schema(of: Annotated[Settings, typer.Argument(help="What the YAML holds.")]) -> None:
    """Print the JSON Schema of a recipe, of training settings or of a sweep, with what each key means."""
    from nanolab.core.schema import json_schema

    typer.echo(json.dumps(json_schema(resolve_name(_MODELS[of])), indent=2, ensure_ascii=False))
