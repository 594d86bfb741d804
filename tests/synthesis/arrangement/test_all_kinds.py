"""Where particles lie: none sinks into the ground or into another; the seed decides everything."""

from typing import Any

import numpy as np
import pytest
from helpers.arrangements import BALL, FIELD, ONE_OF_EACH, ROUNDING, arranged, population_of, radii_of
from scipy.spatial.distance import cdist

from nanolab.core.checks import InputError
from nanolab.synthesis.arrangement import Ground, Placed


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
        ("attached", {}),
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
    ground = Ground(FIELD)
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
