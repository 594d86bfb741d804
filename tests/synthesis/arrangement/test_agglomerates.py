"""Particles that fall onto others, and clusters that formed in flight."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from helpers.arrangements import (
    BALL,
    BALLS,
    CUBE,
    PIXEL_NM,
    ROUNDING,
    arranged,
    deepest_overlap,
    distance_between,
    gaps_between,
    outlines_of,
    radii_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from nanolab.core.typing import FloatArray

FALLING = [
    ("agglomerates", {"cluster_size": 12}),
    ("piles", {"heap_size": 20, "width_nm": 300}),
]


@pytest.mark.parametrize(("kind", "values"), FALLING, ids=["agglomerates", "piles"])
@given(seed=st.integers(0, 2**32 - 1), pile=st.floats(0, 1), chain=st.floats(0, 1), overlap=st.floats(0, 0.5))
@settings(max_examples=8)
def test_balls_rest_on_something(
    kind: str, values: dict[str, Any], seed: int, pile: float, chain: float, overlap: float
) -> None:
    ways = {"pile": pile, "chain": chain} if kind == "agglomerates" else {}
    placement, population = arranged(kind, BALLS, seed=seed, count=60, overlap=overlap, **values, **ways)
    centres, radii = placement.centres_nm, radii_of(placement, population)
    assert len(radii) == 60
    assert (centres[:, 2] >= radii * (1 - 1e-9)).all()
    assert deepest_overlap(centres, radii) <= overlap + ROUNDING
    assert placement.grounded.any()
    np.testing.assert_array_equal(placement.grounded, centres[:, 2] <= radii * (1 + ROUNDING))
    # Whoever does not stand on the ground touches somebody below.
    distances = squareform(pdist(centres))
    contact = radii[:, None] + radii - overlap * np.minimum(radii[:, None], radii)
    touching = np.abs(distances - contact) < ROUNDING * contact
    below = centres[None, :, 2] < centres[:, 2, None]
    assert (placement.grounded | (touching & below).any(axis=1)).all()


@pytest.mark.parametrize(("kind", "values"), FALLING, ids=["agglomerates", "piles"])
@pytest.mark.parametrize("overlap", [0, 0.3])
def test_cubes_rest_on_something(kind: str, values: dict[str, Any], overlap: float) -> None:
    placement, population = arranged(kind, CUBE, count=50, overlap=overlap, **values)
    heights = placement.centres_nm[:, 2] - 40
    assert len(heights) == 50
    assert heights.min() >= -1e-9
    np.testing.assert_array_equal(placement.grounded, heights <= ROUNDING)
    assert (heights > 1).any()
    outlines = outlines_of(placement, population)
    apart = (1 - overlap / 2) * 80  # it sinks in by a part of half its height
    for i, j in combinations(range(50), 2):
        # The map of heights has 5 nm points: a rim narrower than two of them may be missed.
        if distance_between(outlines[i], outlines[j]) < -2 * PIXEL_NM:
            assert abs(heights[i] - heights[j]) >= apart - 1e-6


def test_pile_makes_higher_agglomerates() -> None:
    def mean_height(pile: float) -> float:
        placement, _ = arranged("agglomerates", BALL, seed=1, count=300, cluster_size=30, pile=pile)
        return float(placement.centres_nm[:, 2].mean())

    assert mean_height(0.0) < mean_height(0.5) < mean_height(1.0)


def test_chains_are_longer() -> None:
    def extent(chain: float) -> float:
        placement, _ = arranged("agglomerates", BALL, count=400, cluster_size=20, chain=chain, pile=0)
        centres = placement.centres_nm[:, :2]
        groups = [centres[placement.group == group] for group in np.unique(placement.group)]
        assert [len(group) for group in groups] == [20] * 20
        return float(np.mean([np.ptp(group, axis=0).max() for group in groups]))

    assert extent(1.0) > 1.2 * extent(0.0)


def test_narrow_heaps_are_higher() -> None:
    def heap(width: float) -> FloatArray:
        placement, _ = arranged("piles", BALL, count=100, heap_size=100, width_nm=width)
        assert set(placement.group.tolist()) == {0}
        return placement.centres_nm

    narrow, wide = heap(200), heap(1600)
    assert narrow[:, 2].mean() > 1.2 * wide[:, 2].mean()
    assert narrow[:, :2].std() < wide[:, :2].std()


@pytest.mark.parametrize(
    ("kind", "values"),
    [("agglomerates", {"cluster_size": 100, "pile": 0.8}), ("piles", {"heap_size": 100, "width_nm": 200})],
    ids=["agglomerates", "piles"],
)
@pytest.mark.parametrize("particle", [BALL, CUBE], ids=["balls", "cubes"])
def test_height_limit_holds(kind: str, values: dict[str, Any], particle: dict[str, Any]) -> None:
    placement, population = arranged(kind, particle, count=40, max_height_nm=260, **values)
    tops = placement.centres_nm[:, 2] + [population.top_nm(int(k)) for k in placement.index]
    assert 130 < tops.max() <= 260 + 1e-9


def gyration_radius(centres: FloatArray, radii: FloatArray) -> float:
    """Of solid balls of one density, by the definition: mean square distance of their matter from its centre."""
    mass = radii**3 / np.sum(radii**3)
    inertia = np.sum(mass * np.sum((centres - mass @ centres) ** 2, axis=1)) + np.sum(mass * 3 / 5 * radii**2)
    return float(np.sqrt(inertia))


@pytest.mark.parametrize("particle", [BALL, BALLS], ids=["equal", "of several sizes"])
@pytest.mark.parametrize(("dimension", "prefactor"), [(1.7, 1.3), (1.8, 1.2), (2.0, 1.1)])
def test_fractal_clusters_obey_their_law(particle: dict[str, Any], dimension: float, prefactor: float) -> None:
    placement, population = arranged(
        "fractal", particle, count=90, cluster_size=30, dimension=dimension, prefactor=prefactor
    )
    centres, radii = placement.centres_nm, radii_of(placement, population)
    assert deepest_overlap(centres, radii) <= 2 * ROUNDING
    assert set(placement.group_kind) == {"agglomerate"}
    large = 0
    for group in np.unique(placement.group):
        own, sizes = centres[placement.group == group], radii[placement.group == group]
        touching = gaps_between(own, sizes) <= ROUNDING * sizes.min()
        assert connected_components(touching, directed=False)[0] == 1
        if len(own) > 8:
            large += 1
            a = np.exp(np.log(sizes).mean())
            # The halves' distance follows from the law, so that only rounding is left.
            assert prefactor * (gyration_radius(own, sizes) / a) ** dimension == pytest.approx(len(own), rel=1e-6)
    assert large == 3


def test_sintered_balls_overlap() -> None:
    placement, population = arranged("fractal", BALL, count=30, cluster_size=30, overlap=0.3)
    assert deepest_overlap(placement.centres_nm, radii_of(placement, population)) == pytest.approx(0.3, abs=1e-5)


def test_compact_clusters_are_dense_and_touch() -> None:
    placement, population = arranged("compact", BALLS, count=150, cluster_size=75)
    assert len(placement.index) == placement.requested == 150
    centres, radii = placement.centres_nm, radii_of(placement, population)
    assert deepest_overlap(centres, radii) <= 2 * ROUNDING
    for group in (0, 1):
        own, sizes = centres[placement.group == group], radii[placement.group == group]
        assert connected_components(gaps_between(own, sizes) <= ROUNDING * 20, directed=False)[0] == 1
        # The ball of the same gyration radius, 5/3 Rg^2 = R^2: random loose packing fills 0.55 of it, this 0.3 or more.
        assert np.sum(sizes**3) / (np.sqrt(5 / 3) * gyration_radius(own, sizes)) ** 3 > 0.3


@pytest.mark.parametrize("kind", ["fractal", "compact"])
def test_each_cluster_stands_on_the_ground_or_on_another(kind: str) -> None:
    placement, population = arranged(kind, BALLS, count=100, cluster_size=20, field=(400, 400))
    radii = radii_of(placement, population)
    gaps = gaps_between(placement.centres_nm, radii)
    for group in np.unique(placement.group):
        own = placement.group == group
        on_others = (gaps[np.ix_(own, ~own)] <= ROUNDING * 100).any()
        assert placement.grounded[own].any() or on_others
    assert (placement.centres_nm[:, 2] >= radii * (1 - 1e-9)).all()
