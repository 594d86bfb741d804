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


def split_by_shape(
    images: ImagesByShape, n_train: int, n_test: int, *, seed: int, share: float = 0
) -> dict[str, Split]:
    """Draw of each class `n_train` images to learn from, and of the others `n_test` at most to test on.

    With a `share` above 0 this part of the images of each class is learned from, and `n_train` does not count.

    Raises
    ------
    InputError
        If a class has too few images to leave one for the test.
    """
    wanted = {shape: round(share * len(those)) or n_train for shape, those in images.images.items()}
    for shape, those in images.images.items():
        if len(those) <= wanted[shape]:
            raise InputError(
                f"{shape}: has {len(those)} images, {wanted[shape]} to learn from leave none to test on; take fewer"
            )
    return {
        shape: draw_split(those, wanted[shape], min(n_test, len(those) - wanted[shape]), seed=seed)
        for shape, those in images.images.items()
    }


def synthetic_like(
    train: Mapping[str, Sequence[AnnotatedImage]],
    method: str,
    count: int,
    *,
    seed: int,
    stand_in: bool,
    pasting: CutPasteSettings = PRESETS["utile2023"],
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
    pasting
        How it is cut and pasted.

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
        return {shape: _pasted(shape, those, count, seed, stand_in, pasting) for shape, those in train.items()}
    if stand_in:
        return {shape: rendered_images(_STAND_INS[shape], count, seed=0) for shape in train}
    sources = {shape: rendered_like([sample.name for sample in those], count) for shape, those in train.items()}
    return {shape: chain.from_iterable(source.samples for source in those) for shape, those in sources.items()}


def _pasted(
    shape: str,
    samples: Sequence[AnnotatedImage],
    count: int,
    seed: int,
    stand_in: bool,
    pasting: CutPasteSettings,
) -> Dataset:
    decides = {
        "images": [sample.name for sample in samples],
        "stand_in": stand_in,
        "settings": pasting.model_dump(mode="json"),
        "count": count,
        "seed": seed,
    }
    return Dataset(
        made_once(
            f"pasted-{shape}",
            decides,
            lambda folder: cut_and_paste(samples, folder, count, pasting, seed=seed, progress=False),
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
    real_share: float = 0,
    learn_from_real: bool = True,
    method: str = "none",
    n_synthetic: int = 0,
    pasting: CutPasteSettings = PRESETS["utile2023"],
    progress: bool = True,
) -> ClassTrial:
    """Split by image, make synthetic images of those learned from, fine-tune, and test the last epoch.

    No test image decides anything, and none is cut up. The seed of the settings decides everything random.

    Parameters
    ----------
    n_real, n_test
        Real images of each class to learn from and, at most, to test on.
    real_share
        See `split_by_shape`, where it is `share`.
    learn_from_real
        False: the synthetic images alone are learned from, as for figure 6 of 10.1021/acsnanoscienceau.3c00020.
    method, n_synthetic, pasting
        Synthetic images of each class to learn from besides (see `synthetic_like`).

    Raises
    ------
    InputError
        If there is nothing to learn from.
    """
    if not learn_from_real and (method == "none" or not n_synthetic):
        raise InputError("nothing to learn from: without the real images synthetic ones are needed; choose a method")
    split = split_by_shape(images, n_real, n_test, seed=settings.seed, share=real_share)
    train = {shape: list(each.train) for shape, each in split.items()}
    more = synthetic_like(train, method, n_synthetic, seed=settings.seed, stand_in=images.stand_in, pasting=pasting)
    test = {shape: list(each.test) for shape, each in split.items()}
    together = {shape: chain(train[shape] if learn_from_real else (), more[shape]) for shape in train}
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
