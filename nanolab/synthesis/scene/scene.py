"""A scene: which particles lie where, in nm. Plain data, drawn from a recipe; nothing here knows Blender."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement import Ground, Placed, Position, Structure
from nanolab.synthesis.arrangement.population import Population, about_beam
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles import Wire
from nanolab.synthesis.projection import projected_area
from nanolab.synthesis.recipe import Recipe

__all__ = ["Particle", "Scene", "draw_scene"]


@dataclass(frozen=True)
class Particle:
    """One particle: its turned mesh about its centroid, and where the centroid lies, (x, y, z) in nm.

    x runs to the right from the image's left edge, y down from its upper edge, z from the substrate to the beam.
    `contrast` is the signal of its material, or in transmission how strongly it scatters, relative to the detector's
    particles; `core_contrast` that of its core relative to its shell, 0 for a hollow. `group` numbers the assembly that
    it belongs to, -1 if none, and `group_kind` says what it is there: ring, line, loose, large, ...
    """

    template: str
    diameter_nm: float
    mesh: Mesh
    centre_nm: FloatArray
    rotation: FloatArray
    contrast: float = 1.0
    core_contrast: float = 1.0
    group: int = -1
    group_kind: str = ""


@dataclass(frozen=True)
class Scene:
    """Particles in a field of `shape` (height, width) pixels; particle k has the label k + 1.

    `requested` is how many were asked for, whether they found a place or not; `structures` are the rings and lines that
    groups of particles form; `background` is matter that is no particle, whose labels follow those of the particles.
    """

    shape: tuple[int, int]
    pixel_size_nm: float
    particles: tuple[Particle, ...]
    requested: int
    structures: tuple[Structure, ...] = ()
    background: tuple[Particle, ...] = ()

    @property
    def bodies(self) -> tuple[Particle, ...]:
        """The particles, then the background."""
        return self.particles + self.background

    def geometry(self) -> dict[str, Any]:
        """Everything as one mesh in pixels, x right, y up: the renderer's `vertices`, `triangles`, `labels`."""
        counts = [len(p.mesh.vertices) for p in self.bodies]
        starts = np.cumsum([0, *counts[:-1]], dtype=np.int64)[: len(counts)]
        flip = np.array([1, -1, 1]) / self.pixel_size_nm
        # Turning y round mirrors the mesh, so the corners are counted the other way to keep the faces outward.
        return {
            "shape": np.array(self.shape),
            "vertices": _joined([(p.mesh.vertices + p.centre_nm) * flip for p in self.bodies], np.float32, 3),
            "triangles": _joined(
                [p.mesh.triangles[:, ::-1] + start for p, start in zip(self.bodies, starts, strict=True)],
                np.int32,
                3,
            ),
            "labels": np.repeat(
                np.arange(1, len(self.bodies) + 1), [len(p.mesh.triangles) for p in self.bodies]
            ).astype(np.int32),
        }

    def truth(self) -> pd.DataFrame:
        """One row per particle, hidden ones too: label, template, centre, true 3D size, orientation, whole outline."""
        rows = [self._row(label, particle) for label, particle in enumerate(self.particles, start=1)]
        return pd.DataFrame(rows, columns=list(_TRUTH)).astype(_TRUTH)

    def _row(self, label: int, particle: Particle) -> tuple[Any, ...]:
        """Return the values of `_TRUTH` for one particle."""
        area_nm2 = _projected_area(particle)
        flat = particle.mesh.vertices[:, :2] + particle.centre_nm[:2]
        high = np.array(self.shape[::-1]) * self.pixel_size_nm
        touches = bool((flat.min(axis=0) < 0).any() or (flat.max(axis=0) > high).any())
        rotation, ecd_nm = particle.rotation.ravel().tolist(), np.sqrt(4 * area_nm2 / np.pi)
        sizes = (particle.diameter_nm, area_nm2, ecd_nm)
        about = (rotation, touches, particle.group, particle.group_kind)
        return label, particle.template, *particle.centre_nm, *sizes, *about


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
    "group": "int32",
    "group_kind": "str",
}


def _joined(parts: list[Any], dtype: npt.DTypeLike, columns: int) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.empty((0, columns), dtype=dtype)


def _projected_area(particle: Particle) -> float:
    if not particle.mesh.convex:
        return projected_area(particle.mesh)
    x, y = (particle.mesh.outline() + particle.centre_nm[:2]).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def draw_scene(recipe: Recipe, rng: np.random.Generator) -> Scene:
    """Draw one scene of a recipe: background, particles, others; each keeps clear of those before or lies on them."""
    image = recipe.image
    field_nm = (image.width_px * image.pixel_size_nm, image.height_px * image.pixel_size_nm)
    ground = Ground(field_nm)
    particles: list[Particle] = []
    background: list[Particle] = []
    structures: list[Structure] = []
    requested = groups = 0
    below, beside = [(one, one.role) for one in recipe.background or []], [(one, one.role) for one in recipe.others]
    for number, (entry, role) in enumerate([*below, (recipe, ""), *beside]):
        bodies = background if number < len(below) else particles
        population = Population(entry.particles, image.pixel_size_nm, rng)
        placement = entry.arrangement.place(population, ground, rng)
        for position in placement.positions:
            particle, placed = _particle(population, position, rng)
            group = particle.group + groups if particle.group >= 0 else -1
            bodies.append(replace(particle, group=group, group_kind=particle.group_kind or role))
            ground.placed.append(placed)
        structures += [replace(one, group=one.group + groups) for one in placement.structures]
        groups += max((position.group for position in placement.positions), default=-1) + 1
        requested += placement.requested if bodies is particles else 0
    shape = (image.height_px, image.width_px)
    return Scene(shape, image.pixel_size_nm, tuple(particles), requested, tuple(structures), tuple(background))


def _particle(population: Population, position: Position, rng: np.random.Generator) -> tuple[Particle, Placed]:
    """Return a particle at its position, as it is seen and as others meet it."""
    k, kind = position.index, population.kind(position.index)
    if position.line_nm is not None:
        placed = _wire(population, k, position.line_nm, rng)
        rotation, diameter = np.eye(3), float((6 / np.pi * placed.mesh.volume_nm3) ** (1 / 3))
    else:
        body, turn = population.body(k), position.turn
        mesh, centre = body.turned(turn), position.centre_nm
        # An arrangement may take particles for balls; a real one must still not sink into the substrate.
        lowest = -mesh.vertices[:, 2].min()
        height = lowest if position.grounded else max(centre[2], lowest)
        placed = Placed(mesh, np.array([*centre[:2], height]), body.diameter_nm, is_ball=kind.BALL)
        rotation, diameter = about_beam(turn) @ body.rotation if turn else body.rotation, body.diameter_nm
    (contrast,) = kind.contrast.draw(rng, 1)
    core_contrast = float(kind.core.contrast.draw(rng, 1)[0]) if kind.core is not None else 1.0
    particle = Particle(
        kind.template,
        diameter,
        placed.mesh,
        placed.centre_nm,
        rotation,
        float(contrast),
        core_contrast,
        position.group,
        position.group_kind,
    )
    return particle, placed


def _wire(population: Population, k: int, line: FloatArray, rng: np.random.Generator) -> Placed:
    """Return a wire along a line, about its centroid."""
    kind, width = cast(Wire, population.kind(k)), population.size_nm(k)
    mesh = kind.tube(line, width, 0.1 * population.pixel_size_nm, rng)
    return Placed(mesh.moved(-mesh.centroid), mesh.centroid, width, line)
