"""Detectors of what leaves a surface, against what their formulas say, on made-up passes."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from nanolab.synthesis.detectors.detect import detect, draw_appearance
from nanolab.synthesis.detectors.instrument import blurred
from nanolab.synthesis.detectors.surface import HeliumIons, SecondaryElectrons
from nanolab.synthesis.passes import Passes
from nanolab.synthesis.substrates.film import Grain, Relief

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
    "grey_levels": 2**16,
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


def ball(radius_px: float = 20.0, pixel_size_nm: float = 2.0, size: int = 96) -> Passes:
    """A ball that rests on the substrate in the middle."""
    y, x = (np.indices((size, size)) - size // 2) / radius_px
    away = np.hypot(x, y)
    labels = (away < 1).astype(np.int32)
    z = np.sqrt(np.clip(1 - away**2, 0, None))
    normals = np.where(labels[..., None], np.stack([x, y, z], axis=-1), [0, 0, 1]).astype(np.float32)
    height = np.where(labels, radius_px * pixel_size_nm * (1 + z), 0).astype(np.float32)
    return Passes(labels, height, normals, np.ones((size, size), np.float32), pixel_size_nm)


def test_materials_differ_by_their_contrast() -> None:
    image = seen(replace(half_covered(), contrast=np.array([1, 1.5], dtype=np.float32)))
    assert image[:, 32:] == pytest.approx(0.6, abs=NOISE)
    assert image[:, :32] == pytest.approx(0.1, abs=NOISE)


def test_rim_brightens_edges_and_fades_inwards() -> None:
    passes = ball()
    extra = seen(passes, rim=1, rim_nm=4, edge_exponent=0) / 0.4 - 1
    across = extra[48, 48:68]
    assert across[19] == pytest.approx(1, abs=0.15)  # the outermost pixel of the ball lies on its edge
    # A ball bends by 2 / radius everywhere: over the rim's 2 px that is 0.2 of a full edge.
    assert across[0] == pytest.approx(2 / 20 * 2, abs=0.05)
    assert extra[:10] == pytest.approx(-0.75, abs=0.02)  # the substrate keeps its level


def test_an_image_without_an_edge_has_no_rim() -> None:
    flat = half_covered()
    flat = replace(flat, labels=np.ones_like(flat.labels), height_nm=np.full(flat.shape, 5, dtype=np.float32))
    assert seen(flat, rim=3, rim_nm=0.5) == pytest.approx(seen(flat), abs=NOISE)


def test_crumbs_lie_on_a_twentieth_of_the_particles_and_nowhere_else() -> None:
    plain, crumbs = seen(half_covered()), seen(half_covered(), crumbs=1.0)
    assert crumbs[:, :32] == pytest.approx(plain[:, :32], abs=NOISE)
    brighter = (crumbs - plain)[:, 32:]
    assert brighter.min() > -NOISE
    # Noise is above 1.5 SDs on 7 %; a field 16 grains wide has that only to within a few per cent.
    assert 0.01 < (brighter > 0.01).mean() < 0.2
    assert brighter.max() > 0.1


def test_wrinkles_are_lines_apart() -> None:
    wrinkled = seen(half_covered(), wrinkles=1.0, wrinkles_px=20.0) - seen(half_covered())
    assert wrinkled[:, :32] == pytest.approx(0, abs=NOISE)
    line = wrinkled[:, 32:] > 0.1
    assert 0 < line.mean() < 0.35  # level lines two or three pixels wide, some ten pixels from one another
    width = 2 * ndimage.distance_transform_edt(line).max()
    assert width <= 8


def test_a_ridge_is_an_edge_too() -> None:
    """Two faces that fall off to both sides: electrons leave through either."""
    labels = np.ones((64, 64), dtype=np.int32)
    across = np.arange(64) - 31.5
    normals = np.zeros((64, 64, 3), dtype=np.float32)
    normals[..., 0] = np.sign(across) * np.sqrt(0.5)
    normals[..., 2] = np.sqrt(0.5)
    height = np.broadcast_to(100 - 2 * np.abs(across), (64, 64)).astype(np.float32)
    roof = Passes(labels, height, normals, np.ones((64, 64), np.float32), 2.0)
    image = seen(roof, edge_exponent=0, rim=0.5, rim_nm=4)
    assert image[32, 31:33].min() > 1.2 * image[32, 10]
    assert image[32, 20] == pytest.approx(image[32, 10], abs=NOISE)


@pytest.mark.parametrize("seed", range(4))
def test_a_shadow_lies_opposite_the_bright_side(seed: int) -> None:
    passes = ball()
    lit = seen(passes, seed=seed, side=0.5, edge_exponent=0)
    cast = seen(passes, seed=seed, shadow=0.8, elevation_deg=30, edge_exponent=0)
    rows, columns = np.indices(lit.shape) - 48

    def direction(weight: np.ndarray) -> np.ndarray:
        vector = np.array([(weight * columns).sum(), (weight * rows).sum()])
        return vector / np.linalg.norm(vector)

    towards = direction(np.where(passes.labels, lit - 0.4, 0))
    away = direction(np.where(passes.labels == 0, 0.1 - cast, 0))
    assert towards @ away < -0.95  # a shadow of 40 pixels knows its direction to some degrees
    assert cast.min() >= 0.1 * (1 - 0.8) - NOISE
    assert cast[0] == pytest.approx(0.1, abs=NOISE)  # far away there is none


def test_trails_lie_behind_particles_along_the_line() -> None:
    labels = np.zeros((64, 128), dtype=np.int32)
    labels[20:40, 30:60] = 1
    flat = np.zeros(labels.shape, dtype=np.float32)
    passes = Passes(labels, flat, np.stack([flat, flat, flat + 1], axis=-1), flat + 1, 2.0)
    image = seen(passes, trail=-0.8, trail_nm=40)
    assert image[:, :30] == pytest.approx(0.1, abs=NOISE)
    assert np.delete(image, np.s_[20:40], axis=0) == pytest.approx(0.1, abs=NOISE)
    behind = image[20:40, 60:].mean(axis=0)
    assert behind[0] < 0.075
    assert behind[60] > 0.09  # three times as far as the charge lasts
    assert image[20:40, 30:60] == pytest.approx(0.4, abs=NOISE)  # the particle itself is not dimmed


def test_variants_have_defaults_of_their_own() -> None:
    levels = {"substrate_level": 0.1, "particle_level": 0.4}
    lens = SecondaryElectrons.model_validate(levels)
    side = SecondaryElectrons.model_validate(levels | {"variant": "everhart-thornley"})
    own = SecondaryElectrons.model_validate(levels | {"variant": "everhart-thornley", "shadow": 0})
    assert lens.shadow.support == own.shadow.support == (0, 0)
    assert side.shadow.support == (0.1, 0.6)
    assert side.side.support[0] >= 0.15 > lens.side.support[0]
    assert SecondaryElectrons.model_validate(side.model_dump()) == side
    with pytest.raises(ValidationError, match="'in-lens' or 'everhart-thornley'"):
        SecondaryElectrons.model_validate(levels | {"variant": "backscattered"})


def test_ions_show_thin_bright_edges_on_a_dark_substrate() -> None:
    passes = ball(40, 1.0, 128)
    records = [draw_appearance(HeliumIons(electrons=1e6), [], np.random.default_rng(seed)) for seed in range(8)]
    images = [detect(passes, record) for record in records]
    edge = np.abs(np.hypot(*(np.indices(passes.shape) - 64)) - 38.5) < 1
    centre = np.hypot(*(np.indices(passes.shape) - 64)) < 15
    for image in images:
        assert image[edge].mean() > 1.3 * image[centre].mean()
        assert image[centre].mean() > 1.2 * image[passes.labels == 0].mean()


def test_constants_take_no_random_numbers() -> None:
    """A parameter that is added with a constant default must not change what a seed gave before."""
    random = SecondaryElectrons(substrate_level=[0.1, 0.2], particle_level=[0.3, 0.4], gamma=[0.5, 2])
    record = draw_appearance(random, [], np.random.default_rng(7))
    rng = np.random.default_rng(7)
    # The parameters of the specimen come first, in their order, then those of the instrument.
    names = ["substrate_level", "particle_level", "edge_exponent", "edge_cosine", "particle_shadow", "substrate_shadow"]
    names += ["side", "charging", "halo", "halo_nm", "illumination", "blur_px", "electrons", "readout_noise", "streaks"]
    expected = {name: getattr(random, name).draw(rng, 1)[0] for name in [*names, "gamma"]}
    assert {name: record["detector"][name] for name in expected} == expected
    assert record["seed"] == rng.integers(2**31)


def test_enlarging_makes_noise_coarse() -> None:
    fine, coarse = (seen(half_covered(), electrons=300, enlargement=size)[:, 34:] for size in (1, 4))
    step = [np.corrcoef(image[:, :-1].ravel(), image[:, 1:].ravel())[0, 1] for image in (fine, coarse)]
    assert abs(step[0]) < 0.1
    assert step[1] > 0.6
    assert coarse.shape == fine.shape


def test_smoothing_takes_noise_away() -> None:
    rough, smooth = (
        np.mean([seen(half_covered(), seed=k, electrons=300, smoothing_px=sd)[8:-8, 40:56].std() for k in range(10)])
        for sd in (0, 2)
    )
    # White noise smoothed by a Gaussian of SD s keeps 1 / (2 s sqrt(pi)) of its SD; ten images have 150 grains.
    assert smooth / rough == pytest.approx(1 / (4 * np.sqrt(np.pi)), rel=0.2)


def test_stretch_goes_to_the_full_range() -> None:
    image = seen(half_covered(), stretch=1)
    assert image[:, :32] == pytest.approx(0, abs=0.01)
    assert image[:, 32:] == pytest.approx(1, abs=0.01)
    half = seen(half_covered(), stretch=0.5)
    assert half[:, 32:] == pytest.approx((0.4 + 1) / 2, abs=0.01)


def test_grey_levels_are_as_many_as_asked_for() -> None:
    image = seen(half_covered(), electrons=20, grey_levels=16)
    assert len(np.unique(image)) <= 16
    assert image * 15 == pytest.approx(np.rint(image * 15), abs=1e-4)


def test_jpeg_leaves_its_blocks() -> None:
    image = seen(half_covered(), electrons=200, jpeg_quality=10)
    steps = np.abs(np.diff(image[:, 32:].astype(float), axis=1)).mean(axis=0)
    assert steps[7::8].mean() > 1.5 * steps[3::8].mean()  # between blocks of eight, and in their middle


def test_jitter_shifts_lines_and_bands_change_them() -> None:
    edges = np.argmax(seen(half_covered(), jitter_px=2) > 0.25, axis=1)
    assert edges.std() == pytest.approx(2, rel=0.4)  # 64 lines know an SD to 9 %, whole pixels add 0.3
    lines = seen(half_covered(), bands=0.1)[:, 40:].mean(axis=1)
    assert lines.std() == pytest.approx(0.04, rel=0.7)  # few independent bands in 64 lines
    assert np.abs(np.diff(lines)).mean() < lines.std()


@pytest.mark.parametrize("sd_px", [3.0, 31.0, 33.0, 80.0])
def test_blur_is_as_wide_on_a_smaller_copy(sd_px: float) -> None:
    point = np.zeros((512, 512), dtype=np.float32)
    point[256, 256] = 1
    spread = blurred(point, sd_px).astype(float)
    rows = np.arange(512) - 256
    # Cut off by OpenCV at 4 SD, by the image's border at 3.2 SD of the widest.
    assert np.sqrt((spread.sum(axis=1) * rows**2).sum() / spread.sum()) == pytest.approx(sd_px, rel=0.06)
