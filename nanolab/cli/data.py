"""Annotated micrographs: public ones, your own, and for other programs."""

from pathlib import Path
from typing import Annotated, cast

import typer

from nanolab.cli.app import PixelSizeNm, app, data, report_errors
from nanolab.core.words import count_words

__all__ = ["data_frames", "data_get", "data_list", "data_weights", "export", "import_labels"]


@data.command("list")
def data_list() -> None:
    """Say which public sets there are, which are here, and what their licences ask."""
    from nanolab.datasets.public import status

    for row in status():
        missing = f"not here: nanolab data get {row['name']}"
        here = f"{count_words(row['n_images'], 'image')} in {row['folder']}" if row["folder"] else missing
        typer.echo(
            f"{row['name']}: {here}\n  {row['title']}\n  {row['licence']}: {row['asks']}\n  cite {row['citation']}"
        )


@data.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="Name of the set, as in `nanolab data list`.")],
    source: Annotated[Path | None, typer.Option("--from", metavar="PATH", help="Import a local copy instead.")] = None,
) -> None:
    """Download a public set into data/raw, or import a local copy; every file is checked."""
    from nanolab.datasets.public import get

    typer.echo(get(name, source=source))


@data.command("frames")
def data_frames(file: Annotated[Path, typer.Argument(help="A stack, a movie, or another file with images.")]) -> None:
    """List the images in a file: number, name and size."""
    from nanolab.images.formats.frames import frame_lines
    from nanolab.images.formats.image_file import list_frames

    for line in frame_lines(list_frames(file)):
        typer.echo(line)


@data.command("weights")
def data_weights(
    name: Annotated[str, typer.Argument(help="vgg16, convnext-base or xception.")],
    url: Annotated[str, typer.Option(help="A mirror's address of the same file.")] = "",
) -> None:
    """Download the ImageNet weights of a network of the papers into the torch cache; the file's hash is checked."""
    from nanolab.models.networks.pretrained import get_weights

    typer.echo(get_weights(name, url=url))


@app.command("import-labels")
def import_labels(
    annotations: Annotated[Path, typer.Argument(help="An annotation file, or a folder of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the data set.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; next to the annotations if not given.")
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
    from nanolab.datasets.annotations.annotation import shortened
    from nanolab.datasets.annotations.importing import import_labels as import_annotations
    from nanolab.datasets.annotations.pairing import Format

    dataset = import_annotations(
        annotations, images, output, cast(Format, kind), pixel_size_nm=pixel_size_nm, crop_data_bar=crop_data_bar
    )
    manifest = dataset.manifest or {}
    records = manifest["records"]
    kept = sum(record["particles"] for record in records.values())
    lost = sum(record["annotated"] - record["particles"] for record in records.values() if record["annotated"])
    more = f"; {lost} more lie outside, or others hide them" if lost > 0 else ""
    if empty := [name for name, record in records.items() if not record["particles"]]:
        more += f"; none in {count_words(len(empty), 'image')}, the first is {empty[0]!r}"
    typer.echo(f"{output}: {count_words(len(dataset), 'image')}, {count_words(kept, 'particle')}{more}")
    for record in records.values():
        if record.get("remarks"):
            typer.echo(f"note: {shortened(record['remarks'])}", err=True)
    report_errors(manifest["left_out"], count_words(len(dataset) + len(manifest["left_out"]), "annotation"))


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
    from nanolab.datasets.dataset import Dataset
    from nanolab.datasets.exports import ExportFormat
    from nanolab.datasets.exports import export as export_dataset

    source = Dataset(dataset)
    written = export_dataset(source, cast(ExportFormat, kind), output, amodal=amodal, erosion_px=erosion_px)
    typer.echo(f"{written}: {count_words(len(source), 'image')}")
