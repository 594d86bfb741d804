"""What the network that ships reaches on real micrographs, next to earlier ones and to the classical way.

`make bench` prints the table. It takes half an hour on one core and leaves out sets that are not here. Sets and scores
are those of `nanolab.experiments.benchmark`.

`python tests/benchmarks/bench_reached.py OUT.csv` writes the table; columns of earlier networks are taken from the
recorded one, which came to be in the same way.
"""

import random
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nanolab.datasets import public
from nanolab.experiments.benchmark import benchmark_images, score_image
from nanolab.experiments.finders import Finder, make_finder

pytestmark = pytest.mark.bench

RECORDED = Path(__file__).parents[2] / "papermill_runs" / "results" / "shipped_model" / "reached.csv"
#: Catalysts that were looked at while `auto` was made. So was all of BAM.
LOOKED_AT = {"Cu1", "Cu4", "Cu_silica2", "Pd1", "Pt4", "PtCo", "PtCo3"}
#: What is to be reached at least; of errors and of images far off, at most.
AIMS = {
    ("emps", "F1, pooled"): 0.92,
    ("emps", "F1, mean over images"): 0.90,
    ("emps", "F1, rods SEM"): 0.88,
    ("emps", "F1, rods TEM"): 0.88,
    ("emps", "F1, other shapes"): 0.87,
    ("emps", "images with the median within 10 %"): 0.82,
    ("emps", "images with the median off by over 25 %"): 0.07,
    ("bam-tio2", "Dice"): 0.958,
    ("bam-tio2", "F1, pooled"): 0.83,
    ("bam-tio2", "images with the median within 15 %"): 1.0,
    ("catalysts", "recall"): 0.75,
    ("catalysts", "precision"): 0.75,
    ("catalysts", "error of the count, median image"): 0.15,
}


def tuned_on(names: Iterable[str]) -> set[str]:
    """Return the images of EMPS on which was settled what is kept of several magnifications: 47."""
    ordered = list(names)
    shuffled = ordered.copy()
    random.Random(0).shuffle(shuffled)  # noqa: S311  # as it was done then
    return {*shuffled[:40], *ordered[:7]}


def scored(finder: Finder, name: str) -> pd.DataFrame:
    """Return how well each image of a set is segmented, one row each, by name."""
    rows, images = {}, benchmark_images(name)
    for image in images.images:
        row, found = score_image(image, finder.find(image)[0], min_area_px=images.min_area_px)
        pixels = {} if found is None else {"inside": found.pixels.tp, "wrong": found.pixels.fp + found.pixels.fn}
        rows[image.name] = row | pixels
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.join(public.image_classes()[["shape", "modality"]]) if name == "emps" else table


def _of_counts(table: pd.DataFrame) -> tuple[float, float, float]:
    """Return precision, recall and F1 over the particles of all images together."""
    tp, fp, fn = table[["tp", "fp", "fn"]].sum()
    return tp / max(tp + fp, 1), tp / max(tp + fn, 1), 2 * tp / max(2 * tp + fp + fn, 1)


def of_boxes(table: pd.DataFrame) -> dict[str, float]:
    """Return what catalysts come to."""
    precision, recall, _ = _of_counts(table)
    error = (table["fp"] - table["fn"]) / (table["tp"] + table["fn"])
    return {
        "images": len(table),
        "precision": precision,
        "recall": recall,
        "error of the count, median image": float(error.abs().median()),
    }


def of_images(table: pd.DataFrame) -> dict[str, float]:
    """Return what annotated images come to."""
    precision, recall, f1 = _of_counts(table)
    inside, wrong = table[["inside", "wrong"]].sum()
    off = table["D50_error"].abs()
    found = {
        "images": len(table),
        "Dice": 2 * inside / (2 * inside + wrong),
        "precision": precision,
        "recall": recall,
        "F1, pooled": f1,
        "F1, mean over images": float(table["f1"].mean()),
        "error of the median, median image": float(table["D50_error"].median()),
        "images with the median within 10 %": float((off <= 0.1).mean()),
        "images with the median within 15 %": float((off <= 0.15).mean()),
        "images with the median off by over 25 %": float((off > 0.25).mean()),
    }
    if "shape" in table:
        rod, other = table["shape"] == "rod", table["shape"] == "other"
        groups = {"rods SEM": rod & (table["modality"] == "sem"), "rods TEM": rod & (table["modality"] == "tem")}
        found |= {
            f"F1, {name}": _of_counts(table[those])[2] for name, those in {**groups, "other shapes": other}.items()
        }
    return found


def parts(name: str, table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return what a set comes to, and its images that were tuned on and those that were not."""
    if name == "bam-tio2":
        return {"all, tuned on": of_images(table)}
    tuned = table.index.isin(LOOKED_AT if name == "catalysts" else tuned_on(public.PUBLIC[name].images))
    those = {"all": np.ones(len(table), dtype=bool), "tuned on": tuned, "kept back": ~tuned}
    return {part: (of_boxes if name == "catalysts" else of_images)(table[rows]) for part, rows in those.items()}


def reached(finder: Finder) -> pd.Series:
    """Return what one way of finding particles reaches, by set, part of it and measure."""
    values = {
        (name, part, measure): value
        for name in ("emps", "bam-tio2", "catalysts")
        if public.find_folder(name)
        for part, found in parts(name, scored(finder, name)).items()
        for measure, value in found.items()
    }
    return pd.Series(values).rename_axis(["images", "part", "measure"])


def whole_table() -> pd.DataFrame:
    """Return one row per measure with its aim, what each way reaches, and what was recorded of earlier networks."""
    table = pd.DataFrame({name: reached(make_finder(method)[1]) for name, method in WAYS.items()})
    table.insert(0, "aim", [AIMS.get((images, measure)) for images, _, measure in table.index])
    if RECORDED.exists():
        earlier = pd.read_csv(RECORDED, index_col=[0, 1, 2]).filter(like="version")
        table = table.join(earlier)
    return table.round(3)


WAYS = {"network that ships": "nanolab", "Otsu, watershed": "otsu", "adaptive, watershed": "adaptive"}


def test_what_is_reached_next_to_the_classical_way(emps_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_DATA", str(emps_folder.parent))
    print(f"\n{whole_table().to_string()}")


if __name__ == "__main__":
    whole_table().to_csv(sys.argv[1])
