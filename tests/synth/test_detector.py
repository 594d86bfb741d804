"""The detector model against what its formula says, on made-up passes."""

from pathlib import Path

import numpy as np
import pytest

from nanolab.synth.detector import SecondaryElectrons, detect, draw_appearance
from nanolab.synth.passes import Passes, denoise_occlusion, load_passes, save_passes
from nanolab.synth.substrate import Blobs, Grain, Outlines, Relief, Specks, render_substrate, smooth_noise

# Everything that is not under test is off: no texture, no shadow, no side, no blur; 1e8 electrons have no noise.
PLAIN = {
    "substrate_level": 0.1,
    "particle_level": 0.4,
    "particle_spread": 0,
    "surface_texture": 0,
    "edge_exponent": 1,
    "edge_cosine": 0.5,
    "particle_shadow": 0,
    "substrate_shadow": 0,
    "side": 0,
    "charging": 0,
    "halo": 0,
    "illumination": 0,
    "blur_px": 0,
    "electrons": 1e8,
    "readout_noise": 0,
    "streaks": 0,
    "gamma": 1,
}
# The Poisson noise left: sqrt(0.8 / 1e8) is 1e-4, five of them.
NOISE = 5e-4


def half_covered(cosine: float = 1.0, openness: float = 1.0, height_nm: float = 0.0) -> Passes:
    """A particle on the right half, its surface tilted to the given cosine."""
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[:, 32:] = 1
    normals = np.zeros((64, 64, 3), dtype=np.float32)
    normals[..., 2] = np.where(labels, cosine, 1)
    normals[..., 0] = np.sqrt(1 - normals[..., 2] ** 2)
    full = np.full((64, 64), openness, dtype=np.float32)
    return Passes(labels, np.where(labels, height_nm, 0).astype(np.float32), normals, full, 2.0)


def seen(passes: Passes, substrate: list[object] | None = None, seed: int = 0, **changes: float) -> np.ndarray:
    detector = SecondaryElectrons.model_validate({**PLAIN, **changes})
    return detect(passes, draw_appearance(detector, substrate or [], np.random.default_rng(seed)))


@pytest.mark.parametrize(("cosine", "expected"), [(1.0, 0.4), (0.8, 0.5), (0.5, 0.8), (0.1, 0.8)])
def test_yield_rises_towards_grazing_angles_up_to_the_rim(cosine: float, expected: float) -> None:
    image = seen(half_covered(cosine))
    assert image[:, :32] == pytest.approx(0.1, abs=NOISE)
    assert image[:, 32:] == pytest.approx(expected, abs=NOISE)


def test_shadow_is_the_open_sky_to_its_power() -> None:
    image = seen(half_covered(openness=0.5), particle_shadow=1, substrate_shadow=2)
    assert image[:, 32:] == pytest.approx(0.2, abs=NOISE)
    assert image[:, :32] == pytest.approx(0.025, abs=NOISE)


def test_charging_brightens_by_the_micrometre() -> None:
    assert seen(half_covered(height_nm=500), charging=0.5)[:, 32:] == pytest.approx(0.5, abs=NOISE)


def test_blur_has_its_width() -> None:
    edge = np.gradient(seen(half_covered(), blur_px=2)[32])[20:44]
    position = np.arange(len(edge))
    centre = (edge * position).sum() / edge.sum()
    sigma = np.sqrt((edge * (position - centre) ** 2).sum() / edge.sum())
    # The central difference widens the edge by half a pixel's variance, OpenCV cuts the Gaussian at 4 sigma.
    assert sigma == pytest.approx(np.hypot(2, 1 / np.sqrt(2)), abs=0.1)


def test_shot_noise_is_that_of_the_counted_electrons() -> None:
    image = seen(half_covered(), electrons=1000)
    assert image[:, 32:].std() == pytest.approx(np.sqrt(0.4 / 1000), rel=0.1)  # 2048 pixels know an SD to 1.6 %
    assert image[:, :32].std() == pytest.approx(np.sqrt(0.1 / 1000), rel=0.1)


def test_a_record_replays_its_image() -> None:
    layers = [Grain(amplitude=0.2, scale_nm=20), Relief(amplitude=0.2, scale_nm=30, coverage=0.5)]
    detector = SecondaryElectrons(substrate_level=0.1, particle_level=0.4)
    record = draw_appearance(detector, layers, np.random.default_rng(3))
    passes = half_covered()
    assert np.array_equal(detect(passes, record), detect(passes, record))
    assert not np.array_equal(detect(passes, record), detect(passes, record | {"seed": record["seed"] + 1}))


@pytest.mark.parametrize("level", [0.0001, 50.0])
def test_no_signal_leaves_the_display(level: float) -> None:
    image = seen(half_covered(0.2), particle_level=level, readout_noise=0.1, halo=-1, substrate_shadow=0.5)
    assert image.dtype == np.float32
    assert 0 <= image.min() <= image.max() <= 1


def test_substrate_does_not_show_through_particles() -> None:
    textured = seen(half_covered(), [Grain(amplitude=0.5, scale_nm=20)])
    assert textured[:, 32:] == pytest.approx(0.4, abs=NOISE)
    assert textured[:, :32].std() > 0.02


@pytest.mark.parametrize("scale_px", [1.0, 4.0, 20.0])
def test_smooth_noise_has_sd_1_and_its_scale(scale_px: float) -> None:
    noise = smooth_noise((512, 512), scale_px, np.random.default_rng(0))
    # 512 / 20 = 26 knots a side are 650 independent values; their SD is known to 3 %, interpolation varies by 10 %.
    assert noise.std() == pytest.approx(1, rel=0.15)
    correlation = [np.corrcoef(noise[:, :-lag].ravel(), noise[:, lag:].ravel())[0, 1] for lag in (1, int(2 * scale_px))]
    assert abs(correlation[1]) < 0.15  # two knots apart nothing is left
    if scale_px >= 4:
        assert correlation[0] > 0.85


def test_coverage_is_the_part_that_is_covered() -> None:
    record = {"kind": "grain", "seed": 1, "amplitude": 1.0, "coverage": 0.4, "scale_nm": 4.0, "roughness": 0.5}
    texture = render_substrate([record], (256, 256), 2.0)
    assert (np.abs(texture) > 1e-6).mean() == pytest.approx(0.4, abs=0.12)  # soft edges add to it


def test_outlines_are_thin_and_spots_have_their_number() -> None:
    rng = np.random.default_rng(0)
    lines = render_substrate([Outlines(amplitude=1, scale_nm=100, width_nm=6).draw(rng)], (256, 256), 3.0)
    assert 0.9 < lines.max() <= 1.3
    assert (lines > 0.5).mean() < 0.1
    for layer in (Blobs(amplitude=1, size_nm=40, per_um2=20), Specks(amplitude=1, size_nm=40, per_um2=20)):
        spots = render_substrate([layer.draw(rng)], (256, 256), 3.0)
        expected = 20 * (256 * 3e-3) ** 2 * np.pi / 4 * 0.04**2 / (256 * 3e-3) ** 2 * 0.75 * 13 / 12
        assert (spots > np.exp(-1)).mean() == pytest.approx(expected, rel=0.7)  # 12 spots: Poisson alone is 30 %
        assert spots.max() > 0.9


def test_denoising_keeps_the_border_between_particle_and_substrate() -> None:
    labels = np.zeros((32, 32), dtype=np.int32)
    labels[:, 16:] = 1
    openness = np.where(labels, 0.2, 0.9).astype(np.float32)
    assert denoise_occlusion(openness, labels, 1.5) == pytest.approx(openness, abs=1e-5)


def test_kept_passes_come_back(tmp_path: Path) -> None:
    passes = half_covered(0.7, 0.5, 120)
    save_passes(tmp_path / "passes.npz", passes)
    back = load_passes(tmp_path / "passes.npz")
    assert np.array_equal(back.labels, passes.labels)
    assert back.normals == pytest.approx(passes.normals, abs=1e-3)  # kept in half precision
    assert back.pixel_size_nm == 2.0
