"""What editors need to complete and check YAML."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from nanolab.cli.app import app

__all__ = ["schema"]


class Settings(StrEnum):
    """Files and settings that have a schema."""

    RECIPE = "recipe"
    TRAINING = "training"
    SWEEP = "sweep"


@app.command()
def schema(of: Annotated[Settings, typer.Argument(help="What the YAML holds.")]) -> None:
    """Print the JSON Schema of a recipe, of training settings or of a sweep, with what each key means."""
    from nanolab.core.schema import json_schema

    typer.echo(json.dumps(json_schema(_model(of)), indent=2, ensure_ascii=False))


def _model(of: Settings) -> Any:
    if of is Settings.RECIPE:
        from nanolab.synthesis.recipe import Recipe

        return Recipe
    if of is Settings.TRAINING:
        from nanolab.training.settings import TrainingSettings

        return TrainingSettings
    from nanolab.runs.sweeps.spec import Sweep

    return Sweep
