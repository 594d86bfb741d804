"""Twins: images rendered at the scale and size of the user's, and segmented in the same way; kept for the next time."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.files import digest, sha256
from nanolab.core.shared import ROOT
from nanolab.core.typing import AnyImage, FloatArray, LabelMap
from nanolab.datasets.dataset import Dataset
from nanolab.images.labels import read_labels, write_labels
from nanolab.images.pixel_size import PixelSize
from nanolab.images.rle import decode_columns
from nanolab.measurement.particles import measure, sizes_of
from nanolab.measurement.size_sample import Border, border_weights
from nanolab.models.epochs import checkpoint_of
from nanolab.models.shipped import shipped_model
from nanolab.segmentation.segmenter import Segmenter, options_said
from nanolab.synthesis.arrangement.base import Counted as CountedArrangement
from nanolab.synthesis.recipe import Recipe
from nanolab.synthesis.rendered import rendered_dataset
from nanolab.twin.response import Counted, MatchedTwin, match_twin

__all__ = ["TRUTHS", "Counting", "Network", "Truth", "Twins", "network_of", "one_pixel_size", "times", "twin_recipe"]

#: What a true size is.
Truth = Literal["visible", "whole", "volume"]
#: For people.
TRUTHS: dict[Truth, str] = {
    "visible": "equivalent diameter of what is seen of a particle",
    "whole": "equivalent diameter of the whole outline, what others hide too",
    "volume": "diameter of the sphere of the particle's volume",
}
_SAME_PIXELS = 0.005  # relative
_SIDE_PX = 512  # a larger image shows no more than several of these; the border is corrected for in all
_LEAST_PX = 10  # fewer visible pixels are no particle that anybody would draw
_MOST_FOUND = 40  # folders of label maps: those of about eight corrections
_SEED = 20261130  # other images than any training with a small seed has seen


def twin_recipe(recipe: Recipe, *, pixel_size_nm: float, shape: tuple[int, int]) -> Recipe:
    """Return the recipe for images of a pixel size and of a shape (height, width), with as many particles for an area.

    Sides end at 512 px. Numbers of particles are changed with the area where the arrangement is told a number.
    """
    height, width = (min(side, _SIDE_PX) for side in shape)
    image = recipe.image.model_copy(update={"height_px": height, "width_px": width, "pixel_size_nm": pixel_size_nm})
    area = height * width * pixel_size_nm**2
    factor = area / (recipe.image.height_px * recipe.image.width_px * recipe.image.pixel_size_nm**2)
    others = [each.model_copy(update=_scaled(each.arrangement, factor)) for each in recipe.others]
    return recipe.model_copy(update={"image": image, "others": others, **_scaled(recipe.arrangement, factor)})


def one_pixel_size(sizes: Mapping[str, PixelSize]) -> PixelSize:
    """Return the pixel size that all images share, by name; a microscope's own scatter of half a per cent is none.

    Raises
    ------
    InputError
        If one is not known, or they differ.
    """
    if unknown := [name for name, size in sizes.items() if size.nm is None]:
        raise InputError(
            f"twin: {unknown[0]} has no pixel size, and recipes are in nm; give --pixel-size-nm or --scales"
        )
    known = sorted(size.nm or 0.0 for size in sizes.values())
    if known[-1] > (1 + _SAME_PIXELS) * known[0]:
        raise InputError(
            f"twin: all images must have one pixel size, got {known[0]:.6g} to {known[-1]:.6g} nm; take them apart"
        )
    return next(iter(sizes.values()))


def _scaled(arrangement: Any, factor: float) -> dict[str, Any]:
    if not isinstance(arrangement, CountedArrangement):
        return {}
    count = type(arrangement.count).model_validate(times(arrangement.count.model_dump(), factor))
    return {"arrangement": arrangement.model_copy(update={"count": count})}


def times(content: Any, factor: float) -> Any:
    """Return the parameters of a distribution times a factor, but for those without a unit."""
    if isinstance(content, dict):
        return {key: each if key in ("weights", "gsd") else times(each, factor) for key, each in content.items()}
    if isinstance(content, list):
        return [times(each, factor) for each in content]
    return content * factor if isinstance(content, int | float) else content


@dataclass(frozen=True)
class Counting:
    """Which particles count, and how; see `nanolab.measurement.size_sample.size_sample`."""

    quantity: str = "ecd"
    border: Border = "correct"
    min_area_px: int = 0

    def counted(self, particles: pd.DataFrame, least_px: int = 0) -> Counted:
        """Return those of a table of `nanolab.measurement.particles.measure` of one image."""
        kept = particles[particles["area_px"] >= max(self.min_area_px, least_px)]
        kept = kept if self.border == "keep" else kept[~kept["touches_border"].to_numpy(dtype=bool)]
        kept = kept[~np.isnan(sizes_of(kept, self.quantity)[0])]
        return Counted(kept["label"].to_numpy(dtype=np.int64), sizes_of(kept, self.quantity)[0], self._weights(kept))

    def known(self, particles: pd.DataFrame, shape: tuple[int, int], size: str) -> Counted:
        """Return those of a table of `nanolab.synthesis.scene.truth.ground_truth`, of the size in a column of it."""
        kept = particles if self.border == "keep" else particles[~particles["touches_border"].to_numpy(dtype=bool)]
        boxes = np.array([_box(outline, shape) for outline in kept["amodal_rle"]]).reshape(-1, 2)
        kept = kept.assign(image_height_px=shape[0], image_width_px=shape[1], box_height_px=boxes[:, 0])
        kept = kept.assign(box_width_px=boxes[:, 1])[boxes.all(axis=1)]
        return Counted(kept["label"].to_numpy(dtype=np.int64), kept[size].to_numpy(), self._weights(kept))

    def _weights(self, kept: pd.DataFrame) -> FloatArray:
        return border_weights(kept) if self.border == "correct" else np.ones(len(kept))


def _box(outline: str, shape: tuple[int, int]) -> tuple[int, int]:
    columns, mask = decode_columns(outline, shape, "amodal_rle")
    return int(mask.any(axis=1).sum()), columns.stop - columns.start


@dataclass(frozen=True)
class Twins:
    """Rendered images that stand for the user's."""

    dataset: Dataset
    count: int
    scene: npt.NDArray[np.int64]

    @classmethod
    def rendered(cls, recipe: Recipe, count: int, *, root: Path = ROOT) -> Self:
        """Render a number of images of a recipe of `twin_recipe`, or take those that are there."""
        dataset = rendered_dataset(recipe, count, seed=_SEED, root=root)
        return cls(dataset, count, np.arange(count) // recipe.appearances_per_scene)

    def matched(self, found: Sequence[LabelMap], counting: Counting, truth: Truth) -> list[MatchedTwin]:
        """Say what became of the particles of each image, given what was found in it."""
        known = None if truth == "visible" else self.dataset.particles().groupby("image", sort=False)
        twins = []
        for image, labels in zip(self.dataset[: self.count], found, strict=True):
            there, nm = cast(LabelMap, image.labels), cast(float, image.pixel_size.nm)
            if known is None:
                true = counting.counted(measure(there, pixel_size=image.pixel_size), _LEAST_PX)
            else:
                column = "projected_ecd_nm" if truth == "whole" else "diameter_nm"
                true = counting.known(known.get_group(image.name), (there.shape[0], there.shape[1]), column)
            seen = counting.counted(measure(labels, pixel_size=image.pixel_size))
            twins.append(match_twin(there, labels, (true, seen), area_nm2=there.size * nm**2))
        return twins


@dataclass(frozen=True)
class Network:
    """A network and the options of `nanolab.segmentation.segmenter.Segmenter` it is used with.

    Its label maps are kept by what decides about them: the image, the weights, the options; for the 40 pairs of weights
    and options that were used last.
    """

    model: Path
    options: dict[str, Any] = field(default_factory=dict)
    root: Path = ROOT

    @cached_property
    def segmenter(self) -> Segmenter:
        """The network, loaded."""
        return Segmenter(self.model, **self.options)

    @cached_property
    def _folder(self) -> Path:
        key = {"weights": sha256(checkpoint_of(self.model)), "made_by": self.segmenter.made_by, "options": self.options}
        folder = self.root / f"found-{digest(key)[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        kept = sorted(self.root.glob("found-*"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-_MOST_FOUND]:
            shutil.rmtree(old, ignore_errors=True)  # another process may remove it as well
        return folder

    def find(self, images: Iterable[AnyImage], *, pixel_size_nm: float, progress: bool = True) -> list[LabelMap]:
        """Return the label maps of images, shape (height, width) each, found now or before."""
        bar = tqdm(list(images), desc="segment", unit="image", disable=not progress)
        return [self._one(image, pixel_size_nm) for image in bar]

    def _one(self, image: AnyImage, pixel_size_nm: float) -> LabelMap:
        grey = np.ascontiguousarray(image, dtype=np.float32)
        key = digest([hashlib.sha256(grey.tobytes()).hexdigest(), list(grey.shape), pixel_size_nm])[:24]
        path = self._folder / f"{key}.labels.tif"
        if not path.is_file():
            write_labels(path, self.segmenter.segment(grey, pixel_size_nm=pixel_size_nm), pixel_size_nm=pixel_size_nm)
        return read_labels(path)


def network_of(made_by: Iterable[str], model: Path | None = None, *, root: Path = ROOT) -> Network:
    """Return the network, with the settings, that label maps say has found their particles.

    Parameters
    ----------
    made_by
        What each label map says.
    model
        The network; the one that ships if None.

    Raises
    ------
    InputError
        If the label maps say nothing, or different things, or the network is another one.
    """
    said = sorted(set(made_by))
    if len(said) != 1 or not said[0]:
        named = "; ".join(each or "nothing" for each in said)
        raise InputError(f"twin: all label maps must be of one network and its settings, got {named}; segment again")
    network = Network(shipped_model() if model is None else model, options_said(said[0]), root)
    if network.segmenter.made_by.split(", ")[1:] != said[0].split(", ")[1:]:  # whatever the version
        raise InputError(
            f"twin: the label maps are of {said[0]}, the model is {network.segmenter.made_by}; give --model"
        )
    return network
