"""What editors need to complete and check YAML."""

import json
from pkgutil import resolve_name
from typing import Annotated, Literal

import typer

from nanolab.cli.app import app

__all__ = ["schema"]


_MODELS = {
    "recipe": "nanolab.synthesis.recipe:Recipe",
    "training": "nanolab.training.settings:TrainingSettings",
    "sweep": "nanolab.runs.sweeps.spec:Sweep",
}


@app.command()
def schema(of: Annotated[Literal["recipe", "training", "sweep"], typer.Argument(help="What the YAML holds.")]) -> None:
    """Print the JSON Schema of a recipe, of training settings or of a sweep, with what each key means."""
    from nanolab.core.schema import json_schema

    typer.echo(json.dumps(json_schema(resolve_name(_MODELS[of])), indent=2, ensure_ascii=False))
