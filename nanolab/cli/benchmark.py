"""The open benchmark."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.cli.app import app, failing

__all__ = ["benchmark"]


@app.command()
def benchmark(
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            help="nanolab, otsu, adaptive, stardist, cellpose, micro-sam, or NAME=FOLDER for a folder of label maps; "
            "the first three if not given."
        ),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of label maps, tables and figure.")],
    images: Annotated[
        list[str], typer.Option(help="bam-tio2, emps, catalysts, or a folder of annotated images; repeat.")
    ] = [],  # noqa: B006  # typer copies it
    most: Annotated[int, typer.Option(min=0, help="Images of each set, spread evenly over it; 0 for all.")] = 0,
    twins: Annotated[int, typer.Option(min=0, help="Renders that correct the sizes of bam-tio2; 0 for none.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap over images.")] = 0,
) -> None:
    """Score methods, or anybody's label maps, on public micrographs: particles, sizes, counts, with intervals."""
    from nanolab.core.results import save_figure
    from nanolab.experiments.benchmark import run_benchmark
    from nanolab.figures.benchmark import plot_benchmark
    from nanolab.synthesis.rendering.client import RenderError

    with failing(RenderError):
        chosen = methods or ["nanolab", "otsu", "adaptive"]
        result = run_benchmark(chosen, output, sets=images, most=most, twins=twins, seed=seed)
    save_figure(output, "errors", plot_benchmark(result.images))
    for name in result.summary["set"].unique():
        typer.echo(f"{name}\n{result.table(name).to_string(index=False)}")
    typer.echo(f"{output}: {len(result.images)} rows of images")
