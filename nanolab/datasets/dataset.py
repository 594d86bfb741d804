"""Images with their label maps on disk: written so that a kill costs one image, opened lazily.

Layout of a dataset that nanolab made::

    recipe.yaml               exactly what made it
    images/000000.tif         uint8 or uint16, calibrated
    masks/000000.tif          uint16 or uint32 label map
    <map>/000000.tif          further maps of the same shape that the writer was given
    particles.parquet         one row per particle
    manifest.json             seed, settings, versions, SHA-256 of every file, the record of each image; written last

While it is being written, `.parts/000000.parquet` holds the particle rows of image 0 together with its record and the
hashes of its files. It is written after them, so an image counts as done if and only if its part agrees with them.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from nanolab.core.checks import InputError, check_label_map, check_same_shape
from nanolab.core.files import atomic, output_folder, read_record, sha256, write_json
from nanolab.core.validation import validated
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.parts import Part, matches, write_table
from nanolab.images.labels import read_labels, write_labels
from nanolab.images.micrograph import read
from nanolab.images.tiff import write_tiff

__all__ = ["AnnotatedImage", "Dataset", "DatasetWriter", "LazyImages", "read_manifest"]

_PACKAGES = ("nanolab", "numpy", "pandas", "pyarrow", "tifffile")


class Dataset(LazyImages):
    """A dataset on disk: one that nanolab made, or one's own `images/` and `masks/` with the same stems.

    Raises
    ------
    InputError
        If there are no images, a mask has no image, two images share a stem, or the dataset was never finished.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from nanolab.images.tiff import write_tiff
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tiff(Path(folder, "images", "a.tif"), np.eye(32, dtype=np.uint8), pixel_size_nm=2.0)
    ...     dataset = Dataset(folder)
    ...     len(dataset), dataset.names, dataset[0].pixel_size.nm
    (1, ('a',), 2.0)
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not (self.folder / "images").is_dir():
            raise InputError(f"{self.folder}: a dataset must have a folder images/, found none; check the path")
        self.manifest: dict[str, Any] | None = self._read_manifest()
        if self.manifest is None:
            self._images, self._masks = self._own_files()
        else:
            self._images, self._masks = self._rendered_files(self.manifest["records"])
        super().__init__(sorted(self._images), self._read)

    def particles(self) -> pd.DataFrame:
        """Return what the renderer knows of every particle: one row per particle, true sizes in nm.

        Raises
        ------
        InputError
            If the dataset was not rendered; its masks can be measured with `nanolab measure` instead.
        """
        path = self.folder / "particles.parquet"
        if not path.is_file():
            raise InputError(f"{path}: not found; only a rendered dataset has it, measure the masks instead")
        try:
            return pq.read_table(path).to_pandas()
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: not a parquet file, or damaged ({error}); render the dataset again") from error

    def verify(self) -> None:
        """Compare every file with the SHA-256 it had when it was made.

        Raises
        ------
        InputError
            Naming each file that is missing or differs, or the folder if it has no manifest to compare with.
        """
        if self.manifest is None:
            raise InputError(f"{self.folder}: has no manifest.json, so there is nothing to verify against")
        broken = [name for name, digest in self.manifest["files"].items() if not matches(self.folder / name, digest)]
        if broken:
            listed = ", ".join(broken)
            raise InputError(f"{self.folder}: missing or not as written: {listed}; render again to replace them")

    def _read_manifest(self) -> dict[str, Any] | None:
        if (self.folder / "manifest.json").exists():
            return read_manifest(self.folder / "manifest.json")
        if (self.folder / "recipe.yaml").exists():
            raise InputError(f"{self.folder}: rendering it was interrupted; give the same command again to complete it")
        return None

    def _rendered_files(self, names: Iterable[str]) -> tuple[dict[str, Path], dict[str, Path]]:
        images, masks = self.folder / "images", self.folder / "masks"
        return {name: images / f"{name}.tif" for name in names}, {name: masks / f"{name}.tif" for name in names}

    def _own_files(self) -> tuple[dict[str, Path], dict[str, Path]]:
        images, masks = _by_stem(self.folder / "images"), _by_stem(self.folder / "masks")
        if not images:
            raise InputError(f"{self.folder / 'images'}: a dataset must have at least one image, found none")
        if orphans := sorted(masks.keys() - images.keys()):
            raise InputError(f"{masks[orphans[0]]}: a mask must have an image of the same stem; add it to images/")
        return images, masks

    def _read(self, name: str) -> AnnotatedImage:
        micrograph, labels = read(self._images[name]), None
        if name in self._masks:
            labels = read_labels(self._masks[name])
            check_same_shape(micrograph.pixels, labels, f"{micrograph.path} and {self._masks[name]}")
        return AnnotatedImage(name, micrograph.pixels, labels, micrograph.pixel_size, micrograph.path)


class _Manifest(BaseModel):
    files: dict[str, str]
    records: dict[str, dict[str, Any] | None]
    settings: dict[str, Any] = {}


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the content of a dataset's `manifest.json`; an InputError says what is wrong with it."""
    content = read_record(path)
    validated(_Manifest, content, f"{path}: not the manifest of a dataset, or damaged; make the dataset again")
    return content


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("[!.]*")):
        if path.stem in found:
            raise InputError(f"{path}: shares its stem with {found[path.stem].name}; rename one of them")
        found[path.stem] = path
    return found


class DatasetWriter:
    """Writes a dataset image by image; what is there and valid is never written again.

    Several processes may write different images of one dataset at the same time, each with its own writer. The
    same arguments give the same bytes.

    Parameters
    ----------
    folder
        Where the dataset is or shall be.
    recipe_yaml
        The text of `recipe.yaml`, defaults resolved.
    settings
        Whatever besides the recipe decides about the pixels, "seed" among it; kept in the manifest.
    versions
        Version of each program involved, beyond those used for writing.

    Raises
    ------
    InputError
        If the folder cannot be written or holds something else: another recipe, other settings, a foreign dataset.
    """

    def __init__(
        self, folder: Path | str, recipe_yaml: str, settings: Mapping[str, Any], *, versions: Mapping[str, str] = {}
    ) -> None:
        self.folder = output_folder(folder)
        self._settings = json.loads(json.dumps(dict(settings)))
        self._versions = {name: version(name) for name in _PACKAGES} | dict(versions)
        if "seed" not in self._settings:
            raise ValueError("the settings of a dataset must name its seed")
        self._claim(recipe_yaml)

    def missing(self, count: int) -> list[int]:
        """Return the numbers below `count` of the images that must be written: absent, truncated or changed ones."""
        finished = self._finished_files()
        return [index for index in range(count) if self._part(index) is None and not self._stands(index, finished)]

    def write(
        self,
        index: int,
        image: npt.NDArray[np.generic],
        labels: npt.NDArray[np.integer],
        particles: pd.DataFrame,
        pixel_size_nm: float | None,
        extra: Mapping[str, Any] | None = None,
        *,
        maps: Mapping[str, npt.NDArray[Any]] = {},
    ) -> None:
        """Write image number `index`, complete or not at all.

        Parameters
        ----------
        image
            Shape (height, width), uint8 or uint16.
        labels
            Shape (height, width), 0 = background.
        particles
            One row per particle; a column `image` is put in front.
        pixel_size_nm
            Written to both files, None if unknown.
        extra
            The record of the values drawn for this image, enough to make it again; kept in the manifest.
        maps
            Further maps of the same shape by the name of their folder: label maps if integer, float32 otherwise.
        """
        check_label_map(labels, _name(index))
        files = {}
        arrays: dict[str, npt.NDArray[Any]] = {"images": image, "masks": labels, **maps}
        for folder, values in arrays.items():
            check_same_shape(image, values, _name(index))
            name = f"{folder}/{_name(index)}.tif"
            write = write_tiff if folder == "images" or values.dtype.kind == "f" else write_labels
            write(self.folder / name, values, pixel_size_nm=pixel_size_nm)
            files[name] = sha256(self.folder / name)
        Part.of(_name(index), particles, files, extra).write(self._part_path(index))

    def finish(self, count: int) -> Dataset:
        """Merge the particle tables, write the manifest and return the dataset; for one process, after all writing.

        Raises
        ------
        InputError
            If images are missing, or the folder already holds more than `count`.
        """
        if missing := self.missing(count):
            raise InputError(f"{self.folder}: {len(missing)} of {count} images are missing, the first is {missing[0]}")
        before = self._manifest()
        if len(before["records"]) > count:
            raise InputError(
                f"{self.folder}: already holds {len(before['records'])} images, more than {count}; "
                "ask for at least as many or choose another folder"
            )
        parts = {index: part for index in range(count) if (part := self._part(index)) is not None}
        if parts or not before["records"]:
            self._merge(count, parts, before)
        self._sweep(parts)
        return Dataset(self.folder)

    def _claim(self, recipe_yaml: str) -> None:
        """Make the folder this recipe's, or find that it is."""
        recipe, settings = self.folder / "recipe.yaml", self.folder / ".parts" / "settings.json"
        if not recipe.exists():
            if any((self.folder / name).exists() for name in ("images", "masks", "manifest.json")):
                raise InputError(f"{self.folder}: holds a dataset without recipe; choose another folder")
            with atomic(recipe) as temporary:
                temporary.write_text(recipe_yaml, encoding="utf-8", newline="\n")
        if recipe.read_text(encoding="utf-8") != recipe_yaml:
            raise InputError(f"{recipe}: the folder was made by another recipe; choose another folder")
        manifest = self.folder / "manifest.json"
        if not manifest.exists() and not settings.exists():
            write_json(settings, self._settings)
        there = read_manifest(manifest)["settings"] if manifest.exists() else read_record(settings)
        if differing := [key for key in {**there, **self._settings} if there.get(key) != self._settings.get(key)]:
            key = differing[0]
            raise InputError(
                f"{self.folder}: was made with {key} {there.get(key)}, not {self._settings.get(key)}; "
                "choose another folder or the same value"
            )

    def _part_path(self, index: int) -> Path:
        return self.folder / ".parts" / f"{_name(index)}.parquet"

    def _part(self, index: int) -> Part | None:
        part = Part.read(self._part_path(index))
        return part if part is not None and part.agrees(self.folder) else None

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / "manifest.json"
        return read_manifest(path) if path.exists() else {"files": {}, "records": {}}

    def _finished_files(self) -> dict[str, str]:
        """Return the hashes in the manifest, none if the particle table that goes with them is lost."""
        files: dict[str, str] = self._manifest()["files"]
        return files if matches(self.folder / "particles.parquet", files.get("particles.parquet")) else {}

    def _stands(self, index: int, finished: Mapping[str, str]) -> bool:
        own = [name for name in finished if name.endswith(f"/{_name(index)}.tif")]
        return bool(own) and all(matches(self.folder / name, finished[name]) for name in own)

    def _merge(self, count: int, parts: Mapping[int, Part], before: Mapping[str, Any]) -> None:
        files, records = dict(before["files"]), dict(before["records"])
        for index, part in parts.items():
            files |= part.files
            records[_name(index)] = part.record
        particles = self.folder / "particles.parquet"
        write_table(particles, self._rows(count, parts))
        files |= {path.name: sha256(path) for path in (self.folder / "recipe.yaml", particles)}
        manifest = {
            "seed": self._settings["seed"],
            "count": count,
            "settings": self._settings,
            "versions": self._versions,
            "files": dict(sorted(files.items())),
            "records": dict(sorted(records.items())),
        }
        write_json(self.folder / "manifest.json", manifest)

    def _rows(self, count: int, parts: Mapping[int, Part]) -> pa.Table:
        """Return the rows of all images in order: those of the parts, for the others those merged before."""
        tables = {index: part.rows for index, part in parts.items()}
        if merged_before := sorted(set(range(count)) - parts.keys()):
            table = pq.read_table(self.folder / "particles.parquet")  # sorted by image
            images = table["image"].to_numpy().astype(str)
            for index in merged_before:
                first, end = (np.searchsorted(images, _name(index), side) for side in ("left", "right"))
                tables[index] = table.slice(first, end - first)
        return pa.concat_tables([tables[index] for index in range(count)], promote_options="permissive")

    def _sweep(self, merged: Iterable[int]) -> None:
        """Remove the parts that were merged, and what killed writers left behind."""
        for index in merged:
            self._part_path(index).unlink(missing_ok=True)
        for leftover in self.folder.glob("*/.*.part.*"):
            leftover.unlink(missing_ok=True)
        if not any((self.folder / ".parts").glob("*.parquet")):
            shutil.rmtree(self.folder / ".parts", ignore_errors=True)


def _name(index: int) -> str:
    return f"{index:06d}"
