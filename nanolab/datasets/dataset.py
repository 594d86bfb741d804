"""Images with their label maps on disk, opened lazily.

Layout of a dataset that nanolab made::

    recipe.yaml               exactly what made it
    images/000000.tif         uint8 or uint16, calibrated
    masks/000000.tif          uint16 or uint32 label map
    looked_at/000000.png      255 where somebody looked at what the label map says; everywhere if there is none
    <map>/000000.tif          further maps of the same shape that the writer was given
    particles.parquet         one row per particle
    manifest.json             seed, settings, versions, SHA-256 of every file, the record of each image; written last

Imported annotations have the names of their images and no table of particles.
"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from nanolab.core.checks import InputError, check_same_shape
from nanolab.core.files import read_record
from nanolab.core.validation import validated
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.datasets.looked_at import read_looked_at
from nanolab.datasets.parts import matches, read_table
from nanolab.images.folders import by_stem
from nanolab.images.labels import read_labels
from nanolab.images.micrograph import read

__all__ = ["KINDS", "AnnotatedImage", "Dataset", "LazyImages", "read_manifest"]

#: The folders of a dataset that every one has.
KINDS = ("images", "masks")


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
            self._images, self._masks = (
                {name: self.folder / kind / f"{name}.tif" for name in self.manifest["records"]} for kind in KINDS
            )
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
        return read_table(path).to_pandas(use_threads=False)

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
            return read_manifest(self.folder)
        if (self.folder / "recipe.yaml").exists():
            raise InputError(f"{self.folder}: rendering it was interrupted; give the same command again to complete it")
        return None

    def _own_files(self) -> tuple[dict[str, Path], dict[str, Path]]:
        # every file could be one, whatever its suffix; its reader says what it is
        images, masks = (by_stem(sorted((self.folder / kind).glob("[!.]*"))) for kind in KINDS)
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
        seen = read_looked_at(self.folder, name, micrograph.pixels)
        return AnnotatedImage(name, micrograph.pixels, labels, micrograph.pixel_size, micrograph.path, seen)


class _Manifest(BaseModel):
    """What every manifest has; names lead to files of the dataset's own folder alone."""

    model_config = ConfigDict(extra="ignore")

    files: dict[Annotated[str, Field(pattern=r"^([^/\\.][^/\\]*/)*[^/\\.][^/\\]*$")], str]
    records: dict[Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")], dict[str, Any] | None]
    settings: dict[str, Any]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a dataset.

    Raises
    ------
    InputError
        If it is none, or names files outside of the folder.
    """
    path = folder / "manifest.json"
    content = read_record(path)
    validated(_Manifest, content, f"{path}: must be a manifest as nanolab writes it; make the dataset again")
    return content
