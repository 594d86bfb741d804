"""From label maps to sizes and scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nanolab.cli.app import PixelSizeNm, Recursive, Scales, app, failing, report_errors, say_unused, typed_scales
from nanolab.core.checks import InputError
from nanolab.core.words import count_words

if TYPE_CHECKING:
    from nanolab.measurement.summary import MeasuredImage
    from nanolab.synthesis.recipe import Recipe
    from nanolab.twin.report import TwinReport

__all__ = ["evaluate", "measure"]


@app.command()
def measure(
    context: typer.Context,
    *,
    labels: Annotated[list[Path] | None, typer.Argument(help="Label maps, or folders of them.")] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A folder for all results, or a CSV file for the table alone.")
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the micrographs, of the same names; if not where segment found them.")
    ] = None,
    recursive: Recursive = False,
    pixel_size_nm: PixelSizeNm = None,
    scales: Scales = None,
    pixel_size_error: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.5, help="Standard uncertainty of pixel sizes, relative; by their source if not given."
        ),
    ] = None,
    without_scale: Annotated[
        str,
        typer.Option(help="Where some images have no pixel size: refuse, leave out (these), or px (for all)."),
    ] = "refuse",
    fit: Annotated[str, typer.Option(help="auto (best by BIC), kde, normal, log-normal, weibull or mixture.")] = "auto",
    quantity: Annotated[str, typer.Option(help="What the size is: ecd, sqrt_area, feret_min, feret_max...")] = "ecd",
    border: Annotated[
        str, typer.Option(help="Particles that the border cuts: correct for them, drop or keep them.")
    ] = "correct",
    min_area_px: Annotated[int, typer.Option(min=0, help="Smaller particles are not counted.")] = 0,
    where: Annotated[
        str,
        typer.Option(metavar="CONDITION", help="Count only particles like: trust > 0.5 and ecd_nm < 100; any column."),
    ] = "",
    report: Annotated[bool, typer.Option("--report", help="Also a page: report.pdf, .html and .png.")] = False,
    rois: Annotated[bool, typer.Option("--rois", help="Also ImageJ regions and label maps.")] = False,
    compare: Annotated[
        Path | None, typer.Option(metavar="LABELS", help="Label maps of another sample to compare with.")
    ] = None,
    twin: Annotated[
        str | None,
        typer.Option(metavar="RECIPE", help="Correct sizes with images rendered from a recipe: its name or a .yaml."),
    ] = None,
    truth: Annotated[str, typer.Option(help="With --twin, the corrected size: visible, whole or volume.")] = "visible",
    twin_images: Annotated[int, typer.Option(min=4, help="How many images are rendered.")] = 60,
    model: Annotated[
        Path | None, typer.Option(help="With --twin, the network that found the particles; by default what ships.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Correct also with twins that are unlike the images.")] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    repeat: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Do again what made this sizes.json, with the same options.")
    ] = None,
) -> None:
    """Measure the particles of label maps: table, statistics with intervals, fit."""
    if repeat is not None:
        _again(context, repeat)
        return
    if not labels:
        raise InputError("LABELS: needs label maps or folders of them, got none; or --repeat a sizes.json")
    if output.suffix.lower() in (".xlsx", ".json", ".pdf"):
        raise InputError(f"{output}: must be a folder or a CSV file; a folder gets tables in all formats")
    if where and twin is not None:
        raise InputError("where: sizes are corrected from all particles found; leave out --where or --twin")
    if output.suffix.lower() == ".csv" and (report or rois or compare is not None or twin is not None):
        raise InputError(f"{output}: must be a folder for --report, --rois, --compare or --twin, got a CSV file")
    from nanolab.measurement.summary import check_choices

    check_choices(quantity, border, fit, without_scale)
    recipe = None
    if twin is not None:
        from nanolab.synthesis.recipe import load_recipe

        recipe = load_recipe(twin)

    from nanolab.cli.requests import request_of  # after the checks: each of these takes its time
    from nanolab.images.folders import label_files
    from nanolab.measurement.label_files import measure_files

    files, typed = label_files(*labels, recursive=recursive), typed_scales(pixel_size_nm, scales)
    images_measured, errors = measure_files(files, images=images, pixel_size_nm=typed)
    others, wrong = measure_files([] if compare is None else [compare], pixel_size_nm=typed)
    say_unused(typed)
    if images_measured and output.suffix.lower() == ".csv":
        _write_table(images_measured, output, where)
    elif images_measured:
        choices = {"quantity": quantity, "border": border, "min_area_px": min_area_px, "where": where, "seed": seed}
        wanted = {"fit_name": fit, "page": report, "rois": rois, "label_maps": rois, "without_scale": without_scale}
        wanted["pixel_size_error"] = pixel_size_error
        wanted["request"] = request_of(context, output, files, without=("output", "repeat"))
        if recipe is not None:
            wanted["twin"] = _corrected(
                images_measured,
                recipe,
                model,
                twin_images,
                truth,
                choices,
                force=force,
                pixel_size_error=pixel_size_error,
            )
        _report(images_measured, output, _title(labels[0]), choices | wanted)
        if compare is not None:
            report_errors(wrong, f"{count_words(len(others) + len(wrong), 'label map')} of {compare}")
            _compare(images_measured, others, output, choices, (_title(labels[0]), _title(compare)))
    report_errors(errors, count_words(len(files), "label map"))


def _again(context: typer.Context, sizes: Path) -> None:
    from nanolab.cli.requests import changed, read_request

    asked = read_request(context, measure, sizes, of_this_time=("output", "repeat"))
    for name in changed(sizes):
        typer.echo(f"{name}: not what it was then")
    context.params.update(asked, repeat=None)
    measure(context, **context.params)


def _title(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem.removesuffix(".labels")


def _write_table(images: "list[MeasuredImage]", output: Path, where: str) -> None:
    from nanolab.core.tables import significant, write_csv
    from nanolab.measurement.conditions import fulfilling
    from nanolab.measurement.summary import particles_of

    table = particles_of(images)
    table = table[fulfilling(table, where)]
    write_csv(output, significant(table))
    typer.echo(f"{output}: {count_words(len(table), 'particle')} of {count_words(len(images), 'label map')}")


def _corrected(
    images: "list[MeasuredImage]",
    recipe: "Recipe",
    model: Path | None,
    count: int,
    truth: str,
    choices: dict[str, Any],
    *,
    force: bool,
    pixel_size_error: float | None,
) -> "TwinReport":
    from nanolab.core.checks import check_choice
    from nanolab.synthesis.rendering.client import RenderError
    from nanolab.twin.report import correct_sizes
    from nanolab.twin.twins import TRUTHS, Counting, Truth, network_of

    check_choice(truth, "truth", tuple(TRUTHS))
    seed, counting = choices["seed"], Counting(*(choices[name] for name in ("quantity", "border", "min_area_px")))
    network = network_of((each.made_by for each in images), model)
    with failing(RenderError):
        return correct_sizes(
            images,
            recipe,
            network,
            twins=count,
            truth=cast(Truth, truth),
            counting=counting,
            pixel_size_error=pixel_size_error,
            force=force,
            seed=seed,
        )


def _report(images: "list[MeasuredImage]", output: Path, title: str, choices: dict[str, Any]) -> None:
    from nanolab.reports.sizes import size_report

    found = size_report(images, output, title=title, **choices)
    unit, number = found.sample.unit, found.statistics["number"]
    for name in ("d10", "d50", "d90", "mean"):
        low, high = number["intervals"].get(name, (None, None))
        interval = "" if low is None else f" ({low:.4g} to {high:.4g})"
        typer.echo(f"{name:<6}{number[name]:.4g} {unit}{interval}")
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"{output}: {count_words(len(found.particles), 'particle')} of {count_words(len(images), 'label map')}")


def _compare(
    images: "list[MeasuredImage]",
    others: "list[MeasuredImage]",
    output: Path,
    choices: dict[str, Any],
    names: tuple[str, str],
) -> None:
    from nanolab.reports.sizes import compare_report

    seed = choices.pop("seed")
    result = compare_report(images, others, output, names=names, seed=seed, **choices)
    typer.echo(
        f"{names[1]} against {names[0]}: D50 {result.d50_difference:+.4g} {result.unit}; "
        f"Wasserstein distance {result.wasserstein:.4g} {result.unit} (p = {result.wasserstein_p:.2g}); "
        f"KS {result.ks:.3f} (p = {result.ks_p:.2g})"
    )


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Option(help="Folder of annotated label maps.")],
    pred: Annotated[Path, typer.Option(help="Folder of label maps to judge.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file: each image, and all pooled.")],
    iou: Annotated[float, typer.Option(help="Overlap (IoU) from which two particles are the same.")] = 0.5,
    min_area_px: Annotated[int, typer.Option(min=0, help="Smaller particles are not counted.")] = 0,
    boundary_px: Annotated[float, typer.Option(min=0, help="Outlines may lie so far apart and still agree.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Compare label maps of the same stem: all scores, with 95 % intervals over images."""
    from nanolab.core.files import write_json
    from nanolab.metrics.evaluate import evaluate_folders

    result = evaluate_folders(truth, pred, iou=iou, min_area_px=min_area_px, boundary_px=boundary_px, seed=seed)
    write_json(output, result)
    for name, value in result["pooled"].items():
        typer.echo(_score_line(name, value, result["intervals"].get(name)))
    report_errors(result["errors"], count_words(len(result["images"]) + len(result["errors"]), "image"))


def _score_line(name: str, value: float | None, interval: list[float] | None) -> str:
    shown = "undefined" if value is None else f"{value:.4g}"
    return f"{name:<30}{shown}" + (f" ({interval[0]:.4g} to {interval[1]:.4g})" if interval else "")
