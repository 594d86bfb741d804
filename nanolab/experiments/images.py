"""Which images an experiment trains on and which it tests on, so that none is ever in both."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from nanolab import catalog
from nanolab.core.checks import InputError
from nanolab.experiments.rings import SEMI_REAL_RINGS, semi_real_rings
from nanolab.datasets.annotated import LazySamples, Sample
from nanolab.core.seeds import generator
from nanolab.core.shared import rendered
from nanolab.synthesis.stand_in import STAND_IN, STAND_IN_RECIPE, STAND_IN_SEED, Micrographs

__all__ = ["Split", "draw_images", "draw_split", "real_images", "split_by_image"]

_DRAW_KEY = 5  # keeps the choice of annotated images apart from other draws of the same seed
_MOST_STAND_INS = 20  # as many as bam-tio2 has


@dataclass(frozen=True)
class Split:
    """Images to train on and images to test on, read when asked for."""

    train: Sequence[Sample]
    test: Sequence[Sample]


def real_images(name: str, count: int = 1000) -> Micrographs:
    """Return the first `count` images of a public set if it is on this machine, and otherwise a stand-in.

    The stand-in (see `nanolab.synthesis.stand_in`) is rendered once for all runs.

    Parameters
    ----------
    name
        A set that `nanolab data list` knows, "semi-real rings" (see `nanolab.experiments.rings`), or "stand-in" to use
        the stand-in in any case.

    Raises
    ------
    InputError
        If there is no such set, or it is on this machine but incomplete.
    """
    if name == SEMI_REAL_RINGS:
        if (rings := semi_real_rings()) is not None:
            return Micrographs(rings[:count], SEMI_REAL_RINGS, min_area_px=20)
        name = STAND_IN
    if name != STAND_IN and catalog.locate(name) is not None:
        return Micrographs(catalog.samples(name)[:count], name, catalog.PUBLIC[name].min_area_px)
    count = min(count, _MOST_STAND_INS)
    return Micrographs(rendered(STAND_IN_RECIPE, count, seed=STAND_IN_SEED), STAND_IN, min_area_px=20)


def split_by_image(samples: Sequence[Sample], fold: int, folds: int) -> Split:
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


def draw_images(samples: Sequence[Sample], count: int, *, seed: int) -> Sequence[Sample]:
    """Return `count` images drawn at random; a smaller count gives the first of a larger one with the same seed.

    Raises
    ------
    InputError
        If there are not so many images.
    """
    return draw_split(samples, count, 0, seed=seed).train


def draw_split(
    samples: Sequence[Sample],
    n_train: int,
    n_test: int | None = None,
    *,
    seed: int,
    usable: Callable[[Sample], bool] | None = None,
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


def _those(samples: Sequence[Sample], indices: Iterable[int]) -> LazySamples:
    return LazySamples(map(str, indices), lambda index: samples[int(index)])
