"""Secondary electrons in a scanning electron microscope."""

from typing import Any, Literal

from pydantic import model_validator

from nanolab.synthesis.detectors.surface import SurfaceElectrons

__all__ = ["SecondaryElectrons"]

Variant = Literal["in-lens", "everhart-thornley"]

# What differs from the defaults, which are those of a detector in the lens.
_VARIANTS: dict[Any, dict[str, Any]] = {
    "everhart-thornley": {
        "edge_exponent": [0.3, 0.9],
        "particle_shadow": [0.3, 1.0],
        "substrate_shadow": [0.3, 1.0],
        "side": [0.15, 0.6],
        "shadow": [0.1, 0.6],
        "elevation_deg": [20, 50],
        "electrons": [30, 500],
    }
}


class SecondaryElectrons(SurfaceElectrons):
    """Secondary electrons in a scanning electron microscope; all parameters are those of `SurfaceElectrons`.

    The yield rises with the angle of incidence t as cos(t)^-n with n from 0.5 to 1.3 (Seiler, J. Appl. Phys. 1983,
    10.1063/1.332840), until the escape depth exceeds the rim. `variant` chooses the defaults: the detector "in-lens"
    collects evenly round the beam; the one of Everhart and Thornley (J. Sci. Instrum. 1960, 10.1088/0950-7671/37/7/307)
    stands at one side, which gives faces a bright and a dark side and particles a soft shadow, and sees farther into
    gaps because its field draws electrons out of them (Reimer, Scanning Electron Microscopy 1998,
    10.1007/978-3-540-38967-5).
    """

    kind: Literal["se"] = "se"
    variant: Variant = "in-lens"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_variant(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("variant"), str):
            return _VARIANTS.get(content["variant"], {}) | content
        return content
