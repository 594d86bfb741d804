"""Edges, spectra and noise against known answers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nanolab.core.checks import InputError
from nanolab.realism.descriptors import DESCRIPTORS, describe, separability, what_differs
from nanolab.realism.patches import sequential_patches
from nanolab.realism.profiles import (
    edge_distance,
    edge_profiles,
    grey_histograms,
    line_across,
    line_profile,
    noise_level,
    power_spectra,
    radial_power,
)
from nanolab.realism.scores import halve_images


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.1])
def test_noise_level_is_that_of_the_noise_in_spite_of_edges(sigma: float, rng: np.random.Generator) -> None:
    step = np.where(np.arange(96) < 40, 0.3, 0.6)
    noisy = step + sigma * rng.standard_normal((50, 96, 96))
    # One patch knows it to 1 %, 50 of them to 0.2 %; the step takes 1 % of the coefficients out of the smaller ones.
    assert noise_level(noisy).mean() == pytest.approx(sigma, rel=0.02)


def test_noise_level_of_grey_levels_has_no_steps(rng: np.random.Generator) -> None:
    sigma = np.linspace(0.006, 0.012, 25)[:, None, None]
    eight_bit = np.rint(255 * (0.5 + sigma * rng.standard_normal((25, 96, 96)))) / 255
    expected = np.sqrt(sigma.ravel() ** 2 + 1 / (12 * 255**2))  # rounding adds its own variance
    assert noise_level(eight_bit) == pytest.approx(expected, rel=0.06)


def test_white_noise_has_its_variance_at_all_frequencies(rng: np.random.Generator) -> None:
    frequency, power = radial_power(0.3 * rng.standard_normal((400, 64, 64)))
    assert frequency[0] == pytest.approx(1 / 64)
    assert frequency[-1] == pytest.approx(0.5)
    # Rings of 8 and more values, 400 patches: 2 % each; the mean taken off lowers the first ring by more.
    assert power.mean(axis=0)[1:] == pytest.approx(0.09, rel=0.08)


def test_a_wave_stands_at_its_frequency() -> None:
    wave = np.sin(2 * np.pi * np.arange(96) * 12 / 96) * np.ones((96, 1))
    frequency, power = radial_power(wave[None])
    assert frequency[np.argmax(power[0])] == pytest.approx(12 / 96)


def test_edge_distance_counts_from_between_pixels_and_ignores_cuts() -> None:
    particle = np.zeros((20, 40), dtype=bool)
    particle[:, 20:] = True
    expected = np.arange(40) - 19.5
    assert edge_distance(particle) == pytest.approx(np.tile(expected, (20, 1)))
    particle[:, 30] = False  # the line between two touching particles
    assert edge_distance(particle) == pytest.approx(np.tile(expected, (20, 1)))
    assert np.isneginf(edge_distance(np.zeros((8, 8), bool))).all()
    assert np.isposinf(edge_distance(np.ones((8, 8), bool))).all()


def test_edge_profile_is_the_blurred_step(discs: Any) -> None:
    curves = edge_profiles(sequential_patches(discs(6, seed=1, blur=2.0, noise=0.01), 96))
    mean, low, high = curves.band()
    far = np.abs(curves.x) > 9
    assert mean[far & (curves.x < 0)] == pytest.approx(0.2, abs=0.01)
    # discs of 19 px radius: 10 px deep, a blur of 2 px has no hold any more
    assert mean[far & (curves.x > 0)] == pytest.approx(0.7, abs=0.01)
    assert np.interp(0, curves.x, mean) == pytest.approx(0.45, abs=0.03)
    assert (low <= high).all()


def test_descriptors_of_discs_are_what_they_were_made_with(discs: Any) -> None:
    patches = sequential_patches(discs(4, seed=2, blur=1.0, noise=0.03), 96)
    table = describe(patches)
    assert list(table) == list(DESCRIPTORS)
    assert table["noise"].median() == pytest.approx(0.03, rel=0.05)
    assert table["particle_level"].median() == pytest.approx(0.7, abs=0.01)
    assert table["ground_level"].median() == pytest.approx(0.2, abs=0.01)
    assert table["rim"].median() < 1  # the blur darkens it
    # The 10-90 % width of a step blurred by sigma is 2.56 sigma; a pixel's width adds to it.
    assert table["edge_width_px"].median() == pytest.approx(2.56, abs=0.6)
    shows = patches.table["kind"] == "particle"
    assert table["coverage"].equals(patches.table["particle_fraction"].rename("coverage").where(shows))
    assert table.loc[~shows, ["coverage", "rim", "halo", "edge_width_px"]].isna().all(axis=None)
    assert table["row_noise"].median() == pytest.approx(1, abs=0.02)  # white noise knows no direction
    ground = table.loc[~shows, "finest_slope"]
    assert ground.median() == pytest.approx(0, abs=0.05)  # nothing but white noise there


def test_scan_lines_and_smooth_noise_are_seen(discs: Any, rng: np.random.Generator) -> None:
    patches = sequential_patches(discs(2, seed=2), 96)
    white = 0.03 * rng.standard_normal(patches.pixels.shape)
    lines = white + 0.03 * rng.standard_normal((len(patches), 96, 1))
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96))
    smooth = np.fft.ifft2(np.fft.fft2(white) * np.exp(-2 * (np.pi * 0.8 * frequency) ** 2)).real  # sigma of 0.8 px
    # Differences down the columns have the lines' variance too: 4 sigma^2 over 2 sigma^2.
    ratio = describe(replace(patches, pixels=(0.5 + lines).astype(np.float32)))["row_noise"]
    assert ratio.median() == pytest.approx(2**0.5, rel=0.03)
    # It takes 4 pi^2 s^2 f^2 / ln 10 = 11.0 f^2 off the decadic logarithm of the power; at 0.45 and 0.29 on average.
    slope = describe(replace(patches, pixels=(0.5 + smooth).astype(np.float32)))["finest_slope"]
    assert slope.median() == pytest.approx(-11.0 * (0.45**2 - 0.29**2), rel=0.1)


def test_blurrier_edges_are_wider(discs: Any) -> None:
    widths = [
        describe(sequential_patches(discs(4, seed=2, blur=blur), 96))["edge_width_px"].median() for blur in (0.5, 1, 2)
    ]
    assert widths == sorted(widths)


@given(st.integers(0, 999), st.integers(1, 40), st.integers(1, 40))
def test_separability_is_the_share_of_pairs(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, n).astype(float), rng.integers(0, 6, m).astype(float)
    pairs = (y[:, None] > x[None, :]) + 0.5 * (y[:, None] == x[None, :])
    assert separability(x, y) == pytest.approx(pairs.mean())


def test_what_was_changed_comes_first(discs: Any) -> None:
    real = sequential_patches(discs(8, seed=3), 96)
    noisier = sequential_patches(discs(8, seed=4, noise=0.03), 96)
    halves = halve_images(real.images, 4, np.random.default_rng(0))
    table = what_differs(describe(real), describe(noisier), halves)
    assert {table["property"][0], table["property"][1]} <= {"noise", "fine_power", "contrast"}
    noise = table.set_index("property").loc["noise"]
    assert noise["auc"] == 1
    assert noise["baseline_auc"] < 0.75
    assert noise["synthetic_median"] == pytest.approx(0.03, rel=0.05)


def test_histograms_and_spectra_are_one_curve_an_image(discs: Any) -> None:
    patches = sequential_patches(discs(3, seed=5), 96)
    particle, rest = (grey_histograms(patches, particle=which) for which in (True, False))
    assert particle.y.shape == (3, 32)
    assert particle.y.mean(axis=1) == pytest.approx(1)  # a density over [0, 1]
    assert particle.x[np.argmax(particle.y.mean(axis=0))] > 0.6
    assert rest.x[np.argmax(rest.y.mean(axis=0))] < 0.3
    assert power_spectra(patches, "particle").y.shape == (3, 48)


def test_blurred_images_lack_fine_power(discs: Any, rng: np.random.Generator) -> None:
    noise = rng.standard_normal((5, 64, 64))
    sharp, blurred = radial_power(noise)[1], radial_power(gaussian_filter(noise, (0, 1.5, 1.5)))[1]
    assert (blurred[:, -1] < 0.01 * sharp[:, -1]).all()


def test_a_line_profile_is_the_grey_values_between_two_points_over_nm(discs: Any) -> None:
    (sample,) = discs(1, seed=1, side=96, nm=2.0)
    ramp = replace(sample, image=np.tile(np.linspace(0, 1, 96, dtype=np.float32), (96, 1)))
    along, grey = line_profile(ramp, (10, 5, 40, 45))  # 30 px down, 40 across: 50 px long, 100 nm
    assert (along[0], along[-1]) == pytest.approx((0, 100))
    np.testing.assert_allclose(grey, np.linspace(5, 45, len(grey)) / 95, atol=1e-6)
    with pytest.raises(InputError, match=r"line: must lie within the \(96, 96\) px"):
        line_profile(ramp, (0, 0, 96, 10))


def test_a_line_is_laid_across_a_particle_and_beyond_it(discs: Any) -> None:
    (sample,) = discs(1, seed=1, side=288, nm=2.0)
    row, first, end, last = line_across(sample)
    assert row == end
    seen = sample.labels[row, first : last + 1]
    assert np.unique(seen[len(seen) // 2])[0] > 0  # the particle is in the middle
    assert (seen == 0).any()
    assert line_across(replace(sample, labels=None)) == (144, 0, 144, 287)
