"""The sizes of the user's images corrected with twins: from label maps to what is written down."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy.special import softmax

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.core.shared import ROOT
from nanolab.core.typing import FloatArray, Image, LabelMap
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.particles import measure
from nanolab.measurement.summary import MeasuredImage
from nanolab.models.readouts.interior_border import InteriorBorder
from nanolab.segmentation.magnification import MAGNIFICATION_RANGE
from nanolab.synthesis.recipe import Recipe, load_recipe
from nanolab.twin.correction import Correction, FoundSizes, correct
from nanolab.twin.resemblance import describe_images, resemblance, unlike
from nanolab.twin.response import Counted, MatchedTwin, dealt, log_edges, tally
from nanolab.twin.twins import TRUTHS, Counting, Network, Truth, Twins, one_pixel_size, twin_recipe

__all__ = ["TWINS", "TwinReport", "correct_sizes"]

#: Twins that are rendered unless told otherwise.
TWINS = 60
_STEP = 2**0.5  # of the magnification between settings
_DYNAMIC = 2.0  # factor of `dynamic` between settings
_SOME = 5  # images that say which magnification `auto` chooses
_ALIKE_DENSITIES = 0.35  # SD of the logarithm of the density over which twins stand for an image


@dataclass(frozen=True, eq=False)
class TwinReport:
    """Sizes corrected with twins.

    Attributes
    ----------
    correction
        As found and corrected; None where the twins do not resemble the images.
    resemblance
        Of `nanolab.twin.resemblance.resemblance`.
    unlike
        What differs too much, in words.
    about
        Recipe, number of twins, network, settings, which size is true.
    fates
        Share of the twins' true particles that were found, split, merged and missed.
    """

    correction: Correction | None
    resemblance: pd.DataFrame
    unlike: list[str]
    about: dict[str, Any]
    fates: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return `as_found`, `corrected`, `budget` and `twin`, ready for JSON."""
        table = self.resemblance.drop(columns="meaning").set_index("property")
        alike = {"unlike": self.unlike, "properties": table.astype(float).to_dict("index")}
        twin = {**self.about, "fates": self.fates, "resemblance": alike}
        return {**({} if self.correction is None else self.correction.to_dict()), "twin": twin}

    def notes(self) -> list[str]:
        """Return what a reader must know."""
        notes = [f"This twin does not resemble your images: {each}." for each in self.unlike]
        if self.correction is None:
            return [*notes, "No corrected sizes are given; choose another recipe, or --force."]
        low, high = self.correction.spectrum.range_nm
        reach = f"Corrected sizes are those from {low:.0f} to {high:.0f} nm: below, fewer than a third would be found."
        value, (least, most) = self.correction.values["d50_nm"], self.correction.interval["d50_nm"]
        return [*notes, f"D50 corrected with twins: {value:.4g} nm ({least:.4g} to {most:.4g}).", reach]


def correct_sizes(
    images: Sequence[MeasuredImage],
    recipe: Recipe | Path | str,
    network: Network,
    *,
    twins: int = TWINS,
    truth: Truth = "visible",
    counting: Counting | None = None,
    pixel_size_error: float | None = None,
    force: bool = False,
    seed: int = 0,
    root: Path = ROOT,
) -> TwinReport:
    """Correct the sizes of a sample with twins rendered from a recipe.

    Parameters
    ----------
    images
        Micrographs with the label maps that `network` has found in them, all of one pixel size.
    twins
        How many images are rendered; they are kept, so that the next time takes seconds.
    truth
        Which size the corrected ones are, see `nanolab.twin.twins.TRUTHS`.
    pixel_size_error
        Standard uncertainty of the pixel size, relative; by its source if None.
    force
        Correct also where the twins do not resemble the images.
    root
        Where renders and label maps are kept.

    Raises
    ------
    InputError
        If an image or its scale is missing, or scales differ; if the twins show nothing to correct with.
    """
    pixel_size = _one_scale(images)
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    shape = np.median([each.labels.shape for each in images], axis=0).astype(int)
    fitted = twin_recipe(recipe, pixel_size_nm=cast(float, pixel_size.nm), shape=(int(shape[0]), int(shape[1])))
    rendered = Twins.rendered(fitted, twins, root=root)
    study = _Study(images, rendered, counting or Counting(), truth, pixel_size)
    first = study.seen_by(network, found=[each.labels.astype(np.int32) for each in images])
    table = resemblance(*(describe_images(*each) for each in (first.images, first.twins)))
    about: dict[str, Any] = {
        "recipe": recipe.name,
        "images": twins,
        "truth": TRUTHS[truth],
        "settings": [network.segmenter.made_by],
    }
    fates = pd.Series(np.concatenate([each.fates for each in first.matched])).value_counts(normalize=True).to_dict()
    report = TwinReport(None, table, unlike(table), about, fates)
    if report.unlike and not force:
        return report
    others = _others(network, first.images[0])
    about["settings"] += [each.segmenter.made_by for each in others]
    every = [first, *(study.seen_by(each) for each in others)]
    edges = log_edges(*[sizes for each in every for sizes in each.sizes()])
    scenes = int(study.twins.scene.max()) + 1
    error = pixel_size.uncertainty if pixel_size_error is None else pixel_size_error
    correction = correct(
        [each.sample for each in every],
        [tally(each.matched, edges, study.twins.scene) for each in every],
        count=len(first.sample.sizes),
        particles=tally(dealt(first.matched, scenes, generator(seed, 4)), edges),
        pixel_size_error=error,
        rng=generator(seed, 3),
    )
    return replace(report, correction=correction)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a network finds with one setting: images and twins with their label maps, and what is counted of them."""

    images: tuple[list[Image], list[LabelMap]]
    twins: tuple[list[Image], list[LabelMap]]
    sample: FoundSizes
    matched: list[MatchedTwin]

    def sizes(self) -> Iterator[FloatArray]:
        """Yield all sizes that must have a bin."""
        yield self.sample.sizes
        for each in self.matched:
            yield from (each.true.sizes, each.found.sizes)


@dataclass(frozen=True, eq=False)
class _Study:
    """Images and their twins."""

    images: Sequence[MeasuredImage]
    twins: Twins
    counting: Counting
    truth: Truth
    pixel_size: PixelSize

    def seen_by(self, network: Network, found: list[LabelMap] | None = None) -> _Seen:
        """Return what a network finds; `found` are the label maps of the images where they are known."""
        nm = cast(float, self.pixel_size.nm)
        ours = [np.asarray(each.image, dtype=np.float32) for each in self.images]
        theirs = [each.image for each in self.twins.dataset[: self.twins.count]]
        maps = network.find(ours, pixel_size_nm=nm) if found is None else found
        of_twins = network.find(theirs, pixel_size_nm=nm)
        counted = [self.counting.counted(measure(each, pixel_size=self.pixel_size)) for each in maps]
        areas = np.array([each.size * nm**2 for each in maps])
        matched = _as_dense(self.twins.matched(of_twins, self.counting, self.truth), counted, areas)
        return _Seen((ours, maps), (theirs, of_twins), _pooled(counted, float(areas.sum())), matched)


def _as_dense(twins: list[MatchedTwin], images: list[Counted], areas: FloatArray) -> list[MatchedTwin]:
    """Let twins count as much as there are images of their density: each image has one vote, for twins like it."""
    theirs = np.log([(each.found.weights.sum() + 1) / each.area_nm2 for each in twins])
    ours = np.log([(each.weights.sum() + 1) / area for each, area in zip(images, areas, strict=True)])
    votes = softmax(-(((ours[:, None] - theirs) / _ALIKE_DENSITIES) ** 2) / 2, axis=1).mean(axis=0) * len(twins)
    return [each.times(vote) for each, vote in zip(twins, votes, strict=True)]


def _pooled(images: list[Counted], area_nm2: float) -> FoundSizes:
    sizes, weights = (np.concatenate([getattr(each, name) for each in images]) for name in ("sizes", "weights"))
    number = np.repeat(np.arange(len(images)), [len(each.sizes) for each in images])
    return FoundSizes(sizes, weights, number if len(images) > 1 else np.arange(len(sizes)), area_nm2)


def _others(network: Network, images: Sequence[Image]) -> list[Network]:
    """Return the network with settings next to the user's: other magnifications, and other cuts where it has them."""
    options, segmenter = network.options, network.segmenter
    usual = options.get("magnification", 1.0)
    if usual == "auto":
        usual = float(np.median([segmenter.magnification(each) for each in images[:_SOME]]))
    low, high = MAGNIFICATION_RANGE
    changed = [{"magnification": float(np.clip(usual * factor, low, high))} for factor in (1 / _STEP, _STEP)]
    if isinstance(segmenter.readout, InteriorBorder) and options.get("postprocessing") is None:
        dynamics = [min(segmenter.readout.dynamic * factor, 1.0) for factor in (1 / _DYNAMIC, _DYNAMIC)]
        changed += [{"magnification": usual, "dynamic": each} for each in dynamics]
    return [replace(network, options={**options, **each}) for each in changed]


def _one_scale(images: Sequence[MeasuredImage]) -> PixelSize:
    """Return the pixel size that all images share."""
    if not images:
        raise InputError("twin: needs at least one image with its label map, got none")
    if lacking := [each.name for each in images if each.image is None]:
        raise InputError(f"twin: needs the micrographs of the label maps, and {lacking[0]} has none; give --images")
    return one_pixel_size({each.name: each.pixel_size for each in images})
