"""Micrographs and label maps for other programs: RosettaSciIO and HyperSpy, napari, OME-Zarr."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError, check_label_map, check_same_shape
from nanolab.core.extras import optional
from nanolab.images.micrograph import Micrograph

__all__ = ["LayerData", "to_napari", "to_signal", "write_ome_zarr"]

#: What napari makes a layer of: the values, the layer's settings, and its kind.
LayerData = tuple[npt.NDArray[Any], dict[str, Any], str]

_CHUNK_PX = 1024


def to_signal(image: Micrograph, labels: npt.NDArray[np.integer] | None = None) -> dict[str, Any]:
    """Return a micrograph, or label map of it, as the dictionary that RosettaSciIO's writers take.

    HyperSpy makes a signal of it: ``hs.signals.Signal2D(**nl.to_signal(image))``. The axes are in nm, or in px where
    the pixel size is not known.

    Examples
    --------
    >>> from nanolab.images.micrograph import read
    >>> to_signal(read(np.eye(32), pixel_size_nm=2.5))["axes"][1]["scale"]
    2.5
    """
    data = image.pixels if labels is None else _checked(labels, image)
    scale, units = (1.0, "px") if image.pixel_size_nm is None else (image.pixel_size_nm, "nm")
    axes = [
        {"name": name, "index_in_array": index, "size": size, "scale": scale, "offset": 0.0, "units": units}
        for index, (name, size) in enumerate(zip("yx", data.shape, strict=True))
    ]
    title = image.name if labels is None else f"{image.name} particles"
    return {
        "data": data,
        "axes": [{**axis, "navigate": False} for axis in axes],
        "metadata": {"General": {"title": title}, "Signal": {"signal_type": ""}},
        "original_metadata": {"nanolab": {"pixel_size": str(image.pixel_size)}},
    }


def _checked(labels: npt.NDArray[np.integer], image: Micrograph) -> npt.NDArray[np.integer]:
    check_label_map(labels, "labels")
    check_same_shape(image.pixels, labels, "image and labels")
    return labels


def to_napari(
    image: Micrograph,
    labels: npt.NDArray[np.integer] | None = None,
    particles: pd.DataFrame | None = None,
) -> list[LayerData]:
    """Return layers for napari: the image, and its particles with their table; napari need not be installed.

    ``for layer in nl.to_napari(image, labels, particles): viewer.add_layer(napari.layers.Layer.create(*layer))``. Both
    layers are scaled in nm, or px where the pixel size is not known (``viewer.scale_bar.unit = "nm"``).

    Parameters
    ----------
    labels
        Shape (height, width), 0 = background.
    particles
        The table of `nanolab.measure`; it becomes the features of the labels.

    Examples
    --------
    >>> from nanolab.images.micrograph import read
    >>> [(kind, settings["scale"]) for _, settings, kind in to_napari(read(np.eye(32), pixel_size_nm=2.5))]
    [('image', [2.5, 2.5])]
    """
    nm = image.pixel_size_nm
    common = {"scale": [nm or 1.0] * 2, "metadata": {"pixel_size_nm": nm, "pixel_size": str(image.pixel_size)}}
    layers: list[LayerData] = [(image.pixels, {"name": image.name, "colormap": "gray", **common}, "image")]
    if labels is not None:
        settings: dict[str, Any] = {"name": f"{image.name} particles", "opacity": 0.5, **common}
        if particles is not None:
            settings["features"] = particles.rename(columns={"label": "index"})
        layers.append((_checked(labels, image), settings, "labels"))
    return layers


def write_ome_zarr(path: Path | str, image: Micrograph, labels: npt.NDArray[np.integer] | None = None) -> Path:
    """Write a micrograph, and its label map as ``labels/particles``, as an OME-Zarr (NGFF 0.4) with the pixel size.

    It is written with its pyramid, each level half the size of the one before. Needs the package zarr.

    Raises
    ------
    InputError
        If zarr is not installed, or there is something at `path`.

    Examples
    --------
    >>> write_ome_zarr("image.zarr", nl.read("image.tif"))  # doctest: +SKIP
    """
    with optional():
        zarr = import_module("zarr")
    path = Path(path)
    if path.exists():
        raise InputError(f"{path}: is there already; give another name, or remove it")
    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    _write_pyramid(root, image.name, image.pixels, image.pixel_size_nm)
    if labels is not None:
        group = root.create_group("labels").create_group("particles")
        root["labels"].attrs["labels"] = ["particles"]
        group.attrs["image-label"] = {"version": "0.4", "source": {"image": "../../"}}
        _write_pyramid(group, "particles", _checked(labels, image), image.pixel_size_nm)
    return path


def _write_pyramid(group: Any, name: str, array: npt.NDArray[Any], nm: float | None) -> None:
    unit = {} if nm is None else {"unit": "nanometer"}
    datasets = []
    for level, shown in enumerate(_pyramid(array)):
        group.create_array(
            str(level),
            data=np.ascontiguousarray(shown),
            chunks=tuple(min(side, _CHUNK_PX) for side in shown.shape),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        scale = [(nm or 1.0) * 2**level] * 2
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": axis, "type": "space", **unit} for axis in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "name": name, "axes": axes, "datasets": datasets}]


def _pyramid(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Give an array, and every second pixel of it, and of that, until it fits into one chunk."""
    yield array
    while max(array.shape) > _CHUNK_PX:
        array = array[::2, ::2]
        yield array
