"""The command line: thin verbs over the library. What a verb needs is imported when it runs, so that help is quick."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from nanolab import __version__
from nanolab.checks import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app", "main"]

_PAIRS = ("-p", "--parameter", "--set")
_GO_ON = {
    "train": "the same command with --resume goes on after the last finished epoch",
    "run": "the same command with --run-name and the name of its folder goes on there",
}


class _Verbs(TyperGroup):
    """Ends with a message and an exit code where Python would print a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _ended(f"error: {error}", 2) from error
        except KeyboardInterrupt as error:
            hint = _GO_ON.get(ctx.invoked_subcommand, "what is finished stays; the same command again does the rest")
            raise _ended(f"\nstopped: {hint}", 130) from error


class _WithPairs(TyperCommand):
    """Takes `-p name value` beside `-p name=value`; typer itself can repeat only options of one value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_joined(args)))


def _joined(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        yield word
        if word in _PAIRS:
            name = next(rest, "")
            yield name if "=" in name else "=".join([name, *islice(rest, 1)])


def _ended(message: str, code: int) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(code)


@contextmanager
def _failing(kind: type[Exception]) -> Iterator[None]:
    """Report what is neither a bug nor the user's mistake without a traceback, with exit code 1."""
    try:
        yield
    except kind as error:
        raise _ended(f"failed: {error}", 1) from error


def _report(errors: Mapping[str, str], of: str) -> None:
    """End with exit code 2 and a list if some of many files could not be used."""
    if errors:
        raise _ended("\n".join([f"error: {len(errors)} of the {of} could not be used:", *errors.values()]), 2)


def _pairs(texts: list[str]) -> dict[str, str]:
    if wrong := [text for text in texts if "=" not in text]:
        raise InputError(f"{wrong[0]}: needs a name and a value, got the name alone")
    return dict(text.split("=", 1) for text in texts)


app = typer.Typer(cls=_Verbs, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
data = typer.Typer(no_args_is_help=True, help="Public annotated micrographs: what there is, and getting it.")
app.add_typer(data, name="data")

Parameters = Annotated[
    list[str], typer.Option("-p", "--parameter", metavar="NAME VALUE", help="Set a parameter; repeat.")
]
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY VALUE", help="Change a setting; repeat.")]
PixelSizeNm = Annotated[float | None, typer.Option(help="Edge of a pixel in nm, over what the files say.")]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"nanolab {__version__}")
        raise typer.Exit


@app.callback()
def nanolab(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False
) -> None:
    """From a real micrograph to its particle size distribution: render, train, segment, measure."""


@data.command("list")
def data_list() -> None:
    """Say which public sets there are, which are here, and what their licences ask."""
    from nanolab.catalog import status

    for row in status():
        here = (
            f"{row['n_images']} images in {row['folder']}"
            if row["folder"]
            else "not here: nanolab data get " + row["name"]
        )
        typer.echo(
            f"{row['name']}: {here}\n  {row['title']}\n  {row['licence']}: {row['asks']}\n  cite {row['citation']}"
        )


@data.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="Name of the set, as in `nanolab data list`.")],
    source: Annotated[Path | None, typer.Option("--from", metavar="PATH", help="Import a local copy instead.")] = None,
) -> None:
    """Download a public set into data/raw, or import a local copy; every file is checked."""
    from nanolab.catalog import get

    typer.echo(get(name, source=source))


@app.command()
def render(
    recipe: Annotated[str, typer.Argument(help="A recipe's file, or the name of a shipped one.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Images in the data set when it is done.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Blender processes; one a core if not given.")] = None,
    device: Annotated[str, typer.Option(help="auto: a GPU where Blender finds one; cpu: never.")] = "auto",
    passes: Annotated[
        Path | None, typer.Option(help="Folder to keep what Blender computes in, and to take it from if it is there.")
    ] = None,
) -> None:
    """Render annotated micrographs of a recipe.

    With --passes, another detector or substrate for the same scenes needs no Blender: change the recipe, and give
    another --output.
    """
    from nanolab.synth.generate import render_dataset
    from nanolab.synth.recipe import load_recipe
    from nanolab.synth.render import Device, RenderError

    if device not in get_args(Device):
        raise InputError(f"--device must be one of {', '.join(get_args(Device))}, got {device!r}")
    chosen = cast(Device, device)
    with _failing(RenderError):
        dataset = render_dataset(
            load_recipe(recipe), output, count, seed=seed, workers=workers, device=chosen, passes=passes
        )
    typer.echo(f"{output}: {len(dataset)} images")


@app.command()
def cutpaste(
    image: Annotated[list[Path], typer.Option(help="An annotated micrograph; repeat for more.")],
    mask: Annotated[list[Path], typer.Option(help="Its annotation, in the same order.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Images in the data set when it is done.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    particles: Annotated[int | None, typer.Option(min=1, help="Particles to paste into an image.")] = None,
    size: Annotated[int | None, typer.Option(min=16, help="Side of an image in px.")] = None,
    preset: Annotated[str, typer.Option(help="default, realistic, or utile2023: the paper's tool.")] = "default",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core if not given.")] = None,
    pixel_size_nm: PixelSizeNm = None,
) -> None:
    """Cut the particles out of annotated micrographs and paste them into new ones."""
    from nanolab.samples import read_sample
    from nanolab.synth.cutpaste.generate import cut_and_paste_dataset
    from nanolab.synth.cutpaste.settings import PRESETS

    if len(image) != len(mask):
        raise InputError(f"--image and --mask must be given equally often, got {len(image)} and {len(mask)}")
    if preset not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    given = {"particles": particles, "size_px": size}
    settings = PRESETS[preset].model_copy(update={key: value for key, value in given.items() if value is not None})
    pairs = [read_sample(*pair, pixel_size_nm=pixel_size_nm) for pair in zip(image, mask, strict=True)]
    dataset = cut_and_paste_dataset(pairs, output, count, settings, seed=seed, workers=workers)
    typer.echo(f"{output}: {len(dataset)} images")


@app.command()
def realism(
    real: Annotated[str, typer.Option(metavar="DIR", help="Data set, folder of images, or name of a public set.")],
    synthetic: Annotated[str, typer.Option(metavar="DIR", help="The same, to be judged.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the report.")],
    real_labels: Annotated[Path | None, typer.Option(help="Label maps of a folder of images.")] = None,
    synthetic_labels: Annotated[Path | None, typer.Option(help="The same.")] = None,
    preset: Annotated[str, typer.Option(help="default, or mill2021: the paper's procedure, with VGG16.")] = "default",
    weights: Annotated[Path | None, typer.Option(help="File of VGG16's weights; the torch cache if not given.")] = None,
    max_patches: Annotated[int, typer.Option(min=1, help="Patches of each set, at most.")] = 1750,
    seed: Annotated[int, typer.Option(min=0, help="Decides which patches are drawn.")] = 0,
) -> None:
    """Say how far synthetic micrographs are from real ones, and by what: a page of figures, and the numbers."""
    from nanolab.realism.report import realism_report, summary
    from nanolab.realism.sources import open_samples

    sets = open_samples(real, labels=real_labels), open_samples(synthetic, labels=synthetic_labels)
    results = realism_report(*sets, output, preset=preset, seed=seed, max_patches=max_patches, weights=weights)
    typer.echo("\n".join([*summary(results), f"{output}: realism.pdf, realism.png, results.json, patches.csv"]))


@app.command("import-labels")
def import_labels(
    annotations: Annotated[Path, typer.Argument(help="An annotation file, or a folder of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; beside the annotations if not given.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="labelme, via, coco, imagej; binary (particles may be cut apart by lines of 1 px), instance or colour "
            "masks; auto: by what is in a file.",
        ),
    ] = "auto",
    pixel_size_nm: PixelSizeNm = None,
    crop_data_bar: Annotated[
        bool, typer.Option("--crop-data-bar", help="Cut off the data bar at the bottom of image and label map.")
    ] = False,
) -> None:
    """Make a data set of your own images and their annotations."""
    from nanolab.annotations.importing import import_labels as import_annotations
    from nanolab.annotations.pairing import Format

    dataset = import_annotations(
        annotations, images, output, cast(Format, kind), pixel_size_nm=pixel_size_nm, crop_data_bar=crop_data_bar
    )
    manifest = dataset.manifest or {}
    records = manifest["records"].values()
    kept = sum(record["particles"] for record in records)
    lost = sum(record["annotated"] - record["particles"] for record in records if record["annotated"])
    more = f"; {lost} more lie outside, or others hide them" if lost > 0 else ""
    typer.echo(f"{output}: {len(dataset)} images, {kept} particles{more}")
    _report(manifest["left_out"], f"{len(dataset) + len(manifest['left_out'])} annotations")


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set, or your own with images/ and masks/ in it.")],
    kind: Annotated[str, typer.Option("--format", help="coco, imagej, semantic, three-class or stardist.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file for coco, a folder for the others.")],
    amodal: Annotated[bool, typer.Option("--amodal", help="coco: outlines with the parts that others hide.")] = False,
    erosion_px: Annotated[
        int | None,
        typer.Option(min=0, help="semantic, three-class: by how much particles recede; 0 and 1 if not given."),
    ] = None,
) -> None:
    """Write the annotation of a data set for other programs."""
    from nanolab.dataset import Dataset
    from nanolab.exports import ExportFormat
    from nanolab.exports import export as export_dataset

    source = Dataset(dataset)
    written = export_dataset(source, cast(ExportFormat, kind), output, amodal=amodal, erosion_px=erosion_px)
    typer.echo(f"{written}: {len(source)} images")


@app.command(cls=_WithPairs)
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

    given = {key: parse_value(text, key) for key, text in _pairs(settings).items()}
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
    _report(errors, f"{len(images)} images")
    typer.echo(f"{output}: {len(images)} label maps and particles.csv")


@app.command()
def measure(
    labels: Annotated[list[Path], typer.Argument(help="Label maps.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV file, one row a particle.")],
    pixel_size_nm: PixelSizeNm = None,
) -> None:
    """Measure the particles of label maps."""
    import pandas as pd

    from nanolab.files import atomic

    tables: list[pd.DataFrame] = []
    errors: dict[str, str] = {}
    for path in labels:
        try:
            tables.append(_measured(path, pixel_size_nm))
        except InputError as error:
            errors[str(path)] = str(error)
    if tables:
        with atomic(output) as temporary:
            pd.concat(tables, ignore_index=True).to_csv(temporary, index=False)
        typer.echo(f"{output}: {sum(map(len, tables))} particles of {len(tables)} label maps")
    _report(errors, f"{len(labels)} label maps")


def _measured(path: Path, pixel_size_nm: float | None) -> "pd.DataFrame":
    from nanolab.labels import read_labels
    from nanolab.pixelsize import PixelSize, pixel_size_from_metadata
    from nanolab.sizes import measure as measure_labels

    labels = read_labels(path)
    pixel_size = pixel_size_from_metadata(path) if pixel_size_nm is None else PixelSize.typed(pixel_size_nm)
    return measure_labels(labels, pixel_size=pixel_size, name=path.stem.removesuffix(".labels"))


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Option(help="Folder of annotated label maps.")],
    pred: Annotated[Path, typer.Option(help="Folder of label maps to judge.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file: each image, and all pooled.")],
) -> None:
    """Compare label maps of the same stem."""
    from nanolab.files import write_json
    from nanolab.metrics.evaluate import evaluate_folders

    result = evaluate_folders(truth, pred)
    write_json(output, result)
    for name, value in result["pooled"].items():
        typer.echo(f"{name:<26}{value:.4g}" if isinstance(value, float) else f"{name:<26}{value}")
    _report(result["errors"], f"{len(result['images']) + len(result['errors'])} images")


@app.command(cls=_WithPairs)
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

    values = parse_parameters(notebook, _pairs(parameters))
    with _failing(NotebookError):
        typer.echo(run_notebook(notebook, values, name=name, run=run_name, timeout=timeout))


def main() -> None:
    """Run the command line."""
    app()
