"""Detector models: from passes to the micrograph that an instrument would record.

`draw_appearance` draws every random value into a record; `detect` is a function of passes and record alone.
"""

from typing import Annotated, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from nanolab.synth.draws import Distribution, Fraction, Model, NotNegative, Positive, between
from nanolab.synth.passes import Passes
from nanolab.synth.substrate import draw_substrate, render_substrate, smooth_noise

__all__ = ["Detector", "SecondaryElectrons", "detect", "draw_appearance"]

Image = npt.NDArray[np.float32]
Record = dict[str, Any]


def _default(value: Any) -> Any:
    return Field(default=value, validate_default=True)


class SecondaryElectrons(Model):
    """Secondary electrons in a scanning electron microscope.

    The yield at an angle of incidence t is that at normal incidence times cos(t)^-n, n = `edge_exponent` from 0.5 to
    1.3 (Seiler, J. Appl. Phys. 1983, 10.1063/1.332840); it stops rising where the escape depth exceeds the rim, at
    cos(t) = `edge_cosine`. What leaves a point is collected in proportion to the open sky above it, to the power
    `particle_shadow` or `substrate_shadow`. A detector at the side brightens faces turned to it by `side`;
    `charging` brightens a particle by that fraction for each micrometre of height; `halo` does so to the ground
    around particles. The beam blurs by a Gaussian of SD `blur_px`; `electrons` is the number counted at full
    signal, whose Poisson noise is the shot noise; `streaks` is the SD of line-to-line changes; `gamma` is the
    display's. Signals are fractions of full scale.
    """

    kind: Literal["se"] = "se"
    substrate_level: Positive
    particle_level: Positive
    particle_spread: NotNegative = _default(0.05)
    surface_texture: NotNegative = _default(0.03)
    edge_exponent: Annotated[Distribution, between(0.0, 2.0)] = _default([0.4, 1.2])
    edge_cosine: Annotated[Distribution, between(0.02, 1.0)] = _default([0.25, 0.6])
    particle_shadow: NotNegative = _default([0.5, 1.5])
    substrate_shadow: NotNegative = _default([0.5, 1.5])
    side: NotNegative = _default([0.0, 0.3])
    charging: Distribution = _default([0.0, 0.5])
    halo: Annotated[Distribution, between(-1.0, 5.0)] = _default([-0.2, 0.3])
    halo_nm: Positive = _default([50, 400])
    illumination: Fraction = _default([0.0, 0.15])
    blur_px: NotNegative = _default([0.5, 1.5])
    electrons: Positive = _default([50, 1000])
    readout_noise: NotNegative = _default([0.0, 0.02])
    streaks: NotNegative = _default([0.0, 0.01])
    gamma: Positive = _default([0.8, 1.25])


Detector = SecondaryElectrons


def draw_appearance(detector: SecondaryElectrons, substrate: list[Any], rng: np.random.Generator) -> Record:
    """Draw everything random about how one scene looks in one micrograph."""
    drawn = {
        name: float(getattr(detector, name).draw(rng, 1)[0]) for name in type(detector).model_fields if name != "kind"
    }
    return {
        "kind": detector.kind,
        "seed": int(rng.integers(2**31)),
        "detector": drawn,
        "substrate": draw_substrate(substrate, rng),
    }


def detect(passes: Passes, appearance: Record) -> Image:
    """Return the micrograph, shape (height, width), in [0, 1], that belongs to a record of `draw_appearance`."""
    rng = np.random.default_rng(appearance["seed"])
    values = {name: np.float32(value) for name, value in appearance["detector"].items()}
    ground = render_substrate(appearance["substrate"], passes.shape, passes.pixel_size_nm)
    signal = _secondary_electrons(passes, ground, values, rng)
    signal *= 1 + values["illumination"] * smooth_noise(passes.shape, 0.8 * max(passes.shape), rng)
    return _instrument(signal, values, rng)


def _secondary_electrons(passes: Passes, ground: Image, v: dict[str, Any], rng: np.random.Generator) -> Image:
    """Signal before the instrument's blur and noise; a level surface under open sky has its `..._level`."""
    particle = passes.labels > 0
    angle = rng.uniform(0, 2 * np.pi)
    facing = passes.normals[..., 0] * np.float32(np.cos(angle)) + passes.normals[..., 1] * np.float32(np.sin(angle))
    own = np.exp(v["particle_spread"] * rng.standard_normal(int(passes.labels.max()) + 1, dtype=np.float32))
    bright = v["particle_level"] * own[passes.labels]
    bright *= np.maximum(passes.normals[..., 2], v["edge_cosine"]) ** -v["edge_exponent"]
    bright *= 1 + v["surface_texture"] * smooth_noise(passes.shape, 4, rng)
    bright *= np.maximum(1 + v["charging"] * passes.height_nm * np.float32(1e-3), 0)
    bright *= passes.openness ** v["particle_shadow"]
    near = cv2.GaussianBlur(particle.astype(np.float32), (0, 0), float(max(v["halo_nm"] / passes.pixel_size_nm, 0.5)))
    dark = v["substrate_level"] * (1 + ground) * (1 + v["halo"] * near) * passes.openness ** v["substrate_shadow"]
    signal = np.where(particle, bright * (1 + v["side"] * facing), dark)
    return np.asarray(np.maximum(signal, 0), dtype=np.float32)


def _instrument(signal: Image, v: dict[str, Any], rng: np.random.Generator) -> Image:
    """Blur by the beam, add shot, line and readout noise, and cut to full scale."""
    if v["blur_px"] > 0:
        signal = np.asarray(cv2.GaussianBlur(signal, (0, 0), float(v["blur_px"])))
    counted = rng.poisson(signal * v["electrons"]).astype(np.float32) / v["electrons"]
    counted += v["readout_noise"] * rng.standard_normal(signal.shape, dtype=np.float32)
    counted += v["streaks"] * rng.standard_normal((len(signal), 1), dtype=np.float32)
    return np.asarray(np.clip(counted, 0, 1) ** v["gamma"], dtype=np.float32)
