"""One of several batches, drawn for each scene."""

import numpy as np
import pytest
from helpers.arrangements import BALL, CUBE, FIELD, PIXEL_NM, ROD, arranged, spec_of
from pydantic import TypeAdapter

from nanolab.core.checks import InputError
from nanolab.synthesis.arrangement import Ground
from nanolab.synthesis.arrangement.population import Population
from nanolab.synthesis.particles import ParticleKind

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
        placement = spec.place(population, Ground(FIELD), rng)
        sizes = {population.size_nm(position.index) for position in placement.positions}
        assert sizes == {200.0} or sizes <= {80.0, 40.0}
    assert kinds == before


def test_a_sample_of_particles_that_are_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="particles are counted from 0 to 0, got 2; name one of these"):
        arranged("samples", BALL, of=[{**TWO[0], "particles": [2]}])
