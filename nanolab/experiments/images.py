"""Which images an experiment trains on and which it tests on, so that none is ever in both."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.opening import open_images
from nanolab.datasets.public import PUBLIC, locate, public_images
from nanolab.experiments.rings import SEMI_REAL_RINGS, semi_real_rings
from nanolab.experiments.shapes import images_of
from nanolab.synthesis.rendered import rendered_images

__all__ = ["STAND_IN", "Split", "TestImages", "draw_images", "draw_split", "real_images", "split_by_image"]

#: The name under which results are recorded that rest on no real image, and the recipe behind them.
STAND_IN = "stand-in"
STAND_IN_RECIPE = "stand_in_sem"
STAND_IN_SEED = 2026

_DRAW_KEY = 5  # keeps the choice of annotated images apart from other draws of the same seed
_MOST_STAND_INS = 20  # as many as bam-tio2 has


@dataclass(frozen=True)
class Split:
    """Images to train on and images to test on, read when asked for."""

    train: Sequence[AnnotatedImage]
    test: Sequence[AnnotatedImage]


@dataclass(frozen=True)
class TestImages:
    """Micrographs to test on, where they come from, and which annotated particles are too small to count."""

    __test__ = False  # no class of tests

    images: Sequence[AnnotatedImage]
    source: str
    min_area_px: int

    @property
    def stand_in(self) -> bool:
        """True if they were rendered because no real ones can be had; figures and tables must then say so."""
        return self.source == STAND_IN

    @property
    def title(self) -> str:
        """What figures call them: the source, of a folder its name alone."""
        return Path(self.source).name


def real_images(
    where: Path | str, count: int | None = None, *, annotated: bool = False, shape: str = "", case: str = ""
) -> TestImages:
    """Return the first `count` real images, all if None; rendered ones in their stead where none can be had.

    The stand-in is rendered once for all runs, by a recipe that differs from those for training in shapes, substrate
    and detector; it shows that every step works, and says nothing about real images.

    Parameters
    ----------
    where
        A set that `nanolab data list` knows, a folder of images (see `open_images`), "semi-real rings" (see
        `nanolab.experiments.rings`), or "stand-in" to use the stand-in in any case.
    annotated
        Of a folder, the images that have an annotation; each is read at once, so that what is wrong is said at once.
    shape, case
        Of emps, the images of a shape class or a case, see `nanolab.experiments.shapes.images_of`; a shape is of no
        account for other images.

    Raises
    ------
    InputError
        If there is nothing of the kind, a public set is on this machine but incomplete, a case is not one of emps, or
        of images that must be annotated none is, or one cannot be used.
    """
    name = str(where)
    if case and name not in ("emps", STAND_IN):
        raise InputError(f"case: {case!r} is of images of emps; leave it empty for {name}")
    if name == SEMI_REAL_RINGS and (rings := semi_real_rings()) is not None:
        return TestImages(rings[:count], name, min_area_px=20)
    if name in PUBLIC and locate(name) is not None:
        chosen = images_of(shape, case) if name == "emps" and (shape or case) else public_images(name)
        return TestImages(chosen[:count], name, PUBLIC[name].min_area_px)
    if name in PUBLIC or name in (STAND_IN, SEMI_REAL_RINGS):
        count = min(count or _MOST_STAND_INS, _MOST_STAND_INS)
        return TestImages(rendered_images(STAND_IN_RECIPE, count, seed=STAND_IN_SEED), STAND_IN, min_area_px=20)
    images = open_images(where, annotated=annotated)[:count]
    if annotated:
        particles = [image.labels is not None and image.labels.any() for image in images]  # all are read
        if not any(particles):
            raise InputError(f"{where}: needs annotated particles, found none; check the masks of its images")
    return TestImages(images, name, min_area_px=0)


def split_by_image(samples: Sequence[AnnotatedImage], fold: int, folds: int) -> Split:
    """Test on every `folds`-th image beginning with number `fold`, train on the others.

    Over all folds each image is tested on once. Whatever is made of an image (crops, augmentations) is made after the
    split, so that no part of a test image is trained on.

    Raises
    ------
    InputError
        If there are fewer images than folds, or no such fold.
    """
    if not 2 <= folds <= len(samples) or not 0 <= fold < folds:
        raise InputError(
            f"split: folds must be 2 to {len(samples)}, the number of images, and fold one of 0 to folds - 1, "
            f"got fold {fold} of {folds}"
        )
    tested = range(fold, len(samples), folds)
    return Split(_those(samples, sorted(set(range(len(samples))) - set(tested))), _those(samples, tested))


def draw_images(samples: Sequence[AnnotatedImage], count: int, *, seed: int) -> Sequence[AnnotatedImage]:
    """Return `count` images drawn at random; a smaller count gives the first of a larger one with the same seed.

    Raises
    ------
    InputError
        If there are not so many images.
    """
    return draw_split(samples, count, 0, seed=seed).train


def draw_split(
    samples: Sequence[AnnotatedImage],
    n_train: int,
    n_test: int | None = None,
    *,
    seed: int,
    usable: Callable[[AnnotatedImage], bool] | None = None,
) -> Split:
    """Draw images to train on and others to test on.

    With the same seed and `n_test`, fewer images to train on are the first of more, and the test stays the same.

    Parameters
    ----------
    n_test
        How many to test on; all others if None.
    usable
        Images for which this is false are not trained on; those looked at are read.

    Raises
    ------
    InputError
        If there are not so many images.
    """
    order = generator(seed, _DRAW_KEY).permutation(len(samples)).tolist()
    for_test = order[len(order) - (n_test or 0) :]
    there = (index for index in order[: len(order) - len(for_test)] if usable is None or usable(samples[index]))
    train = list(islice(there, n_train))
    if len(train) < n_train or len(for_test) < (n_test or 0):
        raise InputError(
            f"{n_train} images to train on and {n_test or 0} to test on are wanted of {len(samples)}, of which "
            f"{len(train)} can be trained on; ask for fewer"
        )
    if n_test is None:
        for_test = [index for index in order if index not in train]
    return Split(_those(samples, train), _those(samples, for_test))


def _those(samples: Sequence[AnnotatedImage], indices: Iterable[int]) -> LazyImages:
    return LazyImages(map(str, indices), lambda index: samples[int(index)])
