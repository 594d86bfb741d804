"""Post-processing of published methods, for the foreground that any read-out predicts."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from skimage.measure import label
from skimage.morphology import local_maxima
from skimage.segmentation import relabel_sequential, watershed

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap
from nanolab.images.labels import labels_from_mask, remove_small
from nanolab.segmentation.chamfer import BORGEFORS, chamfer_distance

__all__ = ["POSTPROCESSING", "DistanceWatershed", "make_postprocessing"]

Heights = npt.NDArray[np.float32]

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)


@dataclass(frozen=True)
class DistanceWatershed:
    """Threshold, area opening and MorphoLibJ's distance transform watershed: the post-processing of Mill et al. 2021.

    Step by step, with MorphoLibJ's name of each:

    1. Particle is what has a probability above `threshold`.
    2. Area opening: 4-connected regions of fewer than `min_area_px` pixels are removed.
    3. Chamfer distance map, with Borgefors' weights 3 and 4 (the plugin's default in the version of that time), divided
       by 3 where `normalised`; the edge of the image is no background. Then it is inverted.
    4. Extended minima: the regional minima, 4-connected, of the inverted map after its minima were filled by `dynamic`
       (a reconstruction by erosion). So a summit of the distance map counts if it is *more* than `dynamic` above the
       highest pass to a higher one.
    5. Imposition of minima: all others are filled up.
    6. Watershed from the minima, 4-connected, within the mask of step 2, with dams: particles that touch are separated
       by a line one pixel wide that belongs to none.

    It follows that a region of which no pixel is further than `dynamic` from the background vanishes. (MorphoLibJ would
    give all regions one common label if there were no others in the image; here they vanish then, too.)

    What the paper says is "an area size of 400 px for the SiO2 and 600 px for the TiO2 images" and "the default
    settings were used with a dynamic of 20 for the TiO2 particles and a normalized output combined with a dynamic of
    four for the SiO2 images". It is read as: TiO2 not normalised, so that 20 is 6.7 px; SiO2 normalised, so that 4 is
    4 px.

    Attributes
    ----------
    threshold
        Probability above which a pixel is particle.
    min_area_px
        Least area of a region before it is divided.
    dynamic
        In units of the distance map.
    normalised
        Distances in px instead of thirds of a px.
    pixel_size_nm
        Of which pixels area and dynamic are given: in images of others they are as large in nm. None: of any.

    References
    ----------
    Mill et al., Synthetic image rendering solves annotation problem in deep learning nanoparticle segmentation,
    10.1002/smtd.202100223. Legland et al., MorphoLibJ, 10.1093/bioinformatics/btw413.
    """

    threshold: float = 0.51
    min_area_px: int = 600
    dynamic: float = 20
    normalised: bool = False
    pixel_size_nm: float | None = None

    def at(self, pixel_size_nm: float | None) -> "DistanceWatershed":
        """Return the same for an image of these pixels.

        Raises
        ------
        InputError
            If the pixel size counts and that of the image is unknown.
        """
        if self.pixel_size_nm is None:
            return self
        if pixel_size_nm is None:
            raise InputError(
                "postprocessing: area and dynamic are those of the paper's pixels and follow the pixel size, which is "
                "unknown here; say it, or take the one whose name ends in _px"
            )
        factor = self.pixel_size_nm / pixel_size_nm
        least = round(self.min_area_px * factor**2)
        return replace(self, min_area_px=least, dynamic=self.dynamic * factor, pixel_size_nm=None)

    def __call__(self, foreground: npt.NDArray[np.floating], pixel_size_nm: float | None = None) -> LabelMap:
        """Return the particles as a label map, shape (height, width), of the probability that a pixel is particle."""
        return self.at(pixel_size_nm)._separated(foreground)

    def _separated(self, foreground: npt.NDArray[np.floating]) -> LabelMap:
        mask = remove_small(labels_from_mask(foreground > self.threshold), self.min_area_px) > 0
        if not mask.any():
            return np.zeros(mask.shape, dtype=np.int32)
        if mask.all():  # no background to measure a distance from
            return np.ones(mask.shape, dtype=np.int32)
        distance = chamfer_distance(mask, BORGEFORS).astype(np.float32)
        # whole numbers compare exactly: the dynamic is brought to thirds of a px instead of the distances to px
        dynamic = self.dynamic * BORGEFORS[0] if self.normalised else self.dynamic
        return _watershed_of_summits(distance, mask, dynamic)


def _watershed_of_summits(height: Heights, mask: npt.NDArray[np.bool_], dynamic: float) -> LabelMap:
    """Do steps 4 to 6 upside down: summits for minima, reconstruction by dilation for that by erosion."""
    lowered = _reconstructed(np.maximum(height - np.float32(dynamic), 0), height)
    summits = local_maxima(lowered, connectivity=1) & mask
    top = height.max() + 1
    imposed = _reconstructed(np.where(summits, top, np.float32(0)), np.where(summits, top, height))
    basins = watershed(-imposed, label(summits, connectivity=1), mask=mask, connectivity=1, watershed_line=True)
    return relabel_sequential(basins)[0].astype(np.int32, copy=False)


def _reconstructed(seed: Heights, under: Heights) -> Heights:
    """Grow `seed` under `under`, 4-connected, until nothing changes.

    That takes as many rounds as a way along a particle has pixels, and a tenth of the time of scikit-image's
    `reconstruction`.
    """
    while True:
        grown = np.minimum(cv2.dilate(seed, _CROSS), under)
        if np.array_equal(grown, seed):
            return grown
        seed = grown


_PAPER = {
    "mill2021_sio2": DistanceWatershed(min_area_px=400, dynamic=4, normalised=True, pixel_size_nm=0.976),
    "mill2021_tio2": DistanceWatershed(min_area_px=600, dynamic=20, normalised=False, pixel_size_nm=0.976),
}

#: Post-processing by name: the paper's at the scale of the image, and with its numbers of pixels whatever the scale.
POSTPROCESSING = _PAPER | {f"{name}_px": replace(each, pixel_size_nm=None) for name, each in _PAPER.items()}


def make_postprocessing(name: str) -> DistanceWatershed:
    """Return the post-processing `name`, one of `POSTPROCESSING`.

    Raises
    ------
    InputError
        If there is no such post-processing.
    """
    if name not in POSTPROCESSING:
        raise InputError(
            f"postprocessing must be one of {', '.join(POSTPROCESSING)}, got {name!r}; choose one of these"
        )
    return POSTPROCESSING[name]
