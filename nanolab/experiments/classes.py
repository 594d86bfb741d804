"""Classifying micrographs by the shape of their particles, from few real images and synthetic ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pandas as pd

from nanolab.classification.classifier import ImageClassifier
from nanolab.classification.learning import ClassifierSettings, fine_tune
from nanolab.classification.scores import confusion
from nanolab.core.checks import InputError
from nanolab.core.shared import made_once
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.public import locate
from nanolab.experiments.images import STAND_IN, STAND_IN_SEED, Split, draw_split
from nanolab.experiments.shapes import SHAPES, images_of, rendered_like
from nanolab.synthesis.cutpaste.generate import cut_and_paste
from nanolab.synthesis.cutpaste.settings import PRESETS, CutPasteSettings
from nanolab.synthesis.rendered import rendered_images

__all__ = [
    "METHODS",
    "ClassTrial",
    "ImagesByShape",
    "class_trial",
    "images_by_shape",
    "split_by_shape",
    "synthetic_like",
]

#: Where synthetic images come from.
METHODS = ("none", "cut and paste", "rendered")

_STAND_INS = {"sphere": "spheres_sem", "cube": "cubes_sem", "rod": "rods_sem"}
_PASTING = CutPasteSettings(**{**PRESETS["utile2023"].model_dump(), "size_px": 512, "particles": (5, 50)})


@dataclass(frozen=True)
class ImagesByShape:
    """Images of each shape class, and where they come from."""

    images: dict[str, Sequence[AnnotatedImage]]
    source: str

    @property
    def stand_in(self) -> bool:
        """True if they were rendered because no real ones can be had; figures and tables must then say so."""
        return self.source == STAND_IN


def images_by_shape(name: str, *, stand_ins: int = 20) -> ImagesByShape:
    """Return the images of EMPS with complete annotation by their shape class, or, where it is not here, a stand-in.

    Parameters
    ----------
    name
        "emps", or "stand-in" to use the stand-in in any case.
    stand_ins
        Images of each class to render for the stand-in; other ones than `synthetic_like` renders, by the same recipes.

    Raises
    ------
    InputError
        If it is another name, or the set on this machine is incomplete or without its table of classes.
    """
    if name not in ("emps", STAND_IN):
        raise InputError(f"images by shape: must be 'emps', which has a table of shapes, or {STAND_IN!r}, got {name!r}")
    if name == STAND_IN or locate("emps") is None:
        images = {shape: rendered_images(recipe, stand_ins, seed=STAND_IN_SEED) for shape, recipe in _STAND_INS.items()}
        return ImagesByShape(dict(images), STAND_IN)
    return ImagesByShape({shape: images_of(shape) for shape in SHAPES}, name)


def split_by_shape(images: ImagesByShape, n_train: int, n_test: int, *, seed: int) -> dict[str, Split]:
    """Draw of each class `n_train` images to learn from, and of the others `n_test` at most to test on.

    Raises
    ------
    InputError
        If a class has too few images to leave one for the test.
    """
    for shape, those in images.images.items():
        if len(those) <= n_train:
            raise InputError(
                f"{shape}: has {len(those)} images, {n_train} to learn from leave none to test on; take fewer"
            )
    return {
        shape: draw_split(those, n_train, min(n_test, len(those) - n_train), seed=seed)
        for shape, those in images.images.items()
    }


def synthetic_like(
    train: Mapping[str, Sequence[AnnotatedImage]], method: str, count: int, *, seed: int, stand_in: bool
) -> dict[str, Iterable[AnnotatedImage]]:
    """Return `count` synthetic images of each class.

    Runs that ask for the same ones share them.

    Parameters
    ----------
    train
        The images learned from, by class: those that are cut up, or whose modalities are rendered.
    method
        One of `METHODS`.
    seed
        Decides what is pasted where. Rendered images are the same for all seeds.
    stand_in
        Whether the images learned from were rendered themselves.

    Raises
    ------
    InputError
        If there is no such method, or a class has no image that can be cut up.
    """
    if method not in METHODS:
        raise InputError(f"synthetic images: must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "none" or count == 0:
        return dict.fromkeys(train, ())
    if method == "cut and paste":
        return {shape: _pasted(shape, those, count, seed, stand_in) for shape, those in train.items()}
    if stand_in:
        return {shape: rendered_images(_STAND_INS[shape], count, seed=0) for shape in train}
    sources = {shape: rendered_like([sample.name for sample in those], count) for shape, those in train.items()}
    return {shape: chain.from_iterable(source.samples for source in those) for shape, those in sources.items()}


def _pasted(shape: str, samples: Sequence[AnnotatedImage], count: int, seed: int, stand_in: bool) -> Dataset:
    decides = {
        "images": [sample.name for sample in samples],
        "stand_in": stand_in,
        "settings": _PASTING.model_dump(mode="json"),
        "count": count,
        "seed": seed,
    }
    return Dataset(
        made_once(
            f"pasted-{shape}",
            decides,
            lambda folder: cut_and_paste(samples, folder, count, _PASTING, seed=seed, progress=False),
        )
    )


@dataclass(frozen=True)
class ClassTrial:
    """A fine-tuning with its test.

    Attributes
    ----------
    classifier
        After the last epoch.
    log
        See `nanolab.classification.learning.Learned.log`.
    predictions
        One row per test image: image, shape (the true class), predicted, and the probability of each class.
    learned_from
        Names of the real images learned from, by class.
    """

    classifier: ImageClassifier
    log: pd.DataFrame
    predictions: pd.DataFrame
    learned_from: dict[str, list[str]]

    @property
    def counts(self) -> pd.DataFrame:
        """See `nanolab.classification.scores.confusion`."""
        table = self.predictions
        return confusion(table["shape"].tolist(), table["predicted"].tolist(), self.classifier.classes)


def class_trial(
    images: ImagesByShape,
    settings: ClassifierSettings,
    *,
    n_real: int,
    n_test: int,
    method: str = "none",
    n_synthetic: int = 0,
    progress: bool = True,
) -> ClassTrial:
    """Split by image, make synthetic images of those learned from, fine-tune, and test the last epoch.

    No test image decides anything, and none is cut up. The seed of the settings decides everything random.

    Parameters
    ----------
    n_real, n_test
        Real images of each class to learn from and, at most, to test on.
    method, n_synthetic
        Synthetic images of each class to learn from besides (see `synthetic_like`).
    """
    split = split_by_shape(images, n_real, n_test, seed=settings.seed)
    train = {shape: list(each.train) for shape, each in split.items()}
    more = synthetic_like(train, method, n_synthetic, seed=settings.seed, stand_in=images.stand_in)
    test = {shape: list(each.test) for shape, each in split.items()}
    together = {shape: chain(train[shape], more[shape]) for shape in train}
    learned = fine_tune(together, settings, watched=test, progress=progress)
    rows = [(sample, shape) for shape, those in test.items() for sample in those]
    likely = [learned.classifier.probabilities(sample.image, str(sample.path)) for sample, _ in rows]
    predictions = pd.DataFrame(
        [
            {"image": sample.name, "shape": shape, "predicted": max(each, key=lambda name: each[name]), **each}
            for (sample, shape), each in zip(rows, likely, strict=True)
        ]
    )
    names = {shape: [sample.name for sample in those] for shape, those in train.items()}
    return ClassTrial(learned.classifier, learned.log, predictions, names)
