"""Many image files to label maps and one table of particles."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import torch
from skimage.segmentation import find_boundaries
from tqdm.auto import tqdm

from nanolab.core.checks import InputError, check_file_name
from nanolab.core.files import atomic, output_folder
from nanolab.core.processes import processor_cores, worker_count, worker_pool
from nanolab.core.seeds import generator
from nanolab.core.tables import read_csv, significant, write_csv, write_parquet
from nanolab.core.typing import Image, LabelMap
from nanolab.images.folders import image_files
from nanolab.images.formats.frames import Frame, frame_name, select_frames, split_frame
from nanolab.images.formats.image_file import list_frames
from nanolab.images.labels import LabelFile, read_label_file, write_labels
from nanolab.images.lettering import without_lettering
from nanolab.images.micrograph import Micrograph, read
from nanolab.images.panels import Box, find_panels, panel_name
from nanolab.images.pixel_size import PixelSize
from nanolab.images.scale_table import typed_scale
from nanolab.images.trust import Trust, hatching
from nanolab.measurement.size_sample import quantiles, replicates, size_sample
from nanolab.measurement.statistics import FEW_PARTICLES
from nanolab.measurement.summary import MeasuredImage, measure_image
from nanolab.segmentation.segmenter import Segmenter

__all__ = ["SegmentedFiles", "segment_files"]


_BAR = "{desc}: {percentage:3.0f} %|{bar}| of {total} [{elapsed}<{remaining}]"
_MASK = "a mask, not a micrograph"
_FIRST, _PANELS = "the first of", "looks like a figure of"
_ABOUT = ("magnification", "too_small", "unlikely", "lettering")  # what is known of an image but by its label map
# Okabe & Ito's colours, told apart with any colour vision (jfly.uni-koeln.de/color)
_COLOURS = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)])


@dataclass(frozen=True, eq=False)
class SegmentedFiles:
    """What became of many files.

    Attributes
    ----------
    table
        One row per image done: image, of several in a file its frame and, of a movie, time_s; particles, d50 (median
        ECD by number, corrected for the border as in the report on sizes) with the ends of its 95 % interval over the
        particles, unit, scale with its source, magnification,
        how many were left out as too_small, unlikely (see `keep_unlikely` of
        `nanolab.segmentation.segmenter.Segmenter`) or lettering, trust (`nanolab.segmentation.trust`), and notes on
        what speaks against the result.
    failures
        What was wrong with each file that could not be used, by its path, of one of several images with its number
        behind it, as in ``movie.tif[3]``; the others are done.
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
    keep: bool = False,
    frames: int | str | None = None,
    panels: bool = False,
    parquet: bool = False,
    workers: int = 1,
    executor: Executor | None = None,
    progress: bool = True,
) -> SegmentedFiles:
    """Find and measure the particles of many micrographs.

    Writes `OUT/<stem>.labels.tif` for each image, of the size of the image, `OUT/particles.csv`, one row per particle
    (see `nanolab.measurement.particles.measure`) with its trust, and `OUT/images.csv`, the table returned. Where images
    share a stem, suffixes or folders tell them apart: `image_png.labels.tif`, `folder__image.labels.tif`. Particles are
    neither sought nor found in a data bar.

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
    keep
        Do not segment an image again whose label map is there and was made in the same way since the image was
        written, whatever its pixel size was said to be; with `find_scale_bar`, where it has one.
    frames
        Of files with several images, which: "all", a number counted from 0, a range such as ``0:100:10`` (every tenth
        below 100), or a name; each becomes an image named such as ``movie_f0003``. One image is read at a time.
    panels
        Take each panel of a figure (`nanolab.images.panels.find_panels`) as an image of its own, ``figure_p0``, with
        its own scale bar.
    parquet
        Also write the table of particles as `OUT/particles.parquet`, with all digits; a tenth of the size, for many
        images.
    workers
        Processes that work side by side, each with its share of the cores; many small images are done faster so.
    executor
        Does the work instead of processes of this machine, such as that of `nanolab.core.dask.dask_executor`; its
        workers must see the images, the model and the folder.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        If the model cannot be loaded, the folder cannot be written, or the disk is full.
    """
    failures: dict[str, str] = {}
    sources = _sources(image_files(*images), frames, failures, panels=panels)
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    if outlines:
        segmenter.check_outlines()
    is_new = not Path(out).exists()
    out = output_folder(out)
    options = _Options(out, pixel_size_nm, find_scale_bar=find_scale_bar, outlines=outlines, overlays=overlays)
    tables: list[pd.DataFrame] = []
    rows: list[dict[str, Any]] = []
    earlier = _earlier(out / "images.csv") if keep else {}
    shown = tqdm(total=len(sources), desc="segment", bar_format=_BAR, smoothing=0, disable=not progress)
    side_by_side = worker_count(workers)
    threads = max(processor_cores() // side_by_side, 1)
    with ExitStack() as stack:
        pool = executor if executor or side_by_side == 1 else stack.enter_context(worker_pool(side_by_side))
        works: list[Callable[[], _Result]] = []
        for done, source in enumerate(sources):
            earlier_row = earlier.get(source.name, {}) if keep else None
            if pool is None:
                works.append(partial(_one, source, segmenter, options, earlier_row, partial(_tell, shown, done)))
            else:
                there = replace(source, path=source.path.resolve())
                works.append(pool.submit(_elsewhere, there, segmenter, options.there(), earlier_row, threads).result)
        for done, (source, work) in enumerate(zip(sources, works, strict=True)):
            try:
                particles, row = work()
            except InputError as error:
                failures[str(source)] = _naming(source.path, error)
                continue
            tables.append(particles)
            rows.append(row)
            _tell(shown, done, 1.0)
    shown.close()
    if tables:
        _write_tables(out, tables, rows, parquet=parquet)
    elif is_new:
        out.rmdir()
    return SegmentedFiles(pd.DataFrame(rows), failures)


@dataclass(frozen=True)
class _Options:
    """What `segment_files` was asked for, of all images."""

    out: Path
    pixel_size_nm: float | Mapping[str, float] | None
    _: KW_ONLY
    find_scale_bar: bool
    outlines: bool
    overlays: bool

    def typed_nm(self, path: Path) -> float | None:
        return typed_scale(self.pixel_size_nm, path.name, path.stem)

    def there(self) -> "_Options":
        """Return it for a process that may have begun in another folder."""
        return replace(self, out=self.out.resolve())

    def labels_of(self, source: "_Source") -> Path:
        return self.out / f"{source.name}.labels.tif"


_Result = tuple[pd.DataFrame, dict[str, Any]]  # the particles of an image, and its row


def _one(
    source: "_Source",
    segmenter: Segmenter,
    options: _Options,
    earlier: Mapping[str, Any] | None,
    tell: Callable[[float], None],
) -> _Result:
    """Segment an image, or measure what is there of it; `earlier` is its row of before, None to do it anew."""
    kept = None if earlier is None else _kept(source, segmenter.made_by, options)
    if kept is None or earlier is None:
        return _segment_one(source, segmenter, options, tell)
    return _again(source, kept, options, earlier)


def _elsewhere(
    source: "_Source", segmenter: Segmenter, options: _Options, earlier: Mapping[str, Any] | None, threads: int
) -> _Result:
    torch.set_num_threads(threads)
    return _one(source, segmenter, options, earlier, lambda part: None)


def _segment_one(source: "_Source", segmenter: Segmenter, options: _Options, tell: Callable[[float], None]) -> _Result:
    """Segment an image and write what belongs to it."""
    path, name, out = source.path, source.name, options.out
    check_file_name(f"{name}.outlines.json", str(path))
    micrograph = source.read(options)
    cropped = micrograph.crop_data_bar()
    with segmenter.on_tile(cropped.pixels.shape, tell):
        found = segmenter.find(cropped.pixels, pixel_size_nm=cropped.pixel_size_nm, outlines=options.outlines)
    labels, letters = without_lettering(found.labels, micrograph.lettering)
    trust = found.trust.of_kept(found.labels, labels)
    whole = np.pad(labels, ((0, len(micrograph.pixels) - len(labels)), (0, 0)))
    write_labels(
        options.labels_of(source),
        whole,
        pixel_size=micrograph.pixel_size,
        image=_seen_from(out, path),
        image_rows=len(labels),
        made_by=segmenter.made_by,
        trust=trust,
        frame=source.number,
        panel=source.panel,
    )
    if options.overlays:
        _write_overlay(out / f"{name}.overlay.png", cropped.pixels, labels, trust)
    if found.outlines is not None:
        from nanolab.models.readouts.outlines import write_outlines

        write_outlines(out / f"{name}.outlines.json", found.outlines.kept(found.labels, labels), whole.shape, path.name)
    measured = measure_image(name, labels, pixel_size=cropped.pixel_size, trust=trust)
    counts = round(found.evidence.best, 3), found.dropped, found.unlikely, letters
    row = _row(measured, dict(zip(_ABOUT, counts, strict=True)), _seen(micrograph, source))
    return measured.particles, source.row(row)


def _seen(micrograph: Micrograph, source: "_Source") -> list[str]:
    """Return what speaks against an image itself."""
    several = micrograph.metadata.get("images")
    panels = [] if source.panel else find_panels(micrograph.pixels)
    notes = {
        _MASK: len(np.unique(micrograph.pixels)) <= 2,
        f"{_FIRST} {several} images in the file": several,
        f"{_PANELS} {len(panels)} panels: --panels takes each by itself": panels,
    }
    return [note for note, is_so in notes.items() if is_so]


def _again(source: "_Source", kept: LabelFile, options: _Options, before: Mapping[str, Any]) -> _Result:
    """Measure a label map that was kept."""
    measured = _measured(source.name, kept, options.typed_nm(source.path))
    return measured.particles, source.row(_row_again(measured, before))


def _tell(shown: "tqdm[Any]", done: int, part: float) -> None:
    """Show how much is done, an image in parts: one alone may take a minute."""
    shown.update(done + part - shown.n)


@dataclass(frozen=True)
class _Source:
    """An image to segment: a file, or one of the images in it, and what its results are called."""

    path: Path
    name: str
    frame: Frame | None = None
    panel: Box | None = None

    def read(self, options: _Options) -> Micrograph:
        """Return the image; of a panel its own scale bar counts."""
        typed, bar = options.typed_nm(self.path), options.find_scale_bar
        if self.panel is None:
            return read(self.path, frame=self.number, pixel_size_nm=typed, find_scale_bar=bar)
        panel = read(self.path, frame=self.number, pixel_size_nm=typed).crop_panel(0, self.panel)
        return panel.with_scale_bar() if bar else panel

    @property
    def number(self) -> int | None:
        return None if self.frame is None else self.frame.number

    def __str__(self) -> str:
        """The file, and which of its images."""
        return str(self.path) if self.frame is None else f"{self.path}[{self.frame.number}]"

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row of its image with which of the file's images that is."""
        if self.frame is None:
            return row
        time = {} if self.frame.time_s is None else {"time_s": self.frame.time_s}
        return {"image": row["image"], "frame": self.frame.number, **time, **row}


def _sources(paths: list[Path], frames: int | str | None, failures: dict[str, str], *, panels: bool) -> list[_Source]:
    """Return the images to segment of each file; what is wrong with a file goes to the failures."""
    asked: dict[Path, list[int | str | None]] = {}
    given: dict[Path, Path] = {}
    for each in paths:
        path, which = split_frame(each)
        asked.setdefault(given.setdefault(path.resolve(), path), []).append(frames if which is None else which)
    sources: dict[str, _Source] = {}
    for path, name in _names(asked).items():
        try:
            for source in _of_file(path, name, asked[path], panels=panels):
                if (other := sources.setdefault(source.name.casefold(), source)) is not source:
                    failures[str(source)] = f"{source}: would be called like {other}; rename the file"
        except InputError as error:
            failures[str(path)] = _naming(path, error)
    return list(sources.values())


def _of_file(path: Path, name: str, asked: list[int | str | None], *, panels: bool) -> list[_Source]:
    images = _images_of(path, name, asked)
    return [each for image in images for each in _panels_of(image)] if panels else images


def _panels_of(image: _Source) -> list[_Source]:
    boxes = find_panels(read(image.path, frame=image.number).pixels)
    named = [replace(image, name=panel_name(image.name, index), panel=box) for index, box in enumerate(boxes)]
    return named or [image]


def _images_of(path: Path, name: str, asked: list[int | str | None]) -> list[_Source]:
    if all(which is None for which in asked):
        return [_Source(path, name)]
    every = list_frames(path)
    if len(every) == 1 and set(asked) <= {None, "all"}:
        return [_Source(path, name)]
    chosen = {
        frame.number: frame
        for which in asked
        for frame in select_frames(every, "all" if which is None else which, path)
    }
    return [_Source(path, frame_name(name, number), frame) for number, frame in sorted(chosen.items())]


def _kept(source: _Source, made_by: str, options: _Options) -> LabelFile | None:
    """Return the label map that is there, if it is of this image as it is now, and made in the same way."""
    path, image = options.labels_of(source), source.path
    try:
        file = read_label_file(path)
    except InputError:  # there is none, or a damaged one
        return None
    of_image = image.is_file() and (path.parent / file.image).resolve() == image.resolve()
    of_image = of_image and (file.frame, file.panel) == (source.number, source.panel)
    same = of_image and file.made_by == made_by and image.stat().st_mtime <= path.stat().st_mtime
    return None if not same or file.trust is None or (options.find_scale_bar and file.pixel_size.nm is None) else file


def _measured(name: str, file: LabelFile, typed_nm: float | None) -> MeasuredImage:
    size = file.pixel_size if typed_nm is None else PixelSize.typed(typed_nm)
    return measure_image(name, file.labels[: file.image_rows], pixel_size=size, trust=file.trust)


def _write_tables(out: Path, particles: list[pd.DataFrame], images: list[dict[str, Any]], *, parquet: bool) -> None:
    every = pd.concat([each for each in particles if len(each)] or particles, ignore_index=True)
    write_csv(out / "particles.csv", significant(every))
    write_csv(out / "images.csv", pd.DataFrame(images))
    if parquet:
        write_parquet(out / "particles.parquet", every)


def _earlier(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a table of images that is there says of them, and their label maps do not."""
    try:
        return read_csv(path, "table of images", dtype={"image": str}).set_index("image").to_dict("index")
    except (InputError, KeyError, ValueError):  # none was finished
        return {}


def _row(image: MeasuredImage, about: Mapping[str, Any], seen: list[str]) -> dict[str, Any]:
    particles, trust = image.particles, image.trust
    doubts = {
        "no scale": image.pixel_size.nm is None,
        "no particles": not len(particles),
        f"few particles (below {FEW_PARTICLES})": 0 < len(particles) < FEW_PARTICLES,
    }
    return {
        "image": image.name,
        "particles": len(particles),
        **_median(particles),
        "unit": "px" if image.pixel_size.nm is None else "nm",
        "scale": str(image.pixel_size),
        **about,
        "trust": trust and trust.image,
        "notes": ", ".join(
            [*seen, *(doubt for doubt, is_so in doubts.items() if is_so), *(trust.notes if trust else ())]
        ),
    }


def _row_again(image: MeasuredImage, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a label map that was kept; what the map does not say is as it was in its row before, if any."""
    about = {key: before.get(key) for key in _ABOUT}
    notes = str(before.get("notes"))
    first = [note for note in notes.split(", ") if note.startswith((_FIRST, _PANELS))]
    return _row(image, about, [*([_MASK] if _MASK in notes else []), *first])


def _median(particles: pd.DataFrame) -> dict[str, float | None]:
    """Return D50 and its 95 % interval over the particles, where there are enough."""
    if particles["touches_border"].all():
        return dict.fromkeys(("d50", "d50_low", "d50_high"))
    sample = size_sample(particles)
    values = [float(quantiles(sample.sizes, sample.weights, 0.5)), None, None]
    if len(sample) >= FEW_PARTICLES:
        drawn = replicates(
            sample, lambda sizes, weights, _: quantiles(sizes, weights, 0.5), repeats=199, rng=generator(0, 0)
        )
        values[1:] = np.quantile(drawn, (0.025, 0.975)).tolist()
    return {
        name: None if value is None else float(f"{value:.4g}")
        for name, value in zip(("d50", "d50_low", "d50_high"), values, strict=True)
    }


def _seen_from(folder: Path, path: Path) -> str:
    """Return where an image is, so that both can be moved together; whole, if it is on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _write_overlay(path: Path, image: Image, labels: LabelMap, trust: Trust) -> None:
    """Write an image, shape (height, width) in [0, 1], its particles outlined inside, and those untrusted hatched."""
    shown = np.repeat(np.rint(255 * image).astype(np.uint8)[..., None], 3, axis=2)
    marked = find_boundaries(labels, mode="inner") | hatching(
        labels, np.arange(1, len(trust.particles) + 1), trust.particles
    )
    shown[marked] = _COLOURS[labels[marked] % len(_COLOURS)]
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
