"""One synthetic image: everything random is drawn into a record, and the record is carried out."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.typing import Image, LabelMap
from nanolab.images.rle import encode_rle
from nanolab.measurement.particles import equivalent_diameter
from nanolab.synthesis.cutpaste.cutouts import Cutout
from nanolab.synthesis.cutpaste.material import Material
from nanolab.synthesis.cutpaste.placement import place
from nanolab.synthesis.cutpaste.settings import CutPasteSettings
from nanolab.synthesis.cutpaste.stamp import BLEND, Footprint, footprint, look, shaded, windows
from nanolab.synthesis.draws import Record

__all__ = ["Composition", "Pasted", "compose", "draw_composition"]


Box = tuple[slice, slice]

# A visible piece below this many pixels, or below this part of what is visible of its particle, is a splinter that
# nobody could tell from the rim of the particle on top of it.
_SPLINTER_PX, _SPLINTER = 5, 0.01
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Pasted:
    """Which particle lies on top at each pixel, while particles are pasted one by one.

    Attributes
    ----------
    numbers
        Shape (size_px, size_px): 0 = background, 1..N in the order of pasting.
    """

    def __init__(self, size_px: int) -> None:
        self.numbers = np.zeros((size_px, size_px), dtype=np.int32)
        self._windows: list[Box] = []
        self._visible_px = np.zeros(1, dtype=np.int64)
        self._covered: set[int] = set()

    def paste(self, window: Box, mask: npt.NDArray[np.uint8]) -> None:
        """Put the next particle on top; `mask` has the shape of the window."""
        there, inside = self.numbers[window], mask != 0
        taken = np.bincount(there[inside], minlength=len(self._visible_px))
        taken[0] = 0
        self._covered.update(np.flatnonzero(taken).tolist())
        self._windows.append(window)
        self._visible_px = np.append(self._visible_px - taken, np.count_nonzero(inside))
        there[inside] = len(self._windows)

    def labels(self) -> tuple[LabelMap, LabelMap, npt.NDArray[np.int64]]:
        """Number the particles that are visible, and give splinters of hidden ones to the particle on top.

        Returns
        -------
        labels, number, visible_px
            The label map with labels 1..N; the label of each particle pasted, 0 where hidden; its visible pixels.
        """
        for particle in sorted(self._covered):
            self._clear_splinters(particle)
        seen = self._visible_px > 0
        number = np.where(seen, np.cumsum(seen), 0).astype(np.int32)
        labels = self.numbers if seen[1:].all() else number[self.numbers]
        return labels, number[1:], self._visible_px[1:]

    def _clear_splinters(self, particle: int) -> None:
        """Give pieces of a particle that are too small to the highest number next to them, which lies on top."""
        there = self.numbers[self._windows[particle - 1]]
        _, pieces, stats, _ = cv2.connectedComponentsWithStats((there == particle).astype(np.uint8), connectivity=4)
        areas = stats[1:, cv2.CC_STAT_AREA]
        for piece in 1 + np.flatnonzero(areas < max(_SPLINTER_PX, _SPLINTER * areas.sum())):
            splinter = pieces == piece
            beside = cv2.dilate(splinter.astype(np.uint8), _CROSS) > splinter
            on_top = int(there[beside].max(initial=0))
            if on_top > particle:
                there[splinter] = on_top
                self._visible_px[[particle, on_top]] += np.array([-1, 1]) * int(areas[piece - 1])


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
    if settings.particles == "source":
        count = material.backgrounds[choice].particles
    else:
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
