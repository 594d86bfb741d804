"""A recipe fitted to micrographs without annotation: what is rendered from it looks like them, and is found like them.

The parameters of a recipe are learned from renders whose parameters are known (simulation-based inference). Geometry,
by factors on sizes, their spread, numbers, clusters and aspect ratios, is what makes that likely which the network
finds in the micrographs (synthetic likelihood: Wood 2010, 10.1038/nature09319), so that what it misses or merges is
missed and merged on both sides. Appearance, by detector and substrate, is weighed by one random forest for each
parameter on the properties of patches (Raynal et al. 2019, 10.1093/bioinformatics/bty867). Both are done twice, the
second time with renders of what the first has found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.core.typing import AnyImage, FloatArray, LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.regions import find_regions
from nanolab.measurement.size_sample import quantiles
from nanolab.realism.descriptors import describe
from nanolab.realism.patches import sequential_patches
from nanolab.synthesis.draws import Record
from nanolab.synthesis.generate import Preview, make_image
from nanolab.synthesis.recipe import Recipe, dump_recipe
from nanolab.twin.resemblance import FOUND, describe_images, resemblance, unlike
from nanolab.twin.twins import times, twin_recipe

__all__ = ["KNOBS", "Finder", "Fit", "Simulated", "fit_recipe", "rescaled", "turned"]

#: Factors on the geometry, and between which limits the first round seeks them.
KNOBS = {
    "size": (0.6, 1.7),
    "spread": (0.3, 2.5),
    "count": (0.2, 5.0),
    "cluster": (0.2, 5.0),
    "elongation": (0.2, 4.0),
}
_ROUNDS, _NARROWER = 2, 0.4  # the second round seeks within limits so much closer, on a logarithmic scale
_LOOKS = 5  # appearances of each scene
_TREES, _LEAF = 100, 5
_FIRST = 12  # scenes of what is looked at only
_SHAPES = ["elongation", "hollow"]
_SIDE_PX = 512
_LEAST_GSD = 1.01
_NO_NEWS = 0.02  # how far off what is found may be, besides its scatter: renders are not the sample
_STREAM = 7  # of random numbers
_LEAST_RENDERS = 30  # that say anything of a parameter
_ENDS = (0.05, 0.95)  # of the weighted values: the range that a parameter gets
_LEARNED = 0.8  # of the renders, at most, lie in that range; else the images say nothing about it
_PATCH_PX, _PATCHES = 128, 12
_LONGEST = 5.0  # aspect ratio, unless the recipe has longer ones


class Finder(Protocol):
    """What finds particles, such as `nanolab.segmentation.segmenter.Segmenter` at one magnification."""

    def segment(self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None) -> LabelMap:
        """Return the particles as a label map."""
        ...


@dataclass(frozen=True, eq=False)
class Fit:
    """A recipe fitted to images.

    Attributes
    ----------
    recipe
        What was fitted.
    table
        One row per parameter: parameter, before (of the parent at the images' scale) and after, as a recipe says it,
        fitted (else kept).
    before, after
        `nanolab.twin.resemblance.resemblance` of renders of the parent and of the fitted recipe.
    begun, renders
        Images rendered from the parent and from the fitted recipe, with their truth.
    """

    recipe: Recipe
    table: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame
    begun: list[AnnotatedImage]
    renders: list[AnnotatedImage]

    @property
    def failed(self) -> list[str]:
        """What of the renders is still unlike the images, in words."""
        return unlike(self.after)


def rescaled(recipe: Recipe, factor: float) -> Recipe:
    """Return a recipe of the same picture at another scale: all lengths times a factor, pixels too.

    What is told for an area, a volume or a height changes with it, so that grey values stay.
    """
    return Recipe.model_validate(_rescaled(recipe.model_dump(), factor))


_POWERS = {"defocus_nm": 2, "per_um2": -2, "per_um": -1, "atoms_per_nm3": -1, "charging": -1}


def _rescaled(content: Any, factor: float, key: str = "") -> Any:
    power = _POWERS.get(key, int(key.endswith("_nm")))
    if power:
        return times(content, factor**power)
    if isinstance(content, dict):
        return {name: _rescaled(each, factor, str(name)) for name, each in content.items()}
    return [_rescaled(each, factor) for each in content] if isinstance(content, list) else content


def turned(recipe: Recipe, knobs: dict[str, float]) -> Recipe:
    """Return a recipe with other geometry: factors on sizes, their spread, numbers, clusters and aspect ratios - 1."""
    content = recipe.model_dump()
    for kind, known in zip(content["particles"], recipe.particles, strict=True):
        kind[known.SIZE] = _spread(times(kind[known.SIZE], knobs["size"]), knobs["spread"])
        if "aspect_ratio" in kind:
            kind["aspect_ratio"] = _elongated(kind["aspect_ratio"], knobs["elongation"])
    for arrangement in _arrangements(content["arrangement"]):
        for key, knob in (("count", "count"), ("cluster_size", "cluster"), ("max_height_nm", "size")):
            if key in arrangement:
                arrangement[key] = times(arrangement[key], knobs[knob])
    return Recipe.model_validate(content)


def _arrangements(arrangement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield arrangement
    for batch in arrangement.get("of", []):
        yield batch["arrangement"]


def _spread(distribution: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a log-normal distribution whose values lie that much farther from the median, on a logarithmic scale."""
    if distribution["kind"] != "lognormal":
        return distribution
    median = distribution["median"]
    limits = {end: median * (distribution[end] / median) ** factor for end in ("min", "max") if distribution[end]}
    return {**distribution, "gsd": max(distribution["gsd"] ** factor, _LEAST_GSD), **limits}


def _elongated(distribution: Any, factor: float) -> Any:
    """Return the distribution of an aspect ratio, its distance from 1 times a factor."""
    if isinstance(distribution, dict):
        gsd = {"gsd": distribution["gsd"] ** min(factor, 2.0)} if "gsd" in distribution else {}
        return {key: _elongated(each, factor) for key, each in distribution.items()} | gsd
    if not isinstance(distribution, float):
        return distribution
    return min(1 + (distribution - 1) * factor, max(_LONGEST, distribution))


@dataclass(frozen=True, eq=False)
class Simulated:
    """Renders with what was drawn for them and what is seen in them, one row per image.

    Attributes
    ----------
    images
        With their truth.
    knobs
        Logarithms of the factors on the geometry, columns of `KNOBS`.
    drawn
        Parameters of detector and substrate; NaN where a layer is not there. `substrate.N` is whether layer N is.
    seen
        Of `seen_in`.
    """

    images: list[AnnotatedImage]
    knobs: pd.DataFrame
    drawn: pd.DataFrame
    seen: pd.DataFrame


def seen_in(images: Sequence[AnyImage], found: Sequence[LabelMap]) -> pd.DataFrame:
    """Return one row per image: what the network finds (`nanolab.twin.resemblance.FOUND`, elongation), and its looks.

    Looks are the medians over patches of 128 px of `nanolab.realism.descriptors.DESCRIPTORS`.
    """
    samples = [
        AnnotatedImage(str(k), np.asarray(image, dtype=np.float32), labels, PixelSize.unknown("not needed"), Path())
        for k, (image, labels) in enumerate(zip(images, found, strict=True))
    ]
    side = min(_PATCH_PX, *(side for image in images for side in image.shape))
    patches = sequential_patches(samples, side, limit=_PATCHES * len(samples))
    looks = describe(patches).groupby(patches.images).median().add_prefix("look_")
    shapes = pd.DataFrame([_shapes(labels) for labels in found], columns=_SHAPES)
    return describe_images(images, found).join(shapes).join(looks)


def _compared(real: pd.DataFrame, rendered: pd.DataFrame) -> pd.DataFrame:
    columns = [name for name in real if name not in _SHAPES and not name.startswith("look_")]
    return resemblance(real[columns], rendered[columns])


def _shapes(labels: LabelMap) -> list[float]:
    """Return the mean logarithm of the aspect ratio, and the mean part of the hull that particles do not fill."""
    regions = find_regions(labels)
    if not len(regions.area):
        return [np.nan, np.nan]
    hollow = 1 - regions.area / regions.hulls.pixels
    return [float(np.mean(np.log(regions.major / regions.minor))), float(np.mean(hollow))]


def fit_recipe(
    images: Sequence[AnyImage],
    parent: Recipe,
    finder: Finder,
    *,
    pixel_size_nm: float,
    scenes: int = 60,
    seed: int = 0,
    progress: bool = True,
) -> Fit:
    """Fit a recipe to micrographs of one sample, without annotation.

    Parameters
    ----------
    images
        Shape (height, width) each, without data bar.
    parent
        Where to begin; it is brought to the scale of what is found first.
    finder
        Finds the particles, in the micrographs and in renders.
    pixel_size_nm
        Edge of a pixel, of all images.
    scenes
        Scenes rendered in each of the two rounds.

    Raises
    ------
    InputError
        If hardly any particles are found in the images, or in renders of the parent.
    """
    found = [finder.segment(image, pixel_size_nm=pixel_size_nm) for image in images]
    real = seen_in(images, found)
    if not real["median_size"].notna().any():
        raise InputError("twin: fewer than three particles are found in each of the images, which tell no sizes")
    shape = np.median([image.shape for image in images], axis=0).astype(int)
    few = min(_FIRST, scenes)
    as_it_is = dict.fromkeys(KNOBS, (1.0, 1.0))
    with Preview(seed=seed) as preview:
        simulate = partial(_simulated, preview, finder=finder, seed=seed, progress=progress)
        first = simulate(parent.within(_SIDE_PX), as_it_is, range(few))
        larger = float(np.exp(real["median_size"].mean() - first.seen["median_size"].mean()))
        if not np.isfinite(larger):
            raise InputError(f"twin: no particles are found in renders of {parent.name}; begin with another recipe")
        at_scale = rescaled(parent, pixel_size_nm / parent.image.pixel_size_nm * larger)
        scaled = twin_recipe(at_scale, pixel_size_nm=pixel_size_nm, shape=(int(shape[0]), int(shape[1])))
        scaled = recipe = _rounded(scaled)
        begun = simulate(scaled, as_it_is, range(few, 2 * few))
        limits, done = KNOBS, 2 * few
        for _ in range(_ROUNDS):
            made = simulate(recipe, limits, range(done, done + scenes), looks=_LOOKS)
            knobs = _geometry(made, real, limits)
            recipe = _rounded(_with_looks(turned(recipe, knobs), made, real))
            limits = {name: (low**_NARROWER, high**_NARROWER) for name, (low, high) in KNOBS.items()}
            done += scenes
        last = simulate(recipe, as_it_is, range(done, done + few))
    return Fit(
        recipe,
        _told(scaled, recipe),
        _compared(real, begun.seen),
        _compared(real, last.seen),
        begun.images,
        last.images,
    )


def _simulated(
    preview: Preview,
    recipe: Recipe,
    limits: dict[str, tuple[float, float]],
    scenes: range,
    *,
    finder: Finder,
    seed: int,
    looks: int = 2,
    progress: bool,
) -> Simulated:
    """Render scenes of a recipe, each with other knobs, in several appearances each; find their particles."""
    images: list[AnnotatedImage] = []
    knobs, drawn = [], []
    for scene in tqdm(scenes, desc="render and find", unit="scene", disable=not progress):
        rng = generator(seed, _STREAM, scene)
        logs = {name: rng.uniform(*np.log(ends)) for name, ends in limits.items()}
        other = turned(recipe, {name: float(np.exp(log)) for name, log in logs.items()})
        placed, passes = preview.scene(other, scene)
        for _ in range(looks):
            appearance, values = _appearance(other, rng)
            made = make_image(other, placed, passes, appearance)
            size = PixelSize.typed(made.pixel_size_nm)
            images.append(AnnotatedImage(f"{scene}-{len(images)}", made.image, made.labels, size, Path()))
            knobs.append(logs)
            drawn.append(values)
    found = [finder.segment(each.image, pixel_size_nm=each.pixel_size.nm) for each in images]
    seen = seen_in([each.image for each in images], found)
    return Simulated(images, pd.DataFrame(knobs), pd.DataFrame(drawn), seen)


def _appearance(recipe: Recipe, rng: np.random.Generator) -> tuple[Record, dict[str, float]]:
    """Draw an appearance, and tell what was drawn for detector and layers."""
    record = recipe.draw_appearance(rng)
    values = {f"detector.{name}": value for name, value in record["detector"].items()}
    layers = []
    for number, layer in enumerate(recipe.substrate):
        values[f"substrate.{number}"] = there = float(rng.random() < layer.probability)
        if there:
            layers.append(layer.draw(rng))
            drawn = {name: each for name, each in layers[-1].items() if name not in ("kind", "seed")}
            values |= {f"substrate.{number}.{name}": each for name, each in drawn.items()}
    return {**record, "substrate": layers}, values


def _geometry(made: Simulated, real: pd.DataFrame, limits: dict[str, tuple[float, float]]) -> dict[str, float]:
    """Return the factors on the geometry with which as much would be found as in the real images.

    What is found is taken as linear in the logarithms of the factors, with a normal scatter from image to image; the
    factors before are as likely between their limits.
    """
    columns = [*FOUND, *_SHAPES]
    known = made.seen[columns].notna().all(axis=1).to_numpy()
    if known.sum() < _LEAST_RENDERS:
        raise InputError("twin: hardly any particles are found in renders; begin with another recipe, or more scenes")
    found, knobs = made.seen.loc[known, columns].to_numpy(), made.knobs.loc[known].to_numpy()
    line = LinearRegression().fit(knobs, found)
    scatter = np.cov(found - line.predict(knobs), rowvar=False) / len(real) + _NO_NEWS**2 * np.eye(len(columns))
    towards = np.linalg.solve(scatter, line.coef_).T
    width = np.array([np.ptp(np.log(ends)) for ends in limits.values()])
    precision = towards @ line.coef_ + np.diag(12 / width**2)
    logs = np.linalg.solve(precision, towards @ (real[columns].mean().to_numpy() - line.intercept_))
    return {
        name: float(np.exp(np.clip(log, *np.log(ends)))) for (name, ends), log in zip(limits.items(), logs, strict=True)
    }


def _with_looks(recipe: Recipe, made: Simulated, real: pd.DataFrame) -> Recipe:
    """Return the recipe with the ranges of detector and substrate of those renders that look like the real images.

    What the images say nothing about stays as it is.
    """
    looks, wanted = (table.fillna(made.seen.median()).fillna(0.0) for table in (made.seen, real))
    content = recipe.model_dump()
    for column in made.drawn:
        known = made.drawn[column].notna().to_numpy()
        values = made.drawn.loc[known, column].to_numpy()
        if len(values) < _LEAST_RENDERS or np.ptp(values) == 0:
            continue
        weights = _alikeness(looks[known], values, wanted)
        if column.count(".") == 1 and column.startswith("substrate"):
            share = round(float(np.average(values, weights=weights)), 2)
            content["substrate"][int(column.split(".")[1])]["probability"] = share
            continue
        order = np.argsort(values)
        low, high = quantiles(values[order], weights[order], _ENDS)
        if low < high and ((values >= low) & (values <= high)).mean() < _LEARNED:
            *where, name = column.split(".")
            part = content["substrate"][int(where[1])] if where[1:] else content["detector"]
            part[name] = {"kind": "uniform", "min": float(low), "max": float(high)}
    return Recipe.model_validate(content)


def _alikeness(looks: pd.DataFrame, values: FloatArray, wanted: pd.DataFrame) -> FloatArray:
    """Return the weight of each render, shape (N,), for what it says of one parameter of the wanted images.

    It is the share of trees in which a render ends in the same leaf as a wanted image, mean over these.
    """
    forest = RandomForestRegressor(_TREES, min_samples_leaf=_LEAF, max_features=0.4, random_state=0)
    leaves, ends = forest.fit(looks, rankdata(values)).apply(looks), forest.apply(wanted)
    same = leaves[None] == ends[:, None]
    return np.asarray((same / same.sum(axis=1, keepdims=True).clip(1)).mean(axis=(0, 2)))


def _rounded(recipe: Recipe) -> Recipe:
    """Return a recipe with four significant digits, for people; that of a pixel stays."""
    return Recipe.model_validate(recipe.model_dump() | _four_digits(recipe.model_dump(exclude={"image"})))


def _four_digits(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _four_digits(each) for key, each in content.items()}
    if isinstance(content, list):
        return [_four_digits(each) for each in content]
    return float(f"{content:.4g}") if isinstance(content, float) else content


def _told(before: Recipe, after: Recipe) -> pd.DataFrame:
    """Return one row per parameter of geometry and looks, as recipes say it, before and after."""
    one, other = (dict(_leaves(yaml.safe_load(dump_recipe(each)))) for each in (before, after))
    rows = [(name, str(one[name]), str(other.get(name)), one[name] != other.get(name)) for name in one]
    return pd.DataFrame(rows, columns=["parameter", "before", "after", "fitted"])


_PARTS = ("particles", "arrangement", "substrate", "detector")


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a recipe says of particles and looks, by path; a distribution is one thing."""
    last = name.rpartition(".")[2]
    if isinstance(content, list) and last in ("particles", "substrate", "of"):
        content = dict(enumerate(content))
    elif not isinstance(content, dict) or not (name == "" or last in _PARTS or last.isdigit()):
        yield name, content
        return
    for key, each in content.items():
        if name or key in _PARTS:
            yield from _leaves(each, f"{name}.{key}".lstrip("."))
