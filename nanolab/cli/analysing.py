"""The whole way in one command."""

from pathlib import Path
from typing import Annotated

import typer

from nanolab.cli.app import (
    FindScaleBar,
    PixelSizeNm,
    Recursive,
    Scales,
    Settings,
    app,
    failing,
    pairs,
    report_errors,
    say_unused,
    typed_scales,
)
from nanolab.core.checks import InputError
from nanolab.core.words import count_words

__all__ = ["analyse", "twin"]


_SCENES, _FAST_SCENES = 40, 12  # rendered in each round of a fit
_ENOUGH = 0.8  # trust in images, on average, at which nothing needs to be learned first


@app.command()
def analyse(
    images: Annotated[list[Path], typer.Argument(help="Micrographs of one sample, folders of them, or patterns.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of all results: labels, sizes, training.")],
    *,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="What the sample looks like: learn it from images rendered for yours first, and correct sizes with "
            "more of them. A shipped recipe's name, or a .yaml; the network that ships looks as it is if not given.",
        ),
    ] = None,
    fit_from: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="In place of --recipe, fit one to the micrographs, beginning with this: generic_sem, generic_tem...",
        ),
    ] = None,
    rendered: Annotated[int, typer.Option(min=4, help="With a recipe, how many images are learned from.")] = 90,
    twins: Annotated[int, typer.Option(min=4, help="With a recipe, how many images sizes are corrected with.")] = 60,
    recursive: Recursive = False,
    pixel_size_nm: PixelSizeNm = None,
    scales: Scales = None,
    find_scale_bar: FindScaleBar = False,
    settings: Settings = [],  # noqa: B006  # typer copies it
    force: Annotated[
        bool, typer.Option("--force", help="Correct also with renders that are unlike the images.")
    ] = False,
) -> None:
    """Go the whole way from micrographs to sizes; the same command again goes on after an interruption."""
    from nanolab.core.validation import parse_yaml
    from nanolab.images.folders import image_files
    from nanolab.synthesis.recipe import load_recipe
    from nanolab.training.presets import preset_settings

    if recipe and fit_from:
        raise InputError("--recipe, --fit-from: name a recipe, or one to begin a fit with; leave one of the two out")
    if settings and not (recipe or fit_from):
        raise InputError("--set: changes a training, and nothing is learned without --recipe or --fit-from")
    files, typed = image_files(*images, recursive=recursive), typed_scales(pixel_size_nm, scales)
    changes = {key: parse_yaml(text, key) for key, text in pairs(settings).items()}
    if asked := recipe or fit_from:
        load_recipe(asked)
        preset_settings("adapt", changes)
        first, minutes = ("", "ten") if recipe else (f"fit a recipe, beginning with {fit_from}, ", "twenty")
        typer.echo(
            f"{count_words(len(files), 'image')}: {first}render {rendered} of {recipe or 'it'}, learn them, find the "
            f"particles, render {twins} more to correct sizes, report. About {minutes} minutes; stop whenever you like."
        )

    from nanolab.reports.analysis import analyse as analyse_images  # after the checks: PyTorch takes its time
    from nanolab.synthesis.rendering.client import RenderError

    with failing(RenderError):
        done = analyse_images(
            files,
            output,
            recipe=recipe,
            fit_from=fit_from,
            rendered=rendered,
            twins=twins,
            settings=changes,
            pixel_size_nm=typed,
            find_scale_bar=find_scale_bar,
            force=force,
            title=output.resolve().name,
        )
    say_unused(typed)
    for note in done.report.notes:
        typer.echo(note)
    trusts = [each.image for each in done.report.trust.values()]
    if not asked and trusts and (mean := sum(trusts) / len(trusts)) < _ENOUGH:
        typer.echo(f"Trust in these images is {mean:.2f} on average; --fit-from generic_sem learns your sample first.")
    typer.echo(f"{output / 'sizes'}: report.html, report.pdf, sizes.json, sizes.xlsx, particles.csv")
    report_errors(done.failures, count_words(len(files), "image"))


@app.command()
def twin(
    images: Annotated[list[Path], typer.Argument(help="Micrographs of one sample, folders of them, or patterns.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for recipe.yaml, twin.html and twin.json.")],
    *,
    parent: Annotated[
        str,
        typer.Option(
            metavar="RECIPE",
            help="Where to begin: generic_sem, generic_him, generic_tem, generic_haadf, or a recipe of a like sample.",
        ),
    ] = "generic_sem",
    model: Annotated[
        Path | None, typer.Option(help="What finds the particles; the network that ships if not given.")
    ] = None,
    scenes: Annotated[
        int | None, typer.Option(min=8, help="Scenes rendered in each of two rounds; 40 if not given.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="With 12 scenes in a round, in a third of the time.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is random.")] = 0,
    recursive: Recursive = False,
    pixel_size_nm: PixelSizeNm = None,
    scales: Scales = None,
    find_scale_bar: FindScaleBar = False,
) -> None:
    """Fit a recipe to micrographs without annotation: renders that look like them and are found like them."""
    from nanolab.images.folders import image_files
    from nanolab.synthesis.recipe import load_recipe

    files, typed = image_files(*images, recursive=recursive), typed_scales(pixel_size_nm, scales)
    if fast and scenes is not None:
        raise InputError("--fast, --scenes: both say how many scenes are rendered; leave one of the two out")
    scenes = scenes or (_FAST_SCENES if fast else _SCENES)
    load_recipe(parent)
    typer.echo(
        f"{count_words(len(files), 'image')}: from {parent}, {2 * scenes} scenes; about {6 + scenes // 6} minutes"
    )

    from nanolab.reports.fitted import fit_twin  # after the checks: PyTorch takes its time
    from nanolab.synthesis.rendering.client import RenderError

    with failing(RenderError):
        fit = fit_twin(
            files,
            output,
            parent=parent,
            model=model,
            pixel_size_nm=typed,
            find_scale_bar=find_scale_bar,
            scenes=scenes,
            seed=seed,
        )
    say_unused(typed)
    for each in fit.failed:
        typer.echo(f"still unlike the images: {each}")
    typer.echo(f"{output}: recipe.yaml, twin.html, twin.json")
