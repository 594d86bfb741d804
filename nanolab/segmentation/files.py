"""Many image files to label maps and one table of particles."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.files import output_folder
from nanolab.core.tables import write_csv
from nanolab.images.folders import image_files
from nanolab.images.labels import write_labels
from nanolab.images.micrograph import read
from nanolab.measurement.particles import measure
from nanolab.segmentation.segmenter import Segmenter

__all__ = ["SegmentedFiles", "segment_files"]


@dataclass(frozen=True)
class SegmentedFiles:
    """What became of many files.

    Attributes
    ----------
    failures
        What was wrong with each file that could not be used, by its path; the others are done.
    dropped
        How many particles were too small to be kept, by the path of the image.
    """

    failures: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


def segment_files(
    images: Iterable[Path | str],
    model: "Segmenter | PathLike[str] | str",
    out: Path | str,
    *,
    pixel_size_nm: float | None = None,
    find_scale_bar: bool = False,
    outlines: bool = False,
    progress: bool = True,
) -> SegmentedFiles:
    """Find and measure the particles of many micrographs.

    Writes `OUT/<stem>.labels.tif` for each image, of the size of the image, and `OUT/particles.csv`, one row per
    particle (see `nanolab.measurement.particles.measure`). Where images share a stem, suffixes or folders tell them
    apart: `image_png.labels.tif`, `folder__image.labels.tif`. Particles are neither sought nor found in a data bar.

    Parameters
    ----------
    images
        Image files, folders of them or patterns; one given twice is segmented once.
    model
        What finds the particles.
    out
        Folder for the results.
    pixel_size_nm
        Pixel size typed by hand, over what the files say.
    find_scale_bar
        Where a file says nothing, read the scale bar in the picture.
    outlines
        Also write the whole outlines, which may overlap, to `OUT/<stem>.outlines.json` in COCO's format with scores;
        only with the read-out `stardist`.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        If the model cannot be loaded, the folder cannot be written, or the disk is full.
    """
    names = _names(image_files(*images))
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    out = output_folder(out)
    if outlines:
        segmenter.check_outlines()
        from nanolab.models.readouts.outlines import write_outlines
    tables: list[pd.DataFrame] = []
    done = SegmentedFiles()
    for path, name in tqdm(names.items(), desc="segment", unit="image", disable=not progress):
        try:
            micrograph = read(path, pixel_size_nm=pixel_size_nm, find_scale_bar=find_scale_bar)
            cropped = micrograph.crop_data_bar()
            found = segmenter.find(cropped.pixels, pixel_size_nm=cropped.pixel_size_nm, outlines=outlines)
        except InputError as error:
            done.failures[str(path)] = _naming(path, error)
            continue
        done.dropped[str(path)] = found.dropped
        bar = len(micrograph.pixels) - len(found.labels)
        whole = np.pad(found.labels, ((0, bar), (0, 0)))
        write_labels(
            out / f"{name}.labels.tif",
            whole,
            pixel_size=micrograph.pixel_size,
            image=path.name,
            image_rows=len(found.labels),
        )
        if found.outlines is not None:
            write_outlines(out / f"{name}.outlines.json", found.outlines, whole.shape, path.name)
        tables.append(measure(found.labels, pixel_size=cropped.pixel_size, name=name))
    if tables:
        write_csv(out / "particles.csv", pd.concat([each for each in tables if len(each)] or tables, ignore_index=True))
    return done


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
