"""Datasets written so that a kill costs one image.

While a dataset is being written, `.parts/000000.parquet` holds the particle rows of image 0 together with its record
and the hashes of its files. It is written after them, so an image counts as done if and only if its part agrees with
them. `nanolab.datasets.dataset` has the layout.
"""

import glob
import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from nanolab.core.checks import InputError, check_label_map, check_same_shape
from nanolab.core.files import atomic, output_folder, read_record, sha256, write_json
from nanolab.datasets.dataset import KINDS, Dataset, read_manifest
from nanolab.datasets.looked_at import LOOKED_AT, write_looked_at
from nanolab.datasets.parts import Part, matches, read_table, write_table
from nanolab.images.labels import write_labels
from nanolab.images.tiff import write_tiff

__all__ = ["DatasetWriter"]

_SUFFIXES = (".tif", ".png")  # of an image's files
_PACKAGES = ("nanolab", "numpy", "pandas", "pyarrow", "tifffile")


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
    replaces
        The folder may hold a dataset of another recipe or other settings, which this one then replaces.

    Raises
    ------
    InputError
        If the folder cannot be written or holds something else: another recipe, other settings, a foreign dataset.
    """

    def __init__(
        self,
        folder: Path | str,
        recipe_yaml: str,
        settings: Mapping[str, Any],
        *,
        versions: Mapping[str, str] = {},
        replaces: bool = False,
    ) -> None:
        self.folder = output_folder(folder)
        self._settings = json.loads(json.dumps(dict(settings)))
        self._versions = {name: version(name) for name in _PACKAGES} | dict(versions)
        if "seed" not in self._settings:
            raise ValueError("the settings of a dataset must name its seed")
        self._claim(recipe_yaml, replaces)

    def missing(self, count: int) -> list[int]:
        """Return the numbers below `count` of the images that must be written: absent, truncated or changed ones."""
        there = self.records()
        return [index for index in range(count) if _name(index) not in there]

    def records(self) -> dict[str, Any]:
        """Return the records of the images that are there and whole, by name."""
        before, parts = self._manifest(), self._parts()
        whole = {name: record for name, record in before["records"].items() if self._stands(name, before["files"])}
        return whole | {name: part.record for name, part in parts.items()}

    def write(
        self,
        image_name: int | str,
        image: npt.NDArray[np.generic],
        labels: npt.NDArray[np.integer],
        particles: pd.DataFrame | None,
        pixel_size_nm: float | None,
        extra: Mapping[str, Any] | None = None,
        *,
        maps: Mapping[str, npt.NDArray[Any]] = {},
        looked_at: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Write one image, complete or not at all.

        Parameters
        ----------
        image_name
            Its number, or its name.
        image
            Shape (height, width), uint8 or uint16.
        labels
            Shape (height, width), 0 = background.
        particles
            One row per particle; a column `image` is put in front. None where nothing is known beyond the label map.
        pixel_size_nm
            Written to both files, None if unknown.
        extra
            The record of the values drawn for this image, enough to make it again; kept in the manifest.
        maps
            Further maps of the same shape by the name of their folder: label maps if integer, float32 otherwise.
        looked_at
            True where somebody looked at what the label map says, same shape; all of it counts if None.
        """
        stem = _name(image_name)
        check_label_map(labels, stem)
        files = {}
        arrays: dict[str, npt.NDArray[Any]] = {"images": image, "masks": labels, **maps}
        for folder, values in arrays.items():
            check_same_shape(image, values, stem)
            name = f"{folder}/{stem}.tif"
            write = write_tiff if folder == "images" or values.dtype.kind == "f" else write_labels
            write(self.folder / name, values, pixel_size_nm=pixel_size_nm)
            files[name] = sha256(self.folder / name)
        if looked_at is not None:
            check_same_shape(image, looked_at, stem)
            files[f"{LOOKED_AT}/{stem}.png"] = sha256(write_looked_at(self.folder, stem, looked_at))
        Part.of(stem, particles, files, extra).write(self._part_path(stem))

    def finish(self, images: int | Collection[str], *, left_out: Mapping[str, str] | None = None) -> Dataset:
        """Merge the particle tables, write the manifest and return the dataset; for one process, after all writing.

        Parameters
        ----------
        images
            How many images the dataset has, or their names; others that an earlier one had are removed.
        left_out
            What could not be used and why, for the manifest.

        Raises
        ------
        InputError
            If images are missing, or the folder already holds more than this number of them.
        """
        names = sorted(map(_name, range(images)) if isinstance(images, int) else images)
        before, there = self._manifest(), self.records()
        if missing := [name for name in names if name not in there]:
            first = int(missing[0]) if isinstance(images, int) else missing[0]
            raise InputError(f"{self.folder}: {len(missing)} of {len(names)} images are missing, the first is {first}")
        if isinstance(images, int) and before["records"].keys() - set(names):
            raise InputError(
                f"{self.folder}: already holds {len(before['records'])} images, more than {images}; "
                "ask for at least as many or choose another folder"
            )
        self._merge(names, there, before, {} if left_out is None else {"left_out": dict(left_out)})
        self._sweep(names, [] if isinstance(images, int) else there.keys() - set(names))
        return Dataset(self.folder)

    def _claim(self, recipe_yaml: str, replaces: bool) -> None:
        """Make the folder this recipe's, or find that it is."""
        recipe, settings = self.folder / "recipe.yaml", self.folder / ".parts" / "settings.json"
        there = recipe.read_text(encoding="utf-8", errors="replace") if recipe.exists() else None
        if there is None and any((self.folder / name).exists() for name in (*KINDS, "manifest.json")):
            raise InputError(f"{self.folder}: holds a dataset without recipe; choose another folder")
        if there not in (None, recipe_yaml) and not replaces:
            raise InputError(
                f"{recipe}: the folder was made by another recipe, or of other files or settings; choose another folder"
            )
        if there != recipe_yaml:
            with atomic(recipe) as temporary:
                temporary.write_text(recipe_yaml, encoding="utf-8", newline="\n")
        manifest = self.folder / "manifest.json"
        if not manifest.exists() and (replaces or not settings.exists()):
            write_json(settings, self._settings)
        made_with = read_manifest(self.folder)["settings"] if manifest.exists() else read_record(settings)
        differing = [key for key in {**made_with, **self._settings} if made_with.get(key) != self._settings.get(key)]
        if differing and not replaces:
            key = differing[0]
            raise InputError(
                f"{self.folder}: was made with {key} {made_with.get(key)}, not {self._settings.get(key)}; "
                "choose another folder or the same value"
            )

    def _part_path(self, name: str) -> Path:
        return self.folder / ".parts" / f"{name}.parquet"

    def _parts(self) -> dict[str, Part]:
        """Return the parts that agree with the files of their images, by the images' names."""
        read = {path.stem: Part.read(path) for path in sorted(self._part_path("").parent.glob("[!.]*.parquet"))}
        return {name: part for name, part in read.items() if part is not None and part.agrees(self.folder)}

    def _manifest(self) -> dict[str, Any]:
        """Return the manifest; empty where there is none yet, or the particle table that goes with it is lost."""
        table = "particles.parquet"
        nothing: dict[str, Any] = {"files": {}, "records": {}}
        if not (self.folder / "manifest.json").exists():
            return nothing
        manifest = read_manifest(self.folder)
        lost = table in manifest["files"] and not matches(self.folder / table, manifest["files"][table])
        return nothing if lost else manifest

    def _stands(self, name: str, files: Mapping[str, str]) -> bool:
        own = [path for path in files if path.endswith(tuple(f"/{name}{suffix}" for suffix in _SUFFIXES))]
        return bool(own) and all(matches(self.folder / path, files[path]) for path in own)

    def _merge(
        self,
        names: list[str],
        records: Mapping[str, Any],
        before: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> None:
        stems, table = set(names), self.folder / "particles.parquet"
        parts = {name: part for name, part in self._parts().items() if name in stems}
        files = {path: digest for path, digest in before["files"].items() if PurePosixPath(path).stem in stems}
        for part in parts.values():
            files |= part.files
        if parts and (rows := self._rows(names, parts)).num_columns > 1:
            write_table(table, rows)
        kept = [path for path in (self.folder / "recipe.yaml", table) if path.exists()]
        files |= {path.name: sha256(path) for path in kept}
        manifest = {
            "seed": self._settings["seed"],
            "count": len(names),
            "settings": self._settings,
            "versions": self._versions,
            "files": dict(sorted(files.items())),
            "records": {name: records[name] for name in names},
            **more,
        }
        if any(manifest[key] != before.get(key) for key in manifest.keys() - {"versions"}):
            write_json(self.folder / "manifest.json", manifest)

    def _rows(self, names: list[str], parts: Mapping[str, Part]) -> pa.Table:
        """Return the rows of all images in order: those of the parts, for the others those merged before."""
        tables = {name: parts[name].rows for name in names if name in parts}
        path = self.folder / "particles.parquet"
        if path.exists() and len(tables) < len(names):
            table = read_table(path)  # sorted by image
            images = table["image"].to_numpy().astype(str)
            for name in set(names) - tables.keys():
                first, end = (np.searchsorted(images, name, side) for side in ("left", "right"))
                tables[name] = table.slice(first, end - first)
        return pa.concat_tables([tables[name] for name in names if name in tables], promote_options="permissive")

    def _sweep(self, merged: Iterable[str], dropped: Iterable[str]) -> None:
        """Remove the parts that were merged, images that are not wanted, and what killed writers left behind."""
        unwanted = [self._part_path(name) for name in (*merged, *dropped)]
        of_dropped = [f"[!.]*/{glob.escape(name)}{suffix}" for name in dropped for suffix in _SUFFIXES]
        unwanted += [path for pattern in of_dropped for path in self.folder.glob(pattern)]
        for path in (*unwanted, *self.folder.glob("*/.*.part.*")):
            path.unlink(missing_ok=True)
        if not any((self.folder / ".parts").glob("*.parquet")):
            shutil.rmtree(self.folder / ".parts", ignore_errors=True)


def _name(image: int | str) -> str:
    return f"{image:06d}" if isinstance(image, int) else image
