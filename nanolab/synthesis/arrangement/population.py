"""The particles that are to be placed: their sizes are drawn first, a shape only when somebody asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nanolab.core.typing import FloatArray
from nanolab.synthesis.arrangement.plane import Footprint, disc, footprint
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles import Kind, Sphere, make_mesh

__all__ = ["Body", "Population", "about_beam"]


@dataclass(frozen=True)
class Body:
    """A particle in the orientation of its kind, not yet turned about the beam nor placed.

    `rotation` (3, 3) brought `mesh` there; `diameter_nm` is that of the sphere of its volume, hollows included.
    """

    kind: Kind
    diameter_nm: float
    mesh: Mesh
    rotation: FloatArray

    def turned(self, angle: float) -> Mesh:
        """Return the mesh turned about the beam, from x towards y."""
        return self.mesh if angle == 0 else self.mesh.rotated(about_beam(angle))


class Population:
    """Particles of several kinds, as many as an arrangement asks for.

    Parameters
    ----------
    kinds
        The kinds, mixed by their `share`.
    pixel_size_nm
        What the meshes must be fine enough for.
    rng
        Draws sizes when particles are asked for, and shapes when they are first needed.
    """

    def __init__(self, kinds: Sequence[Kind], pixel_size_nm: float, rng: np.random.Generator) -> None:
        self.kinds = kinds
        self.pixel_size_nm = pixel_size_nm
        self._rng = rng
        self._chosen: list[int] = []
        self._sizes: list[float] = []
        self._bodies: dict[int, Body] = {}
        self._footprints: dict[int, Footprint] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    def draw(self, count: int) -> range:
        """Draw the kinds and sizes of `count` more particles and return their numbers."""
        shares = np.array([kind.share for kind in self.kinds])
        chosen = self._rng.choice(len(shares), count, p=shares / shares.sum()).tolist()
        self._chosen += chosen
        self._sizes += [float(self.kinds[kind].size.draw(self._rng, 1)[0]) for kind in chosen]
        return range(len(self) - count, len(self))

    def kind(self, k: int) -> Kind:
        """Return the kind of particle `k`."""
        return self.kinds[self._chosen[k]]

    def size_nm(self, k: int) -> float:
        """Return the size of particle `k`, which is what its kind's `SIZE` says."""
        return self._sizes[k]

    @property
    def are_balls(self) -> bool:
        """True if all may be taken for balls of their volume where they are heaped up."""
        return all(kind.BALL for kind in self.kinds)

    def radii_nm(self) -> FloatArray:
        """Radii of the balls of the particles' volumes, shape (N,)."""
        sized = [size if self.kind(k).BALL else self.body(k).diameter_nm for k, size in enumerate(self._sizes)]
        return np.array(sized, dtype=float) / 2

    def body(self, k: int) -> Body:
        """Return particle `k`; its shape and orientation are drawn at the first call."""
        if k not in self._bodies:
            kind, size = self.kind(k), self._sizes[k]
            rotation = kind.pose(self._rng)
            mesh = make_mesh(kind, size, self.pixel_size_nm, self._rng).rotated(rotation)
            diameter = size if kind.BALL else float((6 / np.pi * mesh.volume_nm3) ** (1 / 3))
            self._bodies[k] = Body(kind, diameter, mesh, rotation)
        return self._bodies[k]

    def footprint(self, k: int) -> Footprint:
        """Return the outline of particle `k` on the plane."""
        if k not in self._footprints:
            smooth_ball = isinstance(self.kind(k), Sphere) and self.kind(k).surface is None
            outline = disc(self._sizes[k] / 2) if smooth_ball else footprint(self.body(k).mesh.vertices)
            self._footprints[k] = outline
        return self._footprints[k]

    def rest_nm(self, k: int) -> float:
        """Return how high above the substrate the centre of particle `k` lies when it stands on it."""
        return self._sizes[k] / 2 if self.kind(k).BALL else -float(self.body(k).mesh.vertices[:, 2].min())

    def top_nm(self, k: int) -> float:
        """Return how far particle `k` reaches above its centre."""
        return self._sizes[k] / 2 if self.kind(k).BALL else float(self.body(k).mesh.vertices[:, 2].max())

    def stands(self, k: int, height_nm: float) -> bool:
        """Return whether particle `k`, its centre at a height, stands on the substrate."""
        return height_nm <= self.rest_nm(k) * (1 + 1e-9)

    def extent_nm(self, k: int) -> float:
        """Return the radius of the circle that holds particle `k` on the plane."""
        return self._sizes[k] / 2 if self.kind(k).BALL else self.footprint(k).radius

    def reach_nm(self, k: int, rng: np.random.Generator) -> float:
        """Return how far from the centre particle `k` meets others on the plane: the radius of a ball, else random."""
        if self.kind(k).BALL:
            return self._sizes[k] / 2
        shape = self.footprint(k)
        return float(rng.uniform(shape.support.min(), shape.radius))


def about_beam(angle: float) -> FloatArray:
    """Return the rotation about the beam, shape (3, 3), by an angle in radians from x towards y."""
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
