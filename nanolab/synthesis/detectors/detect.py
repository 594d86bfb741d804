"""Detectors: from passes to the micrograph that an instrument would record.

`draw_appearance` draws every random value into a record; `detect` is a function of passes and record alone.
"""

from collections.abc import Sequence
from typing import Annotated, get_args

import cv2
import numpy as np
from pydantic import Field

from nanolab.core.typing import Image, LabelMap
from nanolab.synthesis.detectors.databar import draw_over, drawn_over
from nanolab.synthesis.detectors.degrade import degrade, degrade_labels, degraded_pixel_size, degraded_shape
from nanolab.synthesis.detectors.instrument import Instrument, expose
from nanolab.synthesis.detectors.marks import hidden_by, write_over
from nanolab.synthesis.detectors.surface import HeliumIons, SecondaryElectrons
from nanolab.synthesis.detectors.transmission import BrightField, HighAngleDarkField
from nanolab.synthesis.draws import Record
from nanolab.synthesis.noise import smooth_noise
from nanolab.synthesis.passes import Passes
from nanolab.synthesis.substrates.layer import Layer
from nanolab.synthesis.substrates.substrate import draw_substrate, render_substrate

__all__ = ["Detector", "detect", "draw_appearance", "shown_heights", "shown_labels", "shown_pixel_size", "shown_shape"]

Detector = Annotated[SecondaryElectrons | HeliumIons | BrightField | HighAngleDarkField, Field(discriminator="kind")]

_MODELS: dict[str, type[Instrument]] = {
    model.model_fields["kind"].default: model for model in get_args(get_args(Detector)[0])
}


def draw_appearance(detector: Instrument, substrate: Sequence[Layer], rng: np.random.Generator) -> Record:
    """Draw everything random about how one scene looks in one micrograph.

    The record may be given a `degradation`, a `data_bar` and a `lettering` too: what the models of these names draw.
    """
    drawn = detector.draw(rng)
    return {
        "kind": detector.kind,  # type: ignore[attr-defined]
        "seed": int(rng.integers(2**31)),
        "detector": drawn,
        "substrate": draw_substrate(substrate, rng),
    }


def detect(passes: Passes, appearance: Record) -> Image:
    """Return the micrograph, shape (height, width), in [0, 1], that belongs to a record of `draw_appearance`.

    With a degradation it is larger than the passes; see `shown_labels` and `shown_pixel_size`.

    Raises
    ------
    ValueError
        If the detector sees through particles and the passes do not hold their matter.
    """
    model = _MODELS[appearance["kind"]]
    if model.sees_through and passes.matter is None:
        raise ValueError(f"a detector {appearance['kind']} needs passes with the particles' matter along the beam")
    rng = np.random.default_rng(appearance["seed"])
    values = {name: np.float32(value) for name, value in appearance["detector"].items()}
    ground = render_substrate(appearance["substrate"], passes.shape, passes.pixel_size_nm)
    signal = model.signal(passes, ground, values, rng)
    light = 1 + values["illumination"] * smooth_noise(passes.shape, 0.8 * max(passes.shape), rng)
    signal *= np.maximum(light, 0)
    if degradation := appearance.get("degradation"):
        image = degrade(signal, degradation)
    else:
        image = expose(signal, values, rng)
    if bar := appearance.get("data_bar"):
        image = draw_over(image, bar)
    return write_over(image, marks) if (marks := appearance.get("lettering")) else image


def shown_labels(labels: LabelMap, appearance: Record, *, eroded: bool = True) -> LabelMap:
    """Return the label map that belongs to the micrograph of a record: degraded alike, 0 where something is drawn over.

    With `eroded` false it is what can be seen of each particle, without the erosion that a degradation may ask for.
    """
    if degradation := appearance.get("degradation"):
        labels = degrade_labels(labels, degradation if eroded else {**degradation, "erosion_px": 0})
    if bar := appearance.get("data_bar"):
        labels = np.where(drawn_over((labels.shape[0], labels.shape[1]), bar), 0, labels).astype(np.int32)
    if marks := appearance.get("lettering"):
        labels = np.where(hidden_by((labels.shape[0], labels.shape[1]), marks), 0, labels).astype(np.int32)
    return labels


def shown_heights(heights_nm: Image, appearance: Record) -> Image:
    """Return the map of heights above the substrate that belongs to the micrograph of a record."""
    shape = shown_shape((heights_nm.shape[0], heights_nm.shape[1]), appearance)
    if shape == heights_nm.shape:
        return heights_nm
    return np.asarray(cv2.resize(heights_nm, shape[::-1], interpolation=cv2.INTER_LINEAR))


def shown_shape(shape: tuple[int, int], appearance: Record) -> tuple[int, int]:
    """Return height and width in pixels of a record's micrograph, given those of the passes."""
    return degraded_shape(shape) if appearance.get("degradation") else shape


def shown_pixel_size(pixel_size_nm: float, appearance: Record) -> float:
    """Return the size in nm of the pixels of a record's micrograph, given that of the passes."""
    return degraded_pixel_size(pixel_size_nm) if appearance.get("degradation") else pixel_size_nm
