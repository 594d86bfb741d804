"""Judging epochs without annotation, on shapes whose answer is known."""

import numpy as np
import pytest

from nanolab.selection.agreement import agreement, judge_epochs


def squares(*sides: int) -> np.ndarray:
    """Squares in a row, each in a cell of 40 px."""
    labels = np.zeros((40, 40 * len(sides)), dtype=np.int32)
    for at, side in enumerate(sides):
        labels[5 : 5 + side, 40 * at + 5 : 40 * at + 5 + side] = at + 1
    return labels


def test_agreement_is_the_mean_of_dice_and_particle_f1() -> None:
    both, one = squares(10, 10), squares(10, 0)
    assert agreement(both, both) == 1
    assert agreement(both, one) == pytest.approx((2 / 3 + 2 / 3) / 2)  # 100 of 200 px, one of two particles
    assert agreement(both, np.zeros_like(both)) == 0
    assert agreement(np.zeros_like(both), np.zeros_like(both)) == 0


def test_the_odd_one_out_agrees_least() -> None:
    usual, odd = squares(12, 12, 12), squares(12, 0, 0)
    table = judge_epochs({1: usual, 2: usual, 3: odd, 4: usual, 5: usual}).set_index("epoch")
    assert table["consensus"].idxmin() == table["neighbours"].idxmin() == 3
    half = agreement(usual, odd)
    # the first has one neighbour, the others two
    assert table["neighbours"].tolist() == pytest.approx([1, (1 + half) / 2, half, (half + 1) / 2, 1])
    assert table.loc[3, "consensus"] == pytest.approx(half)
    assert table.loc[1, "consensus"] == pytest.approx((3 + half) / 4)
    assert table["agreement"].idxmin() == 3


def test_lumps_and_giants_are_implausible() -> None:
    usual, giant = squares(10, 10, 10), squares(10, 10, 34)
    lump = usual.copy()
    lump[5:8, 5:110] = 1
    table = judge_epochs({1: usual, 2: giant, 3: lump}).set_index("epoch")
    assert table["size"].tolist()[:2] == pytest.approx([1, 200 / (200 + 34**2)])
    assert table["shape"][1] == pytest.approx(1)
    assert table["shape"][3] < 0.7
    strict = judge_epochs({1: usual, 2: giant}, diameter_px=(30, 50)).set_index("epoch")
    assert strict["size"].tolist() == pytest.approx([0, 34**2 / (200 + 34**2)])
    # only a size that somebody knows to be plausible counts: it has the second epoch win by it, and only then
    plain = judge_epochs({1: usual, 2: giant}).set_index("epoch")["agreement"]
    assert plain[1] == plain[2]
    assert strict["agreement"][2] > strict["agreement"][1]


def test_mirror_images_count_where_they_were_looked_at() -> None:
    usual = squares(10, 10)
    table = judge_epochs({1: usual, 2: usual}, mirrored={1: [usual, usual], 2: [usual, squares(10, 0)]})
    assert table["mirrors"].tolist() == pytest.approx([1, (1 + 2 / 3) / 2])
    assert table["agreement"].idxmax() == 0
    assert "mirrors" not in judge_epochs({1: usual})


def test_an_epoch_that_finds_nothing_is_never_the_best() -> None:
    table = judge_epochs({1: np.zeros((40, 80), dtype=np.int32), 2: squares(10, 10), 3: squares(10, 10)})
    assert table["agreement"].idxmin() == 0
    assert table.notna().all(axis=None)
