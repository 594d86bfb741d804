"""Choosing a magnification: what is known about stand-ins for networks that suit one size of particle."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.images.labels import labels_from_mask
from nanolab.metrics.instance import match
from nanolab.segmentation.magnification import (
    MAGNIFICATIONS,
    best_of,
    fused,
    in_shape,
    magnified,
    parse_magnification,
    steadiest,
    survey,
    worth_looking,
)


def discs(diameter_px: float, size_px: int = 768) -> np.ndarray:
    """Discs in a square lattice, 1 on black, two diameters apart."""
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    pitch = 2 * diameter_px
    away = np.hypot(y % pitch - pitch / 2, x % pitch - pitch / 2)
    return (away < diameter_px / 2).astype(np.float32)


def made_for(diameter_px: float) -> Callable[[np.ndarray], np.ndarray]:
    """A network that cuts particles much larger than those it knows into random pieces and sees none much smaller."""
    rng = np.random.default_rng(0)

    def find(image: np.ndarray) -> np.ndarray:
        labels = labels_from_mask(image > 0.5)
        areas = np.bincount(labels.ravel(), minlength=2)
        sizes = np.sqrt(4 / np.pi * areas)[labels]
        pieces = rng.integers(1, 4, size=[side // 4 + 1 for side in image.shape]).astype(np.float32)
        pieces = cv2.resize(pieces, image.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
        labels = np.where(sizes > 1.6 * diameter_px, 4 * labels + pieces, 4 * labels)
        return np.where((labels >= 4) & (sizes > diameter_px / 1.6), labels, 0).astype(np.int32)

    return find


def looking(find: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray, float], np.ndarray]:
    """What sees a part of an image at a magnification."""
    return lambda part, magnification: in_shape(find(magnified(part, magnification)), part.shape)


@pytest.mark.parametrize("diameter_px", [20, 40, 80, 110])
def test_particles_come_to_the_size_that_the_network_knows(diameter_px: float) -> None:
    chosen = best_of(survey(looking(made_for(20)), discs(diameter_px)))
    # It finds particles of 12.5 to 32 px, so up to two steps of sqrt(2) do.
    assert 0.6 <= chosen * diameter_px / 20 <= 1.6


def test_finer_is_tried_only_where_nothing_coarser_is_better() -> None:
    seen: list[float] = []
    look = looking(made_for(20))

    def watched(part: np.ndarray, magnification: float) -> np.ndarray:
        seen.append(magnification**2 * part.size / 768**2)
        return look(part, magnification)

    survey(watched, discs(80))
    assert max(seen) == 1
    assert sum(seen) < 2.1  # passes at magnification 1
    seen.clear()
    survey(watched, discs(14))
    assert seen[-2:] == pytest.approx([2, 4])


def blocks_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Label map of boxes (top, left, bottom, right)."""
    labels = np.zeros((100, 100), np.int32)
    for label, (top, left, bottom, right) in enumerate(boxes, start=1):
        labels[top:bottom, left:right] = label
    return labels


def test_a_blob_that_is_found_again_does_not_outweigh_many_particles() -> None:
    many = labels_from_mask(discs(24) > 0.5)
    rng = np.random.default_rng(0)

    def look(part: np.ndarray, magnification: float) -> np.ndarray:
        if magnification < 0.4:
            return np.ones(part.shape, np.int32)
        return np.where(np.isin(many, rng.integers(1, many.max(), 6)), 0, many)  # some are missed each time

    assert best_of(survey(look, discs(24))) >= 0.5


def test_particles_are_taken_from_where_they_are_steady() -> None:
    small, large = (5, 5, 15, 15), (40, 40, 90, 90)
    pieces = [(40, 40, 64, 64), (66, 40, 90, 64), (40, 66, 64, 90), (66, 66, 90, 90)]
    other_pieces = [(40, 40, 50, 90), (52, 40, 90, 90)]
    found = {1.0: blocks_of(small, *pieces), 0.5**0.5: blocks_of(small, *other_pieces)}
    found |= {0.5: blocks_of(large), 0.5**1.5: blocks_of(large)}
    level = dict.fromkeys(found, 0.8)
    both = steadiest(found, level).labels
    assert both.max() == 2
    assert match(blocks_of(small, large), both, 0.99).tp == 2
    # a magnification that agrees much worse with its neighbours is not believed
    assert match(blocks_of(large), steadiest(found, level | {1.0: 0.5, 0.5**0.5: 0.5}).labels, 0.99).f1 == 1


def test_what_is_found_at_one_magnification_only_is_no_particle() -> None:
    steady, texture = (5, 5, 15, 15), (50, 50, 70, 70)
    found = {1.0: blocks_of(steady, texture), 0.5**0.5: blocks_of(steady)}
    assert match(blocks_of(steady), steadiest(found, dict.fromkeys(found, 0.5)).labels, 0.99).f1 == 1
    assert np.array_equal(steadiest({1.0: found[1.0]}, {1.0: 1.0}).labels, found[1.0])


def test_the_highest_score_is_taken_and_what_lies_on_it_is_not() -> None:
    found = {1.0: blocks_of((5, 5, 15, 15), (40, 40, 90, 64)), 0.5: blocks_of((40, 40, 90, 90), (20, 20, 30, 30))}
    every = fused(found, {1.0: np.array([0.9, 0.6]), 0.5: np.array([0.7, 0.2])}, (100, 100), 0.3)
    assert match(blocks_of((5, 5, 15, 15), (40, 40, 90, 90)), every.labels, 0.99).f1 == 1
    assert sorted(every.scores) == [0.7, 0.9]
    assert every.scores[every.labels[10, 10] - 1] == 0.9
    large = every.without_small(200)
    assert (large.labels.max(), large.scores.tolist()) == (1, [0.7])


def test_only_magnifications_that_may_be_believed_are_looked_at() -> None:
    lower = 0.5**0.5
    assert worth_looking({2.5: 1.0}) == [2.5]
    assert worth_looking({2**0.5: 0.2, 1.0: 0.9, lower: 0.5}) == pytest.approx([2**0.5, 1, lower])
    assert worth_looking({1.0: 0.3, lower: 0.8, 0.5: 0.75}) == pytest.approx([1, lower, 0.5, 0.5**1.5])


def test_an_image_without_particles_is_seen_as_it_is() -> None:
    agreement = survey(lambda part, _: np.zeros(part.shape, np.int32), np.zeros((300, 400), np.float32))
    assert (best_of(agreement), worth_looking(agreement)) == (1, [1])


@pytest.mark.parametrize(("end", "chosen"), [(0, 1), (-2, -2)])
def test_the_ends_are_never_chosen(end: int, chosen: int) -> None:
    shares = dict.fromkeys(MAGNIFICATIONS[::2], 0.1) | dict.fromkeys(MAGNIFICATIONS[1::2], 0.9)
    shares |= dict.fromkeys(MAGNIFICATIONS[end : end + 2 or None], 0.3)  # the same particle at these two alone
    heights = {round(768 * magnification): share for magnification, share in shares.items()}

    def find(image: np.ndarray) -> np.ndarray:
        labels = np.zeros(image.shape, np.int32)
        labels[: round(heights[len(image)] * len(image))] = 1
        return labels

    assert best_of(survey(looking(find), np.zeros((768, 768), np.float32))) == MAGNIFICATIONS[chosen]


def test_a_small_image_is_not_made_smaller() -> None:
    seen: list[tuple[int, ...]] = []

    def find(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return np.zeros(image.shape, np.int32)

    survey(looking(find), np.zeros((70, 90), np.float32))
    assert min(min(shape) for shape in seen) == 49  # and not 35


@given(
    st.sampled_from([each for each in MAGNIFICATIONS if each != 1]), st.floats(12, 40), st.floats(0, 1), st.floats(0, 1)
)
def test_label_maps_keep_place_and_size_in_another_shape(
    magnification: float, radius_px: float, right: float, down: float
) -> None:
    y, x = np.mgrid[:180, :200].astype(np.float32)
    centre = 60 + 60 * down, 60 + 80 * right
    disc = (np.hypot(y - centre[0], x - centre[1]) < radius_px / magnification).astype(np.float32)
    seen = magnified(disc, magnification)
    back = in_shape((seen > 0.5).astype(np.int32) * 7, disc.shape)
    assert set(np.unique(back)) <= {0, 7}
    if disc[0].any() or disc[-1].any() or disc[:, 0].any() or disc[:, -1].any():
        return  # cut by the border, where the seen image ends between pixels
    found = back == 7
    # The circle is drawn to half a pixel of the seen image, so that of its area to that part of its radius.
    assert found.sum() == pytest.approx(disc.sum(), rel=1.5 / radius_px)
    assert np.mean(np.nonzero(found), axis=1) == pytest.approx(
        np.mean(np.nonzero(disc), axis=1), abs=0.5 / magnification
    )


def test_touching_particles_stay_apart_and_leave_no_gap() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 10:20], labels[10:30, 20:30] = 1, 2
    large = in_shape(labels, (160, 160))
    assert (large[44:116, 44:79] == 1).all()
    assert (large[44:116, 81:116] == 2).all()
    assert (large[44:116, 44:116] > 0).mean() > 0.98


def test_the_same_shape_is_the_same_map() -> None:
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert in_shape(labels, (3, 4)) is labels


def test_a_text_is_a_number_or_auto() -> None:
    assert (parse_magnification("0.5"), parse_magnification("auto")) == (0.5, "auto")
    with pytest.raises(InputError, match="must be a number or auto, got 'half'"):
        parse_magnification("half")
