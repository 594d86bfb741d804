"""Annotations of a user's own images, in any of the formats, become a dataset like the others."""

import shutil
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from tqdm.auto import tqdm

from nanolab.core.checks import InputError, check_positive
from nanolab.core.files import atomic, output_folder, read_json, sha256, write_json
from nanolab.datasets.annotations.pairing import Format, Pair, find_pairs
from nanolab.datasets.dataset import Dataset, read_manifest
from nanolab.datasets.parts import matches
from nanolab.images.labels import relabel, write_labels
from nanolab.images.micrograph import Micrograph, read
from nanolab.images.tiff import write_tiff

__all__ = ["Format", "import_labels"]

_KIND = "imported annotations"
_PACKAGES = ("nanolab", "numpy", "tifffile", "roifile", "pycocotools")

# What was written of an image: `files`, the hash of each by its path within the dataset, and `record`.
Part = dict[str, Any]


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
        If no annotation can be used, an image is annotated twice, or the folder holds something else.
    """
    if pixel_size_nm is not None:
        check_positive(pixel_size_nm, "pixel_size_nm", "nm")
    settings = {"format": format, "pixel_size_nm": pixel_size_nm, "crop_data_bar": crop_data_bar}
    pairs, left_out = find_pairs(Path(source), None if images is None else Path(images), format)
    _require(pairs, left_out, source)
    digests = {path: sha256(path) for pair in pairs for path in (pair.image, pair.file)}
    out = _claimed(out, _recipe(pairs, digests, settings))
    before, parts = _written_before(out), {}
    for pair in tqdm(pairs, unit="image", disable=not progress):
        sources = {"image_sha256": digests[pair.image], "annotation_sha256": digests[pair.file], **settings}
        if pair.name in before and _stands(before[pair.name], sources, out):
            parts[pair.name] = before[pair.name]
            continue
        try:
            micrograph, labels = _read(pair, pixel_size_nm, crop_data_bar)
        except InputError as error:
            left_out[pair.annotation.where] = str(error)
        else:
            parts[pair.name] = _written(pair, micrograph, labels, sources, out)
    _require(parts, left_out, source)
    _finish(out, parts, settings, left_out, before)
    return Dataset(out)


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


def _claimed(out: Path | str, recipe: str) -> Path:
    """Make the folder this import's; one that was not finished, or left something out, may go on with other files."""
    folder = output_folder(out)
    path = folder / "recipe.yaml"
    there = path.read_text(encoding="utf-8") if path.exists() else None
    ours = there is not None and there.startswith(f"kind: {_KIND}\n")
    if not ours and any((folder / name).exists() for name in ("images", "masks", "manifest.json", "recipe.yaml")):
        raise InputError(f"{folder}: holds something else; choose another folder")
    if there != recipe:
        manifest = folder / "manifest.json"
        if manifest.exists() and not read_manifest(manifest).get("left_out"):
            raise InputError(f"{path}: the folder was made of other files or settings; choose another folder")
        with atomic(path) as temporary:
            temporary.write_text(recipe, encoding="utf-8", newline="\n")
    (folder / ".parts").mkdir(exist_ok=True)
    return folder


def _written_before(out: Path) -> dict[str, Part]:
    """Return what an earlier import wrote of each image, by the image's name."""
    parts: dict[str, Part] = {}
    if (out / "manifest.json").exists():
        manifest = read_manifest(out / "manifest.json")
        for name, record in manifest["records"].items():
            files = {file: manifest["files"].get(file, "") for file in _files(name)}
            parts[name] = {"files": files, "record": record}
    return parts | {path.stem: read_json(path) for path in (out / ".parts").glob("[!.]*.json")}


def _stands(part: Part, sources: Mapping[str, Any], out: Path) -> bool:
    """Tell whether an image was written whole, and of the same files in the same way."""
    return sources.items() <= part["record"].items() and all(
        matches(out / file, digest) for file, digest in part["files"].items()
    )


def _files(name: str) -> tuple[str, str]:
    return f"images/{name}.tif", f"masks/{name}.tif"


def _read(pair: Pair, pixel_size_nm: float | None, crop_data_bar: bool) -> tuple[Micrograph, npt.NDArray[np.int32]]:
    micrograph = read(pair.image, pixel_size_nm=pixel_size_nm)
    height, width = micrograph.pixels.shape
    stated = pair.annotation.size
    if stated is not None and stated != (height, width):
        raise InputError(
            f"{pair.annotation.where}: is of an image of {stated[1]} x {stated[0]} pixels, {pair.image} has "
            f"{width} x {height}; take the image that was annotated"
        )
    labels = pair.annotation.labels((height, width))
    if not crop_data_bar:
        return micrograph, labels
    cropped = micrograph.crop_data_bar()
    return cropped, relabel(labels[: len(cropped.pixels)])


def _written(
    pair: Pair, micrograph: Micrograph, labels: npt.NDArray[np.int32], sources: Mapping[str, Any], out: Path
) -> Part:
    """Write an image and its label map; return the hashes of the files, and the record."""
    image, mask = _files(pair.name)
    write_tiff(out / image, _stored(micrograph), pixel_size_nm=micrograph.pixel_size_nm)
    write_labels(out / mask, labels, pixel_size=micrograph.pixel_size, image=pair.image.name)
    record = {
        "image": pair.image.name,
        "annotation": pair.file.name,
        "annotated": pair.annotation.particles,
        "remarks": list(pair.annotation.remarks),
        "particles": int(labels.max(initial=0)),
        **sources,
    }
    part = {"files": {file: sha256(out / file) for file in (image, mask)}, "record": record}
    write_json(out / ".parts" / f"{pair.name}.json", part)
    return part


def _finish(
    out: Path,
    parts: Mapping[str, Part],
    settings: Mapping[str, Any],
    left_out: Mapping[str, str],
    before: Mapping[str, Part],
) -> None:
    """Write the manifest, and remove what an earlier import wrote and this one has not."""
    names = sorted(parts)
    manifest = {
        "seed": None,
        "count": len(parts),
        "settings": settings,
        "versions": {package: version(package) for package in _PACKAGES},
        "files": {"recipe.yaml": sha256(out / "recipe.yaml")}
        | {file: digest for name in names for file, digest in parts[name]["files"].items()},
        "records": {name: parts[name]["record"] for name in names},
        "left_out": left_out,
    }
    write_json(out / "manifest.json", manifest)
    shutil.rmtree(out / ".parts")
    for name in before.keys() - parts.keys():
        for file in _files(name):
            (out / file).unlink(missing_ok=True)
    for leftover in out.glob("*/.*.part.*"):  # of a writer that was killed
        leftover.unlink()


def _stored(micrograph: Micrograph) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Return the image as 8 bits where it had no more, else as 16."""
    dtype = np.uint8 if micrograph.metadata["dtype"] in ("bool", "uint8") else np.uint16
    return np.rint(micrograph.pixels * np.iinfo(dtype).max).astype(dtype)
