"""Rods, spindles and platelets: a section swept along an axis."""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Fraction, Positive, between, default
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles.kind import Kind, Orientation

__all__ = ["Platelet", "Rod", "Spindle", "arc_steps", "circle", "rounded_ends", "section", "sweep"]


# Next to each rounding a flat has a second row of points, this part of its length away: its shading stays flat.
RIM = 0.03


def arc_steps(radius: float, angle: float, tolerance: float) -> int:
    """Return in how many steps an arc is drawn so that the chords leave it by `tolerance` at most: 2 to 16."""
    step = 2 * np.arccos(np.clip(1 - tolerance / max(radius, 1e-9), 0, 1))
    return int(np.clip(np.ceil(angle / max(step, 1e-6)), 2, 16))


def circle(radius: float, tolerance: float) -> FloatArray:
    """Return the unit circle (K, 2), as fine as a circle of `radius` needs, of the area of the true circle."""
    count = 4 * arc_steps(radius, np.pi / 2, tolerance)
    angles = np.arange(count) * 2 * np.pi / count
    area = np.sin(2 * np.pi / count) * count / 2
    return np.column_stack([np.cos(angles), np.sin(angles)]) * np.sqrt(np.pi / area)


def polygon(distances: FloatArray, rounding: float, tolerance: float) -> FloatArray:
    """Return a convex polygon (K, 2) with rounded corners, counted counter-clockwise.

    Parameters
    ----------
    distances
        Of its sides from the origin, (n,), whose normals are spread evenly; a side that others cut off is left out.
    rounding
        Radius of the corners over the smallest distance.
    """
    radius = rounding * distances.min()
    normals = np.arange(len(distances)) * 2 * np.pi / len(distances)
    kept, corners = _corners(normals, distances - radius)
    steps = arc_steps(radius, 2 * np.pi / len(kept), tolerance)
    parts = []
    for k, corner in enumerate(corners):
        before, after = kept[k], kept[(k + 1) % len(kept)]
        angles = before + (after - before) % (2 * np.pi) * np.linspace(0, 1, steps + 1)
        arc = corner + radius * np.column_stack([np.cos(angles), np.sin(angles)])
        back, ahead = corners[k - 1] - corner, corners[(k + 1) % len(corners)] - corner
        parts.append(np.concatenate([arc[:1] + RIM * back, arc, arc[-1:] + RIM * ahead]))
    return np.concatenate(parts)


def _corners(normals: FloatArray, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the normals of the sides that are left, and the corner after each side."""
    sides = list(range(len(normals)))
    while True:
        corners = np.array([_meet(normals[[a, b]], distances[[a, b]]) for a, b in pairwise([*sides, sides[0]])])
        along = np.column_stack([-np.sin(normals[sides]), np.cos(normals[sides])])
        lengths = ((corners - np.roll(corners, 1, axis=0)) * along).sum(axis=1)
        if lengths.min() > 0 or len(sides) == 3:
            return normals[sides], corners
        del sides[int(np.argmin(lengths))]


def _meet(normals: FloatArray, distances: FloatArray) -> FloatArray:
    return np.linalg.solve(np.column_stack([np.cos(normals), np.sin(normals)]), distances)


def rounded_ends(length: float, radius: float, rounding: float, tolerance: float) -> tuple[FloatArray, FloatArray]:
    """Return where the sections of a straight rod lie, (n,) from 0 to `length`, and their radii (n,).

    `rounding` is the radius of the edge at the ends: `radius` makes hemispheres, 0 flat ends.
    """
    rounding = min(max(rounding, 1e-3 * radius), radius, length / 2)
    angles = np.linspace(0, np.pi / 2, arc_steps(rounding, np.pi / 2, tolerance) + 1)
    along, across = rounding * (1 - np.cos(angles)), radius - rounding + rounding * np.sin(angles)
    flat = radius - rounding
    if flat > 0.01 * radius:
        along, across = np.insert(along, 0, 0), np.insert(across, 0, (1 - RIM) * flat)
    else:  # a hemisphere begins with its tip, which the sweep closes
        along, across = along[1:], across[1:]
    straight = length - 2 * rounding
    if straight > 0.02 * radius:
        along, across = np.append(along, rounding + RIM * straight), np.append(across, radius)
        return np.append(along, length - along[::-1]), np.append(across, across[::-1])
    return np.append(along, length - along[-2::-1]), np.append(across, across[-2::-1])


def sweep(
    centres: FloatArray,
    tangents: FloatArray,
    radii: FloatArray,
    section: FloatArray,
    *,
    ends: tuple[FloatArray, FloatArray],
) -> Mesh:
    """Return the closed mesh of sections along a line whose tangents are never vertical.

    Parameters
    ----------
    centres, tangents
        Of the sections, (n, 3); tangents are unit vectors.
    radii
        Scale of each section, (n,).
    section
        Closed line around the origin, (K, 2), counted counter-clockwise as seen by one that looks back along the line.
    ends
        The points (3,) where the mesh is closed before the first and after the last section.
    """
    across = np.cross([0.0, 0.0, 1.0], tangents)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(tangents, across)
    rings = section[:, 0, None] * across[:, None] + section[:, 1, None] * up[:, None]
    rings = centres[:, None] + radii[:, None, None] * rings
    n, k = rings.shape[:2]
    index = np.arange(n * k).reshape(n, k)
    following = np.roll(index, -1, axis=1)
    start, end = np.full(k, n * k), np.full(k, n * k + 1)
    triangles = np.concatenate(
        [
            np.stack([index[:-1], following[:-1], following[1:]], axis=-1).reshape(-1, 3),
            np.stack([index[:-1], following[1:], index[1:]], axis=-1).reshape(-1, 3),
            np.stack([start, following[0], index[0]], axis=-1),
            np.stack([end, index[-1], following[-1]], axis=-1),
        ]
    )
    return Mesh(np.concatenate([rings.reshape(-1, 3), ends[0][None], ends[1][None]]), triangles)


Sides = Annotated[int, Field(ge=3, le=12)] | None

# The corners of many-sided rods and spindles are rounded by this part of their width.
CORNERS = 0.1


class Rod(Kind):
    """A rod, `width_nm` wide and `aspect_ratio` times as long, lying on its side.

    `end_rounding` makes hemispherical (1) or flat ends (0); `sides` a prism of so many sides in place of a cylinder;
    `bend_deg` is the angle between its ends.
    """

    SIZE: ClassVar[str] = "width_nm"

    template: Literal["rod"] = "rod"
    width_nm: Positive
    aspect_ratio: Annotated[Distribution, between(1, 200)]
    end_rounding: Fraction = default(1)
    sides: Sides = None
    bend_deg: Annotated[Distribution, between(0, 180)] = default(0)
    orientation: Orientation = "flat"

    @model_validator(mode="after")
    def _core_within(self) -> "Rod":
        if self.core is not None and self.bend_deg.support[1] > 0:
            raise ValueError("a bent rod has no core: a scaled copy of it does not lie within it; set bend_deg to 0")
        return self

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the rod along x, bent towards y."""
        aspect_ratio, rounding, bend_deg = self.drawn(rng, "aspect_ratio", "end_rounding", "bend_deg").values()
        radius, length = size_nm / 2, size_nm * aspect_ratio
        along, radii = rounded_ends(length, radius, rounding * radius, tolerance_nm)
        outline = section(self.sides, radius, tolerance_nm)
        bend = min(np.deg2rad(bend_deg), length / (1.2 * radius))  # a tighter bend would fold the rod into itself
        mesh = _bent(along, radii, outline, length, bend, tolerance_nm)
        return mesh.moved(-mesh.centroid)


class Spindle(Kind):
    """A body pointed at both ends, `width_nm` wide and `aspect_ratio` times as long, lying on its side.

    `roundness` goes from a bipyramid (0) over a spindle to an ellipsoid (1); `sides` gives it so many sides in place
    of a round section; `truncation` cuts that part of each half off its tip.
    """

    SIZE: ClassVar[str] = "width_nm"

    template: Literal["spindle"] = "spindle"
    width_nm: Positive
    aspect_ratio: Annotated[Distribution, between(0.2, 50)]
    roundness: Fraction = default(0.5)
    sides: Sides = None
    truncation: Annotated[Distribution, between(0, 0.8)] = default(0)
    orientation: Orientation = "flat"

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the spindle along x."""
        aspect_ratio, roundness, truncation = self.drawn(rng, "aspect_ratio", "roundness", "truncation").values()
        radius = size_nm / 2
        half = max(arc_steps(radius * aspect_ratio, np.pi / 2, tolerance_nm), 4)
        part = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 2 * half + 1))
        part = part[1:-1] if truncation == 0 else part
        part = part * (1 - truncation)
        radii = radius * (1 - np.abs(part) ** (1 + roundness)) ** (1 - roundness / 2)
        length = size_nm * aspect_ratio
        along = length / 2 * (1 + part / (1 - truncation))
        return _bent(along, radii, section(self.sides, radius, tolerance_nm), length, 0.0, tolerance_nm)


class Platelet(Kind):
    """A plate lying on its face, whose face has the area of a circle of diameter `width_nm`.

    `thickness_ratio` is its thickness over its width; `outlines` are the forms of the face, one of which is drawn;
    `corner_rounding` is the radius of its corners over the distance of its sides from the centre; `edge_rounding` that
    of the edges over half the thickness; `deformation` moves the sides by up to that fraction.
    """

    SIZE: ClassVar[str] = "width_nm"

    template: Literal["platelet"] = "platelet"
    width_nm: Positive
    thickness_ratio: Annotated[Distribution, between(0.005, 1)]
    outlines: Annotated[list[Literal["triangle", "square", "hexagon", "round"]], Field(min_length=1)] = ["hexagon"]
    corner_rounding: Fraction = default([0.02, 0.15])
    edge_rounding: Fraction = default(0.3)
    deformation: Annotated[Distribution, between(0, 0.4)] = default(0)
    orientation: Orientation = "flat"

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return the platelet, its faces up and down."""
        outline = self.outlines[rng.integers(len(self.outlines))]
        drawn = self.drawn(rng, "thickness_ratio", "corner_rounding", "edge_rounding", "deformation")
        ratio, corner, edge, deformation = drawn.values()
        radius, thickness = size_nm / 2, size_nm * ratio
        face = circle(radius, tolerance_nm)
        if outline != "round":
            sides = {"triangle": 3, "square": 4, "hexagon": 6}[outline]
            face = polygon(rng.uniform(1 - deformation, 1 + deformation, sides), corner, tolerance_nm / radius)
        face = face * np.sqrt(np.pi / _area(face))
        rounding = edge * min(thickness / 2, 0.5 * radius)
        along, radii = rounded_ends(thickness, radius, rounding, tolerance_nm)
        lying = _bent(along, radii, face, thickness, 0.0, tolerance_nm)
        upright = lying.rotated(np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]))
        return upright.moved(-upright.centroid)


def section(sides: int | None, radius: float, tolerance_nm: float) -> FloatArray:
    """Return the section of a rod of radius 1, one side down if it has sides."""
    if sides is None:
        return circle(radius, tolerance_nm)
    x, y = polygon(np.ones(sides), 2 * CORNERS, tolerance_nm / radius).T
    return np.column_stack([y, -x])  # its first side looks down


def _bent(
    along: FloatArray, radii: FloatArray, outline: FloatArray, length: float, bend: float, tolerance_nm: float
) -> Mesh:
    """Sweep a section along x from -length / 2 to length / 2, or along an arc of the angle `bend`."""
    ends = np.array([0, length])
    if bend < 1e-6:
        line, tangents = np.zeros((len(along), 3)), np.tile([1.0, 0, 0], (len(along), 1))
        line[:, 0] = along - length / 2
        tips = np.array([[-length / 2, 0, 0], [length / 2, 0, 0]])
        mesh = sweep(line, tangents, radii, outline, ends=(tips[0], tips[1]))
        return Mesh(mesh.vertices, mesh.triangles, convex=True)
    middle = len(along) // 2
    steps = arc_steps(length / bend, bend, tolerance_nm)
    between_ends = np.linspace(along[middle - 1], along[middle], steps + 1)[1:-1]
    radii = np.insert(radii, middle, np.full(len(between_ends), radii[middle]))
    along = np.insert(along, middle, between_ends)
    line, tangents = _on_arc(along, length, bend)
    tips, _ = _on_arc(ends, length, bend)
    return sweep(line, tangents, radii, outline, ends=(tips[0], tips[1]))


def _on_arc(along: FloatArray, length: float, bend: float) -> tuple[FloatArray, FloatArray]:
    """Return points and tangents, (n, 3) each, on an arc of the angle `bend` in the plane of the substrate."""
    angles = bend * (along / length - 0.5)
    zeros = np.zeros_like(angles)
    points = length / bend * np.column_stack([np.sin(angles), 1 - np.cos(angles), zeros])
    return points, np.column_stack([np.cos(angles), np.sin(angles), zeros])


def _area(outline: FloatArray) -> float:
    x, y = outline.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
