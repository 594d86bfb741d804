"""Public micrographs with annotation: what they are, getting them, reading them.

No micrograph comes with nanolab. `get` fetches the files named in `registry/<name>.sha256` and nothing else, and keeps
only what has the SHA-256 given there.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pandas as pd
import pooch
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.files import atomic, output_folder, sha256
from nanolab.core.tables import read_csv
from nanolab.datasets.annotated import AnnotatedImage, LazyImages
from nanolab.images.labels import labels_from_mask, read_labels, relabel
from nanolab.images.micrograph import read
from nanolab.images.tiff import read_tiff

__all__ = ["PUBLIC", "PublicData", "find_folder", "get", "image_classes", "locate", "public_images", "status"]

RAW = Path("data/raw")
pooch.get_logger().setLevel("WARNING")  # the progress bar says enough
_BAM_ROWS = 704  # the data bar begins at row 712; 704 is a multiple of 64, as networks like it


@dataclass(frozen=True)
class PublicData:
    """One public set of annotated micrographs.

    Attributes
    ----------
    name, title
        Short name for the command line; what the images show.
    licence, asks
        The licence, and what it asks of whoever uses the images.
    citation
        What to cite.
    urls
        Addresses below which the files lie; each file is taken from the first that has it.
    image, mask
        Where an image and its annotation lie in the set; `{}` stands for the image's name.
    registry
        SHA-256 of each file by its path within the set.
    read
        Reads an image of this set from a folder by its name.
    not_upstream
        Files that none of the addresses has; taken over from a local copy that has them.
    min_area_px
        Annotated particles of fewer pixels are fragments, not particles (see `public_images`).
    """

    name: str
    title: str
    licence: str
    asks: str
    citation: str
    urls: tuple[str, ...]
    image: str
    mask: str
    registry: Mapping[str, str]
    read: Callable[["PublicData", Path, str], AnnotatedImage]
    not_upstream: frozenset[str] = frozenset()
    min_area_px: int = 0

    @property
    def upstream(self) -> tuple[str, ...]:
        """Paths of the files that make up the set."""
        return tuple(path for path in self.registry if path not in self.not_upstream)

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images."""
        folder = PurePosixPath(self.image).parent
        return tuple(path.stem for path in map(PurePosixPath, self.registry) if path.parent == folder)


def _read_bam(data: PublicData, folder: Path, name: str) -> AnnotatedImage:
    micrograph = read(folder / data.image.format(name))
    mask = read_tiff(folder / data.mask.format(name))[:_BAM_ROWS]
    image = micrograph.pixels[:_BAM_ROWS].copy()
    return AnnotatedImage(name, image, labels_from_mask(mask), micrograph.pixel_size, micrograph.path)


def _read_emps(data: PublicData, folder: Path, name: str) -> AnnotatedImage:
    micrograph = read(folder / data.image.format(name))
    labels = relabel(read_labels(folder / data.mask.format(name)))
    return AnnotatedImage(name, micrograph.pixels, labels, micrograph.pixel_size, micrograph.path)


def _registry(name: str) -> dict[str, str]:
    """Read a list as `sha256sum` writes it."""
    text = (files("nanolab.datasets") / "registry" / f"{name}.sha256").read_text(encoding="utf-8")
    return {path: digest for digest, path in (line.split("  ", 1) for line in text.splitlines())}


PUBLIC: dict[str, PublicData] = {
    data.name: data
    for data in (
        PublicData(
            name="bam-tio2",
            title="Agglomerated TiO2 nanoparticles, scanning electron microscope, 20 images of 1024x704 at 7.34 nm",
            licence="CC BY-NC-ND 4.0",
            asks="name the authors, no commercial use, pass the images on unchanged only",
            citation="Ruehle, Krumrey & Hodoroaba, Sci. Rep. 2021, 10.1038/s41598-021-84287-6; "
            "data: 10.5281/zenodo.4563942",
            urls=(
                "https://raw.githubusercontent.com/BAMresearch/automatic-sem-image-segmentation/8c88052e/",
                "https://raw.githubusercontent.com/BAMresearch/automatic-sem-image-segmentation/"
                "0aa525b73fc09af31ddcf743485027c909b6ff05/",
            ),
            image="Datasets/Electron Microscopy Images/SEM/{}.tif",
            mask="Datasets/Electron Microscopy Image Masks/TiO2_Masks_Manual_4connected/{}_m.tif",
            registry=_registry("bam-tio2"),
            read=_read_bam,
            min_area_px=20,
        ),
        PublicData(
            name="emps",
            title="Particles of many kinds from the literature, SEM and TEM, 366 images (the training split)",
            licence="MIT",
            asks="keep the copyright notice with copies",
            citation="Yildirim & Cole, J. Chem. Inf. Model. 2021, 10.1021/acs.jcim.0c01455",
            urls=(
                "https://raw.githubusercontent.com/by256/emps/dd8f86d7/",
                "https://raw.githubusercontent.com/by256/emps/4a17ac63c8ef1a69511516e092da2b0bb9f72c80/",
            ),
            image="images/{}.png",
            mask="segmaps/{}.png",
            registry=_registry("emps"),
            read=_read_emps,
            not_upstream=frozenset({"labels.csv"}),
        ),
    )
}


def get(name: str, *, source: Path | str | None = None, root: Path = RAW, urls: Sequence[str] | None = None) -> Path:
    """Bring a public set into `root/name` and return that folder.

    Files that are there and right are kept, so that an interrupted download goes on where it stopped.

    Parameters
    ----------
    source
        A local copy with the layout of the set, such as a clone of its repository; copied instead of downloading.
    urls
        Addresses to use instead of the set's own: a mirror.

    Raises
    ------
    InputError
        If there is no such set, or a file cannot be had or is not what it should be; the message names the file.
    """
    data = _public(name)
    folder = output_folder(root / name)
    for path in tqdm(data.registry, desc=name, unit="file"):
        target = folder / path
        if target.is_file() and sha256(target) == data.registry[path]:
            continue
        if source is not None:
            _copy(data, path, Path(source), target)
        elif path not in data.not_upstream:
            _download(path, data.registry[path], urls or data.urls, target)
    return folder


def locate(name: str) -> Path | None:
    """Return the folder of a public set, or None if it is not on this machine.

    That is `$NANOLAB_DATA/<name>` if it exists, used as it is, or else `data/raw/<name>`.

    Raises
    ------
    InputError
        If the folder is there but files are missing from it.
    """
    data = _public(name)
    folder = find_folder(name)
    if folder is not None and (missing := [path for path in data.upstream if not (folder / path).is_file()]):
        raise InputError(
            f"{folder}: {len(missing)} of {len(data.upstream)} files are missing, the first is {missing[0]}; "
            f"run `nanolab data get {name}` to complete data/raw/{name}"
        )
    return folder


def public_images(name: str) -> LazyImages:
    """Return the images of a public set with their annotation, read when asked for.

    `bam-tio2`: image and mask are cut off at row 704, above the data bar. The mask is as annotated: touching particles
    are cut by lines one pixel wide, and between and next to these lie fragments, 199 of the 3256 components of a single
    pixel. Fragments are particle area like any other, so they stay in the label maps and in pixel scores. To count,
    match or measure particles leave out those below `PUBLIC["bam-tio2"].min_area_px` = 20 px, an ECD of 37 nm where the
    median is 177 nm: seen in the images, components of 8 to 19 px still are gaps between particles and rims cut off,
    not particles. That drops 11.5 % of the components and 0.1 % of the annotated area.

    `emps`: the scale bars burnt into the images stay, the pixel size is unknown. Labels are renumbered 1..N.

    Raises
    ------
    InputError
        If the set is not on this machine or incomplete.

    Examples
    --------
    >>> images = public_images("emps")  # doctest: +SKIP
    >>> images[0].labels.max()  # doctest: +SKIP
    42
    """
    data, folder = _public(name), locate(name)
    if folder is None:
        raise InputError(f"{name}: not on this machine; run `nanolab data get {name}`")
    return LazyImages(data.images, partial(data.read, data, folder))


def image_classes() -> pd.DataFrame:
    """Return what each image of `emps` shows: one row per image, indexed by its name.

    Columns `shape` (sphere, cube, rod or other), `modality` (sem, tem or stem-df), `polarity` (of the particles: bright
    or dark), `usable` (whether the annotation is complete enough to test with) and others. The table was made for
    nanolab and is on no server.

    Raises
    ------
    InputError
        If the set is not on this machine, or came without the table.
    """
    folder = locate("emps")
    if folder is None:
        raise InputError("emps: not on this machine; run `nanolab data get emps`")
    what = "table of the images of emps (it comes with a local copy that has it)"
    table = read_csv(folder / "labels.csv", what, dtype={"stem": str}, keep_default_na=False).set_index("stem")
    return table.assign(usable=table["usable"] == "yes")


def status() -> list[dict[str, Any]]:
    """Return one row per public set: name, title, folder (None if absent), n_images there, licence, asks, citation."""
    return [_row(data) for data in PUBLIC.values()]


def _row(data: PublicData) -> dict[str, Any]:
    folder = find_folder(data.name)
    n_images = 0 if folder is None else sum((folder / data.image.format(each)).is_file() for each in data.images)
    said = {key: getattr(data, key) for key in ("name", "title", "licence", "asks", "citation")}
    return {**said, "folder": None if folder is None else str(folder), "n_images": n_images}


def _public(name: str) -> PublicData:
    if name not in PUBLIC:
        raise InputError(f"{name}: no such public set; choose from {', '.join(PUBLIC)}")
    return PUBLIC[name]


def find_folder(name: str) -> Path | None:
    """Return the folder of that name next to the public sets, `$NANOLAB_DATA/<name>` or `data/raw/<name>`, or None."""
    roots = [Path(os.environ["NANOLAB_DATA"])] if os.environ.get("NANOLAB_DATA") else []
    return next((root / name for root in (*roots, RAW) if (root / name).is_dir()), None)


def _copy(data: PublicData, path: str, source: Path, target: Path) -> None:
    origin = source / path
    if not origin.is_file():
        if path in data.not_upstream:
            return
        raise InputError(f"{origin}: not found; the copy must have the layout of {data.name}, check the folder")
    if sha256(origin) != data.registry[path]:
        raise InputError(f"{origin}: is not the published file (its SHA-256 differs); get a fresh copy")
    with atomic(target) as temporary:
        shutil.copyfile(origin, temporary)


def _download(path: str, digest: str, urls: Sequence[str], target: Path) -> None:
    """Fetch one file from the first address that has it."""
    downloader, failures = pooch.HTTPDownloader(timeout=30), []
    for url in urls:
        address = url.rstrip("/") + "/" + quote(path)
        try:
            pooch.retrieve(address, f"sha256:{digest}", target.name, target.parent, downloader=downloader)
            target.chmod(0o644)  # pooch leaves it to its owner alone
            return
        except (OSError, ValueError) as error:  # what requests raises is an OSError, a wrong hash a ValueError
            failures.append(f"{address}: {error}")
    raise InputError(
        f"{path}: cannot be downloaded ({'; '.join(failures)}); try again later, what is there already is kept, "
        "or import a local copy with --from"
    )
