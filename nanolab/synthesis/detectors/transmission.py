"""Transmission electron microscopes: bright-field and dark-field images, diffraction and phase contrast."""

from typing import Annotated, ClassVar, Literal, cast

import cv2
import numpy as np
from scipy import constants, fft

from nanolab.core.typing import Image
from nanolab.synthesis.detectors.instrument import Instrument, Values, blurred
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, between, default
from nanolab.synthesis.noise import streaky_noise
from nanolab.synthesis.passes import Matter, Passes

__all__ = ["BrightField", "HighAngleDarkField", "facets", "interaction", "phase_contrast", "wavelength_nm"]


# Side of the pattern that all particles take their own from, each at another place and in another direction.
_PATTERN_PX = 512


def facets(passes: Passes, width_nm: float, rng: np.random.Generator) -> Image:
    """Return, for each entry of `passes.matter`, a value of mean 0 and SD 1 that varies in bands of `width_nm`."""
    matter = cast(Matter, passes.matter)
    pattern = streaky_noise((_PATTERN_PX, _PATTERN_PX), width_nm / passes.pixel_size_nm, rng.uniform(1, 4), 0.0, rng)
    count = int(matter.label.max(initial=0)) + 1
    angle = rng.uniform(0, 2 * np.pi, count).astype(np.float32)
    shift = rng.uniform(0, 2 * _PATTERN_PX, (count, 2)).astype(np.float32)
    row, column = np.divmod(matter.pixel, passes.shape[1])
    cosine, sine = np.cos(angle)[matter.label], np.sin(angle)[matter.label]
    y = cosine * row + sine * column + shift[matter.label, 0]
    x = cosine * column - sine * row + shift[matter.label, 1]
    return pattern[_mirrored(y), _mirrored(x)]


def _scattering(passes: Passes, v: Values, rng: np.random.Generator) -> Image:
    """Return the thickness that scatters, shape (height, width): no two particles alike, and in bands within them."""
    matter = cast(Matter, passes.matter)
    spread = rng.standard_normal(int(matter.label.max(initial=0)) + 1, dtype=np.float32)
    scattering = matter.scattering_nm * np.exp(v["particle_spread"] * spread)[matter.label]
    if v["diffraction"] > 0:
        scattering *= np.maximum(1 + v["diffraction"] * facets(passes, float(v["diffraction_nm"]), rng), 0.1)
    return matter.total(scattering, passes.shape)


def _mirrored(place: Image) -> Image:
    """Whole numbers within the pattern: beyond its border it goes on mirrored, without a seam."""
    return np.abs(place.astype(np.int32) % (2 * _PATTERN_PX - 1) - (_PATTERN_PX - 1))


_PAD_PX = 16
_REST_EV = constants.m_e * constants.c**2 / constants.e


def wavelength_nm(voltage_kv: float) -> float:
    """Return the relativistic de Broglie wavelength of electrons, e.g. 0.00251 nm at 200 kV."""
    energy = 1e3 * voltage_kv
    momentum = np.sqrt(2 * constants.m_e * constants.e * energy * (1 + energy / (2 * _REST_EV)))
    return float(1e9 * constants.h / momentum)


def interaction(voltage_kv: float) -> float:
    """Return the phase per volt and nm that a potential gives electrons, 0.00729 rad/(V nm) at 200 kV."""
    energy = 1e3 * voltage_kv
    ratio = (_REST_EV + energy) / (2 * _REST_EV + energy)
    return float(2 * np.pi / (wavelength_nm(voltage_kv) * energy) * ratio)


def phase_contrast(
    phase: Image, pixel_size_nm: float, *, voltage_kv: float, defocus_nm: float, convergence_mrad: float
) -> Image:
    """Return the relative change of intensity by a weak phase object out of focus, shape (height, width).

    The linear transfer of a thin object (Kirkland, Advanced Computing in Electron Microscopy 2010,
    10.1007/978-1-4419-6533-2), -2 sin(pi lambda D k^2), with the envelope of a beam that is not quite parallel; for
    long periods it is the transport of intensity (Teague 1983, 10.1364/JOSA.73.001434).

    Parameters
    ----------
    phase
        Shape (height, width), in radians.
    defocus_nm
        Above 0 underfocus: a bright fringe lies around matter.
    convergence_mrad
        Semi-angle of the illumination.
    """
    size = [fft.next_fast_len(side + 2 * _PAD_PX, real=True) for side in phase.shape]
    after = [whole - side - _PAD_PX for whole, side in zip(size, phase.shape, strict=True)]
    padded = cv2.copyMakeBorder(phase, _PAD_PX, after[0], _PAD_PX, after[1], borderType=cv2.BORDER_REFLECT_101)
    k = np.hypot(fft.fftfreq(size[0], pixel_size_nm)[:, None], fft.rfftfreq(size[1], pixel_size_nm)).astype(np.float32)
    transfer = -2 * np.sin(np.float32(np.pi * wavelength_nm(voltage_kv) * defocus_nm) * k**2)
    transfer *= np.exp(-((np.float32(np.pi * convergence_mrad * 1e-3 * defocus_nm) * k) ** 2))
    contrast = fft.irfft2(fft.rfft2(padded) * transfer, s=size)
    height, width = phase.shape
    return np.asarray(contrast[_PAD_PX : _PAD_PX + height, _PAD_PX : _PAD_PX + width], dtype=np.float32)


# Atoms of amorphous carbon: 100 in a cubic nm, each with an integrated potential of 0.12 V nm^3, from its scattering
# amplitude of 0.25 nm (Kirkland 2010). Atoms at random leave a projected potential of this SD, in V nm, for a film 1 nm
# thick seen through a pixel 1 nm wide; it grows with the root of the thickness and falls with the pixel's width.
_GRAIN = 0.12 * 100**0.5

# A fringe cannot be brighter than this part above what is around it, however steep the edge: beyond, matter is no weak
# phase object any more.
_LARGEST_CONTRAST = np.float32(0.5)


class BrightField(Instrument):
    """Bright field: what matter scatters out of the objective aperture is missing.

    The transmission is exp(-t / `mean_free_path_nm`) through the true thickness t along the beam, overlaps included
    (Beer-Lambert; Reimer & Kohl, Transmission Electron Microscopy 2008, 10.1007/978-0-387-40093-8), about 10 nm for
    gold and 200 nm for silica or polymers. Crystals near a zone axis scatter more: each particle by a factor whose
    logarithm has the SD `particle_spread`, and bands and twins in it by an SD of `diffraction`, `diffraction_nm` wide.
    Out of focus by `defocus_nm` (above 0: underfocus, bright fringes), a potential of `inner_potential_v` gives edges
    Fresnel fringes, and the random places of atoms in a film of `film_nm` and in particles give both a grain,
    `granularity` times that of carbon (see `phase_contrast`). The bare film is displayed at `background_level`, no
    electrons at `black_level`. The electrons have been accelerated by `voltage_kv` and reach the specimen within an
    angle of `convergence_mrad`, which blurs fringes.
    """

    sees_through: ClassVar[bool] = True

    kind: Literal["bf-tem"] = "bf-tem"
    background_level: Positive = default([0.55, 0.9])
    black_level: Fraction = default([0.0, 0.15])
    mean_free_path_nm: Positive
    particle_spread: NotNegative = default([0.0, 0.3])
    diffraction: NotNegative = default([0.0, 0.3])
    diffraction_nm: Positive = default([5, 30])
    voltage_kv: Annotated[Distribution, between(30, 1000)] = default([80, 200])
    defocus_nm: Distribution = default([-400, 1200])
    convergence_mrad: NotNegative = default([0.1, 1.0])
    inner_potential_v: NotNegative = default([8, 25])
    film_nm: NotNegative = default([3, 25])
    granularity: NotNegative = default([0.3, 1.2])
    electrons: Positive = default([50, 2000])
    blur_px: NotNegative = default([0.3, 1.2])
    streaks: NotNegative = default(0.0)

    @staticmethod
    def signal(passes: Passes, ground: Image, v: Values, rng: np.random.Generator) -> Image:
        """Return what reaches the camera, shape (height, width); the film's texture shows through the particles."""
        beam = np.exp(-_scattering(passes, v, rng) / v["mean_free_path_nm"])
        if v["defocus_nm"] != 0:
            contrast = _fringes_and_grain(passes, v, rng)
            beam *= 1 + contrast / np.sqrt(1 + (contrast / _LARGEST_CONTRAST) ** 2)
        level = v["black_level"] + (v["background_level"] - v["black_level"]) * beam * (1 + ground)
        return np.asarray(np.maximum(level, 0), dtype=np.float32)


def _fringes_and_grain(passes: Passes, v: Values, rng: np.random.Generator) -> Image:
    thickness = cast(Image, passes.thickness_nm)
    grain = v["granularity"] * _GRAIN / passes.pixel_size_nm * np.sqrt(thickness + v["film_nm"])
    potential = v["inner_potential_v"] * thickness + grain * rng.standard_normal(passes.shape, dtype=np.float32)
    return phase_contrast(
        np.asarray(potential * interaction(float(v["voltage_kv"])), dtype=np.float32),
        passes.pixel_size_nm,
        voltage_kv=float(v["voltage_kv"]),
        defocus_nm=float(v["defocus_nm"]),
        convergence_mrad=float(v["convergence_mrad"]),
    )


_CARBON, _CARBON_ATOMS = np.float32(6), np.float32(100)  # atomic number; atoms in a cubic nm of an amorphous film

# The brightest particles, of which so many per cent of the particles' pixels are darker, set the display's gain; but a
# film alone is never shown brighter than this part of full scale.
_BRIGHTEST = 99.0
_BRIGHTEST_FILM = np.float32(0.25)


class HighAngleDarkField(Instrument):
    """High-angle annular dark field: electrons scattered by nuclei, one atom like the other.

    The signal is proportional to the number of atoms along the beam times Z^`exponent`, nearly that of Rutherford
    scattering (Pennycook, Ultramicroscopy 1989, 10.1016/0304-3991(89)90173-3; 1.64 in Krivanek et al., Nature 2010,
    10.1038/nature08879): `atoms_per_nm3` of number `atomic_number` in the true thickness of the particles, and carbon
    in a film of `film_nm`. Particles differ by `particle_spread` (SD of the logarithm: strain, channelling) and
    within by `diffraction`, `diffraction_nm` wide. Electrons that strayed from a broad probe halo particles with
    `tail` of the signal within `tail_nm`. The display shows nothing at `black_level` and the brightest particles at
    `white_level`.
    """

    sees_through: ClassVar[bool] = True

    kind: Literal["haadf-stem"] = "haadf-stem"
    black_level: Fraction = default([0.0, 0.12])
    white_level: Positive = default([0.5, 1.0])
    atomic_number: Annotated[Distribution, between(1, 100)]
    atoms_per_nm3: Positive = default([50, 80])
    exponent: Annotated[Distribution, between(1.2, 2.0)] = default([1.6, 1.8])
    film_nm: NotNegative = default([2, 20])
    particle_spread: NotNegative = default([0.0, 0.12])
    diffraction: NotNegative = default([0.0, 0.08])
    diffraction_nm: Positive = default([2, 10])
    tail: Fraction = default([0.0, 0.1])
    tail_nm: Positive = default([10, 60])
    electrons: Positive = default([20, 600])
    blur_px: NotNegative = default([0.5, 1.5])
    jitter_px: NotNegative = default([0.0, 0.3])
    streaks: NotNegative = default([0.0, 0.01])

    @staticmethod
    def signal(passes: Passes, ground: Image, v: Values, rng: np.random.Generator) -> Image:
        """Return what the annular detector collects, shape (height, width)."""
        particles = v["atoms_per_nm3"] * v["atomic_number"] ** v["exponent"] * _scattering(passes, v, rng)
        covered = particles > 0
        around = blurred(particles, max(float(v["tail_nm"]) / passes.pixel_size_nm, 0.5))
        particles += v["tail"] * (around - particles)
        film = _CARBON_ATOMS * _CARBON ** v["exponent"] * v["film_nm"]
        specimen = particles + film * (1 + ground)
        brightest = np.percentile(specimen[covered], _BRIGHTEST).astype(np.float32) if covered.any() else np.float32(0)
        gain = (v["white_level"] - v["black_level"]) / max(brightest, film / _BRIGHTEST_FILM, np.float32(1))
        level = v["black_level"] + gain * specimen
        return np.asarray(np.maximum(level, 0), dtype=np.float32)
