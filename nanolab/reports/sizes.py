"""A report on sizes in one call: tables, statistics, fits and a page to hand on."""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from nanolab import __version__
from nanolab.core.files import atomic, output_folder, write_json
from nanolab.core.results import save_figure
from nanolab.core.seeds import generator
from nanolab.core.tables import significant, write_csv, write_excel
from nanolab.datasets.annotations.imagej import write_imagej_rois
from nanolab.figures.panels import save_pdf
from nanolab.figures.size_report import plot_report_images, plot_report_knowledge, plot_report_page
from nanolab.figures.sizes import plot_size_comparison
from nanolab.figures.twin import plot_correction
from nanolab.images.labels import write_labels
from nanolab.measurement.comparison import SampleComparison, compare_samples
from nanolab.measurement.fits import fit_table
from nanolab.measurement.particles import DESCRIPTORS
from nanolab.measurement.size_sample import SampleOptions, size_sample
from nanolab.measurement.statistics import statistics_table
from nanolab.measurement.summary import (
    MeasuredImage,
    SizeOptions,
    SizeReport,
    measure_image,
    particles_of,
    summarise_sizes,
)
from nanolab.reports.html import html_report
from nanolab.twin.report import TwinReport

# what samplesizes has is here as well, so that a report needs one import
__all__ = [
    "MeasuredImage",
    "SizeReport",
    "compare_report",
    "measure_image",
    "size_report",
    "summarise_sizes",
    "write_page",
    "write_tables",
]


def size_report(
    images: Iterable[MeasuredImage],
    out: Path | str,
    *,
    page: bool = True,
    rois: bool = False,
    label_maps: bool = False,
    twin: TwinReport | None = None,
    request: Mapping[str, Any] | None = None,
    **options: Unpack[SizeOptions],
) -> SizeReport:
    """Measure a sample and write all of it into a folder.

    Parameters
    ----------
    images
        Of `measure_image`.
    out
        The folder. It gets `particles.csv`, `sizes.xlsx`, `sizes.json`; with `page` `report.pdf`, `.html` and
        `.png`; with `rois` `rois/<name>.zip` for ImageJ; with `label_maps` `labels/<name>.labels.tif`.
    twin
        Sizes corrected with twins, of `nanolab.twin.report.correct_sizes`; `sizes.json` then holds what is known as
        found and corrected, and `corrected.png` shows both.
    request
        How the report was asked for, written into `sizes.json`.
    options
        Title, quantity, fit and more, see `summarise_sizes`.

    Raises
    ------
    InputError
        As `summarise_sizes`, and then nothing is written; or if the folder cannot be.

    Examples
    --------
    >>> from nanolab.reports.sizes import measure_image, size_report
    >>> image = measure_image("a", labels, pixel_size=PixelSize.typed(2.5))  # doctest: +SKIP
    >>> size_report([image], "out").statistics["number"]["d50"]  # doctest: +SKIP
    """
    images = list(images)
    report = summarise_sizes(images, **options)
    out = output_folder(out)
    for each in images:
        if rois:
            write_imagej_rois(_inside(out / "rois", f"{each.name}.zip"), each.labels)
        if label_maps:
            path = _inside(out / "labels", f"{each.name}.labels.tif")
            write_labels(path, each.labels, pixel_size=each.pixel_size, image=each.name)
    if twin is not None:
        report.notes.extend(twin.notes())
    more = {} if request is None else {"request": request}
    write_tables(report, out, more={**more, **({} if twin is None else twin.to_dict())})
    if twin is not None and twin.correction is not None:
        save_figure(out, "corrected", plot_correction(twin.correction), dpi=150)
    if page:
        write_page(report, images, out)
    return report


def compare_report(
    first: Iterable[MeasuredImage],
    second: Iterable[MeasuredImage],
    out: Path | str,
    *,
    names: tuple[str, str] = ("first", "second"),
    seed: int = 0,
    **options: Unpack[SampleOptions],
) -> SampleComparison:
    """Compare the sizes of two samples; write `comparison.json` and `comparison.png` into a folder.

    Parameters
    ----------
    options
        See `nanolab.measurement.size_sample.size_sample`.
    """
    samples = [size_sample(particles_of(images), **options) for images in (first, second)]
    result = compare_samples(*samples, rng=generator(seed, 2))
    write_json(Path(out) / "comparison.json", {"samples": list(names), **result.to_dict()})
    other = names[1] if names[1] != names[0] else f"{names[1]} (2)"
    figure = plot_size_comparison(dict(zip((names[0], other), samples, strict=True)), result)
    save_figure(out, "comparison", figure, dpi=150)
    return result


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a file in the folder, whatever its name holds."""
    return folder / name.replace("/", "_").replace("\\", "_").lstrip(".")


def write_tables(report: SizeReport, out: Path | str, *, more: Mapping[str, Any] = {}) -> None:
    """Write `particles.csv`, `sizes.xlsx` (particles, statistics, fits, about), to four digits, and `sizes.json`.

    `more` is what `sizes.json` holds besides.
    """
    out, particles = Path(out), significant(report.particles)
    write_csv(out / "particles.csv", particles)
    write_json(out / "sizes.json", {**report.to_dict(), **more})
    write_excel(out / "sizes.xlsx", {"particles": particles, **_tables(report)})


def _tables(report: SizeReport) -> dict[str, pd.DataFrame]:
    numbers = {"statistics": statistics_table(report.statistics), "fits": fit_table(report.fits)}
    return {**{name: significant(table) for name, table in numbers.items()}, "about": _about(report)}


def _how(report: SizeReport) -> list[tuple[str, str]]:
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.settings.items())
    found = [("particles found by", each) for each in report.made_by or ["not recorded in the label maps"]]
    return [("report by", f"nanolab {__version__}, {date.today().isoformat()}"), *found, ("settings", settings)]


def _about(report: SizeReport) -> pd.DataFrame:
    rows = [("sample", report.title), *_how(report)]
    rows += [("note", note) for note in report.notes]
    rows += [(f"pixel size of {name}", scale) for name, scale in report.scales.items()]
    units = {0: "", 1: "_px, _nm", 2: "_px (pixels), _nm2"}
    rows += [(f"column {key}{units[each.dimension]}", each.meaning) for key, each in DESCRIPTORS.items()]
    return pd.DataFrame(rows, columns=["what", "value"])


def _short(quantity: str) -> str:
    return "ECD" if quantity == "ecd" else quantity.replace("_", " ")


def write_page(report: SizeReport, images: Iterable[MeasuredImage], out: Path | str, *, png: bool = True) -> None:
    """Write `report.pdf` and `report.html`, numbers and all images, and with `png` the first page as `report.png`."""
    there = [each for each in images if each.name in report.scales]
    page = plot_report_page(report, there, [f"{name.capitalize()}: {value}." for name, value in _how(report)])
    known = [plot_report_knowledge(report)] if report.precision else []
    figures = [page, *known, *plot_report_images(report, there)]
    number = report.statistics["number"]
    low, high = number["intervals"].get("d50", (None, None))
    interval = "" if low is None else f" ({low:.4g} to {high:.4g})"
    result = f"Median {_short(report.sample.quantity)} {number['d50']:.4g} {report.sample.unit}{interval}"
    text = html_report(f"Particle sizes: {report.title}", [result], report.notes, figures, _tables(report))
    with atomic(Path(out) / "report.html") as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    save_pdf(Path(out) / "report.pdf", figures)
    if png:
        save_figure(out, "report", page, dpi=150)
