"""Names of the arrays that most functions take and return; docstrings give shape and unit."""

import numpy as np
import numpy.typing as npt

__all__ = ["AnyImage", "AnyLabelMap", "FloatArray", "Image", "LabelMap", "Mask"]

#: Coordinates, lengths, sizes.
FloatArray = npt.NDArray[np.float64]

#: Grey values or what a network makes of them, shape (height, width), or (channels, height, width).
Image = npt.NDArray[np.float32]

#: Particles, shape (height, width): 0 is background, each particle has a number of its own.
LabelMap = npt.NDArray[np.int32]

#: Which pixels are meant, shape (height, width).
Mask = npt.NDArray[np.bool_]

#: What functions accept: an image or a label map of any type of its kind.
AnyImage = npt.NDArray[np.floating]
AnyLabelMap = npt.NDArray[np.integer]
