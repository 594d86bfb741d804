"""Classifying micrographs by the shape of their particles, from few real images and synthetic ones."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from nanolab.classification.classifier import ImageClassifier
from nanolab.classification.learning import ClassifierSettings, fine_tune
from nanolab.classification.scores import confusion
from nanolab.core.checks import InputError
from nanolab.core.shared import made_once
from nanolab.core.tables import read_csv
from nanolab.core.words import count_words
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.dataset import Dataset
from nanolab.datasets.opening import open_images
from nanolab.datasets.public import locate
from nanolab.experiments.images import STAND_IN, STAND_IN_SEED, Split, draw_split
from nanolab.experiments.shapes import SHAPES, images_of, rendered_like
from nanolab.synthesis.cutpaste.generate import cut_and_paste
from nanolab.synthesis.cutpaste.material import describe_source
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


def images_by_shape(where: Path | str, *, classes: Path | str = "", stand_ins: int = 20) -> ImagesByShape:
    """Return images by their class: those of EMPS with complete annotation, a stand-in where it is not here, or others.

    Parameters
    ----------
    where
        "emps", "stand-in" to use the stand-in in any case, or a folder of images (see
        `nanolab.datasets.opening.open_images`).
    classes
        Table (.csv) of the images in the folder, columns `image` and `class`; where it is not given, each sub-folder is
        a class.
    stand_ins
        Images of each class to render for the stand-in; other ones than `synthetic_like` renders, by the same recipes.

    Raises
    ------
    InputError
        If there is nothing of the kind, or there are no two classes, or table and images do not go together; also if
        EMPS is here but incomplete or without its table of classes.
    """
    name = str(where)
    if classes or name not in ("emps", STAND_IN):
        images = _by_table(open_images(where), classes) if classes else _by_folder(Path(where))
        if len(images) < 2:
            raise InputError(f"{classes or where}: must have two classes of images or more, got {', '.join(images)}")
        return ImagesByShape(images, name)
    if name == STAND_IN or locate("emps") is None:
        rendered = {each: rendered_images(_STAND_INS[each], stand_ins, seed=STAND_IN_SEED) for each in SHAPES}
        return ImagesByShape(dict(rendered), STAND_IN)
    return ImagesByShape({shape: images_of(shape) for shape in SHAPES}, name)


def _by_table(images: LazyImages, path: Path | str) -> dict[str, Sequence[AnnotatedImage]]:
    """Return images by the class that a table gives them; it may call them with or without suffix."""
    table = read_csv(path, "table of classes", usecols=["image", "class"], dtype=str, keep_default_na=False)
    table.index = [name if name in images.names else Path(name).stem for name in table["image"]]
    wrong = [*set(images.names).symmetric_difference(table.index), *table.index[table.index.duplicated()]]
    if wrong:
        raise InputError(f"{path}: must name each image once, not so {', '.join(sorted(wrong))}; add or drop rows")
    return {each: images.without(*table.index[table["class"] != each]) for each in sorted(set(table["class"]))}


def _by_folder(folder: Path) -> dict[str, Sequence[AnnotatedImage]]:
    """Return the images of each sub-folder by its name."""
    inside = [each for each in sorted(folder.glob("[!.]*")) if each.is_dir()]
    if not inside or (folder / "images").is_dir():
        raise InputError(
            f"{folder}: must be 'emps', {STAND_IN!r}, a folder with a sub-folder of images for each class, or a folder "
            "of images with `classes`, a table with the columns image and class"
        )
    return {each.name: open_images(each) for each in inside}


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
                f"{shape}: has {count_words(len(those), 'image')}, {wanted[shape]} to learn from leave none to test "
                "on; take fewer, or add images of this class"
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
    source: str,
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
    source
        Where the images learned from come from, see `ImagesByShape`.
    pasting
        How it is cut and pasted.

    Raises
    ------
    InputError
        If there is no such method, an image to cut up has no annotation, or there is no recipe for a class.
    """
    if method not in METHODS:
        raise InputError(f"synthetic images: must be one of {', '.join(METHODS)}, got {method!r}")
    if method == "none" or count == 0:
        return dict.fromkeys(train, ())
    if method == "cut and paste":
        return {shape: _pasted(shape, those, count, seed, pasting) for shape, those in train.items()}
    if source == "emps":
        sources = {shape: rendered_like([sample.name for sample in those], count) for shape, those in train.items()}
        return {shape: chain.from_iterable(each.samples for each in those) for shape, those in sources.items()}
    if unknown := train.keys() - _STAND_INS.keys():
        raise InputError(
            f"rendered images: there are recipes for {', '.join(_STAND_INS)}, not for {', '.join(sorted(unknown))}; "
            "cut and paste instead"
        )
    return {shape: rendered_images(_STAND_INS[shape], count, seed=0) for shape in train}


def _pasted(shape: str, samples: Sequence[AnnotatedImage], count: int, seed: int, pasting: CutPasteSettings) -> Dataset:
    decides = {
        "images": [describe_source(sample) for sample in samples],
        "settings": pasting.model_dump(mode="json"),
        "count": count,
        "seed": seed,
    }
    return Dataset(
        made_once(
            "pasted-" + re.sub(r"[^\w.-]", "_", shape),
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
    more = synthetic_like(train, method, n_synthetic, seed=settings.seed, source=images.source, pasting=pasting)
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
