"""Secondary electrons set free by helium ions."""

from typing import Annotated, Literal

from nanolab.synthesis.detectors.surface import SurfaceElectrons
from nanolab.synthesis.draws import Distribution, NotNegative, Positive, between, default

__all__ = ["HeliumIons"]


class HeliumIons(SurfaceElectrons):
    """Secondary electrons in a helium ion microscope; all parameters are those of `SurfaceElectrons`.

    Ions spread little near the surface and their secondary electrons come from the first nanometres: the yield follows
    1 / cos(t) farther towards grazing angles than with electrons, edges stand out as thin bright lines, thin dirt and
    fine texture show, and backscattering from the substrate adds next to nothing, so that silicon is dark
    (Ramachandra, Griffin & Joy, Ultramicroscopy 2009, 10.1016/j.ultramic.2009.01.013; Hlawacek et al., J. Vac. Sci.
    Technol. B 2014, 10.1116/1.4863676). Insulators charge positively, which dims what is scanned after them.
    """

    kind: Literal["him"] = "him"
    substrate_level: Positive = default([0.03, 0.2])
    particle_level: Positive = default([0.2, 0.45])
    particle_spread: NotNegative = default([0.0, 0.12])
    surface_texture: NotNegative = default([0.02, 0.1])
    edge_exponent: Annotated[Distribution, between(0.0, 2.0)] = default([0.6, 1.1])
    edge_cosine: Annotated[Distribution, between(0.02, 1.0)] = default([0.12, 0.4])
    charging: Distribution = default([-0.3, 0.3])
    halo: Annotated[Distribution, between(-1.0, 5.0)] = default([-0.4, 0.2])
    texture_px: Positive = default([2, 6])
    rim: NotNegative = default([0.1, 0.6])
    rim_nm: Positive = default([1.5, 6])
    trail: Annotated[Distribution, between(-1.0, 5.0)] = default([-0.5, 0.2])
    trail_nm: Positive = default([100, 1500])
    electrons: Positive = default([25, 400])
    blur_px: NotNegative = default([0.4, 1.2])
