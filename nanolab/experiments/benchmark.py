"""An open benchmark: how well particles, and their sizes, are found on public micrographs, by whatever method.

The protocol is frozen. Every method first writes a label map of each image; all numbers come from these alone, so that
anybody's label maps get what the method that made them would get. Annotated and found particles are measured in the
same way: equivalent diameters, each particle as far as it is seen, those below the least area of the set left out.
"""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.optimize import linear_sum_assignment
from tqdm.auto import tqdm

from nanolab import __version__
from nanolab.core.checks import InputError
from nanolab.core.files import read_json, write_json
from nanolab.core.seeds import generator
from nanolab.core.tables import read_csv, significant, write_csv
from nanolab.core.typing import FloatArray, LabelMap
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.public import PUBLIC, find_folder, public_images
from nanolab.experiments.finders import Finder, make_finder
from nanolab.experiments.images import TestImages, real_images
from nanolab.images.folders import by_stem, image_files
from nanolab.images.labels import read_label_file, write_labels
from nanolab.images.micrograph import read
from nanolab.images.trust import UNTRUSTED
from nanolab.measurement.statistics import FEW_PARTICLES
from nanolab.measurement.summary import measure_image
from nanolab.metrics.comparison import IOU, SegmentationComparison, compare, pooled
from nanolab.metrics.pixel import ratio
from nanolab.twin.report import TWINS, correct_sizes
from nanolab.twin.twins import Counting, Network

__all__ = ["SETS", "Benchmark", "benchmark_images", "run_benchmark", "score_image"]

#: The sets, each with the recipe whose twins correct its sizes, where it is of one sample and its scale is known.
SETS = {"bam-tio2": "tio2_sem", "emps": "", "catalysts": ""}
_BOXES = "catalysts"  # particles are annotated by boxes
_LEFT_OUT = {"emps": ["8e68b05e0e"]}  # most of its particles are not annotated
_SIZES = {"D10": 0.1, "D50": 0.5, "D90": 0.9}
_NEAR = (0.05, 0.1)
_REPEATS = 999
_TAILS = (0.025, 0.975)
_KEY = 0xBE7C  # sets these draws apart from others of the same seed
_RECORD = "made.json"  # next to label maps: by what, where, and in how many seconds each
_MEDIAN, _POOLED = "median image", "all images"


@dataclass(frozen=True, eq=False)
class Benchmark:
    """What came out.

    Attributes
    ----------
    images
        One row per set, method and image: counts, F1, AP, errors of the sizes and of the count as a part of the
        annotated value, whether the interval of D50 holds the annotated one, trust, seconds.
    summary
        One row per set, method and measure: its value with the bounds of its 95 % interval.
    methods
        One row per set and method: what it is, where it was run, on how many images, and what a reader must know.
    """

    images: pd.DataFrame
    summary: pd.DataFrame
    methods: pd.DataFrame

    def table(self, name: str) -> pd.DataFrame:
        """Return the measures of a set, one row each, with a column for every method: value (low to high)."""
        of_set = self.summary[self.summary["set"] == name]
        text = of_set.assign(text=[_in_words(*row) for row in of_set[["value", "low", "high"]].to_numpy()])
        wide = text.pivot_table("text", "measure", "method", "first", sort=False).fillna("")
        return wide.rename_axis(columns=None).reset_index()

    def save(self, folder: Path | str) -> None:
        """Write all of it as CSV: `images`, `summary`, `methods`, and the table of each set under its name."""
        tables = {name: self.table(name) for name in self.summary["set"].unique()}
        for name, table in {**tables, "images": self.images, "summary": self.summary, "methods": self.methods}.items():
            write_csv(Path(folder) / f"{name}.csv", significant(table))


def _in_words(value: float, low: float, high: float) -> str:
    text = f"{value:.3f}" if np.isnan(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"
    return text.replace("-", "\N{MINUS SIGN}")  # spreadsheets would take a hyphen for the beginning of a formula


def benchmark_images(name: str, most: int = 0) -> TestImages:
    """Return the images of a set: one of `SETS`, a folder of annotated images, or "stand-in".

    With `most` only every n-th image, so that there are no more.

    `catalysts` is what its authors published, with boxes drawn by hand in place of label maps: every second image of
    `dataset/` of github.com/ArdaGen/STEM-Automated-Nanoparticle-Analysis-YOLOv8-SAM at db023233, laid as
    `catalysts/images/NAME.png` and `catalysts/boxes/NAME.csv` next to the public sets.
    """
    if name == _BOXES:
        if (folder := find_folder(name)) is None:
            raise InputError(f"{name}: not on this machine; lay it next to the public sets, or leave it out")
        files = by_stem(image_files(folder / "images"))
        found = TestImages(LazyImages(files, lambda stem: _unlabelled(files[stem])), name, 0)
    elif name in PUBLIC:
        found = TestImages(public_images(name).without(*_LEFT_OUT.get(name, ())), name, PUBLIC[name].min_area_px)
    else:
        found = real_images(name)
    return replace(found, images=found.images[:: ceil(len(found.images) / (most or len(found.images)))])


def _unlabelled(path: Path) -> AnnotatedImage:
    micrograph = read(path)
    return AnnotatedImage(path.stem, micrograph.pixels, None, micrograph.pixel_size, path)


def score_image(
    image: AnnotatedImage, labels: LabelMap, *, min_area_px: int
) -> tuple[dict[str, float], SegmentationComparison | None]:
    """Score a label map, shape (height, width), against what is annotated: label map or boxes.

    A particle is found if it shares half of the area of both outlines (IoU 0.5) with an annotated one, or if its centre
    lies in a box that is of no other one. AP is COCO's, over IoU 0.5 to 0.95, of label maps: no particle is surer than
    another. The interval of D50 is a bootstrap over the particles of the image, from 30 on.

    Returns
    -------
    row
        By name: `tp`, `fp`, `fn`, `f1`, `count_error`; and where there are label maps `ap`, `dice`, `D10_error`,
        `D50_error`, `D90_error` (found over annotated, less 1; -1 where nothing was found) and `D50_covered`.
    comparison
        Where there are label maps.
    """
    if image.labels is None:
        tp, fp, fn = _in_boxes(image, labels)
        return _of_counts(tp, fp, fn), None
    found = compare(
        image.labels, labels, pixel_size_nm=image.pixel_size.nm, iou=IOU, min_area_px=min_area_px, warping=False
    )
    row = _of_counts(found.instances.tp, found.instances.fp, found.instances.fn)
    sizes = found.ecd_found, found.ecd_annotated
    row |= {f"{name}_error": error for name, error in _size_errors(*sizes).items()}
    return row | {"ap": found.coco.ap, "dice": found.pixels.dice, "D50_covered": _covered(*sizes)}, found


def _of_counts(tp: int, fp: int, fn: int) -> dict[str, float]:
    return {"tp": tp, "fp": fp, "fn": fn, "f1": ratio(2 * tp, 2 * tp + fp + fn), "count_error": ratio(fp - fn, tp + fn)}


def _in_boxes(image: AnnotatedImage, labels: LabelMap) -> tuple[int, int, int]:
    """Return how many particles have their centre in a box of their own, how many have not, and how many boxes none."""
    path = image.path.parents[1] / "boxes" / f"{image.name}.csv"
    boxes = read_csv(path, "table of boxes").query("x1 > x0 and y1 > y0")
    numbers = np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1
    row, col = np.array(ndimage.center_of_mass(labels > 0, labels, numbers)).reshape(-1, 2).T[:, :, None]
    within = (row >= boxes["y0"].to_numpy()) & (row <= boxes["y1"].to_numpy())
    within &= (col >= boxes["x0"].to_numpy()) & (col <= boxes["x1"].to_numpy())
    tp = int(within[linear_sum_assignment(within, maximize=True)].sum())
    return tp, len(row) - tp, len(boxes) - tp


def _size_errors(found: FloatArray, annotated: FloatArray) -> dict[str, float]:
    if not len(annotated):
        return dict.fromkeys(_SIZES, np.nan)
    if not len(found):
        return dict.fromkeys(_SIZES, -1.0)
    at = list(_SIZES.values())
    return dict(zip(_SIZES, (np.quantile(found, at) / np.quantile(annotated, at) - 1).tolist(), strict=True))


def _covered(found: FloatArray, annotated: FloatArray) -> float:
    """Return whether the interval of D50 of one image holds the annotated one; NaN where there is no interval."""
    if len(found) < FEW_PARTICLES or not len(annotated):
        return np.nan
    drawn = np.median(generator(0, _KEY).choice(found, (_REPEATS, len(found))), axis=1)
    low, high = np.quantile(drawn, _TAILS)
    return float(low <= np.median(annotated) <= high)


def run_benchmark(
    methods: Sequence[str],
    folder: Path | str,
    *,
    sets: Sequence[str] = (),
    most: int = 0,
    twins: int = TWINS,
    seed: int = 0,
    progress: bool = True,
) -> Benchmark:
    """Let methods find the particles of the sets, and score what they find.

    Label maps are kept in `folder/labels/METHOD/SET`, tables next to them after each method and set: a run that was
    stopped goes on, and what a method finds is found anew only where the method is another.

    Parameters
    ----------
    methods
        See `nanolab.experiments.finders.make_finder`.
    sets
        See `benchmark_images`; those of `SETS` that are on this machine if empty.
    most
        Images of each set, spread evenly over it; all if 0.
    twins
        How many rendered images correct the sizes of a set that has a recipe, where the method is a network of nanolab;
        0 for none.
    seed
        Of the bootstrap over images behind the intervals.
    """
    finders = dict(map(make_finder, methods))  # before anything takes time
    opened = {Path(name).name: benchmark_images(name, most) for name in sets or filter(find_folder, SETS)}
    if not opened or not finders:
        raise InputError("benchmark: needs a method and a set; run `nanolab data get emps` to have one")
    parts = []
    for name, images in opened.items():
        for method, finder in finders.items():
            place = Path(folder) / "labels" / method / name
            done = _Scored.of(finder, images, place, f"{method}, {name}", progress)
            summary, note = done.summary(bool(SETS.get(name)), seed), ""
            if SETS.get(name) and twins and finder.network is not None:
                corrected, note = _corrected(finder.network, images, done, SETS[name], twins, seed)
                summary = pd.concat([summary, corrected])
            about = pd.DataFrame([{**done.made, "images": len(done.rows), "note": note}])
            parts.append([_named(each, name, method) for each in (done.rows, summary, about)])
            result = Benchmark(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))
            result.save(folder)
    return result


def _named(table: pd.DataFrame, name: str, method: str) -> pd.DataFrame:
    return table.assign(set=name, method=method)[["set", "method", *table.columns]]


@dataclass(frozen=True, eq=False)
class _Scored:
    """The images of a set with what a method found: rows, label maps, comparisons with annotated ones, their maker."""

    rows: pd.DataFrame
    labels: list[LabelMap]
    comparisons: list[SegmentationComparison]
    made: dict[str, str]

    @classmethod
    def of(cls, finder: Finder, images: TestImages, folder: Path, what: str, progress: bool) -> "_Scored":
        """Find what is not found yet, and score it."""
        record = _record(folder, finder.made_by)
        rows, maps, comparisons = [], [], []
        for image in tqdm(images.images, desc=what, unit="image", disable=not progress):
            path = folder / f"{image.name}.labels.tif"
            if image.name not in record["seconds"] or not path.is_file():
                started = perf_counter()
                labels, trust = finder.find(image)
                record["seconds"][image.name] = round(perf_counter() - started, 3)
                write_labels(path, labels, pixel_size=image.pixel_size, trust=trust)
                write_json(folder / _RECORD, record)
            file = read_label_file(path)
            row, comparison = score_image(image, file.labels, min_area_px=images.min_area_px)
            known = {"trust": np.nan if file.trust is None else file.trust.image}
            rows.append({"image": image.name, **row, **known, "seconds": record["seconds"][image.name]})
            maps.append(file.labels)
            comparisons += [] if comparison is None else [comparison]
        return cls(pd.DataFrame(rows), maps, comparisons, {name: record[name] for name in ("made_by", "where")})

    def summary(self, one_sample: bool, seed: int) -> pd.DataFrame:
        """Return the measures with the percentiles of a bootstrap over images, one row each."""
        rng, count = generator(seed, _KEY), len(self.rows)
        draws = rng.integers(count, size=(_REPEATS if count > 1 else 0, count))
        values = pd.Series(self._measures(range(count), one_sample))
        drawn = pd.DataFrame([self._measures(draw, one_sample) for draw in draws], columns=values.index)
        low, high = drawn.astype(float).quantile(_TAILS).to_numpy()
        return pd.DataFrame({"measure": values.index, "value": values.to_numpy(), "low": low, "high": high})

    def _measures(self, drawn: Iterable[int], one_sample: bool) -> dict[str, float]:
        rows = self.rows.iloc[list(drawn)]
        tp, fp, fn = rows[["tp", "fp", "fn"]].sum()
        values = {"F1, pooled": _of_counts(tp, fp, fn)["f1"], "F1, mean over images": rows["f1"].mean()}
        if self.comparisons:
            every = pooled(self.comparisons[k] for k in drawn)
            values |= {"AP, pooled": every.coco.ap, "AP, mean over images": rows["ap"].mean()}
            values |= {"Dice, pooled": every.pixels.dice} | _of_sizes(rows)
            if one_sample:
                errors = _size_errors(every.ecd_found, every.ecd_annotated)
                values |= {f"error of {name}, {_POOLED}": error for name, error in errors.items()}
        values[f"error of count, {_MEDIAN}"] = rows["count_error"].abs().median()
        values[f"error of count, {_POOLED}"] = ratio(fp - fn, tp + fn)
        if rows["trust"].notna().any():
            flagged = rows["trust"] < UNTRUSTED
            values["images flagged"] = flagged.mean()
            if self.comparisons:
                near = rows["D50_error"].abs() <= _NEAR[-1]
                values["of images not flagged, D50 within 10 %"] = near[~flagged].mean()
        return values | {f"seconds, {_MEDIAN}": rows["seconds"].median()}


def _of_sizes(rows: pd.DataFrame) -> dict[str, float]:
    off = rows["D50_error"].abs()
    values = {f"error of {name}, {_MEDIAN}": rows[f"{name}_error"].abs().median() for name in _SIZES}
    values |= {f"images with D50 within {100 * near:g} %": (off <= near).mean() for near in _NEAR}
    return values | {"images whose interval of D50 holds": rows["D50_covered"].mean()}


def _record(folder: Path, made_by: str) -> dict[str, Any]:
    """Return what is known of the label maps in a folder; nothing where something else has made them."""
    record = read_json(folder / _RECORD) if (folder / _RECORD).is_file() else {}
    if record.get("made_by") == made_by:
        return dict(record)
    folder.mkdir(parents=True, exist_ok=True)
    where = f"nanolab {__version__}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {"made_by": made_by, "where": where, "seconds": {}}


def _corrected(
    network: Network, images: TestImages, done: _Scored, recipe: str, twins: int, seed: int
) -> tuple[pd.DataFrame, str]:
    """Return the errors of the sizes of all images together, corrected with twins, with the bounds it gives itself."""
    measured = [
        measure_image(image.name, labels, pixel_size=image.pixel_size, image=image.image)
        for image, labels in zip(images.images, done.labels, strict=True)
    ]
    counting = Counting(border="keep", min_area_px=images.min_area_px)
    report = correct_sizes(measured, recipe, network, twins=twins, counting=counting, seed=seed)
    if report.correction is None:
        return pd.DataFrame(), " ".join(report.notes())
    annotated = pooled(done.comparisons).ecd_annotated
    truth = {f"{name.lower()}_nm": np.quantile(annotated, at) for name, at in _SIZES.items()}
    rows = []
    for name, true in {**truth, "count": len(annotated)}.items():
        known = [report.correction.values[name], *report.correction.interval[name]]
        value, low, high = np.array(known) / true - 1
        what = name.removesuffix("_nm").replace("d", "D")
        rows.append({"measure": f"error of {what}, {_POOLED}, corrected", "value": value, "low": low, "high": high})
    return pd.DataFrame(rows), " ".join(report.notes())
