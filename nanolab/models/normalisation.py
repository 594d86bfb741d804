"""Grey values as a network sees them, the same in training and in segmentation."""

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError

__all__ = ["PERCENTILES", "normalise"]

#: These percentiles of an image become 0 and 1. A tenth of a percent is little enough that the few particles of a
#: sparse image still set the upper end, and enough that single hot or dead pixels do not.
PERCENTILES = (0.1, 99.9)

_ENOUGH_PIXELS = 2**20


#: Of CLAHE: histograms are cut at so many times their mean, in so many regions a side; OpenCV's usual values.
_CLAHE_LIMIT, _CLAHE_REGIONS = 2.0, (8, 8)


def normalise(
    image: npt.NDArray[np.floating],
    where: str = "image",
    *,
    clahe: bool = False,
    stretch: tuple[float, float] = PERCENTILES,
) -> npt.NDArray[np.float32]:
    """Stretch the grey values of a whole micrograph, shape (height, width), to [0, 1] and clip the rest.

    The percentiles are those of the whole image, never of a patch or tile, so that all tiles agree and empty regions
    are not stretched to look like particles. In a large image every n-th row and column stands for all. With `stretch`
    (0, 100) they are the least and the largest of all grey values.

    With `clahe`, the local contrast is evened out then, in 256 grey levels: contrast limited adaptive histogram
    equalisation (Zuiderveld 1994, 10.1016/B978-0-12-336156-1.50061-6), as Mill et al. 2021 do.

    Raises
    ------
    InputError
        If nearly all pixels have one value; `where` names the image.
    """
    exact = stretch[0] == 0 and stretch[1] == 100
    stride = 1 if exact else max(1, int(np.sqrt(image.size / _ENOUGH_PIXELS)))
    low, high = np.percentile(image[::stride, ::stride], stretch)
    if not high > low:
        raise InputError(f"{where}: nearly all pixels have the value {low:g}, there is nothing to see; check the image")
    stretched = (image.astype(np.float32) - np.float32(low)) * np.float32(1 / (high - low))
    np.clip(stretched, 0, 1, out=stretched)
    if not clahe:
        return stretched
    levels = np.rint(stretched * 255).astype(np.uint8)
    equalised = cv2.createCLAHE(_CLAHE_LIMIT, _CLAHE_REGIONS).apply(levels)
    return equalised.astype(np.float32) / np.float32(255)
