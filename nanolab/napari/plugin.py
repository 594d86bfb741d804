"""What napari calls by the manifest `napari.yaml`; napari itself is never imported here."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanolab.images.formats.image_file import IMAGE_SUFFIXES, list_frames
from nanolab.images.interchange import LayerData, to_napari
from nanolab.images.micrograph import read

if TYPE_CHECKING:
    import napari  # type: ignore[import-not-found]

__all__ = ["find_particles", "get_reader"]

_Reader = Callable[[str | list[str]], list[LayerData]]


def get_reader(path: str | list[str]) -> _Reader | None:
    """Return the function that reads files of microscopes; None if one of them is of another kind."""
    paths = [path] if isinstance(path, str) else path
    return _read if all(Path(each).suffix.lower() in IMAGE_SUFFIXES for each in paths) else None


def _read(path: str | list[str]) -> list[LayerData]:
    return [_layer(Path(each)) for each in ([path] if isinstance(path, str) else path)]


def _layer(path: Path) -> LayerData:
    """Return a file as an image layer; a stack of images of one size as one with a slider."""
    frames = list_frames(path)
    if len(frames) == 1 or len({frame.shape for frame in frames}) > 1:
        return to_napari(read(path))[0]
    images = [read(path, frame=frame.number) for frame in frames]
    _, settings, kind = to_napari(images[0])[0]
    values = np.stack([image.pixels for image in images])
    return values, {**settings, "name": path.stem, "scale": [1.0, *settings["scale"]]}, kind


def find_particles(
    image: "napari.layers.Image", pixel_size_nm: float = 0.0, find_scale_bar: bool = False
) -> "list[napari.types.LayerDataTuple]":
    """Find the particles in an image layer with the network that ships, and measure them.

    Parameters
    ----------
    image
        The layer; of a stack the first image.
    pixel_size_nm
        Edge of a pixel in nm; 0 for what the layer has from its file.
    find_scale_bar
        Where neither says it, read the scale bar in the picture.

    Returns
    -------
    layers
        The label map, scaled like the image, with the table of particles as its features.
    """
    from nanolab.measurement.particles import measure
    from nanolab.segmentation.segmenter import segment

    data = np.asarray(image.data)
    shown = data.reshape(-1, *data.shape[-2:])[0] if data.ndim > 2 and not getattr(image, "rgb", False) else data
    known: Any = pixel_size_nm or image.metadata.get("pixel_size_nm")
    micrograph = read(shown, pixel_size_nm=known, find_scale_bar=find_scale_bar)
    labels = segment(micrograph)
    settings = to_napari(micrograph, labels, measure(labels, micrograph))[1][1]
    return [(labels, {**settings, "name": f"{image.name} particles", "scale": list(image.scale)[-2:]}, "labels")]
