"""Two sets of micrographs compared: everything that a realism report shows, without a figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.core.timing import Stopwatch
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.realism.descriptors import describe, what_differs
from nanolab.realism.embedding import principal_components, tsne
from nanolab.realism.features import extract_features, load_extractor
from nanolab.realism.patches import KINDS, Patches, random_patches, sequential_patches
from nanolab.realism.presets import Extractor, Preset, find_preset
from nanolab.realism.scores import LEAST, Cloud, halve_images, score_sets
from nanolab.realism.twosample import TwoSampleTest, classifier_two_sample_test

__all__ = ["GROUPS", "RealismComparison", "compare_sets", "resample", "typical_pixel_size"]


#: Pixel sizes this close are one: a microscope's magnification is not known better.
SAME_SIZE = 0.02


def typical_pixel_size(samples: Sequence[AnnotatedImage]) -> float | None:
    """Return the median pixel size of a set in nm, or None if one is unknown; the first twenty images speak for it."""
    sizes = [sample.pixel_size.nm for sample in samples[:20]]
    known = [size for size in sizes if size is not None]
    return float(np.median(known)) if known and len(known) == len(sizes) else None


def resample(sample: AnnotatedImage, pixel_size_nm: float) -> AnnotatedImage:
    """Return a sample at another pixel size; itself if its own is the same to 2 %.

    Finer pixels are averaged over the area of a coarser one, which also averages their noise; coarser ones are
    interpolated. Each pixel keeps the label of the nearest one.

    Raises
    ------
    InputError
        If the pixel size of the sample is unknown.
    """
    if sample.pixel_size.nm is None:
        raise InputError(f"{sample.path}: its pixel size must be known to resample it; give it by hand or leave it out")
    factor = sample.pixel_size.nm / pixel_size_nm
    if abs(factor - 1) <= SAME_SIZE:
        return sample
    height, width = (max(1, round(side * factor)) for side in sample.image.shape)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    image = np.clip(cv2.resize(sample.image, (width, height), interpolation=method), 0, 1)
    labels = None
    if sample.labels is not None:
        rows = ((np.arange(height) + 0.5) / factor).astype(int).clip(max=sample.image.shape[0] - 1)
        columns = ((np.arange(width) + 0.5) / factor).astype(int).clip(max=sample.image.shape[1] - 1)
        labels = sample.labels[np.ix_(rows, columns)]
    source = replace(sample.pixel_size, nm=pixel_size_nm, detail=f"{sample.pixel_size.detail}; resampled")
    return replace(sample, image=image.astype(np.float32), labels=labels, pixel_size=source)


#: The groups of patches that are compared apart. Background is all patches without particles, dirt some of these.
GROUPS = ("all", "particle", "background", "dirt")
_HALVINGS = 8
_LEAST_IMAGES = 4
_COMPONENTS = 64


@dataclass(frozen=True)
class RealismComparison:
    """What a comparison of real and synthetic micrographs found.

    Attributes
    ----------
    real, synthetic
        The patches.
    embedding
        Place of each patch on the map, shape (real and then synthetic patches, 2).
    components
        How many principal components the map was made of.
    scores
        By group of patches (`GROUPS`) the numbers of `nanolab.realism.scores.score_sets`; a group of too few patches
        is left out.
    test
        The classifier's opinion of every patch.
    differences
        By group of patches, of `nanolab.realism.descriptors.what_differs`.
    pixel_size_nm
        Pixel size at which the sets were compared, None if it is not known for both.
    notes
        What a reader of the numbers must know about them.
    about
        Preset, seed, names and counts of images and patches.
    seconds
        Time each step took.
    """

    real: Patches
    synthetic: Patches
    embedding: npt.NDArray[np.float64]
    components: int
    scores: dict[str, dict[str, dict[str, Any]]]
    test: TwoSampleTest
    differences: dict[str, pd.DataFrame]
    pixel_size_nm: float | None
    notes: tuple[str, ...]
    about: dict[str, Any]
    seconds: dict[str, float]

    def results(self) -> dict[str, Any]:
        """Return all numbers, ready for JSON."""
        kinds = {
            name: {kind: int((patches.table["kind"] == kind).sum()) for kind in KINDS}
            for name, patches in (("real", self.real), ("synthetic", self.synthetic))
        }
        return {
            **self.about,
            "pixel_size_nm": self.pixel_size_nm,
            "patches_by_kind": kinds,
            "principal_components": self.components,
            "scores": self.scores,
            "c2st_all_images": self.test.accuracy,
            "differences": {group: table.to_dict("records") for group, table in self.differences.items()},
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def compare_sets(
    real: Sequence[AnnotatedImage],
    synthetic: Sequence[AnnotatedImage],
    *,
    preset: str = "default",
    seed: int,
    max_patches: int | None = None,
    extractor: Extractor | None = None,
    weights: Path | str | None = None,
    progress: bool = True,
) -> RealismComparison:
    """Compare real and synthetic micrographs patch by patch.

    Where the pixel sizes of both are known and differ, all images are first brought to the one that the preset says.

    Parameters
    ----------
    real, synthetic
        At least four images each, none smaller than a patch.
    preset
        One of `nanolab.realism.presets.PRESETS`.
    seed
        The run's one seed.
    max_patches
        At most so many real patches, and as many synthetic ones; what the preset says if None.
    extractor
        Another network than that of the preset.
    weights
        File of VGG16's weights, if it is the network; the one in the torch cache if not given.

    Raises
    ------
    InputError
        If there are too few images or patches, or an image is smaller than a patch.
    """
    for name, samples in (("real", real), ("synthetic", synthetic)):
        if len(samples) < _LEAST_IMAGES:
            raise InputError(
                f"{name} images: need at least {_LEAST_IMAGES} to know how much images differ, got {len(samples)}"
            )
    way, clock = find_preset(preset), Stopwatch()
    way = replace(way, extractor=extractor or way.extractor, max_patches=max_patches or way.max_patches)
    network = load_extractor(way.extractor, weights)
    with clock("patches"):
        real, synthetic, pixel_size_nm, notes = _at_one_pixel_size(real, synthetic, way)
        ours = sequential_patches(real, way.patch_px, limit=way.max_patches)
        theirs = random_patches(synthetic, way.patch_px, len(ours), generator(seed, 0))
    with clock("features"):
        features = extract_features(np.concatenate([ours.pixels, theirs.pixels]), network, progress=progress)
    with clock("map"):
        components = principal_components(features, way.variance)
        embedding = tsne(
            components,
            way.method,
            perplexity=way.perplexity,
            learning_rate=way.learning_rate,
            iterations=way.iterations,
            rng=generator(seed, 1),
        )
    images = np.concatenate([ours.images, theirs.images])
    clouds = Cloud(features, components[:, :_COMPONENTS], images)
    with clock("scores"):
        scores, test = _scored(clouds, ours, theirs, seed)
    with clock("properties"):
        differences = _differences(ours, theirs, seed)
    notes += [
        f"{group} patches: too few to compare (at least {LEAST} in each half of the real images)"
        for group in GROUPS
        if group not in scores
    ]
    return RealismComparison(
        real=ours,
        synthetic=theirs,
        embedding=embedding,
        components=components.shape[1],
        scores=scores,
        test=test,
        differences=differences,
        pixel_size_nm=pixel_size_nm,
        notes=tuple(notes),
        about={
            "preset": preset,
            **asdict(way),
            "seed": seed,
            "images": {"real": len(real), "synthetic": len(synthetic)},
            "patches": {"real": len(ours), "synthetic": len(theirs)},
        },
        seconds=clock.seconds,
    )


def _at_one_pixel_size(
    real: Sequence[AnnotatedImage], synthetic: Sequence[AnnotatedImage], way: Preset
) -> tuple[Sequence[AnnotatedImage], Sequence[AnnotatedImage], float | None, list[str]]:
    sizes = typical_pixel_size(real), typical_pixel_size(synthetic)
    if sizes[0] is None or sizes[1] is None:
        note = "pixel size not known for both sets: if it differs, so do the numbers for that reason alone"
        return real, synthetic, None, [note]
    common = sizes[0] if way.pixel_size == "real" else max(sizes[0], sizes[1])
    notes = []
    if max(sizes[0], sizes[1]) / min(sizes[0], sizes[1]) > 1 + SAME_SIZE:
        which = "synthetic" if common < sizes[1] else "finer"
        notes.append(
            f"pixels of {sizes[0]:.4g} nm (real) and {sizes[1]:.4g} nm (synthetic): the {which} images were resampled "
            f"to {common:.4g} nm, which smooths their noise too"
        )
    return _resampled(real, common), _resampled(synthetic, common), common, notes


def _resampled(samples: Sequence[AnnotatedImage], pixel_size_nm: float) -> LazyImages:
    return LazyImages(
        [str(index) for index in range(len(samples))], lambda index: resample(samples[int(index)], pixel_size_nm)
    )


def _scored(
    cloud: Cloud, real: Patches, synthetic: Patches, rng_seed: int
) -> tuple[dict[str, dict[str, dict[str, Any]]], TwoSampleTest]:
    ours, theirs = cloud.take(np.arange(len(real))), cloud.take(np.arange(len(real), len(cloud)))
    halves = halve_images(real.images, _HALVINGS, generator(rng_seed, 2))
    scores = {}
    for number, group in enumerate(GROUPS):
        mine, others = real.of_kind(group), synthetic.of_kind(group)
        pairs = [(one[mine], other[mine]) for one, other in halves]
        found = score_sets(ours.take(mine), theirs.take(others), pairs, generator(rng_seed, 3, number))
        if found is not None:
            scores[group] = found
    test = classifier_two_sample_test(
        ours.components, theirs.components, ours.images, theirs.images, rng=generator(rng_seed, 4)
    )
    return scores, test


def _differences(real: Patches, synthetic: Patches, seed: int) -> dict[str, pd.DataFrame]:
    halves = halve_images(real.images, _HALVINGS, generator(seed, 2))
    ours, theirs = describe(real), describe(synthetic)
    tables = {}
    for group in GROUPS:
        mine, others = real.of_kind(group), synthetic.of_kind(group)
        if mine.any() and others.any():
            pairs = [(one[mine], other[mine]) for one, other in halves]
            tables[group] = what_differs(ours[mine], theirs[others], pairs)
    return tables
