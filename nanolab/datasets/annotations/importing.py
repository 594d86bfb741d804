"""Annotations of a user's own images, in any of the formats, become a dataset like the others."""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from tqdm.auto import tqdm

from nanolab.core.checks import InputError, check_positive, reading
from nanolab.core.files import locked, sha256
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotations.pairing import Format, Pair, find_pairs
from nanolab.datasets.dataset import Dataset, read_manifest
from nanolab.datasets.writer import DatasetWriter
from nanolab.images.labels import check_shape, relabel
from nanolab.images.micrograph import Micrograph, read

__all__ = ["Format", "import_labels", "read_pair"]

_KIND = "imported annotations"
_LONGEST_NAME = 200  # bytes; file systems take 255, with what is added
_PACKAGES = ("roifile", "pycocotools")


def import_labels(
    source: Path | str,
    images: Path | str | None,
    out: Path | str,
    format: Format = "auto",
    *,
    pixel_size_nm: float | None = None,
    crop_data_bar: bool = False,
    progress: bool = True,
) -> Dataset:
    """Make a dataset of annotated images: each becomes a calibrated TIFF with its label map.

    Images without annotation are left out. So are those that cannot be used; `manifest["left_out"]` of the dataset says
    which and why. The same call completes an import that was interrupted, or whose mistakes have been mended.

    Parameters
    ----------
    source
        An annotation file, or a folder of them. Masks and ImageJ's regions belong to the image of the same name, to
        which `_mask`, `_labels`, `_m`, `_RoiSet` and the like may be added.
    images
        The folder of the images; where None, they lie next to the annotations. A path within an annotation file is not
        followed; only the name at its end is looked for in this folder.
    out
        The dataset's folder.
    format
        "auto" tells each file's by what is in it.
    pixel_size_nm
        Pixel size of all images typed by hand, in nm; it overrides what the files say.
    crop_data_bar
        Cut off the data bar at the bottom of an image, and of its label map. Annotations are of the whole image.

    Raises
    ------
    InputError
        If no annotation can be used, an image is annotated twice, the folder holds something else, or another process
        writes into it.
    """
    if pixel_size_nm is not None:
        check_positive(pixel_size_nm, "pixel_size_nm", "nm")
    settings = {"format": format, "pixel_size_nm": pixel_size_nm, "crop_data_bar": crop_data_bar}
    pairs, left_out = find_pairs(Path(source), None if images is None else Path(images), format)
    _require(pairs, left_out, source)
    digests = {path: sha256(path) for pair in pairs for path in (pair.image, pair.file)}
    versions = {package: version(package) for package in _PACKAGES}
    recipe = _recipe(pairs, digests, settings)
    with locked(out, "writes"):
        writer = DatasetWriter(
            out, recipe, {"seed": None, **settings}, versions=versions, replaces=_unfinished(Path(out))
        )
        there, done = writer.records(), []
        for pair in tqdm(pairs, unit="image", disable=not progress):
            sources = {"image_sha256": digests[pair.image], "annotation_sha256": digests[pair.file], **settings}
            if not sources.items() <= (there.get(pair.name) or {}).items():
                try:
                    micrograph, labels = read_pair(pair, pixel_size_nm=pixel_size_nm, crop_data_bar=crop_data_bar)
                except InputError as error:
                    left_out[pair.annotation.where] = str(error)
                    continue
                record = _record(pair, labels) | sources
                writer.write(pair.name, _stored(micrograph), labels, None, micrograph.pixel_size_nm, record)
            done.append(pair.name)
        _require(done, left_out, source)
        return writer.finish(done, left_out=left_out)


def _require(found: Collection[Any], left_out: Mapping[str, str], source: Path | str) -> None:
    """Refuse an import of nothing."""
    if not found:
        raise InputError("\n".join(left_out.values()) or f"{source}: annotates no image; check the folders")


def _recipe(pairs: list[Pair], digests: dict[Path, str], settings: Mapping[str, Any]) -> str:
    """Return the text of `recipe.yaml`: which files were imported, what was in them, and how."""
    content: dict[str, Any] = {
        "kind": _KIND,
        **settings,
        "images": {pair.image.name: digests[pair.image] for pair in pairs},
        "annotations": {pair.file.name: digests[pair.file] for pair in pairs},
    }
    return str(yaml.safe_dump(content, sort_keys=False))


def _unfinished(folder: Path) -> bool:
    """Tell whether the folder holds an import that was not finished or left something out, and may so go on."""
    recipe, manifest = folder / "recipe.yaml", folder / "manifest.json"
    if not recipe.is_file() or not recipe.read_bytes().startswith(f"kind: {_KIND}\n".encode()):
        return False
    return not manifest.exists() or bool(read_manifest(folder).get("left_out"))


def _record(pair: Pair, labels: LabelMap) -> dict[str, Any]:
    return {
        "image": pair.image.name,
        "annotation": pair.file.name,
        "annotated": pair.annotation.particles,
        "remarks": list(pair.annotation.remarks),
        "particles": int(labels.max(initial=0)),
    }


def read_pair(
    pair: Pair, *, pixel_size_nm: float | None = None, crop_data_bar: bool = True
) -> tuple[Micrograph, LabelMap]:
    """Read an image and its annotation; see `import_labels` for the parameters.

    Raises
    ------
    InputError
        If a file cannot be read, the two are not of one size, or the image's name cannot be that of a data set's.
    """
    text = pair.name.encode(errors="replace")
    if len(text) > _LONGEST_NAME or text.decode() != pair.name:
        raise InputError(f"{pair.image.name!a}: a name must be UTF-8 of at most {_LONGEST_NAME} bytes; rename the file")
    micrograph = read(pair.image, pixel_size_nm=pixel_size_nm)
    height, width = micrograph.pixels.shape
    if pair.annotation.size is not None:
        check_shape(pair.annotation.size, (height, width), f"{pair.annotation.where} of {pair.image}")
    with reading(pair.annotation.where, "annotation"):
        labels = pair.annotation.labels((height, width))
    if not crop_data_bar:
        return micrograph, labels
    cropped = micrograph.crop_data_bar()
    return cropped, relabel(labels[: len(cropped.pixels)])


def _stored(micrograph: Micrograph) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Return the image as 8 bits where it had no more, else as 16."""
    dtype = np.uint8 if micrograph.metadata["dtype"] in ("bool", "uint8") else np.uint16
    return np.rint(micrograph.pixels * np.iinfo(dtype).max).astype(dtype)
