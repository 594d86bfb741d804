"""One synthetic image: everything random is drawn into a record, and the record is carried out."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.typing import Image, LabelMap
from nanolab.images.rle import encode_rle
from nanolab.measurement.particles import equivalent_diameter
from nanolab.synthesis.cutpaste.blending import BLEND, shaded
from nanolab.synthesis.cutpaste.cutouts import Cutout
from nanolab.synthesis.cutpaste.material import Material
from nanolab.synthesis.cutpaste.placement import place
from nanolab.synthesis.cutpaste.settings import CutPasteSettings
from nanolab.synthesis.cutpaste.stamp import Footprint, footprint, look, windows
from nanolab.synthesis.cutpaste.visible import Pasted

__all__ = ["Composition", "compose", "draw_composition"]

Record = dict[str, Any]

_DRAWN = ("cutout", "angle_deg", "scale", "row_px", "col_px")


@dataclass(frozen=True)
class Composition:
    """A synthetic image.

    Attributes
    ----------
    image
        Shape (height, width), uint8.
    labels
        The same shape, int32: what is visible of each particle, 1..N.
    particles
        One row per particle, hidden ones too (label 0).
    """

    image: npt.NDArray[np.uint8]
    labels: LabelMap
    particles: pd.DataFrame


def draw_composition(material: Material, settings: CutPasteSettings, rng: np.random.Generator) -> Record:
    """Draw everything random about one image: background, particles, places, noise."""
    kinds = sorted({background.kind for background in material.backgrounds})
    kind = kinds[rng.integers(len(kinds))]
    choice = rng.choice([k for k, each in enumerate(material.backgrounds) if each.kind == kind])
    spare = np.array(material.backgrounds[choice].pixels.shape) - settings.size_px
    low, high = settings.count_range
    count = int(rng.integers(low, high + 1))
    drawn = rng.integers(len(material.cutouts), size=count)
    angles, scales = (rng.uniform(*each, count) for each in (settings.angle_deg, settings.scale))
    # One larger than the image would leave nothing else to be seen.
    scales = np.minimum(scales, [settings.size_px / material.cutouts[k].ecd_px for k in drawn])
    turned = [
        (material.cutouts[k], angle, scale)
        for k, angle, scale in zip(drawn, angles.tolist(), scales.tolist(), strict=True)
    ]
    centres = place(turned, settings, rng)
    rows = [(int(drawn[k]), angles[k], scales[k], *centre) for k, centre in enumerate(centres) if centre is not None]
    return {
        "background": int(choice),
        "background_kind": kind,
        "corner_px": rng.integers(spare + 1).tolist(),
        "mirrored": rng.integers(2, size=2).astype(bool).tolist() if kind == "texture" else [False, False],
        "particles_requested": count,
        "particles_placed": len(rows),
        **{name: [row[k] if k == 0 else float(row[k]) for row in rows] for k, name in enumerate(_DRAWN)},
        "salt_pepper": float(rng.uniform(0, settings.salt_pepper)),
        "gaussian_blur_px": float(rng.uniform(0, settings.gaussian_blur_px)),
        "seed": int(rng.integers(2**31)),
    }


def compose(material: Material, settings: CutPasteSettings, record: Record) -> Composition:
    """Return the image, label map and particle table that belong to a record of `draw_composition`."""
    size = settings.size_px
    pixels, level, grain = _ground(material, record, size)
    canvas, pasted = pixels.copy(), Pasted(size)
    particles = []
    for index, angle, scale, row, col in zip(*(record[name] for name in _DRAWN), strict=True):
        cutout = material.cutouts[index]
        there = footprint(cutout, angle, scale, (row, col))
        contrast, noise_lost = look(cutout, angle, scale, (row, col))
        window, part = windows(there.top, there.left, there.mask.shape, size)
        ground = cutout.level + np.float32(settings.intensity_matching) * (level[window] - np.float32(cutout.level))
        particle = ground + contrast[part] + np.float32(np.sqrt(noise_lost)) * grain[window]
        beneath = shaded(canvas[window], contrast[part], cutout.level)
        BLEND[settings.blending](canvas[window], particle, beneath, there.alpha[part], there.mask[part])
        pasted.paste(window, there.mask[part])
        particles.append((cutout, there))
    labels, table = _truth(pasted, particles, record, material.pixel_size_nm)
    return Composition(_recorded(canvas, record), labels, table)


def _ground(material: Material, record: Record, size: int) -> list[Image]:
    """Return pixels, level and grain of the background, as views."""
    background = material.backgrounds[record["background"]]
    top, left = record["corner_px"]
    down, right = (-1 if mirrored else 1 for mirrored in record["mirrored"])
    layers = (background.pixels, background.level, background.grain)
    return [layer[top : top + size, left : left + size][::down, ::right] for layer in layers]


def _truth(
    pasted: Pasted, particles: list[tuple[Cutout, Footprint]], record: Record, pixel_size_nm: float | None
) -> tuple[LabelMap, pd.DataFrame]:
    """Return the label map of what is visible, and the table of all that was pasted."""
    size = len(pasted.numbers)
    boxes = [windows(there.top, there.left, there.mask.shape, size) for _, there in particles]
    inside = [there.mask[part] for (_, there), (_, part) in zip(particles, boxes, strict=True)]
    inside_px = [int(np.count_nonzero(mask)) for mask in inside]
    labels, number, visible_px = pasted.labels()
    area_px = np.array([np.count_nonzero(there.mask) for _, there in particles], dtype=np.int64)
    corners = [(rows.start, cols.start) for (rows, cols), _ in boxes]
    columns = {
        "label": number,
        "source": pd.Series([cutout.source for cutout, _ in particles], dtype=str),
        "source_label": np.array([cutout.label for cutout, _ in particles], dtype=np.int32),
        **{name: np.array(record[name], dtype=np.float64) for name in _DRAWN[1:]},
        "area_px": area_px,
        "visible_area_px": visible_px,
        "visible_fraction": np.minimum(visible_px / area_px, 1.0),  # splinters of others may have come to it
        "touches_border": np.array(
            [_at_border(mask, corner, size) for mask, corner in zip(inside, corners, strict=True)], dtype=bool
        )
        | (np.array(inside_px, dtype=np.int64) < area_px),
        "amodal_rle": pd.Series(
            [encode_rle(mask, (size, size), corner) for mask, corner in zip(inside, corners, strict=True)], dtype=str
        ),
    }
    return labels, pd.DataFrame(columns | _in_nm(columns, pixel_size_nm))


def _at_border(mask: npt.NDArray[np.uint8], corner: tuple[int, int], size: int) -> bool:
    """Tell whether a mask that begins at `corner` has pixels in the outermost row or column of the image."""
    sides = [(mask[:1], corner[0] == 0), (mask[-1:], corner[0] + mask.shape[0] == size)]
    sides += [(mask[:, :1], corner[1] == 0), (mask[:, -1:], corner[1] + mask.shape[1] == size)]
    return any(outermost and bool(side.any()) for side, outermost in sides)


def _in_nm(columns: Record, pixel_size_nm: float | None) -> Record:
    """Return the lengths and areas in nm, named as for rendered particles; none where the pixel size is unknown."""
    if pixel_size_nm is None:
        return {}
    area_nm2 = columns["area_px"] * pixel_size_nm**2
    return {
        "x_nm": (columns["col_px"] + 0.5) * pixel_size_nm,
        "y_nm": (columns["row_px"] + 0.5) * pixel_size_nm,
        "projected_area_nm2": area_nm2,
        "projected_ecd_nm": equivalent_diameter(area_nm2),
        "visible_area_nm2": columns["visible_area_px"] * pixel_size_nm**2,
    }


def _recorded(canvas: Image, record: Record) -> npt.NDArray[np.uint8]:
    """Add salt and pepper, blur, and round to 8 bits."""
    rng = np.random.default_rng(record["seed"])
    count = round(record["salt_pepper"] * canvas.size)
    places = rng.integers(canvas.size, size=count, dtype=np.int32)
    canvas.ravel()[places] = rng.integers(2, size=count, dtype=np.int8)
    if record["gaussian_blur_px"] > 0:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), record["gaussian_blur_px"]))
    return np.asarray(cv2.convertScaleAbs(np.clip(canvas, 0, 1), alpha=255))
