"""Files that hold several images: pages of a TIFF, and the signals and stacks of DM3, DM4, EMD, SER and MRC files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from nanolab.core.checks import InputError
from nanolab.core.words import count_words
from nanolab.images.formats.signals import open_signals, stacked_shape
from nanolab.images.formats.vendors import image_page, positive, seconds
from nanolab.images.tiff import first_pages, open_tiff

__all__ = [
    "Frame",
    "frame_lines",
    "frame_name",
    "frames_of",
    "one_frame",
    "page_of_many",
    "refusal",
    "select_frames",
    "signal_frames",
    "split_frame",
    "tiff_frames",
]

_MOST_PAGES = 100_000  # a TIFF of more is taken for a damaged one
_SHOWN = 8  # images, or runs of alike ones, that a message names


@dataclass(frozen=True)
class Frame:
    """One image of a file that may hold several.

    Attributes
    ----------
    number
        Counted from 0, over all images of the file.
    name
        What the file calls it, such as HAADF; images of one stack share their name, and it may be empty.
    shape
        Height and width.
    time_s
        When it was taken, in s from the beginning of the movie, where the file says so.
    place
        Page of the TIFF, or signal, and which image of that; None where the page is one image.
    """

    number: int
    name: str
    shape: tuple[int, int]
    time_s: float | None
    place: tuple[int, int | None]

    @property
    def look(self) -> str:
        """Its name, if it has one, and its size, for people."""
        size = f"{self.shape[1]} x {self.shape[0]} px"
        return f"{self.name!r}, {size}" if self.name else size


def frame_name(stem: str, number: int | None) -> str:
    """Return what results of an image of a file are called.

    Examples
    --------
    >>> frame_name("movie", 3)
    'movie_f0003'
    """
    return stem if number is None else f"{stem}_f{number:04d}"


def split_frame(path: Path | str) -> tuple[Path, str | None]:
    """Cut ``movie.tif[3]`` into the file and what is asked of it; None where that is all one name."""
    found = re.fullmatch(r"(.+)\[([^\[\]]+)\]", str(path))
    if found is None or Path(path).exists() or not Path(found[1]).is_file():
        return Path(path), None
    return Path(found[1]), found[2].strip()


def tiff_frames(path: Path) -> list[Frame]:
    """Return the images of a TIFF: its pages of the size of the first; others are thumbnails."""
    return _tiff_frames(path, *_version(path))


def signal_frames(path: Path) -> list[Frame]:
    """Return the images of a file that RosettaSciIO reads, in its order; images of one signal together."""
    return _signal_frames(path, *_version(path))


def _version(path: Path) -> tuple[int, int]:
    """Return what changes with a file's content, so that a list is kept for as long as it holds."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=16)
def _tiff_frames(path: Path, *_: int) -> list[Frame]:
    with open_tiff(path) as tif:
        first, said = image_page(tif), tif.imagej_metadata or {}
        pages = first_pages(tif, _MOST_PAGES)
        _refuse_broken_chain(tif, path)
        alike = [index for index, page in enumerate(pages) if page.shape == first.shape and page.dtype == first.dtype]
        behind = max(first.imagedepth, int(said.get("images", 1)))  # images behind one another on one page
        places: list[tuple[int, int | None]] = [(page, None) for page in alike]
        if len(alike) == 1 and behind > 1:
            places = [(alike[0], index) for index in range(behind)]
        step, names = positive(said.get("finterval")), list(said.get("Labels") or ())
        movie = step if said.get("frames", 1) == len(places) else None  # and no stack of depths or channels
        shape = (first.imagelength, first.imagewidth)
        return [
            Frame(number, str(names[number]) if number < len(names) else "", shape, movie and movie * number, place)
            for number, place in enumerate(places)
        ]


def _refuse_broken_chain(tif: tifffile.TiffFile, path: Path) -> None:
    """Refuse a TIFF whose last directory names one more, which the file no longer has: images would be missing."""
    tif.filehandle.seek(tif.pages.next_page_offset or 0)
    if any(tif.filehandle.read(tif.tiff.offsetsize)):
        raise InputError(f"{path}: truncated TIFF, there are more images than it holds; copy or export it again")


@lru_cache(maxsize=16)
def _signal_frames(path: Path, *_: int) -> list[Frame]:
    return frames_of(open_signals(path))


def frames_of(signals: Sequence[dict[str, Any]]) -> list[Frame]:
    """Return the images of signals, in their order; images of one signal together."""
    images = [
        (signal, index, within)
        for index, signal in enumerate(signals)
        for within in range(int(np.prod(stacked_shape(signal))))
    ]
    return [
        Frame(
            number,
            _title(signal),
            signal["data"].shape[len(stacked_shape(signal)) :][:2],
            _time_s(signal, within),
            (index, within),
        )
        for number, (signal, index, within) in enumerate(images)
    ]


def _title(signal: dict[str, Any]) -> str:
    return str(signal.get("metadata", {}).get("General", {}).get("title") or "")


def _time_s(signal: dict[str, Any], within: int) -> float | None:
    """Return when an image of a movie was taken: its steps have a unit of time."""
    axes = signal["axes"][:-2]
    unit_s = seconds(str(axes[0].get("units") or "")) if len(axes) == 1 else None
    return None if unit_s is None else unit_s * (float(axes[0]["scale"]) * within)


def select_frames(frames: Sequence[Frame], which: int | str, where: Path | str) -> list[Frame]:
    """Return the images asked for: by number, name, a range such as ``0:100:10`` (without its end), or "all".

    Raises
    ------
    InputError
        If there is none; the message lists what there is.
    """
    text = str(which)
    if text == "all":
        return list(frames)
    if re.fullmatch(r"\d+", text):
        chosen = list(frames[int(text) : int(text) + 1])
    elif re.fullmatch(r"\d*:\d*(:[1-9]\d*)?", text):
        chosen = list(frames[slice(*(int(part) if part else None for part in text.split(":")))])
    else:
        chosen = [frame for frame in frames if frame.name == text]
    if not chosen:
        raise InputError(
            f"{where}: frame must be the number, counted from 0, or the name of an image in it, got {which!r}; "
            f"it holds {_listed(frames)}"
        )
    return chosen


def one_frame(frames: Sequence[Frame], which: int | str, where: Path | str) -> Frame:
    """Return the image asked for; of several with one name none."""
    chosen = select_frames(frames, which, where)
    if len(chosen) > 1:
        raise InputError(
            f"{where}: frame must be one image, got {which!r}, which are {len(chosen)}: {_listed(chosen)}; "
            "choose one by its number"
        )
    return chosen[0]


def refusal(frames: Sequence[Frame], path: Path) -> InputError:
    """Return what to say where one image was expected, and there are several."""
    shell = f", {path.name}[0] in the shell, or take them with --frames all" if path.is_file() else ""
    return InputError(f"{path}: must hold one image, got {_listed(frames)}; choose one with frame=0 in Python{shell}")


def _listed(frames: Sequence[Frame]) -> str:
    """Return how many images there are, and which, the first of many."""
    lines = frame_lines(frames)
    more = ", ..." if len(lines) > _SHOWN else ""
    return f"{count_words(len(frames), 'image')}: {', '.join(lines[:_SHOWN])}{more}"


def frame_lines(frames: Sequence[Frame]) -> list[str]:
    """Return the numbers, name and size of images for people, those that differ in their number alone together."""
    runs = (list(run) for _, run in groupby(frames, lambda frame: frame.look))
    return [f"{run[0].number}{f' to {run[-1].number}' if len(run) > 1 else ''} ({run[0].look})" for run in runs]


def page_of_many(page: Any, index: int, path: Path) -> Any:
    """Return the pixels of an image that lies behind others on one page, without reading these."""
    shape = page.shape[1:] if page.imagedepth > 1 else page.shape
    size = int(np.prod(shape)) * page.dtype.itemsize
    start = page.dataoffsets[0] + index * size
    if not page.is_contiguous or start + size > path.stat().st_size:
        raise InputError(f"{path}: image {index} of its stack cannot be read alone; save the stack again as TIFF")
    dtype = page.dtype.newbyteorder(page.parent.byteorder)
    return np.memmap(path, dtype, "r", offset=start, shape=shape)
