"""All templates of particles, and one particle of any of them."""

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles.faceted import Cube, Octahedron
from nanolab.synthesis.particles.files import MeshFile
from nanolab.synthesis.particles.kind import Kind
from nanolab.synthesis.particles.lofted import Platelet, Rod, Spindle
from nanolab.synthesis.particles.polyhedra import Polyhedron, Sphere
from nanolab.synthesis.particles.surface import roughened
from nanolab.synthesis.particles.wires import Wire

__all__ = ["ParticleKind", "make_mesh"]

ParticleKind = Annotated[
    Sphere | Polyhedron | Cube | Octahedron | Rod | Spindle | Platelet | Wire | MeshFile,
    Field(discriminator="template"),
]


def make_mesh(kind: Kind, size_nm: float, pixel_size_nm: float, rng: np.random.Generator) -> Mesh:
    """Return one particle of a kind, centred at its centroid, lying flat, not yet turned.

    The mesh is as fine as the pixels need: the flats of its surface leave the true one by about a tenth of a pixel.

    Parameters
    ----------
    size_nm
        The length that scales the kind: its diameter, edge or width (`Kind.SIZE`).
    """
    tolerance_nm = 0.1 * pixel_size_nm
    mesh = kind.shape(size_nm, tolerance_nm, rng)
    if kind.surface is not None:
        mesh = roughened(mesh, kind.surface, tolerance_nm, rng)
    if kind.core is not None:
        mesh = replace(mesh, core=kind.core.within(mesh, rng))
    return mesh
