"""Where particles lie: none sinks into the ground or, beyond what is allowed, into another; each kind keeps its law."""

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.distance import cdist, pdist, squareform

from nanolab.core.checks import InputError
from nanolab.synthesis.arrangement import Arrangement, Ground, Placed, Placement, Structure
from nanolab.synthesis.arrangement.height_map import Relief
from nanolab.synthesis.arrangement.plane import Plane, disc, footprint, separations
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.particles import ParticleKind
from nanolab.synthesis.recipe import OtherParticles
from nanolab.synthesis.scene.scene import Scene
from nanolab.synthesis.scene.structures import structure_labels

Array = npt.NDArray[np.float64]

FIELD = (2000.0, 1500.0)
PIXEL_NM = 5.0
ROUNDING = 1e-6  # of a radius: what sums and roots of doubles may leave, with much to spare

BALL = {"template": "sphere", "diameter_nm": 100}
BALLS = {"template": "sphere", "diameter_nm": [40, 160]}
CUBE = {"template": "cube", "edge_nm": 80, "rounding": 0}
ROD = {"template": "rod", "width_nm": 40, "aspect_ratio": 4}
WIRE = {"template": "wire", "width_nm": 40, "length_nm": 1200, "persistence_nm": 4000}

ONE_OF_EACH = {
    "scattered": ({"count": 30, "min_gap_nm": 5}, BALLS),
    "touching": ({"count": 30, "cluster_size": 6}, CUBE),
    "lattice": ({"gap_nm": 10, "vacancies": 0.1, "jitter": 0.02}, BALL),
    "monolayer": ({"coverage": 0.5}, BALLS),
    "agglomerates": ({"count": 40, "cluster_size": 10}, BALLS),
    "piles": ({"count": 40, "heap_size": 20, "width_nm": 400}, BALLS),
    "fractal": ({"count": 40, "cluster_size": 20}, BALL),
    "compact": ({"count": 40, "cluster_size": 20}, BALLS),
    "rings": ({"count": 2, "radius_nm": 300, "lines": 2, "line_nm": 400, "loose": 5}, BALLS),
    "wires": ({"count": 6, "bundle_size": 2}, WIRE),
    "samples": ({"of": [{"particles": [0], "arrangement": {"kind": "scattered", "count": 20}}]}, BALLS),
}


def spec_of(kind: str, **values: Any) -> Any:
    return TypeAdapter(Arrangement).validate_python({"kind": kind, **values})


def population_of(*kinds: dict[str, Any], rng: np.random.Generator) -> Population:
    return Population([TypeAdapter(ParticleKind).validate_python(kind) for kind in kinds], PIXEL_NM, rng)


def arranged(
    kind: str,
    *particles: dict[str, Any],
    seed: int = 0,
    field: tuple[float, float] = FIELD,
    ground: Ground | None = None,
    **values: Any,
) -> tuple[Placement, Population]:
    rng = np.random.default_rng(seed)
    population = population_of(*particles, rng=rng)
    return spec_of(kind, **values).place(population, field, rng, ground or Ground()), population


def radii_of(placement: Placement, population: Population) -> Array:
    return population.radii_nm()[placement.index]


def gaps_between(centres: Array, radii: Array) -> Array:
    """Distances (N, N) between the surfaces of balls or discs; infinite from one to itself."""
    gaps = squareform(pdist(centres)) - radii[:, None] - radii
    np.fill_diagonal(gaps, np.inf)
    return gaps


def deepest_overlap(centres: Array, radii: Array) -> float:
    """Largest intersection of two balls, as a fraction of the smaller radius."""
    return float((-gaps_between(centres, radii) / np.minimum(radii[:, None], radii)).max(initial=0.0))


def outlines_of(placement: Placement, population: Population) -> list[Array]:
    """The convex outlines (n, 2) of the bodies where they lie, from their meshes and not from their footprints."""
    outlines = []
    for k, turn, centre in zip(placement.index, placement.turns, placement.centres_nm, strict=True):
        flat = population.body(int(k)).turned(float(turn)).vertices[:, :2] + centre[:2]
        outlines.append(flat[ConvexHull(flat).vertices])
    return outlines


def distance_between(first: Array, second: Array) -> float:
    """Distance of two convex polygons; below 0, at least how deep they overlap."""
    sides = np.concatenate([np.roll(first, -1, axis=0) - first, np.roll(second, -1, axis=0) - second])
    normals = np.column_stack([sides[:, 1], -sides[:, 0]]) / np.linalg.norm(sides, axis=1, keepdims=True)
    normals = np.concatenate([normals, -normals])
    apart = float(((second @ normals.T).min(axis=0) - (first @ normals.T).max(axis=0)).max())
    return apart if apart <= 0 else min(_corner_to_sides(first, second), _corner_to_sides(second, first))


def _corner_to_sides(corners: Array, polygon: Array) -> float:
    sides = np.roll(polygon, -1, axis=0) - polygon
    away = corners[:, None] - polygon
    along = np.clip((away * sides).sum(axis=2) / (sides**2).sum(axis=1), 0, 1)
    return float(np.linalg.norm(away - along[..., None] * sides, axis=2).min())


# All kinds


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_the_seed_decides_everything(kind: str) -> None:
    values, particle = ONE_OF_EACH[kind]
    first, again, other = (arranged(kind, particle, seed=seed, **values)[0] for seed in (1, 1, 2))
    for name in ("centres_nm", "index", "turns", "grounded", "group"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.group_kind == again.group_kind
    assert not np.array_equal(first.centres_nm, other.centres_nm)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_each_is_one_of_the_population_and_above_the_substrate(kind: str) -> None:
    values, particle = ONE_OF_EACH[kind]
    placement, population = arranged(kind, particle, **values)
    count = len(placement.index)
    assert 0 < count <= placement.requested
    assert len(set(placement.index.tolist())) == count
    assert placement.index.max() < len(population)
    assert placement.centres_nm.shape == (count, 3)
    assert len(placement.group) == len(placement.group_kind) == len(placement.turns) == count
    if kind == "wires":
        lowest = [placement.lines[int(k)][:, 2].min() - population.size_nm(int(k)) / 2 for k in placement.index]
    else:
        lowest = placement.centres_nm[:, 2] - [population.rest_nm(int(k)) for k in placement.index]
    assert np.min(lowest) >= -ROUNDING * 100


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("scattered", {}),
        ("touching", {"cluster_size": 3}),
        ("agglomerates", {"cluster_size": 3}),
        ("piles", {"heap_size": 3, "width_nm": 100}),
        ("fractal", {"cluster_size": 3}),
        ("compact", {"cluster_size": 3}),
    ],
)
def test_none_at_all(kind: str, values: dict[str, Any]) -> None:
    placement, _ = arranged(kind, BALL, count=0.1, **values)
    assert placement.requested == len(placement.index) == 0
    assert placement.centres_nm.shape == (0, 3)


@pytest.mark.parametrize(
    ("kind", "values", "most"),
    [
        # The field and its margin hold 36 discs of 400 nm at the densest, for area and the hexagonal packing's 0.9069:
        # 2400 x 1900 nm^2 of centres and 200 nm around them.
        ("scattered", {"count": 150}, 46),
        # Clusters may grow a little out of the field.
        ("touching", {"count": 150, "cluster_size": 10}, 75),
        # One layer only: the same, but balls on a common plane may overlap by 5 % and clusters grow out of the field.
        ("agglomerates", {"count": 200, "cluster_size": 8, "max_height_nm": 400}, 80),
        ("piles", {"count": 90, "heap_size": 30, "width_nm": 400, "max_height_nm": 400}, 80),
        ("rings", {"count": 1, "radius_nm": 100, "loose": 150}, 46),
    ],
)
def test_more_than_fit_ends_with_fewer(kind: str, values: dict[str, Any], most: int) -> None:
    placement, _ = arranged(kind, {**BALL, "diameter_nm": 400}, **values)
    assert 0 < len(placement.index) < most
    assert placement.requested >= values.get("loose", values["count"])


@pytest.mark.parametrize("kind", ["lattice", "monolayer"])
def test_a_field_for_too_many_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match=f"arrangement {kind}: .*make the field smaller or the particles larger"):
        arranged(kind, {**BALL, "diameter_nm": 2}, field=(5000, 5000))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("scattered", {"count": 60}),
        ("touching", {"count": 60, "cluster_size": 5}),
        ("lattice", {}),
        ("rings", {"count": 2, "radius_nm": 200, "loose": 60}),
        ("monolayer", {"coverage": 0.5}),
        ("agglomerates", {"count": 80, "cluster_size": 10, "overlap": 0}),
        ("piles", {"count": 80, "heap_size": 80, "width_nm": 900, "overlap": 0}),
        ("fractal", {"count": 60, "cluster_size": 10}),
    ],
)
def test_earlier_particles_are_not_pierced(kind: str, values: dict[str, Any]) -> None:
    """A large ball and a wire lie in the field's middle; later balls keep clear of them or lie on them."""
    rng = np.random.default_rng(0)
    population = population_of({**BALL, "diameter_nm": 600}, rng=rng)
    population.draw(1)
    line = np.column_stack([np.linspace(0, 2000, 400), np.full(400, 200.0), np.full(400, 30.0)])
    mesh = population.body(0).mesh
    ground = Ground()
    ground.placed += [
        Placed(mesh, np.array([1000.0, 900.0, 300.0]), 600.0, is_ball=True),
        Placed(mesh, line.mean(axis=0), 60.0, line),
    ]
    placement, balls = arranged(kind, BALL, ground=ground, **values)
    radii = radii_of(placement, balls)
    gaps = np.linalg.norm(placement.centres_nm - [1000, 900, 300], axis=1) - 300 - radii
    # A bead chain half a width apart stands for the wire: it has dents of 1 - sqrt(1 - 1/16), 3 % of its radius.
    along = cdist(placement.centres_nm, line).min(axis=1) - 30 - radii
    # Lattice, monolayer and rings let outlines overlap by up to a tenth of a radius; the others by rounding only.
    allowed = {"lattice": 0.02, "monolayer": 0.02, "rings": 0.1}.get(kind, 2 * ROUNDING) * 50
    assert gaps.min() >= -allowed
    assert along.min() >= -allowed - 0.035 * 30


# On the plane, one by one


@given(seed=st.integers(0, 2**32 - 1), gap=st.floats(0, 60))
@settings(max_examples=10)
def test_scattered_discs_keep_their_distance(seed: int, gap: float) -> None:
    placement, population = arranged("scattered", BALLS, seed=seed, count=40, min_gap_nm=gap)
    radii = radii_of(placement, population)
    assert gaps_between(placement.centres_nm[:, :2], radii).min() >= gap - ROUNDING
    assert placement.centres_nm[:, 2] == pytest.approx(radii)
    assert placement.grounded.all()


@pytest.mark.parametrize("particle", [CUBE, ROD], ids=["cube", "rod"])
def test_scattered_bodies_keep_their_distance(particle: dict[str, Any]) -> None:
    placement, population = arranged("scattered", particle, count=40, min_gap_nm=25)
    outlines = outlines_of(placement, population)
    assert len(outlines) == 40  # a tenth of the field: there is room for all
    assert min(distance_between(*pair) for pair in combinations(outlines, 2)) >= 25 - ROUNDING


def test_large_ones_find_their_place_first() -> None:
    placement, population = arranged("scattered", BALLS, count=400)
    assert len(placement.index) < 400
    left_out = np.setdiff1d(np.arange(400), placement.index)
    assert np.mean([population.size_nm(int(k)) for k in left_out]) < radii_of(placement, population).mean() * 2


@pytest.mark.parametrize("particle", [BALLS, CUBE, ROD], ids=["balls", "cubes", "rods"])
@pytest.mark.parametrize(
    "values", [{"gap_nm": 0}, {"gap_nm": 12}, {"row": 1.0}, {"row": 0.0, "compact": 1.0}, {"align": 0}], ids=str
)
def test_clusters_touch_and_do_not_overlap(particle: dict[str, Any], values: dict[str, Any]) -> None:
    placement, population = arranged("touching", particle, count=30, cluster_size=6, **values)
    gap = values.get("gap_nm", 0)
    if particle is BALLS:
        gaps = gaps_between(placement.centres_nm[:, :2], radii_of(placement, population))
        slack = ROUNDING * 100
    else:
        outlines = outlines_of(placement, population)
        gaps = np.full((len(outlines), len(outlines)), np.inf)
        for i, j in combinations(range(len(outlines)), 2):
            gaps[i, j] = gaps[j, i] = distance_between(outlines[i], outlines[j])
        # Outlines are polygons of 24 sides around the bodies: at a round end they reach 1 / cos(7.5 deg), 0.9 %, too
        # far, and with a gap corners that meet are nearer along the sides' normals than they are.
        slack = 0.02 * 40 + 0.5 * gap
    assert gaps.min() >= gap - ROUNDING * 100
    joined = connected_components(gaps <= gap + slack, directed=False)[1]
    for group in np.unique(placement.group):
        assert len(set(joined[placement.group == group].tolist())) == 1
        assert (placement.group == group).sum() <= 6
    assert placement.grounded.all()


def test_rows_are_longer_than_compact_clusters() -> None:
    def extent(**values: float) -> float:
        placement, _ = arranged("touching", BALL, count=12, cluster_size=12, **values)
        assert set(placement.group.tolist()) == {0}
        return float(pdist(placement.centres_nm).max())

    # A straight row of 12 is 1100 nm long, and it bends; the hexagonal cluster of 12 is at most 4 discs wide.
    assert extent(row=1.0) > 700
    assert extent(row=0.0, compact=1.0) < 400


def test_aligned_cubes_lie_alike() -> None:
    placement, _ = arranged("touching", CUBE, count=20, cluster_size=20, align=1.0)
    in_cluster = placement.turns[placement.group == placement.group[0]]
    assert len(in_cluster) == 20
    # Each is turned as its neighbour to 0.05 rad: over ten neighbours 0.16 rad. At random it were 1.8 rad.
    assert in_cluster.std() < 0.2


# Lattices


@pytest.mark.parametrize(
    ("cell", "neighbours", "second", "cell_area"),
    [("hexagonal", 6, np.sqrt(3), np.sqrt(3) / 2), ("square", 4, np.sqrt(2), 1)],
)
@pytest.mark.parametrize("spacing", [{"gap_nm": 15}, {"spacing_nm": 115}], ids=str)
def test_lattice_constants(
    cell: str, neighbours: int, second: float, cell_area: float, spacing: dict[str, float]
) -> None:
    placement, _ = arranged("lattice", BALL, cell=cell, **spacing)
    points = placement.centres_nm[:, :2]
    inner = ((points > 150) & (points < np.array(FIELD) - 150)).all(axis=1)
    distances = cKDTree(points).query(points[inner], neighbours + 2)[0] / 115
    # The distance of rows is found by 20 bisections of two radii: to 1e-4 nm.
    assert distances[:, 1 : neighbours + 1] == pytest.approx(1, abs=1e-5)
    assert distances[:, neighbours + 1] == pytest.approx(second, abs=1e-5)
    # As many as there are cells in the field and 50 nm around it, but for half a row along its edges.
    expected = 2100 * 1600 / (cell_area * 115**2)
    assert len(points) == pytest.approx(expected, abs=0.5 * (2100 + 1600) * 2 / 115)
    assert placement.requested == len(points)


def test_long_particles_stand_in_a_rectangle_and_do_not_overlap() -> None:
    placement, population = arranged("lattice", ROD, field=(1000, 1000), cell="square", gap_nm=10)
    outlines = outlines_of(placement, population)
    assert len(set(placement.turns.tolist())) == 1
    near = cKDTree(placement.centres_nm[:, :2]).query_pairs(250)
    # A mesh fine enough for the pixels leaves the true rod by a tenth of a pixel.
    gaps = [distance_between(outlines[i], outlines[j]) for i, j in near]
    assert min(gaps) == pytest.approx(10, abs=0.2 * PIXEL_NM)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_vacancies_take_their_share(share: float) -> None:
    full, few = (
        len(arranged("lattice", {**BALL, "diameter_nm": 50}, vacancies=vacant)[0].index) for vacant in (0, share)
    )
    # A binomial share of `full` sites: four standard deviations.
    assert few / full == pytest.approx(1 - share, abs=4 * np.sqrt(share * (1 - share) / full))


@pytest.mark.parametrize("coverage", [0.2, 0.7])
def test_islands_cover_their_part(coverage: float) -> None:
    full, islands = (len(arranged("lattice", BALL, coverage=part)[0].index) for part in (1, coverage))
    assert islands / full == pytest.approx(coverage, abs=1 / full)  # a quantile of the sites: one more or fewer


def test_jitter_is_a_part_of_the_spacing() -> None:
    straight, moved = (arranged("lattice", BALL, spacing_nm=150, jitter=jitter)[0] for jitter in (0, 0.03))
    away = cKDTree(straight.centres_nm[:, :2]).query(moved.centres_nm[:, :2])[0]
    # Rows are sqrt(3) / 2 of the spacing apart, the shorter of the two. The mean of a Rayleigh distribution is
    # sqrt(pi / 2) sigma, its SD 0.66 sigma, and here are some 170 of them: four standard errors are 17 %.
    assert away.mean() == pytest.approx(np.sqrt(np.pi / 2) * 0.03 * 150 * np.sqrt(3) / 2, rel=0.17)


def test_grains_are_turned_each_its_own_way() -> None:
    placement, _ = arranged("lattice", BALL, grains=6)
    turns = [set(placement.turns[placement.group == grain].tolist()) for grain in np.unique(placement.group)]
    assert len(turns) == 6
    assert all(len(own) == 1 for own in turns)
    assert len(set.union(*turns)) == 6
    # Where grains meet, discs that would overlap by more than 2 % of their radius are left out.
    assert gaps_between(placement.centres_nm[:, :2], np.full(len(placement.index), 50.0)).min() >= -0.02 * 50 - 1e-6
    assert len(placement.index) < placement.requested


# Monolayers


@pytest.mark.parametrize(
    ("coverage", "particle", "precision"),
    [
        # All of one area: only the whole number of particles and the few without room are left.
        (0.3, BALL, 0.02),
        (0.7, BALL, 0.02),
        (0.5, CUBE, 0.02),
        # The mean area is foretold from 32 sizes, with a standard error of 11 % for these: three of them.
        (0.3, BALLS, 0.33),
        (0.7, BALLS, 0.33),
    ],
    ids=str,
)
def test_monolayer_covers_its_part_without_overlap(coverage: float, particle: dict[str, Any], precision: float) -> None:
    placement, population = arranged("monolayer", particle, coverage=coverage)
    areas = [population.footprint(int(k)).area_nm2 for k in placement.index]
    margin = max(population.footprint(k).radius for k in range(32))
    field = (FIELD[0] + 2 * margin) * (FIELD[1] + 2 * margin)
    assert sum(areas) / field == pytest.approx(coverage, rel=precision)
    if particle is CUBE:
        outlines = outlines_of(placement, population)
        near = cKDTree(placement.centres_nm[:, :2]).query_pairs(120)
        deepest = max((-distance_between(outlines[i], outlines[j]) for i, j in near), default=0)
    else:
        deepest = -gaps_between(placement.centres_nm[:, :2], radii_of(placement, population)).min()
    assert deepest <= 0.02 * margin + ROUNDING
    assert placement.grounded.all()


def test_denser_than_discs_pack_leaves_some_out() -> None:
    placement, _ = arranged("monolayer", BALL, coverage=0.9)
    assert len(placement.index) < placement.requested
    field = (FIELD[0] + 100) * (FIELD[1] + 100)
    # Equal discs pack at random to 0.82 to 0.84; in this hurry at least to two thirds.
    assert 0.6 < len(placement.index) * np.pi * 50**2 / field < 0.86


def test_aligned_rods_lie_as_their_neighbours_do() -> None:
    def order(align: float) -> float:
        placement, _ = arranged("monolayer", ROD, field=(1500, 1500), coverage=0.5, align=align, domain=8)
        pairs = cKDTree(placement.centres_nm[:, :2]).query_pairs(160, output_type="ndarray")
        first, second = placement.turns[pairs].T
        return float(np.cos(2 * (first - second)).mean())  # 1: parallel; 0: at random

    assert abs(order(0)) < 0.15  # at random, a few hundred pairs: 1 / sqrt(2 n), three standard errors
    assert order(1) > 0.7


# Agglomerates and piles

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
    def heap(width: float) -> Array:
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


# Clusters that formed in flight


def gyration_radius(centres: Array, radii: Array) -> float:
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


# Rings and lines

ROUND = {"radius_nm": 400, "ellipticity": 1, "wobble": 0, "complete": 1}
BEAD = {"template": "sphere", "diameter_nm": 20}


def test_a_ring_is_a_ring() -> None:
    placement, _ = arranged("rings", BEAD, count=1, gap=0.25, **ROUND)
    (ring,) = placement.structures
    assert (ring.kind, ring.group, ring.closed, ring.width_nm) == ("ring", 0, True, pytest.approx(20))
    centre = ring.line_nm.mean(axis=0)
    assert np.linalg.norm(ring.line_nm - centre, axis=1) == pytest.approx(400)
    # 180 chords stand for the circle, the inside of which they cut by 1 - cos(1 deg), 0.015 %.
    assert np.linalg.norm(placement.centres_nm[:, :2] - centre, axis=1) == pytest.approx(400, rel=2e-4)
    # A bead each 25 nm of 2 pi 400 nm.
    assert len(placement.index) == pytest.approx(2 * np.pi * 400 / 25, abs=1.5)
    steps = np.linalg.norm(np.diff(placement.centres_nm[:, :2], axis=0), axis=1)
    assert steps == pytest.approx(25, rel=2e-3)  # chords for arcs
    assert set(placement.group.tolist()) == {0}
    assert set(placement.group_kind) == {"ring"}


def test_an_ellipse_keeps_its_axes_and_mean_radius() -> None:
    placement, _ = arranged("rings", BEAD, count=1, **{**ROUND, "ellipticity": 2})
    line = placement.structures[0].line_nm
    across, along = np.sort(np.linalg.svd(line - line.mean(axis=0), compute_uv=False)) * np.sqrt(2 / len(line))
    assert along / across == pytest.approx(2)
    assert np.sqrt(along * across) == pytest.approx(400)


@pytest.mark.parametrize("complete", [0.4, 0.8])
def test_an_incomplete_ring_ends_early(complete: float) -> None:
    placement, _ = arranged("rings", BEAD, count=1, gap=0, **{**ROUND, "complete": complete})
    assert len(placement.index) == pytest.approx(complete * 2 * np.pi * 400 / 20, abs=1.5)


def test_gaps_spread_by_their_factor() -> None:
    placement, _ = arranged("rings", {**BEAD, "diameter_nm": 4}, count=1, gap=0.5, gap_spread=0.4, **ROUND)
    gaps = np.linalg.norm(np.diff(placement.centres_nm[:, :2], axis=0), axis=1) - 4
    logs = np.log(gaps / (0.5 * 4))
    # Some 400 gaps: the standard error of a mean is sigma / 20, of an SD sigma / 28; four of them.
    assert logs.mean() == pytest.approx(0, abs=4 * 0.4 / 20)
    assert logs.std() == pytest.approx(0.4, abs=4 * 0.4 / 28)


def test_beads_scatter_about_the_line() -> None:
    placement, _ = arranged("rings", {**BEAD, "diameter_nm": 4}, count=1, gap=1, scatter_nm=6, **ROUND)
    ring = placement.structures[0]
    aside = np.linalg.norm(placement.centres_nm[:, :2] - ring.line_nm.mean(axis=0), axis=1) - 400
    assert aside.std() == pytest.approx(6, rel=4 / np.sqrt(2 * len(aside)))  # four standard errors
    assert ring.width_nm / 2 == pytest.approx(np.abs(aside).max() + 2, abs=0.1)  # chords for arcs: 0.06 nm


def test_groups_number_the_structures() -> None:
    placement, _ = arranged("rings", BEAD, count=2, radius_nm=150, lines=3, line_nm=300, loose=7, scatter_nm=2)
    kinds = np.array(placement.group_kind)
    assert [s.kind for s in placement.structures] == ["ring"] * 2 + ["line"] * 3
    assert [s.group for s in placement.structures] == list(range(5))
    assert [s.closed for s in placement.structures] == [True] * 2 + [False] * 3
    assert (placement.group[kinds == "loose"] == -1).all()
    assert (kinds == "loose").sum() == 7
    for structure in placement.structures:
        own = placement.group == structure.group
        assert own.any()
        assert set(kinds[own]) == {structure.kind}
        fine = np.concatenate([structure.line_nm, structure.line_nm[:1]]) if structure.closed else structure.line_nm
        fine = np.stack([np.interp(np.linspace(0, 1, 9001), np.linspace(0, 1, len(fine)), v) for v in fine.T], axis=1)
        away = cdist(placement.centres_nm[own, :2], fine).min(axis=1)
        assert away.max() + 10 <= structure.width_nm / 2 + 0.2  # tangents are means over two chords


@pytest.mark.parametrize("bend", [0, 90, 180])
def test_lines_have_their_length_and_bend(bend: float) -> None:
    placement, _ = arranged("rings", BEAD, count=0.1, radius_nm=100, lines=1, line_nm=600, line_bend_deg=bend)
    (line,) = placement.structures
    steps = np.diff(line.line_nm, axis=0)
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(600, rel=1 / 150)  # 179 of 180 steps
    turned = np.ptp(np.unwrap(np.arctan2(*steps.T)))
    assert np.rad2deg(turned) == pytest.approx(bend, abs=bend / 150 + 1e-6)


def test_rings_do_not_cross_and_may_be_nested() -> None:
    sizes = {"kind": "mixture", "components": [500, 80], "weights": [1, 3]}
    nested = 0
    for seed in range(5):
        placement, _ = arranged("rings", BEAD, seed=seed, count=12, **{**ROUND, "radius_nm": sizes})
        circles = [
            (s.line_nm.mean(axis=0), np.linalg.norm(s.line_nm - s.line_nm.mean(axis=0), axis=1).mean())
            for s in placement.structures
        ]
        for (one, r), (two, q) in combinations(circles, 2):
            distance = float(np.linalg.norm(one - two))
            assert distance > r + q or distance + min(r, q) < max(r, q)
            nested += distance < max(r, q)
        # Those laid side by side may overlap by a tenth of their radius.
        assert gaps_between(placement.centres_nm[:, :2], np.full(len(placement.index), 10.0)).min() >= -1 - 1e-6
    assert nested > 0


def scene_with(*structures: Structure) -> Scene:
    return Scene((300, 400), 2.0, (), 0, structures)


def test_rings_without_a_free_place_are_asked_for_all_the_same() -> None:
    one, _ = arranged("rings", BEAD, count=1, gap=0, **ROUND)
    crowded, _ = arranged("rings", BEAD, count=60, gap=0, **ROUND)
    assert len(crowded.structures) < 60
    assert crowded.requested == pytest.approx(60 * one.requested)


def test_a_ring_that_no_particle_fits_on_is_no_structure() -> None:
    placement, _ = arranged("rings", {**BEAD, "diameter_nm": 40}, count=1, **{**ROUND, "radius_nm": 5})
    assert (placement.structures, placement.requested) == ((), 0)


def test_labels_of_rings_are_their_bands() -> None:
    angles = np.arange(180) * 2 * np.pi / 180
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    ring = Structure("ring", 0, [250, 300] + 150 * circle, 40, closed=True)
    line = Structure("line", 1, np.column_stack([np.linspace(500, 700, 180), np.full(180, 301.0)]), 60, closed=False)
    labels = structure_labels(scene_with(ring, line), kinds=("ring", "line"))
    # 4 nm^2 a pixel; the edge leaves half a pixel at each of its n pixels, at random: some sqrt(n), 1 % here.
    assert (labels == 1).sum() * 4 == pytest.approx(np.pi * (170**2 - 130**2), rel=0.01)
    assert (labels == 2).sum() * 4 == pytest.approx(200 * 60, rel=0.02)
    assert labels[150, 125] == 0  # its middle is no part of it
    alone = structure_labels(scene_with(ring, line), filled=True)
    assert (alone == 1).sum() * 4 == pytest.approx(np.pi * 170**2, rel=0.01)
    assert set(np.unique(alone).tolist()) == {0, 1}


# Wires


def crossings(first: Array, second: Array) -> list[tuple[Array, float, float]]:
    """Where two lines (n, 3) cross as seen from above: the point, and the heights of both there."""
    a, b = np.diff(first, axis=0), np.diff(second, axis=0)
    between = second[None, :-1, :2] - first[:-1, None, :2]
    cross = a[:, None, 0] * b[None, :, 1] - a[:, None, 1] * b[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (between[..., 0] * b[None, :, 1] - between[..., 1] * b[None, :, 0]) / cross
        t = (between[..., 0] * a[:, None, 1] - between[..., 1] * a[:, None, 0]) / cross
    found = np.argwhere((s >= 0) & (s < 1) & (t >= 0) & (t < 1))
    return [
        (first[i, :2] + s[i, j] * a[i, :2], first[i, 2] + s[i, j] * a[i, 2], second[j, 2] + t[i, j] * b[j, 2])
        for i, j in found
    ]


@pytest.mark.parametrize(("overlap", "widths"), [(0, 40), (0.3, 40), (0.05, [20, 80])], ids=str)
def test_wires_lie_on_one_another(overlap: float, widths: Any) -> None:
    placement, population = arranged("wires", {**WIRE, "width_nm": widths}, count=20, overlap=overlap)
    assert len(placement.index) == 20
    count = 0
    for i, j in combinations(placement.index.tolist(), 2):
        r, q = population.size_nm(i) / 2, population.size_nm(j) / 2
        for point, below, above in crossings(placement.lines[i], placement.lines[j]):
            if ((point > 0) & (point < FIELD)).all():  # outside the map of heights the ground is bare
                count += 1
                # The later one lies above. The map's points are 1/13 of the thinnest wire or a pixel apart, and where
                # two cross the upper one may miss the lower one's ridge by that.
                assert above - below >= r + q - overlap * q - 0.1 * min(r, q)
    assert count > 10


@pytest.mark.parametrize("rise", [0.1, 0.5])
def test_wires_have_their_length_and_slope(rise: float) -> None:
    placement, _ = arranged("wires", WIRE, count=15, rise=rise)
    for line in placement.lines.values():
        steps = np.diff(line, axis=0)
        along = np.hypot(*steps[:, :2].T)
        assert along.sum() == pytest.approx(1200, rel=0.002)  # chords a quarter of a width long
        assert (np.abs(steps[:, 2]) / along).max() <= rise * 1.02  # the same
        assert line[:, 2].min() >= 20 - 1e-9


def test_a_lone_wire_lies_on_the_substrate() -> None:
    placement, _ = arranged("wires", WIRE, count=1)
    assert placement.lines[0][:, 2] == pytest.approx(20)
    assert placement.centres_nm[0] == pytest.approx(placement.lines[0].mean(axis=0))


def test_aligned_wires_run_the_same_way() -> None:
    def order(align: float) -> float:
        placement, _ = arranged("wires", {**WIRE, "persistence_nm": 1e6}, count=40, align=align)
        x, y = np.array([line[-1, :2] - line[0, :2] for line in placement.lines.values()]).T
        return float(np.abs(np.exp(2j * np.arctan2(y, x)).mean()))

    assert order(1) > 0.95
    assert order(0) < 0.45  # 40 at random: 1 / sqrt(40), below three times that but once in 10^4


def test_bundles_keep_together() -> None:
    placement, _ = arranged("wires", WIRE, count=12, bundle_size=4, bundle_widths=1)
    assert np.bincount(placement.group).tolist() == [4, 4, 4]
    assert set(placement.group_kind) == {"bundle"}
    for first in range(0, 12, 4):
        for k in range(first + 1, first + 4):
            away = cdist(placement.lines[k][:, :2], placement.lines[first][:, :2]).min(axis=1)
            # A normal offset of SD 0.5 and a drift of SD 0.3 widths: four SD of the two together are 2.3 widths.
            assert away.max() < 2.4 * 40


def test_a_bundle_may_have_pieces_shorter_than_a_step_of_its_first_wire() -> None:
    piece = {**WIRE, "width_nm": 8, "length_nm": 9, "share": 3}
    placement, _ = arranged("wires", {**WIRE, "width_nm": 80}, piece, count=40, bundle_size=20)
    lengths = [np.hypot(*np.diff(line[:, :2], axis=0).T).sum() for line in placement.lines.values()]
    assert len(lengths) == 40
    assert min(lengths) > 0.5 * 9  # on the inner side of a bend a wire of a bundle is shorter


@pytest.mark.parametrize(
    ("particles", "arrangement", "message"),
    [
        ([BALL], {"kind": "wires", "count": 3}, "the arrangement wires needs the template wire, got sphere"),
        ([WIRE], {"kind": "lattice"}, "template wire needs the arrangement wires or scattered, got lattice"),
        ([WIRE], {"kind": "samples", "of": ONE_OF_EACH["samples"][0]["of"]}, "template wire needs the arrangement"),
        ([BALL], {"kind": "wires", "count": 3, "rise": 3}, "values must lie between 0.02 and 2"),
        ([BALL], {"kind": "monolayer", "coverage": 0.95}, "values must lie between 0.01 and 0.9"),
        ([BALL], {"kind": "samples", "of": []}, "at least 1 item"),
        ([BALL], {"kind": "heap", "count": 3}, "'scattered', 'touching', 'lattice', 'monolayer', 'agglomerates'"),
    ],
)
def test_impossible_arrangements_are_refused(
    particles: list[dict[str, Any]], arrangement: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        OtherParticles.model_validate({"particles": particles, "arrangement": arrangement})


def test_wires_place_wires_only() -> None:
    with pytest.raises(InputError, match="places particles of template wire only, got sphere"):
        arranged("wires", WIRE, BALL, count=3)


# Samples

TWO = [
    {"particles": [0], "size": 2, "share": 1, "arrangement": {"kind": "scattered", "count": 10}},
    {"particles": [1, 2], "share": 3, "arrangement": {"kind": "touching", "count": 12, "cluster_size": 4}},
]


def test_a_scene_shows_one_sample() -> None:
    kinds = [BALL, CUBE, ROD]
    shown = []
    for seed in range(40):
        placement, population = arranged("samples", *kinds, seed=seed, of=TWO)
        templates = {population.kind(int(k)).template for k in placement.index}
        shown.append(templates == {"sphere"})
        assert placement.requested == (10 if shown[-1] else 12)
        assert templates <= ({"sphere"} if shown[-1] else {"cube", "rod"})
        sizes = {population.size_nm(int(k)) for k in placement.index}
        assert sizes <= ({200.0} if shown[-1] else {80.0, 40.0})
    # A quarter of the scenes, binomial: 10 of 40, SD 2.7; three of them.
    assert sum(shown) == pytest.approx(10, abs=8)


def test_a_sample_leaves_the_recipe_as_it_is(rng: np.random.Generator) -> None:
    kinds = [TypeAdapter(ParticleKind).validate_python(kind) for kind in (BALL, CUBE, ROD)]
    before = [kind.model_copy(deep=True) for kind in kinds]
    spec = spec_of("samples", of=TWO)
    for _ in range(10):  # were the narrowed kinds kept, the second sample's would soon be missing, or twice as large
        population = Population(kinds, PIXEL_NM, rng)
        placement = spec.place(population, FIELD, rng, Ground())
        sizes = {population.size_nm(int(k)) for k in placement.index}
        assert sizes == {200.0} or sizes <= {80.0, 40.0}
    assert kinds == before


def test_a_sample_of_particles_that_are_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="particles are counted from 0 to 0, got 2; name one of these"):
        arranged("samples", BALL, of=[{**TWO[0], "particles": [2]}])


# What lies on the plane, and on the map of heights


def square(side: float) -> Array:
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2


@pytest.mark.parametrize(
    ("shape", "centre", "expected"),
    [
        (disc(10), (50, 0), 20.0),  # 50 - 20 - 10
        (footprint(square(20)), (50, 0), 20.0),
        (footprint(square(20)), (25, 0), -5.0),  # the square's flat side lies 5 nm within the other's
        (footprint(square(20)).turned(np.pi / 4), (50, 0), 30 - 10 * np.sqrt(2)),  # its corner points there
    ],
)
def test_gaps_of_outlines(shape: Any, centre: tuple[float, float], expected: float) -> None:
    plane = Plane()
    assert plane.gap(shape, np.zeros(2)) == np.inf
    lying = disc(20) if shape.is_disc else footprint(square(40))
    plane.add(lying, np.zeros(2))
    assert plane.gap(shape, np.array(centre), 100) == pytest.approx(expected)
    gaps, ways = separations([lying, shape], np.array([(0, 0), centre], dtype=float), np.array([[0, 1]]))
    if expected < 0:
        assert gaps[0] == pytest.approx(expected)
        assert ways[0] == pytest.approx([1, 0])
    assert plane.contact(shape, 0, np.array([[1.0, 0.0]]), 3)[0] == pytest.approx([centre[0] - expected + 3, 0])


def test_the_plane_holds_more_than_it_began_with() -> None:
    plane = Plane()
    for n in range(200):
        plane.add(disc(1), np.array([10.0 * n, 0]))
    assert len(plane) == 200
    assert plane.gap(disc(1), np.array([1990.0, 5]), 10) == pytest.approx(3)


@pytest.mark.parametrize("overlap", [0, 0.4])
def test_a_ball_comes_to_rest_on_a_ball(overlap: float, rng: np.random.Generator) -> None:
    population = population_of(BALL, rng=rng)
    population.draw(1)
    relief = Relief((400, 400), 100, 2.0)
    stamp = relief.stamp(population.body(0).mesh)
    assert relief.rest(stamp, np.array([200, 200]), overlap) == pytest.approx(50, abs=0.5)  # a tenth of a pixel
    relief.add(stamp, np.array([200.0, 200, 50]))
    for beside in (0.0, 40.0, 80.0):
        # Vertical contact, less the part of half a height by which it sinks in. Slopes are taken at points 2 nm apart:
        # 2 nm times the slope, beside / rise, is how far it may be off.
        rise = np.sqrt(100**2 - beside**2)
        resting = relief.rest(stamp, np.array([200 + beside, 200]), overlap)
        assert resting == pytest.approx(50 + rise - overlap * 50, abs=1 + 2 * beside / rise)
    assert relief.rest(stamp, np.array([310, 200]), overlap) == pytest.approx(50, abs=0.5)
    assert relief.heights(np.array([[200.0, 200.0], [5000.0, 0.0]])) == pytest.approx([100, 0], abs=0.5)
