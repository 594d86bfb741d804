"""Detectors that see through particles, against the formulas they follow."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nanolab.synthesis.detectors.detect import detect, draw_appearance
from nanolab.synthesis.detectors.transmission import (
    BrightField,
    HighAngleDarkField,
    facets,
    interaction,
    phase_contrast,
    wavelength_nm,
)
from nanolab.synthesis.passes import Matter, Passes
from nanolab.synthesis.substrates.film import Grain, Holes

SHAPE = (64, 96)
INSTRUMENT = {"illumination": 0, "blur_px": 0, "electrons": 1e8, "readout_noise": 0, "streaks": 0, "gamma": 1}
# 1e8 electrons have a noise of 1e-4, five of them; 8 bits have steps of 1 / 255.
NOISE = 5e-4 + 0.5 / 255

BRIGHT = {
    **INSTRUMENT,
    "background_level": 0.9,
    "black_level": 0.1,
    "mean_free_path_nm": 40,
    "particle_spread": 0,
    "diffraction": 0,
    "defocus_nm": 0,
}
DARK = {
    **INSTRUMENT,
    "black_level": 0.05,
    "white_level": 0.85,
    "atomic_number": 79,
    "atoms_per_nm3": 59,
    "exponent": 1.7,
    "film_nm": 0,
    "particle_spread": 0,
    "diffraction": 0,
    "tail": 0,
    "jitter_px": 0,
}


def slabs(*blocks: tuple[int, slice, float], scattering: float = 1.0, pixel_size_nm: float = 1.0) -> Passes:
    """Flat particles: label, columns, thickness in nm; over all rows."""
    pixel, label, thickness = [], [], []
    numbers = np.arange(SHAPE[0] * SHAPE[1], dtype=np.int32).reshape(SHAPE)
    labels = np.zeros(SHAPE, dtype=np.int32)
    for number, columns, nm in blocks:
        covered = numbers[:, columns].ravel()
        pixel.append(covered)
        label.append(np.full(len(covered), number, dtype=np.int32))
        thickness.append(np.full(len(covered), nm, dtype=np.float32))
        labels[:, columns] = number
    matter = Matter(
        np.concatenate(pixel) if blocks else np.zeros(0, np.int32),
        np.concatenate(label) if blocks else np.zeros(0, np.int32),
        nm := np.concatenate(thickness) if blocks else np.zeros(0, np.float32),
        nm * np.float32(scattering),
    )
    flat = np.zeros(SHAPE, dtype=np.float32)
    return Passes(labels, flat, np.stack([flat, flat, flat + 1], axis=-1), flat + 1, pixel_size_nm, matter)


def bright(passes: Passes, seed: int = 0, substrate: Any = (), **changes: float) -> np.ndarray:
    detector = BrightField.model_validate({**BRIGHT, **changes})
    return detect(passes, draw_appearance(detector, substrate, np.random.default_rng(seed)))


def dark(passes: Passes, seed: int = 0, substrate: Any = (), **changes: float) -> np.ndarray:
    detector = HighAngleDarkField.model_validate({**DARK, **changes})
    return detect(passes, draw_appearance(detector, substrate, np.random.default_rng(seed)))


def test_beam_weakens_exponentially_and_overlaps_add_up() -> None:
    image = bright(slabs((1, np.s_[20:60], 30.0), (2, np.s_[40:80], 50.0)))
    for columns, thickness in ((np.s_[:20], 0), (np.s_[20:40], 30), (np.s_[40:60], 80), (np.s_[60:80], 50)):
        assert image[:, columns] == pytest.approx(0.1 + 0.8 * np.exp(-thickness / 40), abs=NOISE)


def test_what_scatters_twice_as_much_is_as_dark_as_what_is_twice_as_thick() -> None:
    heavy = bright(slabs((1, np.s_[20:60], 30.0), scattering=2))
    assert heavy == pytest.approx(bright(slabs((1, np.s_[20:60], 60.0))), abs=NOISE)


def test_each_crystal_has_its_own_darkness() -> None:
    passes = slabs(*[(k + 1, np.s_[10 * k : 10 * k + 8], 40.0) for k in range(9)])
    image = bright(passes, particle_spread=0.3)
    depth = -np.log((image[0, 4:90:10] - 0.1) / 0.8)
    assert np.log(depth).std() == pytest.approx(0.3, rel=0.6)  # nine values
    assert image[:, 3].std() < NOISE  # even within


def test_the_film_shows_through_particles() -> None:
    film = Grain(amplitude=0.1, scale_nm=8)
    image = bright(slabs((1, np.s_[48:], 20.0)), substrate=[film])
    assert image[:, 48:].std() == pytest.approx(np.exp(-0.5) * image[:, :48].std(), rel=0.25)  # some 60 grains each


def test_a_hole_is_brighter_than_the_film() -> None:
    hole = Holes(level=0.1, diameter_nm=1e4, pitch_nm=1e4)
    images = [bright(slabs(), seed, [hole]) for seed in range(20)]
    levels = {round(float(np.median(image)), 2) for image in images}
    assert levels == {0.9, 0.98}  # the image is smaller than a hole: it lies inside one or outside


def test_electrons_have_their_wavelength_and_interaction() -> None:
    # Kirkland, Advanced Computing in Electron Microscopy, table 2.1 (pm) and the interaction constant at 200 kV.
    expected = {100: 3.701e-3, 200: 2.508e-3, 300: 1.969e-3}
    assert {kv: wavelength_nm(kv) for kv in expected} == pytest.approx(expected, rel=1e-3)
    assert interaction(200) == pytest.approx(7.288e-3, rel=1e-3)
    assert interaction(300) == pytest.approx(6.526e-3, rel=1e-3)


@pytest.mark.parametrize("period_px", [8, 16, 64])
@pytest.mark.parametrize("defocus_nm", [-600.0, 600.0])
def test_a_wave_is_transferred_by_the_sine(period_px: int, defocus_nm: float) -> None:
    x = np.arange(256)
    phase = np.broadcast_to(0.1 * np.cos(2 * np.pi * x / period_px), (64, 256)).astype(np.float32)
    options = {"voltage_kv": 200.0, "defocus_nm": defocus_nm, "convergence_mrad": 0.4}
    contrast = phase_contrast(phase, 0.5, **options)
    k = 1 / (period_px * 0.5)
    envelope = np.exp(-((np.pi * 0.4e-3 * defocus_nm * k) ** 2))
    gain = -2 * np.sin(np.pi * wavelength_nm(200) * defocus_nm * k**2) * envelope
    # Away from the border, where the padding bends the wave; a hundredth of what a full transfer would give.
    assert contrast[20:-20, 80:-80] == pytest.approx(gain * phase[20:-20, 80:-80], abs=0.002)


def test_an_even_phase_and_a_focused_image_have_no_contrast() -> None:
    phase = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    options = {"voltage_kv": 100.0, "convergence_mrad": 0.5}
    assert phase_contrast(phase, 1.0, defocus_nm=0, **options) == pytest.approx(0, abs=1e-6)
    assert phase_contrast(phase * 0 + 3, 1.0, defocus_nm=900, **options) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("defocus_nm", "sign"), [(800, 1), (-800, -1)])
def test_matter_has_a_bright_fringe_around_it_in_underfocus(defocus_nm: float, sign: int) -> None:
    passes = slabs((1, np.s_[40:], 10.0), pixel_size_nm=0.5)
    image = bright(passes, defocus_nm=defocus_nm, granularity=0, film_nm=0, inner_potential_v=10, blur_px=0.5)
    assert sign * (image[:, 39].mean() - 0.9) > 0.02
    assert image[:, :20] == pytest.approx(0.9, abs=0.01)  # and far from it none


def test_grain_grows_with_the_root_of_the_film() -> None:
    film = [bright(slabs(pixel_size_nm=0.5), defocus_nm=500, granularity=0.2, film_nm=nm).std() for nm in (5, 20)]
    assert film[1] / film[0] == pytest.approx(2, rel=0.1)
    assert 0.001 < film[0] < 0.03


def test_facets_have_mean_0_and_their_width() -> None:
    passes = slabs(*[(k + 1, np.s_[2 * k : 2 * k + 2], 10.0) for k in range(48)])
    values = np.concatenate([facets(passes, 10.0, np.random.default_rng(seed)) for seed in range(20)])
    assert values.mean() == pytest.approx(0, abs=0.1)
    assert values.std() == pytest.approx(1, abs=0.15)
    (one,) = (slabs((1, np.s_[:], 10.0)),)
    plane = facets(one, 10.0, np.random.default_rng(0)).reshape(SHAPE)
    assert np.abs(np.diff(plane, axis=1)).max() < 0.8  # no seam: a knot lies 10 px from the next


def test_dark_field_is_linear_in_thickness_with_the_brightest_at_white() -> None:
    image = dark(slabs((1, np.s_[20:60], 30.0), (2, np.s_[40:80], 50.0)))
    levels = [image[:, columns].mean() for columns in (np.s_[:20], np.s_[20:40], np.s_[40:60], np.s_[60:80])]
    assert levels == pytest.approx([0.05, 0.05 + 0.8 * 30 / 80, 0.85, 0.05 + 0.8 * 50 / 80], abs=NOISE)


@pytest.mark.parametrize("number", [29.0, 79.0])
def test_dark_field_goes_with_the_power_of_the_atomic_number(number: float) -> None:
    image = dark(slabs((1, np.s_[48:], 10.0)), atomic_number=number, film_nm=20, atoms_per_nm3=59)
    film, particle = image[:, :40].mean() - 0.05, image[:, 56:].mean() - 0.05
    # 100 atoms of carbon in a cubic nm; the particle lies on the film.
    expected = 1 + 59 * 10 * number**1.7 / (100 * 20 * 6**1.7)
    assert particle / film == pytest.approx(expected, rel=0.1)  # the film's level is known to half a grey level


def test_a_film_alone_is_not_blown_up() -> None:
    assert dark(slabs(), film_nm=10) == pytest.approx(0.05 + 0.25 * 0.8, abs=NOISE)


def test_tails_of_the_probe_put_light_around_particles() -> None:
    passes = slabs((1, np.s_[40:50], 20.0))
    plain, tailed = dark(passes), dark(passes, tail=0.2, tail_nm=8)
    assert plain[:, 36].mean() == pytest.approx(0.05, abs=NOISE)
    assert tailed[:, 36].mean() > 0.08
    assert tailed[:, 0].mean() == pytest.approx(0.05, abs=NOISE)


@pytest.mark.parametrize("kind", ["bf", "df"])
def test_passes_without_matter_are_refused(kind: str) -> None:
    passes = replace(slabs((1, np.s_[40:50], 20.0)), matter=None)
    with pytest.raises(ValueError, match="matter"):
        bright(passes) if kind == "bf" else dark(passes)
