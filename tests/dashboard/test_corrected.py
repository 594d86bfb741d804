"""What corrections make of a label map, that each can be taken back, and that sizes follow as if all were measured."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.dashboard.corrected import MOST_GAP_PX, CorrectedLabels, apply_edits
from nanolab.dashboard.edits import MOST_POINTS, Edit, line_mask, polygon_mask, simplified, stroke_mask
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.particles import measure
from nanolab.measurement.remeasuring import remeasure

SQUARE = ((10, 10), (10, 30), (30, 30), (30, 10))


def two_squares() -> np.ndarray:
    """Label 1 in rows 10 to 29, columns 10 to 29; label 2 touches it at its right."""
    found = np.zeros((60, 80), dtype=np.int32)
    found[10:30, 10:30], found[10:30, 30:50] = 1, 2
    return found


# what was there first: drop and merge


def test_a_dropped_particle_is_gone_and_the_others_keep_their_numbers() -> None:
    found = np.array([[1, 0, 2], [0, 0, 2], [3, 0, 0]], dtype=np.int32)
    np.testing.assert_array_equal(apply_edits(found, [Edit("drop", (2,))]), [[1, 0, 0], [0, 0, 0], [3, 0, 0]])
    assert found[0, 2] == 2  # what was found stays


def test_two_that_touch_become_one() -> None:
    found = np.array([[1, 1, 2, 2, 3]], dtype=np.int32).repeat(3, axis=0)
    np.testing.assert_array_equal(apply_edits(found, [Edit("merge", (2, 1))])[0], [2, 2, 2, 2, 3])


def test_a_gap_between_two_is_filled_but_nothing_of_a_third_is_taken() -> None:
    found = np.zeros((20, 24), dtype=np.int32)
    found[5:15, 2:10], found[5:15, 13:21] = 1, 2
    found[9:11, 11] = 3  # lies in the gap
    merged = apply_edits(found, [Edit("merge", (1, 2))])
    assert (merged[6:8, 2:21] == 1).all()
    assert (merged[9:11, 11] == 3).all()
    assert set(np.unique(merged)) == {0, 1, 3}


def test_what_lies_far_apart_is_not_merged() -> None:
    found = np.zeros((10, 60), dtype=np.int32)
    found[:, :5], found[:, 10 + MOST_GAP_PX :] = 1, 2
    with pytest.raises(InputError, match="apart"):
        apply_edits(found, [Edit("merge", (1, 2))])


@pytest.mark.parametrize("edit", [Edit("drop", (7,)), Edit("drop", (0,)), Edit("merge", (1, 7)), Edit("merge", (1, 1))])
def test_a_correction_of_what_is_not_there_is_refused(edit: Edit) -> None:
    with pytest.raises(InputError, match=r"number|different"):
        apply_edits(np.ones((4, 4), dtype=np.int32), [edit])


# strokes


def test_an_outline_holds_the_pixels_whose_middles_lie_within() -> None:
    window, mask = polygon_mask(((2, 3), (2, 7), (5, 7), (5, 3)), (20, 20))
    assert window == (slice(2, 5), slice(3, 7))
    assert mask.all()
    assert polygon_mask(((-5, -5), (-5, 3), (2, 3), (2, -5)), (20, 20))[1].sum() == 2 * 3  # the rest is outside
    with pytest.raises(InputError, match="in the image"):
        polygon_mask(((30, 30), (30, 40), (40, 40)), (20, 20))


@pytest.mark.parametrize("width", [1, 6, 15, 40])
def test_a_brush_is_round_and_as_wide_as_was_asked(width: float) -> None:
    _, dot = stroke_mask(((100, 100),), width, (200, 200))
    _, line = stroke_mask(((100, 50), (100, 150)), width, (200, 200))
    # a disc of pixels has its area but for a share of the pixels on its outline; one of 1 px has a pixel or four
    assert dot.sum() == pytest.approx(np.pi / 4 * width**2, abs=2 + 0.4 * width)
    assert line.sum() == pytest.approx(100 * width + np.pi / 4 * width**2, abs=102 + 0.4 * width)


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), min_size=2, max_size=6, unique=True))
def test_no_step_even_across_a_corner_gets_over_a_line(points: list[tuple[int, int]]) -> None:
    (rows, cols), line = line_mask(tuple((row + 0.5, col + 0.5) for row, col in points), (30, 30))
    whole = np.zeros((30, 30), dtype=bool)
    whole[rows, cols] = line
    for row, col in zip(*np.nonzero(whole), strict=True):  # each pixel is next to another one by an edge
        near = whole[max(row - 1, 0) : row + 2, col].sum() + whole[row, max(col - 1, 0) : col + 2].sum()
        assert near > 2


def test_a_stroke_is_kept_with_few_points_and_not_with_too_many(rng: np.random.Generator) -> None:
    straight = np.column_stack([np.linspace(0, 50, 400), np.linspace(0, 90, 400)])
    assert simplified(straight, closed=False) == ((0, 0), (50, 90))
    with pytest.raises(InputError, match="in pieces"):
        simplified(rng.uniform(0, 1000, (2 * MOST_POINTS, 2)), closed=False)


# what they make of particles


def test_a_drawn_particle_gets_a_new_label_and_takes_nothing_from_others() -> None:
    labels = apply_edits(two_squares(), [Edit("draw", points=((20, 40), (20, 60), (40, 60), (40, 40)))])
    assert (labels[20:30, 50:60] == 3).all()
    assert (labels[30:40, 40:60] == 3).all()
    assert (labels == 3).sum() == 10 * 10 + 10 * 20
    np.testing.assert_array_equal(labels == 2, two_squares() == 2)


def test_nothing_is_drawn_where_all_is_taken() -> None:
    with pytest.raises(InputError, match="where none is yet"):
        apply_edits(two_squares(), [Edit("draw", points=((12, 12), (12, 25), (25, 25)))])


def test_the_label_of_a_dropped_particle_is_not_given_again() -> None:
    elsewhere = ((40, 10), (40, 20), (50, 20), (50, 10))
    labels = apply_edits(two_squares(), [Edit("drop", (2,)), Edit("draw", points=elsewhere)])
    assert set(np.unique(labels)) == {0, 1, 3}


def test_a_line_across_splits_each_particle_it_crosses_and_loses_no_pixel() -> None:
    labels = apply_edits(two_squares(), [Edit("split", points=((15, 5), (15, 55)))])
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(labels > 0, two_squares() > 0)
    assert labels[29, 12] == 1  # the larger piece keeps the label
    assert labels[11, 12] not in (0, 1)
    assert (labels == 1).sum() == pytest.approx(20 * 14.5, abs=10)  # the row below the line goes to one of both


def test_a_line_that_ends_within_splits_nothing() -> None:
    with pytest.raises(InputError, match="from one side to the other"):
        apply_edits(two_squares(), [Edit("split", points=((15, 5), (15, 20)))])


def test_a_split_is_what_a_merge_takes_back() -> None:
    found = two_squares()
    labels = apply_edits(found, [Edit("split", points=((5, 20), (35, 20))), Edit("merge", (1, 3))])
    np.testing.assert_array_equal(labels, found)


def test_a_stroke_that_begins_in_a_particle_lets_it_grow_over_its_neighbour() -> None:
    labels = apply_edits(two_squares(), [Edit("paint", points=((20, 25), (20, 40)), width_px=6)])
    assert labels[20, 38] == 1
    assert labels[12, 38] == 2
    assert (labels > 0).sum() == 800


def test_a_stroke_that_begins_outside_is_a_new_particle_of_what_is_free() -> None:
    labels = apply_edits(two_squares(), [Edit("paint", points=((40, 20), (25, 20)), width_px=8)])
    np.testing.assert_array_equal(labels == 1, two_squares() == 1)
    assert labels[35, 20] == 3


def test_what_an_eraser_cuts_in_two_becomes_two() -> None:
    labels = apply_edits(two_squares(), [Edit("erase", points=((5, 15), (35, 15)), width_px=4)])
    assert labels[20, 15] == 0
    assert labels[20, 25] == 1  # the larger piece
    assert labels[20, 10] == 3
    np.testing.assert_array_equal(labels == 2, two_squares() == 2)


def test_what_an_eraser_leaves_as_crumbs_is_gone() -> None:
    found = np.zeros((40, 40), dtype=np.int32)
    found[10:14, 10:12] = 1  # 8 px
    found[20:30, 20:30] = 2
    labels = apply_edits(found, [Edit("erase", points=((10.5, 8), (10.5, 14)), width_px=1)])
    assert set(np.unique(labels)) == {0, 2}


def test_there_is_nothing_within_what_is_background() -> None:
    labels = apply_edits(two_squares(), [Edit("background", points=((0, 20), (0, 80), (60, 80), (60, 20)))])
    assert (labels[:, 20:] == 0).all()
    np.testing.assert_array_equal(labels[:, :20], two_squares()[:, :20])


@pytest.mark.parametrize(
    ("action", "points", "width"), [("draw", 2, 0), ("split", 1, 0), ("paint", 0, 5), ("erase", 3, 0.5)]
)
def test_an_unfinished_stroke_is_refused(action: str, points: int, width: float) -> None:
    with pytest.raises(InputError, match=action):
        Edit(action, points=SQUARE[:points], width_px=width)


# one after the other, and back


def random_edits(rng: np.random.Generator, labels: np.ndarray) -> Edit:
    """Some correction that may or may not be possible."""
    action = rng.choice(["drop", "merge", "draw", "split", "paint", "erase", "background", "look"])
    if action in ("drop", "merge"):
        return Edit(action, tuple(rng.integers(1, labels.max() + 1, 1 if action == "drop" else 2).tolist()))
    middle, count = rng.uniform(0, min(labels.shape), 2), int(rng.integers(3, 7))
    points = tuple((float(row), float(col)) for row, col in middle + rng.normal(0, 12, (count, 2)))
    return Edit(action, points=points, width_px=float(rng.uniform(1, 12)))


def grid(rng: np.random.Generator) -> np.ndarray:
    labels = np.zeros((130, 140), dtype=np.int32)
    for k in range(36):
        row, col = 20 * (k // 6) + 5, 22 * (k % 6) + 4
        labels[row : row + int(rng.integers(8, 20)), col : col + int(rng.integers(8, 22))] = k + 1
    return labels


@pytest.mark.parametrize("seed", range(4))
def test_sizes_and_boxes_follow_each_correction_as_if_all_were_measured(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corrected, image = CorrectedLabels(grid(rng)), rng.random((130, 140), dtype=np.float32)
    options = {"pixel_size": PixelSize.typed(2.5), "image": image, "name": "a"}
    table, made = measure(corrected.labels, **options), 0
    for _ in range(40):
        try:
            back = made and rng.random() < 0.25
            window = corrected.take_back() if back else corrected.apply(random_edits(rng, corrected.labels))
        except InputError:
            continue
        made += -1 if back else 1
        table = remeasure(table, corrected.labels, corrected.boxes, window, **options)
        # centroids are sums in another order; nothing else is rounded
        pd.testing.assert_frame_equal(table, measure(corrected.labels, **options), rtol=1e-9, check_dtype=False)
        np.testing.assert_array_equal(
            CorrectedLabels(corrected.labels).boxes, corrected.boxes[: corrected.labels.max() + 1]
        )
    assert made > 10


@pytest.mark.parametrize("seed", range(4))
def test_all_is_taken_back_to_the_pixel_and_a_replay_gives_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = grid(rng)
    corrected = CorrectedLabels(found.copy())
    for _ in range(30):
        try:
            corrected.apply(random_edits(rng, corrected.labels))
        except InputError:
            continue
    np.testing.assert_array_equal(apply_edits(found, corrected.edits), corrected.labels)
    corrected.change_to(())
    np.testing.assert_array_equal(corrected.labels, found)


def test_impossible_corrections_leave_those_before_as_they_are() -> None:
    corrected = CorrectedLabels(two_squares())
    first = Edit("drop", (1,))
    corrected.change_to((first,))
    with pytest.raises(InputError):
        corrected.change_to((Edit("drop", (2,)), Edit("drop", (7,))))
    assert corrected.edits == (first,)
    assert set(np.unique(corrected.labels)) == {0, 2}


def test_what_somebody_holds_is_not_changed() -> None:
    corrected = CorrectedLabels(two_squares())
    held, corrected.held = corrected.labels, True
    corrected.apply(Edit("drop", (1,)))
    corrected.take_back()
    corrected.apply(Edit("drop", (2,)))
    np.testing.assert_array_equal(held, two_squares())


# where somebody has looked


def test_a_person_has_looked_around_what_was_corrected_and_where_it_was_said() -> None:
    found = two_squares()
    corrected = CorrectedLabels(found)
    assert not corrected.looked_at().any()
    corrected.apply(Edit("drop", (2,)))
    expected = np.zeros(found.shape, dtype=bool)
    expected[2:38, 22:58] = True  # the box of 20 px with 8 px around it
    np.testing.assert_array_equal(corrected.looked_at(), expected)
    corrected.apply(Edit("background", points=((50, 60), (50, 80), (60, 80), (60, 60))))
    expected[50:60, 60:80] = True
    np.testing.assert_array_equal(corrected.looked_at(), expected)
    corrected.apply(Edit("look"))
    assert corrected.looked_at().all()
    corrected.take_back()
    np.testing.assert_array_equal(corrected.looked_at(), expected)
