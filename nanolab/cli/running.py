"""Notebooks without a browser."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.cli.frame import Parameters, WithPairs, app, failing, pairs

__all__ = ["run"]


@app.command(cls=WithPairs)
def run(
    notebook: Annotated[Path, typer.Argument(help="The notebook; it stays as it is.")],
    parameters: Parameters = [],  # noqa: B006  # typer copies it
    name: Annotated[
        str | None, typer.Option(help="Folder in papermill_runs; the notebook's name if not given.")
    ] = None,
    run_name: Annotated[str | None, typer.Option(help="Folder in that; the time if not given.")] = None,
    timeout: Annotated[float | None, typer.Option(min=1, help="Longest time in seconds for one cell.")] = None,
) -> None:
    """Execute a notebook and keep its results in papermill_runs."""
    from nanolab.notebooks import NotebookError, run_notebook
    from nanolab.parameters import parse_parameters

    values = parse_parameters(notebook, pairs(parameters))
    with failing(NotebookError):
        typer.echo(run_notebook(notebook, values, name=name, run=run_name, timeout=timeout))
