"""Statistics, fits, comparisons: on public_images whose distribution is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nanolab.core.checks import InputError
from nanolab.datasets.public import PUBLIC, public_images
from nanolab.measurement.comparison import compare_samples
from nanolab.measurement.ensembles import ensemble_interval
from nanolab.measurement.fits import best_fit, fit, fit_all, goodness_of_fit
from nanolab.measurement.particles import equivalent_diameter, measure
from nanolab.measurement.precision import between_images, iso_particles, more_needed
from nanolab.measurement.size_sample import SizeSample, border_weights, quantiles, size_sample
from nanolab.measurement.statistics import histogram, statistics, statistics_table


def table(diameters: np.ndarray, images: int = 1, box: float | np.ndarray = 1.0) -> pd.DataFrame:
    """Make a particle table of discs of these diameters in nm, dealt out to images, at 2 nm a pixel."""
    columns = {
        "image": [f"image{k % images}" for k in range(len(diameters))],
        "ecd_px": diameters / 2,
        "ecd_nm": diameters,
        "area_px": np.maximum(1, np.pi / 4 * (diameters / 2) ** 2),
        "touches_border": False,
        "image_height_px": 1000,
        "image_width_px": 1000,
        "box_height_px": box,
        "box_width_px": box,
    }
    return pd.DataFrame(columns)


def sample(diameters: np.ndarray, images: int = 1) -> SizeSample:
    return size_sample(table(np.asarray(diameters, dtype=float), images), border="keep")


def test_quantiles_are_numpys_of_the_step_function(rng: np.random.Generator) -> None:
    values, times, at = np.sort(rng.normal(size=37)), rng.integers(1, 9, 37), np.linspace(0, 1, 23)
    expected = np.quantile(np.repeat(values, times), at, method="inverted_cdf")
    np.testing.assert_array_equal(quantiles(values, times / times.mean(), at), expected)
    assert quantiles(np.array([5.0]), np.ones(1), 0.5) == 5


@pytest.mark.parametrize("count", [2, 3, 5, 10, 30])
def test_quantiles_of_equal_weights_count_particles_whatever_the_weight(count: int) -> None:
    values = np.arange(1.0, count + 1)
    weights = np.full(count, 1 / 3)  # no sum of it is exact
    for tenths in range(1, 11):
        assert quantiles(values, weights, tenths / 10) == np.ceil(tenths * count / 10)


def test_volume_percentiles_lie_where_the_volume_is() -> None:
    sizes = np.append(np.full(100, 20.0), 400.0)
    result = statistics(sample(sizes), rng=np.random.default_rng(0), repeats=0)
    # 98.8 % of the volume is in the particle of 400 nm
    assert [result["volume"][name] for name in ("d10", "d50", "d90")] == [400, 400, 400]
    assert [result["number"][name] for name in ("d10", "d50", "d90")] == [20, 20, 20]
    assert result["volume"]["mode"] == pytest.approx(400, rel=0.1)  # kernels over ln d lean to the left
    # of ISO 9276-2: exp of the SD of ln d by volume, ln(20) times sqrt(p (1 - p)), and the n / (n - 1) of 101
    share = 400**3 / (400**3 + 100 * 20**3)
    spread = np.log(20) * np.sqrt(share * (1 - share) * 101 / 100)
    assert result["volume"]["geometric_sd"] == pytest.approx(np.exp(spread))
    assert result["volume"]["geometric_sd"] < 1.45


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_every_percentile_of_few_particles_is_a_size_that_occurs(sizes: list[int]) -> None:
    result = statistics(sample(np.array(sizes, dtype=float)), rng=np.random.default_rng(0))
    for weighting in ("number", "volume"):
        assert {result[weighting][name] for name in ("d10", "d50", "d90")} <= set(sizes)
        assert result[weighting]["intervals"] == {}
        if (mode := result[weighting]["mode"]) is not None:
            assert min(sizes) <= mode <= max(sizes) * (1 + 1e-9)


@pytest.mark.parametrize(("count", "has"), [(29, False), (30, True)])
def test_intervals_begin_with_thirty_particles(count: int, has: bool, rng: np.random.Generator) -> None:
    result = statistics(sample(rng.normal(100, 5, count)), rng=rng, repeats=50)
    assert bool(result["number"]["intervals"]) is has
    assert (more_needed(result, 0.05)["error_now"] is not None) is has


def test_how_much_of_the_variance_lies_between_images(rng: np.random.Generator) -> None:
    alike = size_sample(table(100 * np.exp(0.2 * rng.normal(size=400)), 4), border="keep")
    assert abs(between_images(alike)) < 0.03  # of 4 groups of 100 its standard error is about 0.01
    shift = np.tile([0.0, 1.0], 200)  # in ln, variance 1/2 between two images of n - 1, 0.04 within
    apart = size_sample(table(100 * np.exp(0.2 * rng.normal(size=400) + shift), 2), border="keep")
    assert between_images(apart) == pytest.approx(0.5 / 0.54, abs=0.02)
    assert between_images(sample([1.0, 2, 3])) is None
    assert between_images(size_sample(table(np.array([1.0, 2])), border="keep")) is None


def test_statistics_of_a_log_normal_sample_are_those_of_the_distribution(rng: np.random.Generator) -> None:
    median, spread = 80.0, 1.4
    drawn = sample(median * np.exp(np.log(spread) * rng.normal(size=20_000)), 20)
    result = statistics(drawn, rng=rng, repeats=200)
    s = np.log(spread)
    # tolerances: four standard errors, of the median 1.25 s / sqrt(n) = 0.3 %, of the others less than 1 %
    assert result["number"]["d50"] == pytest.approx(median, rel=0.012)
    assert result["number"]["geometric_sd"] == pytest.approx(spread, rel=0.01)
    assert result["number"]["mean"] == pytest.approx(median * np.exp(s**2 / 2), rel=0.01)
    assert result["number"]["d90"] == pytest.approx(median * np.exp(1.2816 * s), rel=0.02)
    assert result["number"]["mode"] == pytest.approx(median * np.exp(-(s**2)), rel=0.05)  # flat at the top
    # Hatch and Choate: the volume-weighted median of a log-normal is that of the numbers times exp(3 s^2)
    assert result["volume"]["d50"] == pytest.approx(median * np.exp(3 * s**2), rel=0.04)
    span = (np.exp(1.2816 * s) - np.exp(-1.2816 * s)) / 1
    assert result["number"]["span"] == pytest.approx(span, rel=0.03)
    low, high = result["number"]["intervals"]["d50"]
    assert low < result["number"]["d50"] < high
    assert high - low == pytest.approx(2 * 1.96 * 1.2533 * s * median / np.sqrt(20_000), rel=0.4)  # 20 images scatter
    assert list(statistics_table(result)["statistic"])[:3] == ["mean", "sd", "d10"]


def test_intervals_know_that_particles_of_an_image_are_alike(rng: np.random.Generator) -> None:
    shift = np.repeat(rng.normal(100, 10, 12), 50)
    alike = table(shift + rng.normal(0, 2, 600))
    alike["image"] = np.repeat([f"image{k}" for k in range(12)], 50)
    by_images = statistics(size_sample(alike, border="keep"), rng=rng, repeats=300)
    alike["image"] = "one"
    by_particles = statistics(size_sample(alike, border="keep"), rng=rng, repeats=300)
    widths = [np.ptp(each["number"]["intervals"]["mean"]) for each in (by_images, by_particles)]
    assert (by_images["resampled"], by_particles["resampled"]) == ("images", "particles")
    assert widths[0] == pytest.approx(2 * 1.96 * 10 / np.sqrt(12), rel=0.5)  # the SD of 12 values errs by a fifth
    assert widths[0] > 4 * widths[1]  # sqrt(50) in theory


def test_few_particles_have_statistics_as_far_as_there_are(rng: np.random.Generator) -> None:
    one = statistics(sample([50.0]), rng=rng)
    assert (one["number"]["d50"], one["number"]["sd"], one["number"]["mode"]) == (50, None, None)
    assert one["number"]["intervals"] == {}
    with pytest.raises(InputError, match="needs at least one particle, got none"):
        sample([])


@pytest.mark.parametrize("size", [50.0, 45.135166683820504])  # of the latter the mean of 18 rounds to another number
def test_equal_sizes_do_not_scatter(size: float, rng: np.random.Generator) -> None:
    found = statistics(sample(np.full(18, size)), rng=rng)["number"]
    assert (found["mean"], found["sd"], found["geometric_sd"], found["span"]) == (size, 0, 1, 0)


def test_histogram_has_bins_by_freedman_and_diaconis_within_limits(rng: np.random.Generator) -> None:
    many = histogram(sample(rng.normal(100, 10, 2000)))
    # width 2 IQR / n^(1/3) = 2 * 13.5 / 12.6; the bins end with whole ones, and IQR errs by a few per cent
    assert np.diff(many.edges)[0] == pytest.approx(2 * 13.49 / 2000 ** (1 / 3), rel=0.1)
    assert many.shares.sum() + many.beyond == pytest.approx(1)
    assert (many.density * np.diff(many.edges)).sum() == pytest.approx(many.shares.sum())
    assert len(histogram(sample([1.0, 2, 3])).shares) == 8
    assert len(histogram(sample([1.0, 2, 3]), bins=5).shares) == 5
    assert histogram(sample(rng.normal(100, 10, 500)), "volume").shares.sum() == pytest.approx(1)


def test_border_weights_of_a_particle_half_as_wide_as_the_image() -> None:
    # it fits wholly in half of the places along one side, and all but a hundredth along the other
    one = table(np.array([100.0])).assign(box_height_px=500, box_width_px=10)
    assert border_weights(one)[0] == pytest.approx(2 / 0.99)
    with pytest.raises(InputError, match="use border 'keep'"):
        border_weights(one.assign(box_height_px=1000))


def test_miles_and_lantuejoul_make_a_boolean_model_free_of_bias(rng: np.random.Generator) -> None:
    size, small, large = 200, 10.0, 80.0
    tables = []
    for k in range(250):
        places = rng.uniform(-large, size + large, (12, 2))
        diameters = rng.choice([small, large], 12)
        inside = ((places - diameters[:, None] / 2 > 0) & (places + diameters[:, None] / 2 < size)).all(axis=1)
        seen = ((places + diameters[:, None] / 2 > 0) & (places - diameters[:, None] / 2 < size)).all(axis=1)
        rows = table(diameters, box=diameters).assign(image=f"i{k}", image_height_px=size, image_width_px=size)
        tables.append(rows.assign(touches_border=~inside)[seen])
    particles = pd.concat(tables)
    means = {
        border: np.average((each := size_sample(particles, border=border)).sizes, weights=each.weights)
        for border in ("keep", "drop", "correct")
    }
    # truth is 45; cut ones are seen too often, (280/210)^2, and uncut ones too rarely, (120/190)^2
    assert means["keep"] > 48
    assert means["drop"] < 35
    # 250 images with 0.8 large ones in each that are not cut: the share of large ones is right to 4 %
    assert means["correct"] == pytest.approx(45, rel=0.06)


def test_fits_find_the_parameters_that_a_sample_was_drawn_with(rng: np.random.Generator) -> None:
    drawn = sample(60 * np.exp(0.3 * rng.normal(size=4000)))
    found = fit(drawn, "log-normal").parameters
    assert found["median"] == pytest.approx(60, rel=0.02)  # 4 standard errors
    assert found["geometric_sd"] == pytest.approx(np.exp(0.3), rel=0.02)
    found = fit(sample(rng.normal(100, 12, 4000)), "normal").parameters
    assert (found["mean"], found["sd"]) == (pytest.approx(100, abs=0.8), pytest.approx(12, abs=0.6))
    values = 50 * rng.weibull(2.2, 4000)
    found = fit(sample(values), "weibull").parameters
    shape, _, scale = stats.weibull_min.fit(values, floc=0)
    assert (found["shape"], found["scale"]) == (pytest.approx(shape, rel=1e-3), pytest.approx(scale, rel=1e-3))


def test_two_groups_are_a_mixture_of_two(rng: np.random.Generator) -> None:
    values = np.concatenate([30 * np.exp(0.1 * rng.normal(size=700)), 90 * np.exp(0.1 * rng.normal(size=300))])
    found = best_fit(sample(values))
    assert found.name == "mixture of 2"
    assert found.parameters["median"] == [pytest.approx(30, rel=0.02), pytest.approx(90, rel=0.03)]
    assert found.parameters["share"] == [pytest.approx(0.7, abs=0.01), pytest.approx(0.3, abs=0.01)]
    # weights that halve the large group move the shares, and nothing else
    weighted = sample(values)
    object.__setattr__(weighted, "weights", np.where(weighted.sizes > 55, 0.5, 1.0) / 0.85)
    found = fit(weighted, "mixture of 2")
    assert found.parameters["share"][1] == pytest.approx(0.15 / 0.85, abs=0.01)
    assert found.parameters["median"][1] == pytest.approx(90, rel=0.03)


def test_a_weibull_of_sizes_that_hardly_differ_is_a_narrow_one(rng: np.random.Generator) -> None:
    found = fit(sample(40 * (1 + 1e-6 * rng.random(25))), "weibull").parameters
    assert found["scale"] == pytest.approx(40, rel=1e-5)
    assert found["shape"] > 1e5


@pytest.mark.parametrize(("name", "draw"), [("log-normal", "lognormal"), ("normal", "normal"), ("weibull", "weibull")])
def test_the_criterion_finds_the_kind(rng: np.random.Generator, name: str, draw: str) -> None:
    values = {
        "lognormal": lambda: rng.lognormal(4, 0.5, 1500),
        "normal": lambda: rng.normal(100, 8, 1500),
        "weibull": lambda: 100 * rng.weibull(1.5, 1500),
    }[draw]()
    fits = fit_all(sample(values))
    assert fits[0].name == name
    assert [each.bic for each in fits] == sorted(each.bic for each in fits)


@pytest.mark.parametrize("name", ["kde", "normal", "log-normal", "weibull", "mixture of 2"])
def test_densities_are_densities(rng: np.random.Generator, name: str) -> None:
    found = fit(sample(rng.lognormal(4, 0.3, 300)), name).density
    grid = np.linspace(1e-6, 400, 20_000)
    np.testing.assert_allclose(np.cumsum(found.pdf(grid)) * (grid[1] - grid[0]), found.cdf(grid), atol=2e-3)
    drawn = found.draw(4000, rng)
    assert stats.kstest(drawn, found.cdf).pvalue > 1e-3


def test_goodness_of_fit_tells_a_right_from_a_wrong_distribution(rng: np.random.Generator) -> None:
    drawn = sample(rng.lognormal(4, 0.5, 300))
    right, wrong = (goodness_of_fit(drawn, fit(drawn, name), rng=rng, repeats=60) for name in ("log-normal", "normal"))
    assert right.ks_p > 0.05
    assert right.ad_p > 0.05
    assert wrong.ks_p == wrong.ad_p == pytest.approx(1 / 61)
    values = np.sort(rng.normal(100, 8, 50))
    normal = sample(values)
    u = stats.norm.cdf(values, values.mean(), values.std())
    steps = 2 * np.arange(1, 51) - 1
    found = goodness_of_fit(normal, fit(normal, "normal"), rng=rng, repeats=1)
    assert found.ad == pytest.approx(-50 - (steps * (np.log(u) + np.log1p(-u[::-1]))).sum() / 50, rel=1e-6)
    assert found.ks == pytest.approx(stats.kstest(values, stats.norm(values.mean(), values.std()).cdf).statistic)


def test_fits_ask_for_enough_particles_and_a_known_name(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="needs at least 5 particles of different sizes, got 4"):
        fit(sample([1.0, 2, 3, 4]))
    with pytest.raises(InputError, match="different sizes"):
        fit(sample([7.0] * 50))
    with pytest.raises(InputError, match="mixture: needs at least 40 particles, got 20"):
        fit(sample(rng.normal(50, 5, 20)), "mixture")
    with pytest.raises(InputError, match="fit must be one of auto, kde, normal"):
        fit(sample(rng.normal(50, 5, 20)), "gamma")


def test_the_standards_numbers_of_particles() -> None:
    # ISO 13322-1, scope: geometric SD 1.6, over 6000 particles for the volume mean, 61 000 for percentiles
    assert 6000 < iso_particles(1.6, 0.05, power=3) < 6200
    assert iso_particles(1.6, 0.05, power=6) == pytest.approx(61_000, rel=0.01)
    with pytest.raises(InputError, match="geometric_sd must be a number above 1"):
        iso_particles(1.0, 0.05)


def test_the_number_of_particles_that_iso_gives_is_enough(rng: np.random.Generator) -> None:
    n = iso_particles(1.5, 0.05)
    means = np.exp(np.log(1.5) * rng.normal(size=(2000, n))).mean(axis=1) / np.exp(np.log(1.5) ** 2 / 2)
    assert (np.abs(means - 1) < 0.05).mean() == pytest.approx(0.95, abs=0.02)  # 4 standard errors of 2000 draws


def test_half_the_error_needs_four_times_the_images() -> None:
    result = {"images": 10, "count": 500, "number": {"d50": 100.0, "intervals": {"d50": [90.0, 110.0]}}}
    needed = more_needed(result, 0.05)
    assert needed == {"error_now": 0.1, "images": 40, "particles": 2000, "more_images": 30, "more_particles": 1500}


def test_a_shifted_sample_is_as_far_as_it_was_shifted(rng: np.random.Generator) -> None:
    values = rng.normal(100, 10, 600)
    found = compare_samples(sample(values, 6), sample(values + 5, 6), rng=rng, repeats=150)
    assert found.wasserstein == pytest.approx(5)
    assert found.d50_difference == pytest.approx(5)
    low, high = found.wasserstein_interval
    assert low < 5 < high
    assert found.ks == pytest.approx(stats.ks_2samp(values, values + 5).statistic)
    # 12 images can be dealt out in 924 ways; two of them are this far apart
    assert found.wasserstein_p < 0.03
    assert found.permuted == "images"


@pytest.mark.parametrize(("factor", "images"), [(1.0, 1), (1.2, 1), (1.0, 8)])
def test_intervals_of_a_distance_hold_the_true_one_and_their_own_estimate(factor: float, images: int) -> None:
    rng, trials = np.random.default_rng(7), 60
    sizes = np.linspace(1, 400, 4000)
    apart = np.abs(np.diff([stats.lognorm.cdf(sizes, 0.3, scale=scale) for scale in (50, 50 * factor)], axis=0)[0])
    true = {"ks": apart.max(), "wasserstein": apart.sum() * (sizes[1] - sizes[0])}
    held = dict.fromkeys(true, 0)
    for _ in range(trials):
        pair = [sample(50 * scale * rng.lognormal(0, 0.3, 64), images) for scale in (1, factor)]
        found = compare_samples(*pair, rng=rng, repeats=99).to_dict()
        for name, value in true.items():
            low, high = found[f"{name}_interval"]
            assert 0 <= low <= found[name] <= high
            held[name] += low <= value <= high
    # 95 % intervals; 6 of 60 outside are 1 in 80 where 3 are due, and 8 images scatter less than they should
    assert min(held.values()) >= (54 if images == 1 else 50)


def test_samples_of_one_distribution_are_not_told_apart(rng: np.random.Generator) -> None:
    first, second = (sample(rng.normal(100, 10, 300)) for _ in range(2))
    found = compare_samples(first, second, rng=rng, repeats=150)
    assert min(found.ks_p, found.wasserstein_p) > 0.05
    assert found.permuted == "particles"
    with pytest.raises(InputError, match="must be of one quantity and unit"):
        compare_samples(first, size_sample(table(first.sizes).drop(columns="ecd_nm"), border="keep"), rng=rng)


def test_members_that_disagree_widen_the_interval(rng: np.random.Generator) -> None:
    values = rng.normal(100, 10, 2000)
    members = {f"epoch {k}": table(values + shift, 10) for k, shift in enumerate((-6, 0, 6))}
    found = ensemble_interval(members, border="keep", rng=rng, repeats=300)
    assert found["value"] == pytest.approx(np.sort(values)[999])
    assert found["sd_between"] == pytest.approx(6)
    # the median of 2000: 1.2533 sd / sqrt(n); 10 images scatter about it
    assert found["sd_sampling"] == pytest.approx(1.2533 * 10 / np.sqrt(2000), rel=0.6)
    assert found["sd_total"] == pytest.approx(np.hypot(6, found["sd_sampling"]))
    low, high = found["interval"]
    assert low < np.median(values) - 6
    assert high > np.median(values) + 6
    assert np.ptp(found["sampling_interval"]) < 4
    same = ensemble_interval(dict.fromkeys("ab", table(values, 10)), border="keep", rng=rng, repeats=100)
    assert same["sd_between"] == 0
    with pytest.raises(InputError, match="need at least two segmentations"):
        ensemble_interval({"one": table(values)}, rng=rng)


def test_the_annotated_sizes_of_tio2(bam_folder, rng: np.random.Generator) -> None:
    tables = [measure(each.labels, pixel_size=each.pixel_size, name=each.name) for each in public_images("bam-tio2")]
    particles = pd.concat(tables, ignore_index=True)
    least = PUBLIC["bam-tio2"].min_area_px
    kept = size_sample(particles, border="keep", min_area_px=least)
    areas = particles["area_px"][particles["area_px"] >= least]
    assert (len(kept), kept.small) == (2881, 3256 - 2881)
    median = quantiles(kept.sizes, kept.weights, 0.5)
    assert median == pytest.approx(equivalent_diameter(np.median(areas)) * 7.34375)
    assert median == pytest.approx(176.8, abs=0.1)  # the catalogue says 177
    corrected = size_sample(particles, min_area_px=least)
    assert corrected.cut == len(kept) - len(corrected) == 70
    assert quantiles(corrected.sizes, corrected.weights, 0.5) > median  # it is large ones that the border cuts
