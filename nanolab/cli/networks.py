"""Training networks and segmenting with them."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.cli.frame import PixelSizeNm, Settings, WithPairs, app, pairs, report_errors

__all__ = ["segment", "train"]


@app.command(cls=WithPairs)
def train(
    datasets: Annotated[list[Path], typer.Argument(help="Folders of data sets.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the training.")],
    settings: Settings = [],  # noqa: B006  # typer copies it
    validate: Annotated[Path | None, typer.Option(help="A micrograph to watch the training on.")] = None,
    validate_mask: Annotated[Path | None, typer.Option(help="Its annotation; the best epoch is then selected.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in the folder.")] = False,
) -> None:
    """Train a network; one checkpoint an epoch."""
    from nanolab.dataset import Dataset
    from nanolab.parameters import parse_value
    from nanolab.samples import read_sample
    from nanolab.train.loop import train as run_training
    from nanolab.train.selection import best_epoch, score_epochs, select
    from nanolab.train.settings import TrainingSettings

    given = {key: parse_value(text, key) for key, text in pairs(settings).items()}
    watched = None if validate is None else read_sample(validate, validate_mask)
    sets = [Dataset(folder) for folder in datasets]
    run = run_training(sets, output, TrainingSettings(**given), validation=watched, resume=resume)
    if watched is not None and watched.labels is not None:
        scores = score_epochs(run, watched.labels)
        select(run, [best_epoch(scores)], f"highest Dice on {watched.name}", scores)
    typer.echo(f"{output}: {len(run.epochs)} epochs, epoch {run.selected_epoch} selected")


@app.command()
def segment(
    images: Annotated[list[Path], typer.Argument(help="Micrographs.")],
    model: Annotated[Path, typer.Option(help="Folder of a training, or the file of one epoch.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the label maps and particles.csv.")],
    epoch: Annotated[
        int | None, typer.Option(min=1, help="Epoch of the training; the selected one if not given.")
    ] = None,
    pixel_size_nm: PixelSizeNm = None,
    find_scale_bar: Annotated[
        bool, typer.Option("--find-scale-bar", help="Read the scale bar in the picture where a file has no pixel size.")
    ] = False,
) -> None:
    """Find the particles in micrographs and measure them."""
    from nanolab.segment import Segmenter, segment_files

    errors = segment_files(
        images, Segmenter(model, epoch), output, pixel_size_nm=pixel_size_nm, find_scale_bar=find_scale_bar
    )
    report_errors(errors, f"{len(images)} images")
    typer.echo(f"{output}: {len(images)} label maps and particles.csv")
