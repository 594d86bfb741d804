"""From label maps to sizes and scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanolab.checks import InputError
from nanolab.cli.frame import PixelSizeNm, app, report_errors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["evaluate", "measure"]


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
    report_errors(errors, f"{len(labels)} label maps")


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
    report_errors(result["errors"], f"{len(result['images']) + len(result['errors'])} images")
