"""A scene: which particles lie where, in nm. Plain data, drawn from a recipe; nothing here knows Blender."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.synth.arrangement import place
from nanolab.synth.particles import Mesh, make_mesh, random_rotation
from nanolab.synth.recipe import Recipe

__all__ = ["Particle", "Scene", "draw_scene"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Particle:
    """One particle: its turned mesh about its centroid, and where the centroid lies, (x, y, z) in nm.

    x runs to the right from the image's left edge, y down from its upper edge, z from the substrate to the beam.
    """

    template: str
    diameter_nm: float
    mesh: Mesh
    centre_nm: Array
    rotation: Array


@dataclass(frozen=True)
class Scene:
    """Particles in a field of `shape` (height, width) pixels; particle k has the label k + 1."""

    shape: tuple[int, int]
    pixel_size_nm: float
    particles: tuple[Particle, ...]
    requested: int

    def geometry(self) -> dict[str, Any]:
        """Everything as one mesh in pixels, x right, y up: the renderer's `vertices`, `triangles`, `labels`."""
        counts = [len(p.mesh.vertices) for p in self.particles]
        starts = np.cumsum([0, *counts[:-1]], dtype=np.int64)[: len(counts)]
        flip = np.array([1, -1, 1]) / self.pixel_size_nm
        # Turning y round mirrors the mesh, so the corners are counted the other way to keep the faces outward.
        return {
            "shape": np.array(self.shape),
            "vertices": _joined([(p.mesh.vertices + p.centre_nm) * flip for p in self.particles], np.float32, 3),
            "triangles": _joined(
                [p.mesh.triangles[:, ::-1] + start for p, start in zip(self.particles, starts, strict=True)],
                np.int32,
                3,
            ),
            "labels": np.repeat(
                np.arange(1, len(self.particles) + 1), [len(p.mesh.triangles) for p in self.particles]
            ).astype(np.int32),
        }

    def truth(self) -> pd.DataFrame:
        """One row a particle, hidden ones too: label, template, centre, true 3D size, orientation, whole outline."""
        rows = [self._row(label, particle) for label, particle in enumerate(self.particles, start=1)]
        return pd.DataFrame(rows, columns=list(_TRUTH)).astype(_TRUTH)

    def _row(self, label: int, particle: Particle) -> dict[str, Any]:
        x, y, z = particle.centre_nm
        outline = particle.mesh.outline() + particle.centre_nm[:2]
        area_nm2 = _polygon_area(outline)
        high = np.array(self.shape[::-1]) * self.pixel_size_nm
        return {
            "label": label,
            "template": particle.template,
            "x_nm": x,
            "y_nm": y,
            "z_nm": z,
            "diameter_nm": particle.diameter_nm,
            "projected_area_nm2": area_nm2,
            "projected_ecd_nm": np.sqrt(4 * area_nm2 / np.pi),
            "rotation": particle.rotation.ravel().tolist(),
            "touches_border": bool((outline.min(axis=0) < 0).any() or (outline.max(axis=0) > high).any()),
        }


_TRUTH = {
    "label": "int32",
    "template": "str",
    "x_nm": "float64",
    "y_nm": "float64",
    "z_nm": "float64",
    "diameter_nm": "float64",
    "projected_area_nm2": "float64",
    "projected_ecd_nm": "float64",
    "rotation": "object",
    "touches_border": "bool",
}


def _joined(parts: list[Any], dtype: npt.DTypeLike, columns: int) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.empty((0, columns), dtype=dtype)


def _polygon_area(corners: Array) -> float:
    x, y = corners.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def draw_scene(recipe: Recipe, rng: np.random.Generator) -> Scene:
    """Draw one scene of a recipe."""
    image = recipe.image
    field_nm = (image.width_px * image.pixel_size_nm, image.height_px * image.pixel_size_nm)
    requested = max(0, round(float(recipe.arrangement.count.draw(rng, 1)[0])))
    shares = np.array([kind.share for kind in recipe.particles])
    kinds = rng.choice(len(shares), requested, p=shares / shares.sum())
    diameters = np.array([recipe.particles[kind].diameter_nm.draw(rng, 1)[0] for kind in kinds])
    placement = place(recipe.arrangement, diameters / 2, field_nm, rng)
    particles = []
    for k, centre, grounded in zip(placement.index, placement.centres_nm, placement.grounded, strict=True):
        kind = recipe.particles[kinds[k]]
        rotation = random_rotation(rng)
        mesh = make_mesh(kind, diameters[k], image.pixel_size_nm, rng).rotated(rotation)
        # The arrangement takes particles for balls; a real one must still not sink into the substrate.
        lowest = -mesh.vertices[:, 2].min()
        height = lowest if grounded else max(centre[2], lowest)
        particles.append(Particle(kind.template, diameters[k], mesh, np.array([*centre[:2], height]), rotation))
    return Scene((image.height_px, image.width_px), image.pixel_size_nm, tuple(particles), requested)
