"""Training networks and segmenting with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanolab.cli.app import (
    FindScaleBar,
    PixelSizeNm,
    Recursive,
    Scales,
    Settings,
    app,
    pairs,
    report_errors,
    say_unused,
    typed_scales,
)
from nanolab.core.checks import InputError, check_file
from nanolab.core.words import count_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["segment", "train"]


@app.command()
def train(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET[:COUNT]...",
            help="Folders of data sets, or names of public ones; with a count, so many of its images at random.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the training.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="default; with --from adapt, corrections; the papers' mill2021, mill2021_real, plos2024, utilegen2023."
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="Start from a training, a checkpoint's file, or from what ships: shipped."
        ),
    ] = None,
    settings: Settings = [],  # noqa: B006  # typer copies it
    share: Annotated[
        list[float], typer.Option(min=0, help="How often each data set is shown, relative to the others; one for each.")
    ] = [],  # noqa: B006
    validate: Annotated[Path | None, typer.Option(help="A micrograph to watch the training on.")] = None,
    validate_mask: Annotated[Path | None, typer.Option(help="Its annotation; the best epoch is then selected.")] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Train once for each image, without it and validated on the next.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in the folder.")] = False,
) -> None:
    """Train a network; one checkpoint for each epoch.

    On several GPUs: torchrun --nproc-per-node 2 -m nanolab train ...
    """
    from nanolab.core.validation import parse_yaml
    from nanolab.datasets.annotated import read_annotated
    from nanolab.datasets.opening import open_images
    from nanolab.training.keep import Keep
    from nanolab.training.presets import preset_settings
    from nanolab.training.sources import Source, draw_sources, split_count

    if share and len(share) != len(datasets):
        raise InputError(f"--share: give as many as there are data sets, {len(datasets)}, got {len(share)}")
    if validate_mask is not None and validate is None:
        raise InputError(f"--validate-mask: {validate_mask} is the annotation of what --validate names; give both")
    changes = {key: parse_yaml(text, key) for key, text in pairs(settings).items()}
    if start_from is not None:
        from nanolab.models.checkpoint import network_settings

        changes = {**network_settings(start_from), "start_from": start_from, **changes}
    chosen = preset_settings(preset or ("default" if start_from is None else "adapt"), changes)
    parts = [split_count(text) for text in datasets]
    shares: list[float] | list[None] = share or [None] * len(parts)
    if leave_one_out and (len(parts) > 1 or validate is not None):
        raise InputError("--leave-one-out: takes one data set, and validates on its images")
    sets = [Source(open_images(where), count, each, where) for (where, count), each in zip(parts, shares, strict=True)]
    watched = None if validate is None else read_annotated(validate, validate_mask)

    from nanolab.training.leave_one_out import leave_one_out as train_each  # after the checks: PyTorch takes its time
    from nanolab.training.leave_one_out import select_best
    from nanolab.training.loop import train as run_training

    if leave_one_out:
        runs = train_each(draw_sources(sets, chosen.seed)[0], output, chosen, resume=resume)
        typer.echo(f"{output}: {count_words(len(runs), 'training')}, one without each image")
        return
    run = run_training(sets, output, chosen, validation=watched, resume=resume)
    if watched is not None and watched.labels is not None:
        select_best(run, Keep.parse(chosen.keep).by or "dice", watched.name)
    typer.echo(f"{output}: {count_words(len(run.epochs), 'epoch')}, epoch {run.selected_epoch} selected")


@app.command()
def segment(
    images: Annotated[list[Path], typer.Argument(help="Micrographs, folders of them, or patterns.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the label maps and particles.csv.")],
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of a training, or the file of one epoch; the network that ships if not given."),
    ] = None,
    epoch: Annotated[
        int | None, typer.Option(min=1, help="Epoch of the training; the selected one if not given.")
    ] = None,
    recursive: Recursive = False,
    pixel_size_nm: PixelSizeNm = None,
    scales: Scales = None,
    find_scale_bar: FindScaleBar = False,
    flips: Annotated[
        bool, typer.Option("--flips", help="Average over mirrored and turned views; takes eight times as long.")
    ] = False,
    magnification: Annotated[
        str | None,
        typer.Option(
            metavar="FACTOR",
            help="By how much to enlarge images first, for particles far from the size trained on; auto: those that "
            "suit each image, which takes two to eight times as long. auto for the network that ships, 1 for others.",
        ),
    ] = None,
    postprocessing: Annotated[
        str | None,
        typer.Option(
            help="mill2021_sio2 or mill2021_tio2: the paper's way to separate particles, its areas and distances as "
            "large in nm; with _px after it as large in px. The network's own if not given."
        ),
    ] = None,
    dynamic: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How readily particles are cut apart, 0 to 1: higher where they come in pieces, lower where "
            "neighbours stay together; the network's own value if not given.",
        ),
    ] = None,
    min_diameter: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Drop particles of a smaller equivalent diameter, in nm where the pixel size is known and in px "
            "elsewhere; those below 30 px of area if not given.",
        ),
    ] = None,
    keep_unlikely: Annotated[
        bool,
        typer.Option(
            "--keep-unlikely",
            help="With magnification auto, keep what is hardly a particle too.",
        ),
    ] = False,
    outlines: Annotated[
        bool, typer.Option("--outlines", help="Also write whole, overlapping outlines (networks with stardist only).")
    ] = False,
    overlays: Annotated[bool, typer.Option(help="Write each image with its particles outlined, as PNG.")] = True,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="Of files with several images (stacks, movies, EMD): all, a number counted from 0, a range such as "
            "0:100:10, or a name. `nanolab data frames FILE` lists them.",
        ),
    ] = None,
    panels: Annotated[
        bool,
        typer.Option("--panels", help="Take each panel of a figure, such as a paper's, as an image with its own bar."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what an earlier run has done in the same way; after a stop.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Also write particles.parquet, for very many.")] = False,
    workers: Annotated[
        int, typer.Option(help="Processes that work side by side here; faster for many small images.")
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers do it: tcp://HOST:8786.")
    ] = None,
) -> None:
    """Find the particles in micrographs and measure them."""
    from nanolab.core.dask import scheduler_executor
    from nanolab.core.processes import worker_count
    from nanolab.images.folders import image_files
    from nanolab.images.formats.frames import split_frame
    from nanolab.models.epochs import checkpoint_of
    from nanolab.models.readouts.base import MIN_AREA_PX
    from nanolab.segmentation.magnification import parse_magnification
    from nanolab.segmentation.postprocessing import make_postprocessing

    files, typed = image_files(*images, recursive=recursive), typed_scales(pixel_size_nm, scales)
    if magnification is not None:
        parse_magnification(magnification)
    if postprocessing is not None:
        make_postprocessing(postprocessing)
    if model is None:
        if epoch is not None:
            raise InputError(
                f"epoch: the network that ships has no epochs, got {epoch}; name a training, or leave it out"
            )
        model = Path("shipped")
        magnification = magnification or "auto"

    if workers != 1 and scheduler is not None:
        raise InputError("--workers is for this machine, --scheduler for others; give one of them")
    worker_count(workers, "--workers")
    checkpoint_of(model, epoch)
    if not any(split_frame(each)[0].exists() for each in files):
        check_file(split_frame(files[0])[0], "image")

    from nanolab.segmentation.files import segment_files  # after the checks: PyTorch takes its time
    from nanolab.segmentation.segmenter import Segmenter

    with scheduler_executor(scheduler) as executor:
        done = segment_files(
            files,
            Segmenter(
                model,
                epoch,
                flips=flips,
                magnification=parse_magnification(magnification or "1"),
                postprocessing=postprocessing,
                dynamic=dynamic,
                keep_unlikely=keep_unlikely,
                min_area_px=MIN_AREA_PX if min_diameter is None else 1,
                min_diameter_nm=min_diameter,
                min_diameter_px=min_diameter,
            ),
            output,
            pixel_size_nm=typed,
            find_scale_bar=find_scale_bar,
            outlines=outlines,
            overlays=overlays,
            frames=frames,
            panels=panels,
            keep=resume,
            parquet=parquet,
            workers=workers,
            executor=executor,
        )
    say_unused(typed)
    if len(done.table):
        typer.echo(done.table.drop(columns="notes").fillna("").to_string(index=False))
        for row in done.table[done.table["notes"] != ""].itertuples():
            typer.echo(f"{row.image}: {row.notes}")
        typer.echo(f"{output}: {count_words(len(done.table), 'label map')}, images.csv and particles.csv")
        _draw_movies(done.table, output)
        if dropped := done.table["too_small"].sum():
            typer.echo(f"too small and left out: {count_words(dropped, 'particle')}; see --min-diameter")
        if unlikely := done.table["unlikely"].sum():
            typer.echo(f"hardly particles and left out: {unlikely}; see --keep-unlikely")
        if letters := done.table["lettering"].sum():
            typer.echo(f"{letters} left out: lettering")
    report_errors(done.failures, count_words(max(len(files), len(done.table) + len(done.failures)), "image"))


def _draw_movies(images: "pd.DataFrame", output: Path) -> None:
    """Draw sizes over time where a file has given several images."""
    if "frame" not in images or images["frame"].nunique() < 2:
        return
    from nanolab.core.results import save_figure
    from nanolab.figures.movies import plot_sizes_over_time

    typer.echo(save_figure(output, "sizes_over_time", plot_sizes_over_time(images)))
