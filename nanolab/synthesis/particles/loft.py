"""Meshes swept along a line: a section whose size changes from one end to the other."""

from itertools import pairwise

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.mesh import Mesh

__all__ = ["arc_steps", "circle", "polygon", "rounded_ends", "sweep"]


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
