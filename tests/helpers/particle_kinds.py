"""Each template of a particle, as a recipe has it, and its meshes."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles import ParticleKind, Polyhedron, Sphere, make_mesh

KIND = TypeAdapter[Any](ParticleKind)
SPHERE = Sphere(diameter_nm=100)
SIZE = 100.0
PIXEL = 4.0

# Each template, and each of its forms, as a recipe has it; all are 100 nm big.
POLYHEDRON = {"template": "polyhedron", "diameter_nm": SIZE, "sharpness": 8, "deformation": 0.2, "aspect_ratio": [1, 2]}
CUBE = {"template": "cube", "edge_nm": SIZE}
OCTAHEDRON = {"template": "octahedron", "edge_nm": SIZE}
ROD = {"template": "rod", "width_nm": SIZE, "aspect_ratio": 4}
SPINDLE = {"template": "spindle", "width_nm": SIZE, "aspect_ratio": 3}
PLATELET = {"template": "platelet", "width_nm": SIZE, "thickness_ratio": 0.2}
STAR = {"template": "star", "diameter_nm": SIZE, "arms": 6, "length": 0.6, "width_deg": 30}
WIRE = {"template": "wire", "width_nm": SIZE, "length_nm": 3000, "persistence_nm": 2000}
KINDS: dict[str, dict[str, Any]] = {
    "sphere": {"template": "sphere", "diameter_nm": SIZE},
    **{
        f"polyhedron-{form}": {**POLYHEDRON, "forms": [form]}
        for form in ("cube", "octahedron", "cuboctahedron", "dodecahedron", "irregular")
    },
    "cube": CUBE,
    "cube-sharp": {**CUBE, "rounding": 0},
    "cube-round": {**CUBE, "rounding": 1},
    "cuboid": {**CUBE, "aspect_ratio": 2.5},
    "octahedron": OCTAHEDRON,
    "octahedron-sharp": {**OCTAHEDRON, "rounding": 0, "truncation": 0},
    "cuboctahedron": {**OCTAHEDRON, "truncation": 0.5},
    "octahedron-long": {**OCTAHEDRON, "aspect_ratio": 3},
    "rod": ROD,
    "rod-flat-ends": {**ROD, "end_rounding": 0},
    "rod-ball": {**ROD, "aspect_ratio": 1},
    "rod-bent": {**ROD, "bend_deg": 90},
    **{f"rod-{sides}-sides": {**ROD, "sides": sides, "end_rounding": 0.2} for sides in (3, 5, 6)},
    "spindle": SPINDLE,
    "bipyramid": {**SPINDLE, "roundness": 0, "sides": 5, "truncation": 0.2},
    "ellipsoid": {**SPINDLE, "roundness": 1},
    **{
        f"platelet-{outline}": {**PLATELET, "outlines": [outline], "deformation": 0.3}
        for outline in ("triangle", "square", "hexagon", "round")
    },
    "star": {**STAR, "length": 1.5, "width_deg": 25},
    "star-flat": {**STAR, "flatness": 1},
    "urchin": {**STAR, "arms": 80, "length": 0.3, "width_deg": 12},
    **{
        f"turned-{profile}": {"template": "turned", "diameter_nm": SIZE, "profile": profile, "depth": 0.6}
        for profile in ("dumbbell", "cup", "disc")
    },
    "wire": WIRE,
    "wire-prism": {**WIRE, "sides": 5, "end_rounding": 0},
}
CONVEX = [name for name in KINDS if not name.startswith(("wire", "star", "urchin", "turned")) and name != "rod-bent"]


def made(values: dict[str, Any], *, pixel_size: float = PIXEL, seed: int = 0, **changes: object) -> Mesh:
    """One particle of 100 nm of the kind that a recipe describes."""
    return make_mesh(KIND.validate_python({**values, **changes}), SIZE, pixel_size, np.random.default_rng(seed))


def polyhedron(**changes: object) -> Polyhedron:
    values = {"diameter_nm": 100, "sharpness": 6, "deformation": 0.2, "aspect_ratio": 1.0, **changes}
    return Polyhedron.model_validate(values)


def is_closed_and_outward(mesh: Mesh) -> bool:
    """Each edge is walked once in each direction, and the volume is positive."""
    sides = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]])
    there = {tuple(side) for side in sides.tolist()}
    return len(there) == len(sides) and all((b, a) in there for a, b in there) and mesh.volume_nm3 > 0
