"""Bright-field images in a transmission electron microscope."""

from typing import Annotated, ClassVar, Literal, cast

import numpy as np

from nanolab.synthesis.detectors.diffraction import facets
from nanolab.synthesis.detectors.instrument import Image, Instrument, Values
from nanolab.synthesis.detectors.phase import interaction, phase_contrast
from nanolab.synthesis.draws import Distribution, Fraction, NotNegative, Positive, between, default
from nanolab.synthesis.passes import Matter, Passes

__all__ = ["BrightField"]

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
        matter = cast(Matter, passes.matter)
        spread = rng.standard_normal(int(matter.label.max(initial=0)) + 1, dtype=np.float32)
        scattering = matter.scattering_nm * np.exp(v["particle_spread"] * spread)[matter.label]
        if v["diffraction"] > 0:
            scattering *= np.maximum(1 + v["diffraction"] * facets(passes, float(v["diffraction_nm"]), rng), 0.1)
        beam = np.exp(-matter.total(scattering, passes.shape) / v["mean_free_path_nm"])
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
