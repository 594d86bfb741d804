"""How well the whole size of half-hidden particles is estimated, and how the trees for it are made.

`make bench` renders six images of each of some recipes with a seed that the trees have not seen and prints the table.
`python tests/benchmarks/bench_hidden.py FOLDER...` grows the trees anew from rendered data sets and writes
`nanolab/measurement/hidden.csv`; those that ship are of the first 12 images of each of 24 recipes, of seeds 501 to 503
(all in `data/recipes` but the rings and the stand-in), and of what the network that shipped before found in eight more
images of each of eleven of them, so that they can be made again alike, not the same.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.dataset import Dataset
from nanolab.measurement.hidden import SIGNS, TREES, fractions_of, signs
from nanolab.measurement.regions import find_regions
from nanolab.metrics.instance import overlaps
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.segmenter import Segmenter
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import load_recipe

pytestmark = pytest.mark.bench

RECIPES = ("ag_agglomerates_him", "au_rods_tem", "rods_sem", "spheres_sem", "tio2_sem", "tio2_him")
FOREST = {"n_estimators": 80, "learning_rate": 0.15, "max_leaf_nodes": 8, "min_samples_leaf": 40, "random_state": 0}
LEAST_PX = 30
EDGES = (0, 0.3, 0.5, 0.7, 0.9, 1.001)


Find = Callable[[AnnotatedImage], npt.NDArray[np.int32]]


def looked_at(dataset: Dataset, count: int, find: Find | None = None) -> pd.DataFrame:
    """Return the signs of the particles of so many images, one row each, with their visible and whole areas in px.

    What the edge of the image cuts is left out, because the whole area then counts what lies beyond.

    Parameters
    ----------
    find
        Finds the particles, of which those count that are a true one; the true label map is taken if None.
    """
    truth, tables = dataset.particles(), []
    truth = truth[(truth["label"] > 0) & ~truth["touches_border"].astype(bool)]
    for sample in list(dataset)[:count]:
        known = truth[truth["image"].astype(str) == sample.name].set_index("label")
        tables.append(signs_of(sample.labels if find is None else find(sample), sample, known["projected_area_nm2"]))
    every = pd.concat(tables).query(f"visible >= {LEAST_PX} and whole > 0")
    return every.assign(recipe=dataset.folder.name)


def signs_of(labels: npt.NDArray[np.int32], sample: AnnotatedImage, whole_nm2: pd.Series) -> pd.DataFrame:
    """Return the signs, the visible area in px, the whole and the truly visible one of each particle that is true."""
    both, found = overlaps(sample.labels, labels), find_regions(labels)
    same = both.ious > 0.5
    true = pd.Series(both.true_labels[both.rows][same], index=both.found_labels[both.cols][same])
    table = pd.DataFrame(signs(labels, found), columns=list(SIGNS), index=found.label).assign(visible=found.area)
    areas = np.bincount(sample.labels.ravel())
    table = table.loc[true.index].assign(seen=areas[true])
    return table.assign(whole=whole_nm2.reindex(true.to_numpy()).to_numpy() / sample.pixel_size.nm**2)


def grow(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the nodes of trees that give the logarithm of whole area / visible area; each recipe weighs the same."""
    every = pd.concat(tables).dropna()
    weight = 1 / every.groupby("recipe")["recipe"].transform("size")
    forest = GradientBoostingRegressor(loss="absolute_error", **FOREST)
    wanted = np.log(every["whole"] / every["visible"])
    forest.fit(every[list(SIGNS)].to_numpy(), wanted, sample_weight=weight * len(weight) / weight.sum())
    leaf = {"sign": [-1], "threshold": [0.0], "left": [-1], "right": [-1], "value": forest.init_.constant_.ravel()}
    trees = [pd.DataFrame(leaf), *(_nodes(each[0].tree_, forest.learning_rate) for each in forest.estimators_)]
    return pd.concat(trees, keys=range(len(trees)), names=["tree"]).reset_index("tree").round(5)


def _nodes(tree: object, rate: float) -> pd.DataFrame:
    leaf = tree.children_left < 0
    return pd.DataFrame(
        {
            "sign": np.where(leaf, -1, tree.feature),
            "threshold": np.where(leaf, 0, tree.threshold),
            "left": tree.children_left,
            "right": tree.children_right,
            "value": np.where(leaf, rate * tree.value[:, 0, 0], 0),
        }
    )


def errors(every: pd.DataFrame) -> pd.DataFrame:
    """Return how far the diameters seen and estimated are off, by visible fraction and recipe."""
    every = every.assign(estimate=every["visible"] / fractions_of(every[list(SIGNS)].to_numpy()))
    seen = every["seen"] / every["whole"]
    off = {name: np.sqrt(every[name] / every["whole"]) - 1 for name in ("visible", "estimate")}
    groups = pd.concat([pd.cut(seen, EDGES).astype(str).rename("of"), every["recipe"].rename("of")])
    table = pd.concat([pd.DataFrame(off)] * 2).groupby(groups.to_numpy())
    parts = {
        "particles": table.size(),
        **{f"{name}, median": table[name].median() for name in off},
        **{f"{name}, median size of it": table[name].apply(lambda each: each.abs().median()) for name in off},
    }
    for name in off:
        size = every.assign(size=np.sqrt(every[name])).groupby("recipe")["size"].median()
        parts[f"D50 of {name}"] = size / np.sqrt(every["whole"]).groupby(every["recipe"]).median() - 1
    return pd.DataFrame(parts)


def by_network() -> Find:
    """Return how the network that ships finds particles."""
    segmenter = Segmenter(shipped_model(), magnification="auto")
    return lambda sample: segmenter.segment(sample.image)


def test_the_whole_size_of_what_is_half_hidden(tmp_path: Path) -> None:
    sets = [render(load_recipe(name), tmp_path / name, 6, seed=9) for name in RECIPES]
    for what, find in {"true label maps": None, "the network that ships": by_network()}.items():
        table = errors(pd.concat(looked_at(each, 6, find) for each in sets))
        print(f"\n{what}\n{table.round(3).to_string()}")


if __name__ == "__main__":
    ways = None, by_network()
    grow(looked_at(Dataset(folder), 12, find) for folder in sys.argv[1:] for find in ways).to_csv(
        TREES, index=False, float_format="%.6g"
    )
