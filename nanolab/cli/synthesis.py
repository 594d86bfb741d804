"""Making annotated micrographs, and judging them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from nanolab.cli.app import PixelSizeNm, Workers, app, failing
from nanolab.core.checks import InputError, check_choice
from nanolab.core.words import count_words

if TYPE_CHECKING:
    from nanolab.datasets.dataset import Dataset

__all__ = ["cutpaste", "realism", "render"]


@app.command()
def render(
    recipe: Annotated[str, typer.Argument(help="A recipe's file, or the name of a shipped one.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Images in the data set when it is done.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
    workers: Workers = None,
    device: Annotated[str, typer.Option(help="auto: a GPU where Blender finds one; cpu: never.")] = "auto",
    passes: Annotated[
        Path | None, typer.Option(help="Folder to keep what Blender computes in, and to take it from if it is there.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers render: tcp://HOST:8786.")
    ] = None,
) -> None:
    """Render annotated micrographs of a recipe.

    With --passes, another detector or substrate for the same scenes needs no Blender: change the recipe, and give
    another --output.
    """
    from nanolab.core.dask import scheduler_executor
    from nanolab.synthesis.generate import render
    from nanolab.synthesis.rendering.client import Device, RenderError

    check_choice(device, "--device", get_args(Device))
    chosen = cast(Device, device)
    if workers is not None and scheduler is not None:
        raise InputError("--workers is for this machine, --scheduler for others; give one of them")
    with failing(RenderError), scheduler_executor(scheduler) as executor:
        dataset = render(
            recipe,
            output,
            count,
            seed=seed,
            workers=workers,
            device=chosen,
            passes=passes,
            executor=executor,
        )
    typer.echo(_made(dataset))


def _made(dataset: "Dataset") -> str:
    from nanolab.synthesis.dataset_folder import placed_particles

    placed, requested = placed_particles(dataset)
    images = count_words(len(dataset), "image")
    return f"{dataset.folder}: {images}; {placed} of {count_words(requested, 'particle')} asked for found a place"


@app.command()
def cutpaste(
    image: Annotated[list[Path], typer.Option(help="An annotated micrograph; repeat for more.")],
    mask: Annotated[list[Path], typer.Option(help="Its annotation, in the same order.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Images in the data set when it is done.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    particles: Annotated[int | None, typer.Option(min=1, max=20_000, help="Particles to paste into an image.")] = None,
    size: Annotated[int | None, typer.Option(min=16, max=16_384, help="Side of an image in px.")] = None,
    preset: Annotated[str, typer.Option(help="default, realistic, or utile2023: the paper's tool.")] = "default",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
    workers: Workers = None,
    pixel_size_nm: PixelSizeNm = None,
) -> None:
    """Cut the particles out of annotated micrographs and paste them into new ones."""
    from nanolab.datasets.annotated import read_annotated
    from nanolab.synthesis.cutpaste.generate import cut_and_paste
    from nanolab.synthesis.cutpaste.settings import PRESETS, CutPasteSettings

    if len(image) != len(mask):
        raise InputError(f"--image and --mask must be given equally often, got {len(image)} and {len(mask)}")
    check_choice(preset, "--preset", PRESETS)
    given = {key: value for key, value in (("particles", particles), ("size_px", size)) if value is not None}
    settings = CutPasteSettings.model_validate(PRESETS[preset].model_dump() | given)
    pairs = [read_annotated(*pair, pixel_size_nm=pixel_size_nm) for pair in zip(image, mask, strict=True)]
    dataset = cut_and_paste(pairs, output, count, settings, seed=seed, workers=workers)
    typer.echo(_made(dataset))


@app.command()
def realism(
    real: Annotated[str, typer.Option(metavar="DIR", help="Data set, folder of images, or name of a public set.")],
    synthetic: Annotated[str, typer.Option(metavar="DIR", help="The same, to be judged.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the report.")],
    real_labels: Annotated[Path | None, typer.Option(help="Label maps of a folder of images.")] = None,
    synthetic_labels: Annotated[Path | None, typer.Option(help="The same.")] = None,
    preset: Annotated[str, typer.Option(help="default, or mill2021: the paper's procedure, with VGG16.")] = "default",
    weights: Annotated[Path | None, typer.Option(help="File of VGG16's weights; the torch cache if not given.")] = None,
    max_patches: Annotated[
        int | None, typer.Option(min=1, help="Patches of each set, at most; what the preset says if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides which patches are drawn.")] = 0,
) -> None:
    """Say how far synthetic micrographs are from real ones, and by what: a page of figures, and the numbers."""
    from nanolab.datasets.opening import open_images
    from nanolab.reports.realism import realism_report, summary

    sets = open_images(real, labels=real_labels), open_images(synthetic, labels=synthetic_labels)
    results = realism_report(
        *sets,
        output,
        preset=preset,
        seed=seed,
        max_patches=max_patches,
        weights=weights,
        sources={"real": real, "synthetic": synthetic},
    )
    typer.echo("\n".join([*summary(results), f"{output}: realism.pdf, realism.png, results.json, patches.csv"]))
