"""Twins and images of a made-up network, whose effect on sizes is known: no rendering, no network."""

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.twin.correction import FoundSizes
from nanolab.twin.response import Counted, MatchedTwin

AREA_NM2 = 1e7
FALSE = 2  # for each image
Draw = tuple[float, float, int]  # median in nm, geometric SD, particles in an image


def smeared(true: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return sizes found and which true one each shows: few of the small ones, all 4 % too large, some 10 to 60 %."""
    seen = np.flatnonzero(rng.random(len(true)) < 0.97 / (1 + np.exp(-np.log(true / 100) / 0.15)))
    ratio = 0.04 + 0.08 * rng.standard_normal(len(seen))
    merged = rng.random(len(seen)) < 0.15
    return true[seen] * np.exp(np.where(merged, rng.uniform(0.1, 0.5, len(seen)), ratio)), seen


def false(rng: np.random.Generator) -> FloatArray:
    return np.exp(rng.normal(4.5, 0.4, rng.poisson(FALSE)))


def drawn(draw: Draw, rng: np.random.Generator) -> FloatArray:
    median, gsd, count = draw
    return np.exp(rng.normal(np.log(median), np.log(gsd), rng.poisson(count)))


def counted(sizes: FloatArray) -> Counted:
    return Counted(np.arange(1, len(sizes) + 1), sizes, np.ones(len(sizes)))


def made_twin(draw: Draw, rng: np.random.Generator) -> MatchedTwin:
    true = drawn(draw, rng)
    found, cause = smeared(true, rng)
    wrong = false(rng)
    cause = np.concatenate([cause, np.full(len(wrong), -1)])
    return MatchedTwin(
        counted(true), counted(np.concatenate([found, wrong])), cause, np.zeros(len(true), dtype=bool), AREA_NM2
    )


def made_sample(draw: Draw, images: int, rng: np.random.Generator) -> tuple[FoundSizes, FloatArray]:
    """Return what was found in some images, and what is there."""
    true = [drawn(draw, rng) for _ in range(images)]
    found = [np.concatenate([smeared(each, rng)[0], false(rng)]) for each in true]
    groups = np.repeat(np.arange(images), [len(each) for each in found])
    sizes = np.concatenate(found)
    return FoundSizes(sizes, np.ones(len(sizes)), groups, images * AREA_NM2), np.concatenate(true)
