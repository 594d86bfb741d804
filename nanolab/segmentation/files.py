"""Many image files to label maps and one table of particles."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
from skimage.segmentation import find_boundaries
from tqdm.auto import tqdm

from nanolab.core.checks import InputError, check_file_name
from nanolab.core.files import atomic, output_folder
from nanolab.core.tables import significant, write_csv
from nanolab.core.typing import Image, LabelMap
from nanolab.images.folders import image_files
from nanolab.images.labels import write_labels
from nanolab.images.lettering import without_lettering
from nanolab.images.micrograph import read
from nanolab.images.pixel_size import PixelSize
from nanolab.images.scale_table import typed_scale
from nanolab.measurement.particles import measure
from nanolab.measurement.size_sample import quantiles, size_sample
from nanolab.measurement.statistics import FEW_PARTICLES
from nanolab.segmentation.segmenter import Segmenter

__all__ = ["SegmentedFiles", "segment_files"]


#: More particles that the border cuts than this part make a sample small at heart.
_MUCH_BORDER = 0.25
# Okabe & Ito's colours, told apart with any colour vision (jfly.uni-koeln.de/color)
_COLOURS = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)])


@dataclass(frozen=True, eq=False)
class SegmentedFiles:
    """What became of many files.

    Attributes
    ----------
    table
        One row per image done: image, particles, d50 (median ECD by number, corrected for the border as in the report
        on sizes), unit, scale with its source, how many were left out as too_small or as lettering, and what is
        doubtful.
    failures
        What was wrong with each file that could not be used, by its path; the others are done.
    """

    table: pd.DataFrame
    failures: dict[str, str]


def segment_files(
    images: Iterable[Path | str],
    model: "Segmenter | PathLike[str] | str",
    out: Path | str,
    *,
    pixel_size_nm: float | Mapping[str, float] | None = None,
    find_scale_bar: bool = False,
    outlines: bool = False,
    overlays: bool = True,
    progress: bool = True,
) -> SegmentedFiles:
    """Find and measure the particles of many micrographs.

    Writes `OUT/<stem>.labels.tif` for each image, of the size of the image, `OUT/particles.csv`, one row per particle
    (see `nanolab.measurement.particles.measure`), and `OUT/images.csv`, the table returned. Where images share a stem,
    suffixes or folders tell them apart: `image_png.labels.tif`, `folder__image.labels.tif`. Particles are neither
    sought nor found in a data bar.

    Parameters
    ----------
    images
        Image files, folders of them or patterns; one given twice is segmented once.
    model
        What finds the particles.
    out
        Folder for the results.
    pixel_size_nm
        Pixel size typed by hand, of all or by the name of the image, over what the files say.
    find_scale_bar
        Where a file says nothing, read the scale bar in the picture; what is found in lettering read there is left out.
    outlines
        Also write the whole outlines, which may overlap, to `OUT/<stem>.outlines.json` in COCO's format with scores;
        only with the read-out `stardist`.
    overlays
        Also write each image with its particles outlined, `OUT/<stem>.overlay.png`.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        If the model cannot be loaded, the folder cannot be written, or the disk is full.
    """
    names = _names(image_files(*images))
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    if outlines:
        segmenter.check_outlines()
        from nanolab.models.readouts.outlines import write_outlines
    is_new = not Path(out).exists()
    out = output_folder(out)
    tables: list[pd.DataFrame] = []
    rows: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    for path, name in tqdm(names.items(), desc="segment", unit="image", disable=not progress):
        try:
            check_file_name(f"{name}.outlines.json", str(path))
            typed = typed_scale(pixel_size_nm, path.name, path.stem)
            micrograph = read(path, pixel_size_nm=typed, find_scale_bar=find_scale_bar)
            cropped = micrograph.crop_data_bar()
            found = segmenter.find(cropped.pixels, pixel_size_nm=cropped.pixel_size_nm, outlines=outlines)
        except InputError as error:
            failures[str(path)] = _naming(path, error)
            continue
        bar = len(micrograph.pixels) - len(found.labels)
        labels, letters = without_lettering(found.labels, micrograph.lettering)
        whole = np.pad(labels, ((0, bar), (0, 0)))
        write_labels(
            out / f"{name}.labels.tif",
            whole,
            pixel_size=micrograph.pixel_size,
            image=_seen_from(out, path),
            image_rows=len(labels),
            made_by=segmenter.made_by,
        )
        if overlays:
            _write_overlay(out / f"{name}.overlay.png", cropped.pixels, labels)
        if found.outlines is not None:
            write_outlines(out / f"{name}.outlines.json", found.outlines, whole.shape, path.name)
        tables.append(measure(labels, pixel_size=cropped.pixel_size, name=name))
        is_mask = len(np.unique(cropped.pixels)) <= 2
        left_out = {"too_small": found.dropped, "lettering": letters}
        rows.append(_row(name, tables[-1], cropped.pixel_size, left_out, is_mask=is_mask))
    if tables:
        every = pd.concat([each for each in tables if len(each)] or tables, ignore_index=True)
        write_csv(out / "particles.csv", significant(every))
        write_csv(out / "images.csv", pd.DataFrame(rows))
    elif is_new:
        out.rmdir()
    return SegmentedFiles(pd.DataFrame(rows), failures)


def _row(
    name: str, particles: pd.DataFrame, pixel_size: PixelSize, left_out: dict[str, int], *, is_mask: bool
) -> dict[str, Any]:
    cut = particles["touches_border"].to_numpy(dtype=bool)
    sample = None if cut.all() else size_sample(particles)
    doubts = {
        "a mask, not a micrograph": is_mask,
        "no scale": pixel_size.nm is None,
        "no particles": not len(particles),
        f"few particles (below {FEW_PARTICLES})": 0 < len(particles) < FEW_PARTICLES,
        f"{cut.mean() if len(cut) else 0:.0%} cut by the border": len(cut) and cut.mean() > _MUCH_BORDER,
    }
    return {
        "image": name,
        "particles": len(particles),
        "d50": None if sample is None else float(f"{quantiles(sample.sizes, sample.weights, 0.5):.4g}"),
        "unit": "px" if pixel_size.nm is None else "nm",
        "scale": str(pixel_size),
        **left_out,
        "doubtful": ", ".join(doubt for doubt, is_so in doubts.items() if is_so),
    }


def _seen_from(folder: Path, path: Path) -> str:
    """Return where an image is, so that both can be moved together; whole, if it is on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _write_overlay(path: Path, image: Image, labels: LabelMap) -> None:
    """Write an image, shape (height, width) in [0, 1], with the outlines of its particles, inside them."""
    shown = np.repeat(np.rint(255 * image).astype(np.uint8)[..., None], 3, axis=2)
    outline = find_boundaries(labels, mode="inner")
    shown[outline] = _COLOURS[labels[outline] % len(_COLOURS)]
    with atomic(path) as temporary:
        PIL.Image.fromarray(shown).save(temporary, compress_level=3)


def _naming(path: Path, error: InputError) -> str:
    text = str(error)
    return text if str(path) in text else f"{path}: {text}"


def _names(paths: Iterable[Path]) -> dict[Path, str]:
    """Give each file a name of its own: its stem, if need be with its suffix, or with as many folders as it takes."""
    unique = {path.resolve(): path for path in paths}
    names: dict[Path, str] = {}
    deepest = max((len(path.parts) for path in unique), default=0)
    more_and_more = (partial(_with_folders, count) for count in range(1, deepest))
    ways: list[Callable[[Path], str]] = [_stem, _file, *more_and_more, _everything]
    for name_of in ways:
        tried = {path: name_of(path) for path in unique if path not in names}
        uses = Counter(name.casefold() for name in [*tried.values(), *names.values()])
        names |= {path: name for path, name in tried.items() if uses[name.casefold()] == 1 or name_of is _everything}
    return {unique[path]: names[path] for path in unique}


def _stem(path: Path) -> str:
    return path.stem


def _file(path: Path) -> str:
    return path.name.replace(".", "_")


def _with_folders(count: int, path: Path) -> str:
    return "__".join([*path.parts[1:-1][-count:], path.stem])


def _everything(path: Path) -> str:
    """Two files can still share this only where upper and lower case are two things."""
    return "__".join([*path.parts[1:-1], _file(path)])
