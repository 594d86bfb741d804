import numpy as np
import pytest
from helpers.known_smearing import counted, made_twin

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap
from nanolab.twin.response import Counted, MatchedTwin, dealt, log_edges, match_twin, tally


def boxes(*columns: tuple[int, int]) -> LabelMap:
    """Label map of rectangles ten rows high between pairs of columns."""
    labels = np.zeros((12, 100), dtype=np.int32)
    for label, (start, stop) in enumerate(columns, start=1):
        labels[1:11, start:stop] = label
    return labels


def matched(truth: LabelMap, found: LabelMap) -> MatchedTwin:
    every = [
        Counted(np.arange(1, each.max() + 1), np.full(each.max(), 9.0), np.ones(each.max())) for each in (truth, found)
    ]
    return match_twin(truth, found, (every[0], every[1]), area_nm2=1.0)


def test_each_true_particle_has_one_fate_and_each_found_one_its_cause() -> None:
    truth = boxes((0, 10), (20, 40), (40, 50), (60, 80), (90, 95))
    found = boxes((1, 10), (20, 50), (60, 70), (71, 80), (84, 88))
    result = matched(truth, found)
    assert result.fates.tolist() == ["found", "found", "merged", "split", "missed"]
    assert result.cause.tolist() == [0, 1, 3, 3, -1]  # the last lies on the ground


def test_what_lies_half_on_the_ground_is_false() -> None:
    assert matched(boxes((10, 20)), boxes((15, 25))).cause.tolist() == [0]
    assert matched(boxes((10, 20)), boxes((16, 26))).cause.tolist() == [-1]


def test_what_shows_a_particle_that_does_not_count_is_false() -> None:
    truth, found = boxes((10, 20), (30, 40)), boxes((10, 20), (30, 40))
    both = Counted(np.array([1, 2]), np.full(2, 9.0), np.ones(2))
    second = Counted(np.array([2]), np.array([9.0]), np.ones(1))
    assert match_twin(truth, found, (second, both), area_nm2=1.0).cause.tolist() == [-1, 0]


def test_perfect_twins_have_the_response_of_a_perfect_network() -> None:
    sizes = np.geomspace(50, 500, 400)
    twin = MatchedTwin(counted(sizes), counted(sizes), np.arange(400), np.zeros(400, dtype=bool), 1e6)
    response = tally([twin], log_edges(sizes)).response()
    assert response.efficiency[response.supported] == pytest.approx(1)
    assert np.diag(response.matrix)[response.supported] == pytest.approx(1)
    assert response.false_nm2 == pytest.approx(0)


def test_the_response_of_a_known_network_is_found() -> None:
    twins = [made_twin((165, 1.6, 45), np.random.default_rng(k)) for k in range(100)]
    edges = log_edges(*[each.found.sizes for each in twins])
    response = tally(twins, edges).response()
    at = [int(np.searchsorted(edges, size)) - 1 for size in (100, 250)]
    # half of 0.97 are found at 100 nm; 0.05 is three standard errors of 100 particles pooled
    assert response.efficiency[at] == pytest.approx([0.485, 0.97], abs=0.05)
    assert response.false_nm2.sum() * twins[0].area_nm2 == pytest.approx(2, abs=0.45)  # three standard errors
    assert not response.supported[0]  # no true particle is that small


def test_groups_count_as_often_as_they_are_drawn() -> None:
    twins = [made_twin((165, 1.6, 45), np.random.default_rng(k)) for k in range(6)]
    edges = log_edges(*[each.found.sizes for each in twins])
    grouped = tally(twins, edges, groups=[0, 0, 1, 1, 2, 2])
    assert grouped.true.shape[0] == 3
    assert grouped.true.sum() == pytest.approx(tally(twins, edges).true.sum())
    twice = grouped.response([2, 2, 2])
    assert twice.matrix == pytest.approx(grouped.response().matrix)


def test_particles_are_dealt_out_with_what_was_found_of_them() -> None:
    twins = [made_twin((165, 1.6, 45), np.random.default_rng(k)) for k in range(6)]
    made = dealt(twins, 4, np.random.default_rng(0))
    edges = log_edges(*[part.sizes for each in twins for part in (each.true, each.found)])
    before, after = tally(twins, edges).response(), tally(made, edges).response()
    assert len(made) == 4
    assert after.matrix == pytest.approx(before.matrix)
    assert after.false_nm2 == pytest.approx(before.false_nm2)


def test_a_twin_without_particles_is_refused() -> None:
    nothing = counted(np.empty(0))
    empty = MatchedTwin(nothing, nothing, np.empty(0, dtype=np.int64), np.empty(0, dtype=bool), 1.0)
    with pytest.raises(InputError, match="another recipe"):
        tally([empty], np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="needs particles"):
        log_edges(np.empty(0))
