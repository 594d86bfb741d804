"""What all kinds of particles share: how many there are, how they lie, their surface and their inside."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Distribution, Model, NotNegative, Positive, between, default
from nanolab.synthesis.mesh import Mesh

__all__ = ["Core", "Kind", "Orientation", "SurfaceTexture", "random_rotation"]

Orientation = Literal["random", "flat", "upright"]


class SurfaceTexture(Model):
    """A rough or porous surface.

    It moves in and out by `roughness_nm` (root mean square) with features of about `scale_nm`; `pores` is the part of
    the surface that pits take, `pore_depth_nm` deep.
    """

    roughness_nm: NotNegative = default(0)
    scale_nm: Positive
    pores: Annotated[Distribution, between(0, 0.8)] = default(0)
    pore_depth_nm: NotNegative = default(0)


class Core(Model):
    """A core within the particle, which becomes its shell: a scaled copy of the outer surface, `ratio` times its size.

    `contrast` is the core's signal, or in transmission how strongly it scatters, relative to the shell; 0 is a hollow.
    It lies off the centre by `offset` of the room that it has: 0 is centred, 1 touches the outer surface.
    """

    ratio: Annotated[Distribution, between(0.05, 0.98)]
    contrast: NotNegative
    offset: Annotated[Distribution, between(0, 0.98)] = default(0)

    def within(self, outer: Mesh, rng: np.random.Generator) -> Mesh:
        """Return the surface of the core in a particle; it lies within if that is convex, or nearly so."""
        ratio, offset = self.drawn(rng, "ratio", "offset").values()
        # ratio K + (1 - ratio) p lies in a convex body K for each of its points p.
        towards = outer.vertices[rng.integers(len(outer.vertices))]
        return outer.scaled(ratio).moved((1 - ratio) * offset * towards)


class Kind(Model):
    """Base of all templates.

    `share` is the weight of a kind among those that are arranged together; `contrast` the signal of its material, or in
    transmission how strongly it scatters, relative to the detector's particles; `orientation` how it lies: turned at
    random, flat on its largest face or its side, or upright; either of these turned at random about the beam, and
    tilted by `tilt_deg` towards any side, as on dirt or on another particle. `surface` makes it rough or porous; `core`
    gives it an inside of other matter, or a hollow.
    """

    SIZE: ClassVar[str] = "diameter_nm"
    #: Its size is the diameter of the ball of its volume, and it may be taken for that ball where particles pile up.
    BALL: ClassVar[bool] = False

    template: str
    share: Annotated[float, Field(gt=0)] = 1.0
    contrast: Positive = default(1)
    orientation: Orientation = "random"
    tilt_deg: Annotated[Distribution, between(0, 90)] = default(0)
    surface: SurfaceTexture | None = None
    core: Core | None = None

    @property
    def size(self) -> Any:
        """The distribution of the one length that scales a particle: its diameter, edge or width in nm."""
        return getattr(self, self.SIZE)

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:
        """Return one particle's outer surface, lying flat about its centroid, its long axis along x.

        Its flats leave the true surface by about `tolerance_nm` or less.
        """
        raise NotImplementedError

    def pose(self, rng: np.random.Generator) -> FloatArray:
        """Return the rotation, shape (3, 3), that brings a flat particle into its orientation."""
        if self.orientation == "random":
            return random_rotation(rng)
        lying = np.eye(3) if self.orientation == "flat" else np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
        tilt = np.deg2rad(float(self.tilt_deg.draw(rng, 1)[0]))
        return _tilted(tilt, rng.uniform(0, 2 * np.pi)) @ lying if tilt else lying


def _tilted(tilt: float, towards: float) -> FloatArray:
    """Return the rotation, shape (3, 3), that tilts the upright by an angle towards a direction, both in radians."""
    axis = np.array([-np.sin(towards), np.cos(towards), 0])
    cross = np.cross(np.eye(3), axis)
    return np.asarray(np.cos(tilt) * np.eye(3) + np.sin(tilt) * cross + (1 - np.cos(tilt)) * np.outer(axis, axis))


def random_rotation(rng: np.random.Generator) -> FloatArray:
    """Return a uniformly random rotation matrix, shape (3, 3), from a random unit quaternion."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
