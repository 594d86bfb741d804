"""Semi-real rings: particles cut out of real micrographs, laid in rings on the ground of the same micrograph.

They stand in for the real images of PLOS ONE 2024, 10.1371/journal.pone.0311228, of which none is public with its
annotation. Particles, ground and noise are real; where the particles lie is not.
"""

import numpy as np
import numpy.typing as npt

from nanolab.core.seeds import generator
from nanolab.core.typing import FloatArray
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.public import image_classes, locate
from nanolab.experiments.shapes import images_of
from nanolab.images.labels import relabel
from nanolab.images.pixel_size import PixelSize
from nanolab.synthesis.cutpaste.composition import compose, draw_composition
from nanolab.synthesis.cutpaste.material import prepare
from nanolab.synthesis.cutpaste.settings import CutPasteSettings

__all__ = ["SEMI_REAL_RINGS", "semi_real_rings"]

#: What they are called wherever they are shown.
SEMI_REAL_RINGS = "semi-real rings"


_SIDE_PX = 321  # the paper's
_BEAD_PX = (4.0, 7.0)  # as in the recipes of rings: 5 to 9 nm at 1.3 nm a pixel
_RADIUS_PX = (15.0, 50.0)
_MOST_RINGS = 3
_MOST_LOOSE = 40
_WITHOUT_GROUND = ("80719af02f",)  # its particles leave no ground to compose on
_STEP = (1.05, 1.5)  # from bead to bead, in diameters
_LEAST_PARTICLES = 20  # a source has so many, so that a ring has beads of several kinds
_KEY = 7  # sets these draws apart from others of the same seed
_SETTINGS = CutPasteSettings(
    size_px=_SIDE_PX, particles=0, backgrounds=("inpainted",), salt_pepper=0, gaussian_blur_px=0
)


def semi_real_rings(*, seed: int = 0) -> LazyImages | None:
    """Return one image of rings for each suitable micrograph of EMPS, made when asked for; None if EMPS is not here.

    Suitable are scanning electron micrographs of at least 20 spheres: their particles are bright, as the paper's are.
    No two images share a micrograph, so that a split by image is one by micrograph. A label map has the bands that the
    beads of each ring cover, gaps between them included, as the recipes `rings_realistic` and `rings_simplified` have.

    Parameters
    ----------
    seed
        Decides what is drawn; which micrographs there are it does not change.
    """
    if locate("emps") is None:
        return None
    few = image_classes().query(f"n_particles < {_LEAST_PARTICLES}").index
    sources = images_of(case="gray particles").without(*few, *_WITHOUT_GROUND)
    return LazyImages(sources.names, lambda name: _rings(sources[sources.names.index(name)], seed))


def _rings(source: AnnotatedImage, seed: int) -> AnnotatedImage:
    """Lay the particles of a micrograph in rings, and some of them anywhere."""
    rng = generator(seed, _KEY, *source.name.encode())
    material = prepare([(0, source)], _SETTINGS, seed=seed)
    record = draw_composition(material, _SETTINGS, rng)
    labels = np.zeros((_SIDE_PX, _SIDE_PX), dtype=np.int32)
    places = [rng.uniform(0, _SIDE_PX, (int(rng.integers(_MOST_LOOSE + 1)), 2))]
    bead_px = rng.uniform(*_BEAD_PX)
    for number in range(int(rng.integers(1, _MOST_RINGS + 1))):
        centre, radii = rng.uniform(0.1, 0.9, 2) * _SIDE_PX, rng.uniform(*_RADIUS_PX) * rng.uniform(0.9, 1.1, 2)
        labels[_band(centre, radii, bead_px)] = number + 1
        places.append(_stations(centre, radii, bead_px, rng))
    points = np.concatenate(places)
    chosen = rng.integers(len(material.cutouts), size=len(points))
    sizes = np.array([material.cutouts[k].ecd_px for k in chosen])
    record |= {
        "cutout": chosen.tolist(),
        "angle_deg": rng.uniform(0, 360, len(points)).tolist(),
        "scale": (bead_px * rng.uniform(0.85, 1.15, len(points)) / sizes).tolist(),
        "row_px": points[:, 0].tolist(),
        "col_px": points[:, 1].tolist(),
    }
    image = compose(material, _SETTINGS, record).image.astype(np.float32) / np.float32(255)
    return AnnotatedImage(source.name, image, relabel(labels), PixelSize.unknown("semi-real"), source.path)


def _band(centre: FloatArray, radii: FloatArray, width_px: float) -> npt.NDArray[np.bool_]:
    """Return where the band about an ellipse is, to first order in its distance from the line."""
    rows, cols = np.mgrid[:_SIDE_PX, :_SIDE_PX]
    along = np.stack([rows - centre[0], cols - centre[1]], axis=-1)
    level = np.hypot(*np.moveaxis(along / radii, -1, 0))
    slope = np.hypot(*np.moveaxis(along / radii**2, -1, 0)) / np.maximum(level, 1e-9)
    return np.asarray(np.abs(level - 1) <= width_px / 2 * slope)


def _stations(centre: FloatArray, radii: FloatArray, bead_px: float, rng: np.random.Generator) -> FloatArray:
    """Return the (row, col) of beads around an ellipse, a little off it."""
    count = int(2 * np.pi * radii.mean() / (bead_px * rng.uniform(*_STEP)))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(-0.15, 0.15, count)) / count
    points = centre + radii * np.column_stack([np.sin(angles), np.cos(angles)])
    return np.asarray(np.clip(points + rng.normal(0, 0.3, (count, 2)), 0, _SIDE_PX - 1))
