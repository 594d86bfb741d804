"""Which images are trained on and which are tested on: never the same, and the same again for the same seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.experiments.images import draw_images, draw_split, split_by_image
from nanolab.images.pixel_size import PixelSize


def samples(count: int) -> list[AnnotatedImage]:
    empty = np.zeros((8, 8), np.float32)
    return [AnnotatedImage(str(k), empty, None, PixelSize.unknown("made up"), Path(f"{k}.tif")) for k in range(count)]


def names(chosen: Sequence[AnnotatedImage]) -> list[str]:
    return [sample.name for sample in chosen]


@given(st.integers(2, 30), st.data())
def test_each_image_is_tested_once_and_never_learned_from_then(count: int, data: st.DataObject) -> None:
    folds = data.draw(st.integers(2, count))
    splits = [split_by_image(samples(count), fold, folds) for fold in range(folds)]
    for split in splits:
        assert set(names(split.train)) | set(names(split.test)) == set(names(samples(count)))
        assert set(names(split.train)).isdisjoint(names(split.test))
    assert sorted(int(name) for split in splits for name in names(split.test)) == list(range(count))


def test_every_second_image_is_for_the_test() -> None:
    split = split_by_image(samples(5), 1, 2)
    assert (names(split.train), names(split.test)) == (["0", "2", "4"], ["1", "3"])


@pytest.mark.parametrize(("fold", "folds"), [(0, 1), (0, 6), (2, 2), (-1, 2)])
def test_a_fold_that_is_not_there_is_refused(fold: int, folds: int) -> None:
    with pytest.raises(InputError, match=f"got fold {fold} of {folds}"):
        split_by_image(samples(5), fold, folds)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 5))
def test_drawn_images_are_apart_and_fewer_are_the_first_of_more(n_train: int, n_test: int, seed: int) -> None:
    if n_train + n_test > 20:
        with pytest.raises(InputError, match="ask for fewer"):
            draw_split(samples(20), n_train, n_test, seed=seed)
        return
    split = draw_split(samples(20), n_train, n_test, seed=seed)
    assert (len(split.train), len(split.test)) == (n_train, n_test)
    assert set(names(split.train)).isdisjoint(names(split.test))
    fewer = draw_split(samples(20), n_train // 2, n_test, seed=seed)
    assert names(fewer.train) == names(split.train)[: n_train // 2]
    assert names(fewer.test) == names(split.test)


def test_without_a_number_all_others_are_for_the_test_and_the_seed_decides() -> None:
    split = draw_split(samples(20), 3, seed=1)
    assert len(split.test) == 17
    assert set(names(split.train)).isdisjoint(names(split.test))
    drawn = [tuple(names(draw_images(samples(20), 5, seed=seed))) for seed in range(10)]
    assert len(set(drawn)) == 10  # two of 1,860,480 orders are alike with a chance of 2e-5


def test_images_that_cannot_be_used_are_passed_over() -> None:
    split = draw_split(samples(10), 2, 4, seed=0, usable=lambda sample: int(sample.name) < 5)
    assert all(int(name) < 5 for name in names(split.train))
    assert len(split.test) == 4
    with pytest.raises(InputError, match="of which 0 can be trained on"):
        draw_split(samples(10), 1, seed=0, usable=lambda _: False)
