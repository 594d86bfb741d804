"""Notebooks without a browser."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.cli.app import Parameters, Workers, app, ended, failing, pairs
from nanolab.core.checks import InputError
from nanolab.core.words import count_words

__all__ = ["run", "sweep", "sweep_report"]


@app.command()
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
    from nanolab.runs import notebook as runs
    from nanolab.runs.parameters import parse_parameters

    values = parse_parameters(notebook, pairs(parameters))
    with failing(runs.NotebookError):
        typer.echo(runs.run(notebook, values, name=name, run=run_name, timeout=timeout))


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="The sweep's YAML file.")],
    size: Annotated[str | None, typer.Option(help="One of the sizes in the file, such as smoke.")] = None,
    workers: Workers = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers do the runs: tcp://HOST:8786.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Do the complete runs again, too.")] = False,
) -> None:
    """Execute a notebook with many sets of parameters; runs that are complete and unchanged are kept."""
    from nanolab.runs.sweeps import engine

    if workers is not None and scheduler is not None:
        raise InputError("--workers is for this machine, --scheduler for others; give one of them")
    done = engine.sweep(file, size=size, workers=workers, scheduler=scheduler, again=again)
    failed = done.of("failed")
    runs, kept, complete = count_words(len(done.outcomes), "run"), len(done.of("kept")), len(done.of("complete"))
    typer.echo(f"{done.folder}: {runs}: {kept} kept, {complete} done, {len(failed)} failed")
    if failed:
        raise ended("\n".join(f"failed: {outcome.run}\n  {outcome.error}" for outcome in failed), 1)


@app.command("report", hidden=True)  # as it was called once
@app.command("sweep-report")
def sweep_report(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep that was started, or its folder.")],
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder that gets copies of tables and figure.")
    ] = None,
) -> None:
    """Write a page with the tables and figures of a sweep, as HTML and as a notebook."""
    from nanolab.runs import notebook as runs
    from nanolab.runs.sweeps.report import report_sweep

    with failing(runs.NotebookError):
        typer.echo(report_sweep(sweep, to=to))
