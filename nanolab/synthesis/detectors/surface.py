"""Secondary electrons from a surface, set free by electrons or by helium ions."""

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import model_validator
from scipy import signal as filters

from nanolab.core.typing import Image, Mask
from nanolab.synthesis.detectors.instrument import Instrument, Values, blurred
from nanolab.synthesis.draws import Distribution, NotNegative, Positive, between, default
from nanolab.synthesis.noise import octave_noise, smooth_noise
from nanolab.synthesis.passes import Passes

__all__ = ["HeliumIons", "SecondaryElectrons", "SurfaceElectrons"]


# Rise above the horizon's angle, as a slope, over which a cast shadow reaches its full depth.
_SOFTNESS = np.float32(1.0)
_LONGEST_SHADOW_PX = 100
# Crumbs lie where noise is above so many SDs, on a twentieth of a surface or so.
_CRUMBS = np.float32(1.5)


class SurfaceElectrons(Instrument):
    """Signal of the electrons that leave a surface. See `SecondaryElectrons` and `HeliumIons`.

    A level surface under open sky has the signal `substrate_level`, one of a particle `particle_level`. A particle's
    own has a spread of `particle_spread` (SD of the logarithm) and a fine texture of SD `surface_texture`, `texture_px`
    wide; `crumbs` brightens grains that wide that lie on it, or darkens pits, and `wrinkles` lines on it, folds or
    cracks, `wrinkles_px` apart. The yield at an angle of incidence t is that at normal incidence times
    cos(t)^-`edge_exponent`, and stops rising at cos(t) = `edge_cosine`. `rim` brightens particles within `rim_nm` of
    edges and ridges, where electrons leave by two sides. What leaves a point is collected in proportion to the open sky
    above it, to the power `particle_shadow` or `substrate_shadow`. A detector at the side brightens faces turned to it
    by `side`, and particles cast a shadow of depth `shadow` away from it, as if it stood `elevation_deg` above the
    horizon. `charging` brightens a particle by that fraction for each micrometre of height, `halo` does so to the
    ground around particles within `halo_nm`, and `trail` to what the beam meets after a charged particle, fading over
    `trail_nm` along the line.
    """

    substrate_level: Positive
    particle_level: Positive
    particle_spread: NotNegative = default(0.05)
    surface_texture: NotNegative = default(0.03)
    edge_exponent: Annotated[Distribution, between(0.0, 2.0)] = default([0.4, 1.2])
    edge_cosine: Annotated[Distribution, between(0.02, 1.0)] = default([0.25, 0.6])
    particle_shadow: NotNegative = default([0.5, 1.5])
    substrate_shadow: NotNegative = default([0.5, 1.5])
    side: NotNegative = default([0.0, 0.3])
    charging: Distribution = default([0.0, 0.5])
    halo: Annotated[Distribution, between(-1.0, 5.0)] = default([-0.2, 0.3])
    halo_nm: Positive = default([50, 400])
    texture_px: Positive = default(4.0)
    crumbs: Annotated[Distribution, between(-1.0, 5.0)] = default(0.0)
    wrinkles: Annotated[Distribution, between(-1.0, 5.0)] = default(0.0)
    wrinkles_px: Positive = default(20.0)
    rim: NotNegative = default(0.0)
    rim_nm: Positive = default(10.0)
    shadow: Annotated[Distribution, between(0.0, 1.0)] = default(0.0)
    elevation_deg: Annotated[Distribution, between(5.0, 85.0)] = default(35.0)
    trail: Annotated[Distribution, between(-1.0, 5.0)] = default(0.0)
    trail_nm: Positive = default(1000.0)

    @staticmethod
    def signal(passes: Passes, ground: Image, v: Values, rng: np.random.Generator) -> Image:
        """Return what is collected, shape (height, width), before the instrument's blur and noise."""
        particle = passes.labels > 0
        angle = rng.uniform(0, 2 * np.pi)
        x, y = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        own = np.exp(v["particle_spread"] * rng.standard_normal(int(passes.labels.max()) + 1, dtype=np.float32))
        if passes.contrast is not None:
            own *= passes.contrast[: len(own)]
        bright = v["particle_level"] * own[passes.labels]
        bright *= np.maximum(passes.normals[..., 2], v["edge_cosine"]) ** -v["edge_exponent"]
        bright *= 1 + _skin(passes.shape, v, rng)
        bright *= np.maximum(1 + v["charging"] * passes.height_nm * np.float32(1e-3), 0)
        bright *= passes.openness ** v["particle_shadow"]
        if v["rim"] > 0:
            bright *= 1 + v["rim"] * _edges(passes, float(v["rim_nm"]))
        halo_px = float(max(v["halo_nm"] / passes.pixel_size_nm, 0.5))
        near = blurred(particle.astype(np.float32), halo_px)
        dark = v["substrate_level"] * (1 + ground) * (1 + v["halo"] * near) * passes.openness ** v["substrate_shadow"]
        facing = passes.normals[..., 0] * x + passes.normals[..., 1] * y
        signal = np.where(particle, bright * (1 + v["side"] * facing), dark)
        if v["shadow"] > 0:
            signal *= 1 - v["shadow"] * _cast_shadow(passes, (x, y), float(v["elevation_deg"]))
        if v["trail"] != 0:
            signal *= 1 + v["trail"] * _trails(particle, float(v["trail_nm"]) / passes.pixel_size_nm, rng)
        return np.asarray(np.maximum(signal, 0), dtype=np.float32)


def _skin(shape: tuple[int, int], v: Values, rng: np.random.Generator) -> Image:
    """Return the relative change of the signal by what is on the particles' surface, shape (height, width)."""
    skin = v["surface_texture"] * smooth_noise(shape, float(v["texture_px"]), rng)
    if v["crumbs"] != 0:
        grains = smooth_noise(shape, float(v["texture_px"]), rng)
        skin += v["crumbs"] * np.clip((grains - _CRUMBS) / np.float32(0.5), 0, 1)
    if v["wrinkles"] != 0:
        folds = octave_noise(shape, float(v["wrinkles_px"]), 0.5, rng)
        down, right = np.gradient(folds)
        # Level lines of noise, a pixel or two wide: the distance to one is the difference in level over the slope.
        distance = np.abs(folds) / (np.sqrt(down**2 + right**2) + np.float32(1e-3))
        broken = np.clip(smooth_noise(shape, float(v["wrinkles_px"]), rng) + np.float32(0.2), 0, 1)
        skin += v["wrinkles"] * np.exp(-(distance**2)) * broken
    return np.asarray(skin)


def _edges(passes: Passes, width_nm: float) -> Image:
    """Return 1 on the edges of particles and on their ridges, falling off within `width_nm`, shape (height, width)."""
    width_px = max(width_nm / passes.pixel_size_nm, 0.7)
    drop = passes.height_nm - cv2.erode(passes.height_nm, np.ones((3, 3), np.uint8))
    away = cv2.distanceTransform((drop < 3 * passes.pixel_size_nm).astype(np.uint8), cv2.DIST_L2, 3)
    away = np.minimum(away, np.float32(sum(passes.shape)))  # OpenCV gives its largest number where there is no edge
    normals = cv2.GaussianBlur(passes.normals[..., :2], (0, 0), max(0.5 * width_px, 0.5))
    bend = np.asarray(cv2.Sobel(normals[..., 0], cv2.CV_32F, 1, 0, scale=1 / 8))
    bend = bend + cv2.Sobel(normals[..., 1], cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.maximum(np.exp(-away / np.float32(width_px)), np.clip(bend * np.float32(width_px), 0, 1))


def _cast_shadow(passes: Passes, towards: tuple[np.float32, np.float32], elevation_deg: float) -> Image:
    """Return how deep each pixel lies in the shadow of what stands between it and a detector `towards` (x, y).

    The detector is no lamp: its field bends slow electrons around things, so that a shadow blurs and fades with the
    distance from what casts it.
    """
    # Shadows are soft: half the resolution shows them as well, in a quarter of the time.
    half = np.asarray(cv2.resize(passes.height_nm, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    height_px: Image = half / np.float32(2 * passes.pixel_size_nm)
    horizon = float(np.tan(np.deg2rad(elevation_deg)))
    shadow = np.zeros_like(height_px)
    caster, distance, reach = height_px, 1.0, float(height_px.max()) / horizon
    while distance <= min(reach, _LONGEST_SHADOW_PX / 2):
        caster = np.asarray(cv2.GaussianBlur(caster, (0, 0), 0.3 * distance))
        move = np.array([[1, 0, distance * towards[0]], [0, 1, distance * towards[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        there = cv2.warpAffine(caster, move, height_px.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        depth = np.clip(((there - height_px) / np.float32(distance) - np.float32(horizon)) / _SOFTNESS, 0, 1)
        np.maximum(shadow, depth * np.float32(1 - distance / (reach + 1)), out=shadow)
        distance *= 1.5
    return np.asarray(cv2.resize(shadow, passes.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _trails(particle: Mask, length_px: float, rng: np.random.Generator) -> Image:
    """Return what a line remembers of the particles it came across, in [0, 1], different from line to line."""
    keep = float(np.exp(-1 / max(length_px, 1)))
    charge = filters.lfilter([1 - keep], [1, -keep], particle.astype(np.float32), axis=1).astype(np.float32)
    lines = np.abs(smooth_noise((len(particle), 1), rng.uniform(1, 8), rng))
    return np.minimum(charge / np.float32(1 - keep**20), 1) * np.minimum(lines, 1) * ~particle


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
