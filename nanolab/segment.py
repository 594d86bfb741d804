"""From micrographs to particles: any image size, one image or many files."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm.auto import tqdm

from nanolab.checks import InputError, check_image, check_positive
from nanolab.files import atomic, output_folder
from nanolab.labels import remove_small, write_labels
from nanolab.magnification import Magnification, choose_magnification, in_shape, magnified
from nanolab.micrograph import read_micrograph
from nanolab.models import SIZE_MULTIPLE_PX
from nanolab.models.device import Device, Precision, choose_device, choose_precision
from nanolab.models.normalisation import normalise
from nanolab.models.postprocessing import make_postprocessing
from nanolab.models.readouts import MIN_AREA_PX, HasOutlines, find_particles
from nanolab.models.tiling import OVERLAP_PX, TILE_PX, predict
from nanolab.sizes import measure
from nanolab.train.checkpoint import load_network
from nanolab.train.run import TrainingRun

if TYPE_CHECKING:
    from nanolab.models.outlines import Outlines

__all__ = ["Segmenter", "segment_files"]

Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

#: Larger images are segmented in blocks of this side, each seen with a margin on all sides: memory stays bounded, and
#: a particle comes out whole as long as it is smaller than the margin. They are half as long for read-outs of many
#: channels.
_BLOCK_PX = 4096
_MANY_CHANNELS = 8
_MARGIN_PX = 512


class Segmenter:
    """A trained network, ready to find particles.

    Parameters
    ----------
    model
        A training, its folder, or the checkpoint file of one epoch.
    epoch
        Which epoch of a training; the selected one if not given.
    min_area_px
        Smaller particles are dropped; the default is an equivalent diameter of 6 px.
    min_diameter_nm
        Particles of a smaller equivalent diameter are dropped too, where the pixel size is known.
    device, precision
        Where and how it is computed; `auto` takes what is fastest.
    tile_px
        Longest side of what the network sees at once, a multiple of 32 above 128.
    flips
        Show the network everything mirrored and turned by quarter turns, all eight ways, and take the mean; it takes
        eight times as long.
    magnification
        By how much images are enlarged before the network sees them, or made smaller: for particles that are far from
        the size in px of those it was trained on. `auto` chooses for each image (see
        `nanolab.magnification.choose_magnification`), which takes two to four times as long. The label map always has
        the size of the image; `min_area_px` counts its pixels and those that the network saw.
    postprocessing
        One of `nanolab.models.postprocessing.POSTPROCESSING`, to find the particles in the predicted foreground by a
        published method instead of the read-out's own.

    Attributes
    ----------
    readout
        What the network predicts.

    Raises
    ------
    InputError
        If there is no such model or epoch, its files are damaged, or an option is out of its range.

    Examples
    --------
    >>> segmenter = Segmenter("papermill_runs/quickstart/1/training")  # doctest: +SKIP
    >>> labels = segmenter.segment(read_micrograph("image.tif").crop_data_bar().pixels)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: TrainingRun | Path | str,
        epoch: int | None = None,
        *,
        min_area_px: int = MIN_AREA_PX,
        min_diameter_nm: float | None = None,
        device: Device = "auto",
        precision: Precision = "auto",
        tile_px: int = TILE_PX,
        flips: bool = False,
        magnification: Magnification = 1.0,
        postprocessing: str | None = None,
    ) -> None:
        if magnification != "auto":
            check_positive(magnification, "magnification", "pixels seen for a pixel")
        if min_diameter_nm is not None:
            check_positive(min_diameter_nm, "min_diameter_nm", "nm")
        if tile_px % SIZE_MULTIPLE_PX or tile_px <= OVERLAP_PX:
            raise InputError(f"tile_px must be a multiple of {SIZE_MULTIPLE_PX} above {OVERLAP_PX}, got {tile_px}")
        network, self.readout, self.record = load_network(_checkpoint(model, epoch))
        self._clahe = bool(self.record["settings"].get("clahe", False))  # trained so, used so
        self._device = choose_device(device)
        self._precision = choose_precision(precision, self._device)
        # channels last, as in training: faster on CPUs
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._min_area_px, self._min_diameter_nm = min_area_px, min_diameter_nm
        self._tile_px, self._flips, self._magnification = tile_px, flips, magnification
        self._postprocessing = None if postprocessing is None else make_postprocessing(postprocessing)

    def probabilities(self, image: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return what the network predicts, shape (C, height, width); channel names are in `readout.names`.

        Parameters
        ----------
        image
            Micrograph without data bar, shape (height, width), any size and any range of values.
        """
        check_image(image, "image")
        grey = normalise(image, clahe=self._clahe)
        seen = magnified(grey, self._magnification_of(grey))
        return self._unmagnified(self._predicted(seen), grey.shape)

    def magnification(self, image: npt.NDArray[np.floating]) -> float:
        """Return by how much an image, shape (height, width), is enlarged before the network sees it."""
        check_image(image, "image")
        return self._magnification_of(normalise(image, clahe=self._clahe))

    def segment(self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None) -> Labels:
        """Return the particles as a label map, shape (height, width), touching ones separated.

        Parameters
        ----------
        image
            Micrograph without data bar, shape (height, width), any size and any range of values.
        pixel_size_nm
            Edge of a pixel; needed for `min_diameter_nm` alone.

        Raises
        ------
        InputError
            If the image is no image or nearly all its pixels have one value.
        """
        return self._segmented(image, pixel_size_nm)[0]

    def outlines(self, image: npt.NDArray[np.floating]) -> "Outlines":
        """Return the whole outlines of the particles, which may overlap, the best first.

        They go as far as the network believes the particle to go; one that learned from label maps, in which nothing is
        hidden, hardly follows a particle beneath another one.

        Raises
        ------
        InputError
            If the image is no image, nearly all its pixels have one value, or the network has no such read-out.
        """
        return self.segment_with_outlines(image)[1]

    def segment_with_outlines(
        self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None
    ) -> tuple[Labels, "Outlines"]:
        """Return what `segment` and `outlines` return, in the time of one."""
        from nanolab.models.outlines import join

        labels, outlines = self._segmented(image, pixel_size_nm, self.check_outlines())
        return labels, join(outlines)

    def check_outlines(self) -> HasOutlines:
        """Return the read-out if it has outlines.

        Raises
        ------
        InputError
            If it has none.
        """
        if not isinstance(self.readout, HasOutlines):
            raise InputError("outlines: this network has none; train one with the read-out stardist, or leave them out")
        return self.readout

    def _segmented(
        self, image: npt.NDArray[np.floating], pixel_size_nm: float | None, outlining: HasOutlines | None = None
    ) -> tuple[Labels, list["Outlines"]]:
        """Return the label map and, of each block, the outlines if asked for."""
        check_image(image, "image")
        grey = normalise(image, clahe=self._clahe)
        magnification = self._magnification_of(grey)
        least = self._least_area_px(pixel_size_nm)
        labels = np.zeros(grey.shape, dtype=np.int32)
        count, outlines = 0, []
        for block in _blocks(grey.shape, _BLOCK_PX // (2 if self.readout.channels > _MANY_CHANNELS else 1)):
            part = grey[block.seen]
            probabilities = self._predicted(magnified(part, magnification))
            found = in_shape(self._found(probabilities, self._min_area_px), part.shape)
            count += _paste(labels, remove_small(found, least), block, count)
            if outlining is not None:
                outlines.append(_own(outlining.outlines(self._unmagnified(probabilities, part.shape)), block))
        return labels, outlines

    def _found(self, probabilities: npt.NDArray[np.float32], least_area_px: int) -> Labels:
        if self._postprocessing is None:
            return find_particles(self.readout, probabilities, least_area_px)
        return remove_small(self._postprocessing(self.readout.foreground(probabilities)), least_area_px)

    def _magnification_of(self, grey: Image) -> float:
        if self._magnification != "auto":
            return self._magnification
        return choose_magnification(lambda seen: self._found(self._predicted(seen), self._min_area_px), grey)

    def _predicted(self, grey: Image) -> npt.NDArray[np.float32]:
        return predict(
            self._network, self.readout, grey, precision=self._precision, tile_px=self._tile_px, flips=self._flips
        )

    def _unmagnified(self, probabilities: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return what was predicted for a magnified image in the shape (height, width) that the image has."""
        if probabilities.shape[1:] == shape:
            return probabilities
        resized = np.stack([cv2.resize(each, shape[::-1], interpolation=cv2.INTER_LINEAR) for each in probabilities])
        return self.readout.rescaled(resized, shape[0] / probabilities.shape[1])

    def _least_area_px(self, pixel_size_nm: float | None) -> int:
        if self._min_diameter_nm is None or pixel_size_nm is None:
            return self._min_area_px
        return max(self._min_area_px, round(pi / 4 * (self._min_diameter_nm / pixel_size_nm) ** 2))


def _checkpoint(model: TrainingRun | Path | str, epoch: int | None) -> Path:
    """Return the file of the weights."""
    if not isinstance(model, TrainingRun):
        if Path(model).suffix == ".safetensors":
            return Path(model)
        model = TrainingRun(model)
    return model.checkpoint(model.selected_epoch if epoch is None else epoch)


@dataclass(frozen=True)
class _Block:
    """A part of an image: `own` are the pixels whose particles it gives, `seen` those plus a margin, in the image."""

    own: tuple[slice, slice]
    seen: tuple[slice, slice]


def _blocks(shape: tuple[int, ...], side_px: int) -> Iterator[_Block]:
    starts = (range(0, length, side_px) for length in shape)
    for corner in product(*starts):
        ends = [min(start + side_px, length) for start, length in zip(corner, shape, strict=True)]
        own = tuple(slice(start, end) for start, end in zip(corner, ends, strict=True))
        seen = tuple(slice(max(0, each.start - _MARGIN_PX), each.stop + _MARGIN_PX) for each in own)
        yield _Block((own[0], own[1]), (seen[0], seen[1]))


def _paste(labels: Labels, found: Labels, block: _Block, count: int) -> int:
    """Number the particles whose middle lies in the block's own pixels on from `count`; return how many there are."""
    if found.shape == labels.shape:
        labels[...] = found
        return int(found.max())
    rows, cols = np.nonzero(found)
    each = found[rows, cols]
    area = np.bincount(each, minlength=1)  # there may be no particle
    own = area > 0
    for axis, at in enumerate((rows, cols)):
        middle = np.bincount(each, weights=at, minlength=1) / np.maximum(area, 1) + block.seen[axis].start
        own &= (middle >= block.own[axis].start) & (middle < block.own[axis].stop)
    number = np.where(own, np.cumsum(own) + count, 0).astype(np.int32)
    view = labels[block.seen]
    np.copyto(view, number[found], where=(view == 0) & own[found])
    return int(own.sum())


def _own(outlines: "Outlines", block: _Block) -> "Outlines":
    """Return the outlines, in coordinates of the image, whose centre lies in the block's own pixels."""
    moved = outlines.moved(block.seen[0].start, block.seen[1].start)
    first, end = ([getattr(side, edge) for side in block.own] for edge in ("start", "stop"))
    return moved.take(((moved.centres >= first) & (moved.centres < end)).all(axis=1))


def segment_files(
    images: Iterable[Path | str],
    model: Segmenter | TrainingRun | Path | str,
    out: Path | str,
    *,
    pixel_size_nm: float | None = None,
    find_scale_bar: bool = False,
    outlines: bool = False,
    progress: bool = True,
) -> dict[str, str]:
    """Find and measure the particles of many micrographs.

    Writes `OUT/<stem>.labels.tif` for each image, of the size of the image, and `OUT/particles.csv`, one row a
    particle (see `nanolab.sizes.measure`). Where images share a stem, their suffixes or their folders tell them apart:
    `image_png.labels.tif`, `folder__image.labels.tif`. Particles are neither sought nor found in a data bar.

    Parameters
    ----------
    images
        Image files; one given twice is segmented once.
    model
        What finds the particles.
    out
        Folder for the results.
    pixel_size_nm
        Pixel size typed by hand, over what the files say.
    find_scale_bar
        Where a file says nothing, read the scale bar in the picture.
    outlines
        Also write the whole outlines, which may overlap, to `OUT/<stem>.outlines.json` in COCO's format with scores;
        only with the read-out `stardist`.
    progress
        Show a progress bar.

    Returns
    -------
    failures
        What was wrong with each file that could not be used, by its path; the others are done.

    Raises
    ------
    InputError
        If the model cannot be loaded, the folder cannot be written, or the disk is full.
    """
    names = _names(Path(image) for image in images)
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
    out = output_folder(out)
    if outlines:
        segmenter.check_outlines()
        from nanolab.models.outlines import write_outlines
    tables: list[pd.DataFrame] = []
    failures: dict[str, str] = {}
    for path, name in tqdm(names.items(), desc="segment", unit="image", disable=not progress):
        try:
            micrograph = read_micrograph(path, pixel_size_nm=pixel_size_nm, find_scale_bar=find_scale_bar)
            cropped = micrograph.crop_data_bar()
            if outlines:
                labels, found = segmenter.segment_with_outlines(cropped.pixels, pixel_size_nm=cropped.pixel_size_nm)
            else:
                labels = segmenter.segment(cropped.pixels, pixel_size_nm=cropped.pixel_size_nm)
        except InputError as error:
            failures[str(path)] = _naming(path, error)
            continue
        bar = len(micrograph.pixels) - len(labels)
        whole = np.pad(labels, ((0, bar), (0, 0)))
        write_labels(out / f"{name}.labels.tif", whole, pixel_size_nm=micrograph.pixel_size_nm)
        if outlines:
            write_outlines(out / f"{name}.outlines.json", found, whole.shape, path.name)
        tables.append(measure(labels, pixel_size=cropped.pixel_size, name=name))
    if tables:
        with atomic(out / "particles.csv") as temporary:
            pd.concat([each for each in tables if len(each)] or tables, ignore_index=True).to_csv(
                temporary, index=False
            )
    return failures


def _naming(path: Path, error: InputError) -> str:
    text = str(error)
    return text if str(path) in text else f"{path}: {text}"


def _names(paths: Iterable[Path]) -> dict[Path, str]:
    """Give each file a name of its own: its stem, if need be with its suffix, or with as many folders as it takes."""
    unique = {path.resolve(): path for path in paths}
    names: dict[Path, str] = {}
    deepest = max((len(path.parts) for path in unique), default=0)
    more_and_more = (partial(_with_folders, count) for count in range(1, deepest))
    ways: list[Callable[[Path], str]] = [_stem, _file, *more_and_more, _everything]
    for name_of in ways:
        tried = {path: name_of(path) for path in unique if path not in names}
        uses = Counter(name.casefold() for name in [*tried.values(), *names.values()])
        names |= {path: name for path, name in tried.items() if uses[name.casefold()] == 1 or name_of is _everything}
    return {unique[path]: names[path] for path in unique}


def _stem(path: Path) -> str:
    return path.stem


def _file(path: Path) -> str:
    return path.name.replace(".", "_")


def _with_folders(count: int, path: Path) -> str:
    return "__".join([*path.parts[1:-1][-count:], path.stem])


def _everything(path: Path) -> str:
    """Two files can still share this only where upper and lower case are two things."""
    return "__".join([*path.parts[1:-1], _file(path)])
