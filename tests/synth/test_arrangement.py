"""Positions: no ball sinks into the ground or, beyond what is allowed, into another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from nanolab.synth.arrangement import Agglomerates, Placement, Scattered, place

FIELD = (2000.0, 1500.0)


def deepest_overlap(placement: Placement, radii: np.ndarray) -> float:
    """Largest intersection of two balls, as a fraction of the smaller radius."""
    own = radii[placement.index]
    gaps = squareform(pdist(placement.centres_nm)) - own[:, None] - own[None]
    np.fill_diagonal(gaps, np.inf)
    return float((-gaps / np.minimum(own[:, None], own[None])).max(initial=0.0))


@given(seed=st.integers(0, 2**32 - 1), pile=st.floats(0, 1), chain=st.floats(0, 1), overlap=st.floats(0, 0.5))
def test_agglomerates_rest_on_something(seed: int, pile: float, chain: float, overlap: float) -> None:
    rng = np.random.default_rng(seed)
    radii = rng.uniform(20, 80, 60)
    spec = Agglomerates(count=60, cluster_size=12, chain=chain, pile=pile, overlap=overlap)
    placement = place(spec, radii, FIELD, rng)
    own = radii[placement.index]
    assert len(own) == 60
    assert (placement.centres_nm[:, 2] >= own * (1 - 1e-9)).all()
    assert deepest_overlap(placement, radii) <= overlap + 1e-6
    assert placement.grounded.any()
    # Whoever does not stand on the ground touches somebody below.
    distances = squareform(pdist(placement.centres_nm))
    contact = own[:, None] + own[None] - overlap * np.minimum(own[:, None], own[None])
    touching = np.abs(distances - contact) < 1e-6 * contact
    below = placement.centres_nm[None, :, 2] < placement.centres_nm[:, 2, None]
    assert (placement.grounded | (touching & below).any(axis=1)).all()


def test_pile_makes_higher_agglomerates() -> None:
    def mean_height(pile: float) -> float:
        rng = np.random.default_rng(1)
        spec = Agglomerates(count=300, cluster_size=30, pile=pile)
        return float(place(spec, np.full(300, 50.0), FIELD, rng).centres_nm[:, 2].mean())

    assert mean_height(0.0) < mean_height(0.5) < mean_height(1.0)


def test_height_limit_holds(rng: np.random.Generator) -> None:
    radii = np.full(400, 50.0)
    spec = Agglomerates(count=400, cluster_size=100, pile=0.8, max_height_nm=260)
    placement = place(spec, radii, FIELD, rng)
    assert (placement.centres_nm[:, 2] + 50).max() <= 260


def test_scattered_keep_their_distance(rng: np.random.Generator) -> None:
    radii = rng.uniform(20, 60, 40)
    placement = place(Scattered(count=40, min_gap_nm=30), radii, FIELD, rng)
    own = radii[placement.index]
    gaps = squareform(pdist(placement.centres_nm[:, :2])) - own[:, None] - own[None]
    np.fill_diagonal(gaps, np.inf)
    assert gaps.min() >= 30
    assert placement.centres_nm[:, 2] == pytest.approx(own)


def test_more_than_fit_ends_with_fewer(rng: np.random.Generator) -> None:
    placement = place(Scattered(count=500), np.full(500, 200.0), FIELD, rng)
    assert 0 < len(placement.index) < 40  # the field and its margin hold 36 discs of this size at the densest


def test_no_particles(rng: np.random.Generator) -> None:
    assert len(place(Scattered(count=1), np.empty(0), FIELD, rng).index) == 0
    assert len(place(Agglomerates(count=1, cluster_size=3), np.empty(0), FIELD, rng).index) == 0
