"""Dark-field images in a scanning transmission electron microscope."""

from typing import Annotated, ClassVar, Literal, cast

import numpy as np

from nanolab.synthesis.detectors.diffraction import facets
from nanolab.synthesis.detectors.instrument import Image, Instrument, Values, blurred
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, between, default
from nanolab.synthesis.passes import Matter, Passes

__all__ = ["HighAngleDarkField"]

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
        matter = cast(Matter, passes.matter)
        spread = rng.standard_normal(int(matter.label.max(initial=0)) + 1, dtype=np.float32)
        scattering = matter.scattering_nm * np.exp(v["particle_spread"] * spread)[matter.label]
        if v["diffraction"] > 0:
            scattering *= np.maximum(1 + v["diffraction"] * facets(passes, float(v["diffraction_nm"]), rng), 0.1)
        particles = v["atoms_per_nm3"] * v["atomic_number"] ** v["exponent"] * matter.total(scattering, passes.shape)
        covered = particles > 0
        around = blurred(particles, max(float(v["tail_nm"]) / passes.pixel_size_nm, 0.5))
        particles += v["tail"] * (around - particles)
        film = _CARBON_ATOMS * _CARBON ** v["exponent"] * v["film_nm"]
        specimen = particles + film * (1 + ground)
        brightest = np.percentile(specimen[covered], _BRIGHTEST).astype(np.float32) if covered.any() else np.float32(0)
        gain = (v["white_level"] - v["black_level"]) / max(brightest, film / _BRIGHTEST_FILM, np.float32(1))
        level = v["black_level"] + gain * specimen
        return np.asarray(np.maximum(level, 0), dtype=np.float32)
