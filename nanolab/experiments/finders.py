"""Ways to find particles that the benchmark compares: nanolab's network, thresholds, other programs, label maps."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import ndimage
from skimage import filters, morphology
from skimage.measure import label
from skimage.segmentation import watershed

from nanolab.core.checks import InputError, check_choice, check_same_shape
from nanolab.core.files import digest, sha256
from nanolab.core.results import plain_name
from nanolab.core.typing import Image, LabelMap, Mask
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.folders import bare_stems, by_stem, label_files
from nanolab.images.labels import read_label_file, remove_small
from nanolab.images.micrograph import read
from nanolab.images.trust import Trust
from nanolab.models.readouts.base import MIN_AREA_PX
from nanolab.models.shipped import shipped_model
from nanolab.twin.twins import Network

__all__ = ["METHODS", "Finder", "adaptive_watershed", "make_finder", "otsu_watershed"]

# The best of 6 and of 54 settings on ten images of EMPS, which favours these two ways.
_BLUR_PX, _SUMMIT_PX = 2.0, 4.0
_BLOCK_SHARE, _OFFSET = 0.125, 0.05


@dataclass(frozen=True)
class Finder:
    """A way to find particles.

    Attributes
    ----------
    made_by
        What it is: label maps are made anew where this is another.
    find
        Returns the label map of an image, and how far to believe it where that is known.
    network
        Where twins can be segmented in the same way.
    """

    made_by: str
    find: Callable[[AnnotatedImage], tuple[LabelMap, Trust | None]]
    network: Network | None = None


def make_finder(method: str) -> tuple[str, Finder]:
    """Return the name and the way of a method: one of `METHODS`, or `NAME=FOLDER` for label maps of any origin.

    Raises
    ------
    InputError
        If there is no such method or folder, or its package is not installed.
    """
    name, _, folder = method.partition("=")
    if folder:
        return plain_name(name, "method"), _label_maps(Path(folder))
    check_choice(name, "method", (*METHODS, "NAME=FOLDER"))
    return name, METHODS[name]()


def _shipped() -> Finder:
    network = Network(shipped_model(), {"magnification": "auto"})

    def find(image: AnnotatedImage) -> tuple[LabelMap, Trust]:
        found = network.segmenter.find(image.image, pixel_size_nm=image.pixel_size.nm)
        return found.labels, found.trust

    return Finder(f"{network.segmenter.made_by}, weights {sha256(shipped_model())[:12]}", find, network)


def otsu_watershed(image: Image) -> LabelMap:
    """Find particles by one threshold for the whole image, Otsu's, and a watershed; shape (height, width)."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR_PX)
    bright = smooth > filters.threshold_otsu(smooth)
    return _cut_apart(_particles(bright, ~bright))


def adaptive_watershed(image: Image) -> LabelMap:
    """Find particles by a threshold for each pixel, the mean of a square around it and an offset, and a watershed."""
    smooth = cv2.GaussianBlur(image, (0, 0), _BLUR_PX)
    side = 2 * int(_BLOCK_SHARE * min(image.shape) / 2) + 1
    over = smooth - cv2.blur(smooth, (side, side))
    return _cut_apart(_particles(over > _OFFSET, over < -_OFFSET))


def _particles(bright: Mask, dark: Mask) -> Mask:
    """Return which of the two are the particles: what fills less of the image's edge, where the ground is seen."""
    edges = [np.concatenate([each[0], each[-1], each[:, 0], each[:, -1]]).mean() for each in (bright, dark)]
    return bright if edges[0] <= edges[1] else dark


def _cut_apart(mask: Mask) -> LabelMap:
    """Fill holes, smooth outlines, and cut what touches apart by a watershed of the distance map, as Fiji does."""
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(mask))
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    summits = label(morphology.h_maxima(distance, _SUMMIT_PX), connectivity=2)
    return remove_small(watershed(-distance, summits, mask=mask).astype(np.int32), MIN_AREA_PX)


def _of_image(made_by: str, find: Callable[[Image], Any]) -> Finder:
    return Finder(made_by, lambda image: (np.asarray(find(image.image), dtype=np.int32), None))


def _stardist() -> Finder:
    """Schmidt et al. 2018, 10.1007/978-3-030-00934-2_30: the model for bright nuclei that its authors published."""
    stardist, said = _imported("stardist.models", "pip install stardist tensorflow")
    normalised = import_module("csbdeep.utils").normalize
    network = stardist.StarDist2D.from_pretrained("2D_versatile_fluo")
    return _of_image(f"{said}, 2D_versatile_fluo", lambda image: network.predict_instances(normalised(image))[0])


def _cellpose() -> Finder:
    """Stringer et al. 2021, 10.1038/s41592-020-01018-x: the model that the installed version takes by itself."""
    cellpose, said = _imported("cellpose.models", "pip install cellpose")
    network = cellpose.CellposeModel()
    return _of_image(f"{said}, its default model", lambda image: network.eval(image)[0])


def _micro_sam() -> Finder:
    """Archit et al. 2025, 10.1038/s41592-024-02580-4: its automatic instance segmentation for light microscopy."""
    micro_sam, said = _imported("micro_sam.automatic_segmentation", "conda install -c conda-forge micro_sam")
    predictor, segmenter = micro_sam.get_predictor_and_segmenter("vit_b_lm")

    def find(image: Image) -> Any:
        return micro_sam.automatic_instance_segmentation(predictor, segmenter, input_path=image, ndim=2)

    return _of_image(f"{said}, vit_b_lm", find)


def _imported(module: str, install: str) -> tuple[Any, str]:
    """Return a module, and its package with the version in words."""
    package = module.split(".", maxsplit=1)[0]
    try:
        found = import_module(module)
    except (ImportError, RuntimeError) as error:  # the latter where TensorFlow is missing
        raise InputError(f"{package}: cannot be used here ({error}); install it: `{install}`") from error
    root = import_module(package)
    return found, f"{package} {getattr(root, '__version__', getattr(root, 'version', 'of unknown version'))}"


def _label_maps(folder: Path) -> Finder:
    """Return label maps or masks of any origin, found in a folder, or in its folders, by the names of their images."""
    files = by_stem(label_files(folder, recursive=True), lambda path: min([path.stem, *bare_stems(path.stem)], key=len))

    def find(image: AnnotatedImage) -> tuple[LabelMap, Trust | None]:
        if image.name not in files:
            raise InputError(
                f"{folder}: has no label map of {image.name}; put {image.name}.tif or .png there, an empty one where "
                "nothing was found"
            )
        file = read_label_file(files[image.name])
        if file.labels.shape == image.image.shape:
            return file.labels, file.trust
        check_same_shape(read(image.path).pixels, file.labels, str(files[image.name]))  # rows of a data bar included
        return file.labels[: len(image.image)], None

    return Finder(f"label maps {digest({name: sha256(path) for name, path in files.items()})[:12]}", find)


#: Ways to find particles by name; each is made when it is asked for.
METHODS: dict[str, Callable[[], Finder]] = {
    "nanolab": _shipped,
    "otsu": lambda: _of_image("Otsu's threshold, watershed", otsu_watershed),
    "adaptive": lambda: _of_image("adaptive threshold, watershed", adaptive_watershed),
    "stardist": _stardist,
    "cellpose": _cellpose,
    "micro-sam": _micro_sam,
}
