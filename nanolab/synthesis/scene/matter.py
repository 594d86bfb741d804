"""What the beam goes through: the particles of a scene, their cores and hollows, pixel by pixel."""

import numpy as np

from nanolab.synthesis.passes import Matter
from nanolab.synthesis.projection import layers
from nanolab.synthesis.scene.scene import Scene

__all__ = ["matter"]


def matter(scene: Scene) -> Matter:
    """Return how thick each particle is along the beam, by exact projection; where several overlap, each has its entry.

    A core scatters as its own contrast says; a hollow, a core of contrast 0, is no thickness either.
    """
    bodies = scene.bodies
    cored = [number for number, body in enumerate(bodies) if body.mesh.core is not None]
    meshes = [body.mesh for body in bodies]
    meshes += [core for body in bodies if (core := body.mesh.core) is not None]
    owner = np.array([*range(len(bodies)), *cored], dtype=np.int64)
    centres = [bodies[number].centre_nm for number in owner]
    met = layers(meshes, centres, scene.shape, scene.pixel_size_nm)

    contrast = np.array([bodies[number].contrast for number in owner])
    inside = np.array([bodies[number].core_contrast for number in cored])
    solid = np.concatenate([np.ones(len(bodies)), np.where(inside == 0, -1.0, 0.0)])
    scattering = contrast * np.concatenate([np.ones(len(bodies)), inside - 1])

    pixels = scene.shape[0] * scene.shape[1]
    place, entry = np.unique(owner[met.mesh] * pixels + met.pixel, return_inverse=True)
    thickness, scattered = (
        np.bincount(entry, weight[met.mesh] * met.thickness_nm, minlength=len(place)).astype(np.float32)
        for weight in (solid, scattering)
    )
    label, pixel = np.divmod(place, pixels)
    # The mesh of a core may leave its shell by rounding; nothing is thinner than nothing.
    return Matter(
        pixel.astype(np.int32), (label + 1).astype(np.int32), np.maximum(thickness, 0), np.maximum(scattered, 0)
    )
