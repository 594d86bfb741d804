import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.known_smearing import Draw, made_sample, made_twin
from scipy.stats import norm

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.twin.correction import Correction, FoundSizes, correct
from nanolab.twin.response import MatchedTwin, Tallies, dealt, log_edges, tally

TWINS: Draw = (165, 1.6, 45)
PARTS = np.array([0.1, 0.5, 0.9])


def tallied(sample: FoundSizes, rng: np.random.Generator, count: int = 60) -> Tallies:
    return both_tallied(sample, [made_twin(TWINS, rng) for _ in range(count)], rng)[0]


def both_tallied(sample: FoundSizes, twins: list[MatchedTwin], rng: np.random.Generator) -> tuple[Tallies, Tallies]:
    edges = log_edges(sample.sizes, *[part.sizes for each in twins for part in (each.true, each.found)])
    return tally(twins, edges), tally(dealt(twins, len(twins), rng), edges)


def corrected(draw: Draw, images: int, seed: int, repeats: int = 60) -> tuple[Correction, FloatArray]:
    rng = np.random.default_rng(seed)
    sample, true = made_sample(draw, images, rng)
    twins, particles = both_tallied(sample, [made_twin(TWINS, rng) for _ in range(60)], rng)
    result = correct([sample], [twins], particles=particles, count=len(sample.sizes), rng=rng, repeats=repeats)
    return result, true


def deciles(result: Correction, draw: Draw) -> FloatArray:
    """D10, D50, D90 of the log-normal population within the sizes that are known."""
    low, high = norm.cdf(np.log(np.array(result.spectrum.range_nm) / draw[0]) / np.log(draw[1]))
    return np.asarray(draw[0] * draw[1] ** norm.ppf(low + PARTS * (high - low)))


@pytest.mark.parametrize("draw", [(175, 1.45, 300), (220, 1.3, 300)], ids=["wide", "narrow"])
def test_what_the_network_did_to_sizes_is_taken_back(draw: Draw) -> None:
    result, _ = corrected(draw, 20, seed=1, repeats=2)
    true = deciles(result, draw)
    as_found = [result.as_found[f"{name}_nm"] / each for name, each in zip(("d10", "d50", "d90"), true, strict=True)]
    value = [result.values[f"{name}_nm"] / each for name, each in zip(("d10", "d50", "d90"), true, strict=True)]
    assert max(as_found) > 1.08  # the network finds them too large
    assert value == pytest.approx([1, 1, 1], abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [(175, 1.45, 40), (150, 1.35, 100)], ids=["few", "many"])
def test_the_interval_covers_the_truth_as_often_as_it_says(draw: Draw) -> None:
    covered = []
    for seed in range(200):
        result, _ = corrected(draw, 12, seed)
        intervals = [result.interval[f"{name}_nm"] for name in ("d10", "d50", "d90")]
        covered.append(
            [low <= each <= high for (low, high), each in zip(intervals, deciles(result, draw), strict=True)]
        )
    # 200 trials of 95 % scatter by 1.5 %
    assert np.mean(covered, axis=0) == pytest.approx([0.95] * 3, abs=0.051)


def test_the_budget_names_what_the_interval_is_made_of() -> None:
    rng = np.random.default_rng(3)
    sample, _ = made_sample((175, 1.45, 40), 12, rng)
    tallies = [tallied(sample, rng)] * 2
    larger = FoundSizes(sample.sizes * 1.1, sample.weights, sample.groups, sample.area_nm2)
    result = correct([sample, larger], tallies, count=400, pixel_size_error=0.01, rng=rng, repeats=30)
    shares = {source: each["share"] for source, each in result.to_dict()["budget"]["d50_nm"].items()}
    assert list(shares) == ["images", "twins", "recipe", "settings", "pixel size"]
    assert sum(shares.values()) == pytest.approx(1)
    assert result.variances["d50_nm"]["pixel size"] == pytest.approx(0.01**2)
    assert result.variances["count"]["pixel size"] == result.variances["geometric_sd"]["pixel size"] == 0
    corrected = result.to_dict()["corrected"]
    low, high = corrected["by_volume"]["geometric_sd_interval"]
    assert low < corrected["by_volume"]["geometric_sd"] < high
    shares = corrected["distribution"]
    assert [sum(shares["number"]), sum(shares["volume"])] == pytest.approx([1, 1])
    assert len(shares["edges_nm"]) == len(shares["number"]) + 1
    assert np.sqrt(result.variances["d50_nm"]["settings"]) == pytest.approx(0.095, abs=0.03)  # ln 1.1, less its noise
    low, high = result.interval["d50_nm"]
    assert low < result.values["d50_nm"] < high
    assert high / low > 1.1


def test_twins_that_scatter_more_than_their_particles_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    sample, _ = made_sample((175, 1.45, 40), 12, rng)
    alike = [made_twin(TWINS, rng) for _ in range(40)]
    seen = [
        replace(each.found, sizes=each.found.sizes * ratio) for each, ratio in zip(alike, [1.0, 1.2] * 20, strict=True)
    ]
    differing = [replace(each, found=found) for each, found in zip(alike, seen, strict=True)]
    sd = []
    for twins in (alike, differing):
        first, particles = both_tallied(sample, twins, rng)
        result = correct([sample], [first], particles=particles, count=400, rng=rng, repeats=100)
        sd.append(np.sqrt(result.variances["d50_nm"]["recipe"]))
    assert sd[0] < 0.04
    assert sd[1] == pytest.approx(0.09, abs=0.045)  # half of twenty per cent, of all sizes


def test_it_is_written_as_found_and_corrected_by_number_and_by_volume() -> None:
    result = corrected((175, 1.45, 40), 6, seed=2, repeats=5)[0].to_dict()
    written = json.loads(json.dumps(result, allow_nan=False))
    assert written["as_found"]["by_volume"]["d50_nm"] > written["as_found"]["d50_nm"]
    for name in ("d10_nm", "d50_nm", "d90_nm"):
        assert (
            len(written["corrected"][f"{name}_interval"])
            == len(written["corrected"]["by_volume"][f"{name}_interval"])
            == 2
        )
    assert len(written["corrected"]["count_interval"]) == 2
    assert written["corrected"]["known_from_nm"] > 50  # the network finds few of the small ones


def test_one_seed_gives_one_interval() -> None:
    first, second = (corrected((175, 1.45, 40), 4, seed=4, repeats=5)[0].interval for _ in range(2))
    assert first == second


def test_a_single_image_of_one_particle_has_no_scatter() -> None:
    rng = np.random.default_rng(5)
    sample = FoundSizes(np.array([150.0]), np.ones(1), np.zeros(1, dtype=np.int64), 1e7)
    with pytest.raises(InputError, match="at least 2 images or particles"):
        correct([sample], [tallied(sample, rng, 10)], count=1, rng=rng, repeats=5)
