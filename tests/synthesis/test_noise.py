"""The random textures against the properties that define them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.synthesis.noise import band_noise, diamond_square, fractal_noise, octave_noise, smooth_noise, streaky_noise


@pytest.mark.parametrize("scale_px", [1.0, 4.0, 20.0])
def test_smooth_noise_has_sd_1_and_its_scale(scale_px: float) -> None:
    noise = smooth_noise((512, 512), scale_px, np.random.default_rng(0))
    # 512 / 20 = 26 knots a side are 650 independent values; their SD is known to 3 %, interpolation varies by 10 %.
    assert noise.std() == pytest.approx(1, rel=0.15)
    correlation = [np.corrcoef(noise[:, :-lag].ravel(), noise[:, lag:].ravel())[0, 1] for lag in (1, int(2 * scale_px))]
    assert abs(correlation[1]) < 0.15  # two knots apart nothing is left
    if scale_px >= 4:
        assert correlation[0] > 0.85


def test_wide_noise_has_no_steps() -> None:
    noise = smooth_noise((256, 256), 200, np.random.default_rng(0))
    slope = np.abs(np.diff(noise, axis=1))
    # A cubic's slope changes by at most a few of its curvatures (1 / 200^2) a pixel; a step would be 1 / 32.
    assert np.abs(np.diff(slope, axis=1)).max() < 20 / 200**2


def test_octave_noise_is_finer_where_it_is_rougher() -> None:
    smooth, rough = (octave_noise((256, 256), 64, roughness, np.random.default_rng(1)) for roughness in (0.2, 0.9))
    assert np.diff(rough, axis=1).std() > 4 * np.diff(smooth, axis=1).std()


@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2])
def test_streaks_run_along_their_direction(angle: float) -> None:
    noise = streaky_noise((300, 400), 6, 10, angle, np.random.default_rng(0))
    down, right = np.gradient(noise)
    # The structure tensor's weaker axis is the one along which nothing changes.
    tensor = np.array([[np.mean(right * right), np.mean(right * down)], [np.mean(right * down), np.mean(down * down)]])
    along = np.linalg.eigh(tensor)[1][:, 0]
    # Ten times as long as wide: the direction is known to about a tenth of a radian, its sign is not.
    assert abs(along @ [np.cos(angle), np.sin(angle)]) == pytest.approx(1, abs=0.01)


def test_band_noise_has_grains_of_one_size() -> None:
    noise = band_noise((256, 192), 8, np.random.default_rng(0))
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    power = np.abs(np.fft.fft2(noise)) ** 2
    k = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(192))
    rings = [power[np.abs(k * 8 - q) < 0.1].mean() for q in (0.2, 0.9, 2.5)]
    # In units of the wanted frequency: nothing far below, nothing far above.
    assert rings[1] > 20 * rings[0]
    assert rings[1] > 20 * rings[2]


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.integers(1, 6), st.floats(0, 1), st.integers(0, 2**32))
def test_diamond_square_keeps_its_corners(corners: list[float], levels: int, roughness: float, seed: int) -> None:
    given_corners = np.array(corners, dtype=np.float32).reshape(2, 2)
    surface = diamond_square(levels, roughness, np.random.default_rng(seed), given_corners)
    assert surface.shape == (2**levels + 1, 2**levels + 1)
    assert np.array_equal(surface[:: 2**levels, :: 2**levels], given_corners)
    assert np.isfinite(surface).all()


def test_diamond_square_of_one_level_is_the_mean_and_a_displacement() -> None:
    surfaces = np.stack([diamond_square(1, 0.5, np.random.default_rng(k), [[0, 1], [2, 3]]) for k in range(4000)])
    expected = {(1, 1): 1.5, (0, 1): (0 + 1 + 1.5) / 3, (2, 1): (2 + 3 + 1.5) / 3, (1, 0): (0 + 2 + 1.5) / 3}
    for place, mean in expected.items():
        # 4000 draws know a mean of SD about 0.9 to 0.014; four of them.
        assert surfaces[:, place[0], place[1]].mean() == pytest.approx(mean, abs=0.06)
    # Displacements shrink by 2**-0.5 over the two halves of a round: first 2**-0.25.
    assert surfaces[:, 1, 1].std() == pytest.approx(2**-0.25, rel=0.05)  # an SD from 4000 draws is known to 1.1 %


@pytest.mark.parametrize("roughness", [0.3, 0.6, 0.9])
def test_diamond_square_has_the_roughness_of_its_spectrum(roughness: float) -> None:
    size, slopes, ratios = 512, [], []
    window = np.hanning(size)[:, None] * np.hanning(size)
    fx, fy = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)
    k, along = np.hypot(fx, fy), np.arctan2(fx, fy)
    for seed in range(8):
        surface = fractal_noise((size, size), roughness, np.random.default_rng(seed))
        power = np.abs(np.fft.fft2((surface - surface.mean()) * window)) ** 2
        centres = np.geomspace(8, 100, 8) / size
        radial = [power[(k > f / 1.15) & (k < f * 1.15)].mean() for f in centres]
        slopes.append(np.polyfit(np.log(centres), np.log(radial), 1)[0])
        band = (k > 8 / size) & (k < 100 / size)
        sectors = [power[band & (np.cos(2 * (along - turn)) > 0.7)].mean() for turn in (0, np.pi / 2)]
        ratios.append(np.log(sectors[0] / sectors[1]))
    # The power of a surface with Hurst exponent H falls as k^-(2 H + 2). Midpoint displacement leaves creases along its
    # grid (slope -4 along the axes), which pulls all slopes a little towards theirs.
    assert np.mean(slopes) == pytest.approx(-(2 * roughness + 2), abs=0.4)
    # Isotropy: down and right have the same power. One surface's ratio is known to a factor of about 1.5.
    assert np.mean(ratios) == pytest.approx(0, abs=0.5)


@given(st.integers(2, 90), st.integers(2, 90), st.integers(0, 2**32))
def test_fractal_noise_has_any_size(height: int, width: int, seed: int) -> None:
    noise = fractal_noise((height, width), 0.5, np.random.default_rng(seed))
    assert noise.shape == (height, width)
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, rel=1e-3)
