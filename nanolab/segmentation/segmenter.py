"""From a micrograph of any size to its particles."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import pi
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import yaml
from torch import nn
from torch.utils.hooks import RemovableHandle

from nanolab import __version__
from nanolab.core.checks import InputError, check_between, check_image, check_positive
from nanolab.core.files import sha256
from nanolab.core.typing import Image, LabelMap
from nanolab.images.labels import only, remove_small
from nanolab.images.lettering import without_lettering
from nanolab.images.micrograph import Micrograph
from nanolab.images.trust import Trust
from nanolab.models.checkpoint import load_network
from nanolab.models.device import Device, Precision, choose_device, choose_precision
from nanolab.models.epochs import checkpoint_of
from nanolab.models.normalisation import normalise
from nanolab.models.readouts.base import MIN_AREA_PX, HasOutlines
from nanolab.models.readouts.interior_border import InteriorBorder, with_dynamic
from nanolab.models.registry import SIZE_MULTIPLE_PX
from nanolab.models.settings import NetworkSettings
from nanolab.models.shipped import shipped_model
from nanolab.models.tiling import OVERLAP_PX, TILE_PX, predict
from nanolab.segmentation.blocks import BLOCK_PX, Canvas, blocks, count_owned, own_outlines
from nanolab.segmentation.candidates import BELIEVED, Candidates, find_candidates, likeliest, likelihood
from nanolab.segmentation.magnification import (
    MAGNIFICATION_RANGE,
    Fused,
    Magnification,
    best_of,
    fused,
    in_shape,
    magnified,
    pixels_seen,
    steadiest,
    survey,
    worth_looking,
)
from nanolab.segmentation.postprocessing import make_postprocessing
from nanolab.segmentation.trust import Evidence, Sightings, assess

if TYPE_CHECKING:
    from nanolab.models.readouts.outlines import Outlines

__all__ = ["Segmentation", "Segmenter", "options_said", "segment"]


#: What is predicted, shape (C, height, width), and all particles in it.
_Seen = tuple[Image, LabelMap]

_VIEWS = 8  # mirrored and turned
_NEARLY_ALL = 0.97  # how many pixels a network will see is known about; what remains is told when it is done
_LEAST_LIKELY = 0.1  # of candidates that `keep_unlikely` keeps
#: From so many channels on, blocks are half as long.
_MANY_CHANNELS = 8


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The particles of an image.

    Attributes
    ----------
    labels
        Label map, shape (height, width), touching particles separated.
    scores
        Shape (N,), how sure the network is of labels 1 to N: the mean over the particle's pixels of its first channel,
        the probability to be particle, or StarDist's object probability.
    dropped
        How many more were found and are too small to be kept.
    unlikely
        How many more were found and left out because they are hardly particles, by their likelihood.
    evidence
        What tells how far the particles can be believed, for `nanolab.segmentation.trust.assess`.
    outlines
        Whole outlines, which may overlap, where they were asked for.
    """

    labels: LabelMap
    scores: Image
    dropped: int
    unlikely: int
    evidence: Evidence
    outlines: "Outlines | None" = None

    @cached_property
    def trust(self) -> Trust:
        """How far the particles can be believed."""
        return assess(self.evidence, self.labels)


def options_said(made_by: str) -> dict[str, Any]:
    """Return the options of a `Segmenter` that its `made_by` names.

    Examples
    --------
    >>> options_said("nanolab 1.0, models/particles.safetensors, magnification auto, dynamic 0.3, flips True")
    {'magnification': 'auto', 'dynamic': 0.3, 'flips': True}
    """
    said = dict(part.split(" ", 1) for part in made_by.split(", ")[2:])
    return {name: yaml.safe_load(value) for name, value in said.items()}


@lru_cache(maxsize=2)
def _loaded(checkpoint: Path, given: tuple[tuple[str, Any], ...]) -> "Segmenter":
    return Segmenter(checkpoint, **dict(given))


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
    min_diameter_nm, min_diameter_px
        Particles of a smaller equivalent diameter are dropped too: in nm where the pixel size is known, else in px.
    device, precision
        Where and how it is computed; `auto` takes what is fastest.
    tile_px
        Longest side of what the network sees at once, a multiple of 32 above 128.
    flips
        Show the network everything mirrored and turned by quarter turns, all eight ways, and take the mean; it takes
        eight times as long.
    magnification
        By how much images are enlarged before the network sees them, or made smaller: for particles that are far from
        the size in px of those it was trained on. `auto` tries several on each image and keeps the regions
        that are the likeliest to be particles, of whatever magnification and however they are cut apart
        (`nanolab.segmentation.candidates`; with other read-outs, a `dynamic` or a `postprocessing` those that are
        steady from one magnification to the next, `nanolab.segmentation.magnification.steadiest`); it takes three to
        nine times as long. The label map always has the size of the image; `min_area_px` counts its pixels and those
        that the network saw.
    postprocessing
        One of `nanolab.segmentation.postprocessing.POSTPROCESSING`, to find the particles in the predicted foreground
        by a published method instead of the read-out's own.
    dynamic
        How readily the read-out `interior+border` cuts particles apart, 0 to 1, instead of its own value (see
        `nanolab.models.readouts.interior_border.InteriorBorder`): higher where particles come in pieces, lower where
        neighbours stay together.
    keep_unlikely
        With `auto`, keep unlikely particles too, down to a likelihood of 0.1 instead of 0.3.

    Attributes
    ----------
    readout
        What the network predicts.
    made_by
        What will have found the particles, in words: version, network, options.

    Raises
    ------
    InputError
        If there is no such model or epoch, its files are damaged, or an option is out of its range.

    Examples
    --------
    >>> segmenter = Segmenter("papermill_runs/quickstart/1/training")  # doctest: +SKIP
    >>> labels = segmenter.segment(read("image.tif").crop_data_bar().pixels)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: "PathLike[str] | str",
        epoch: int | None = None,
        *,
        min_area_px: int = MIN_AREA_PX,
        min_diameter_nm: float | None = None,
        min_diameter_px: float | None = None,
        device: Device = "auto",
        precision: Precision = "auto",
        tile_px: int = TILE_PX,
        flips: bool = False,
        magnification: Magnification = 1.0,
        postprocessing: str | None = None,
        dynamic: float | None = None,
        keep_unlikely: bool = False,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "model", "epoch")}
        if magnification != "auto":
            check_between(magnification, "magnification", *MAGNIFICATION_RANGE)
        for diameter, unit in ((min_diameter_nm, "nm"), (min_diameter_px, "px")):
            if diameter is not None:
                check_positive(diameter, f"min_diameter_{unit}", unit)
        if tile_px % SIZE_MULTIPLE_PX or tile_px <= OVERLAP_PX:
            raise InputError(f"tile_px must be a multiple of {SIZE_MULTIPLE_PX} above {OVERLAP_PX}, got {tile_px}")
        if dynamic is not None and postprocessing is not None:
            raise InputError(f"dynamic: {postprocessing} separates particles in its own way; leave one of the two out")
        self._postprocessing = None if postprocessing is None else make_postprocessing(postprocessing)
        checkpoint = checkpoint_of(model, epoch)
        network, readout, self.record = load_network(checkpoint)
        self._made = checkpoint.resolve(), tuple(given.items())
        chosen = {"magnification": magnification, "flips": flips, "postprocessing": postprocessing, "dynamic": dynamic}
        chosen |= {"min_diameter_nm": min_diameter_nm, "min_diameter_px": min_diameter_px}
        chosen["keep_unlikely"] = keep_unlikely
        chosen["min_area_px"] = None if min_area_px == MIN_AREA_PX else min_area_px
        said = [f"{name} {value}" for name, value in chosen.items() if value not in (None, False, 1)]
        self.made_by = ", ".join([f"nanolab {__version__}", Path(*checkpoint.parts[-3:]).as_posix(), *said])
        usual = all(chosen[name] in (None, False) for name in ("flips", "postprocessing", "dynamic"))
        self._calibration = sha256(checkpoint) if usual else ""  # what trust is calibrated for
        self.readout = readout if dynamic is None else with_dynamic(readout, dynamic)
        grey = NetworkSettings.of(self.record["settings"])  # trained so, used so
        self._normalised = partial(normalise, clahe=grey.clahe, stretch=grey.stretch)
        self._device = choose_device(device)
        self._precision = choose_precision(precision, self._device)
        # channels last, as in training: faster on CPUs
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._min_area_px, self._min_diameter = min_area_px, (min_diameter_nm, min_diameter_px)
        self._tile_px, self._flips, self._magnification = tile_px, flips, magnification
        self._keep_unlikely = keep_unlikely
        own_way = postprocessing is None and dynamic is None
        self._nested = readout if own_way and isinstance(readout, InteriorBorder) else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes it in another process: there it is loaded from the same file, once."""
        return _loaded, self._made

    def probabilities(self, image: npt.NDArray[np.floating]) -> Image:
        """Return what the network predicts, shape (C, height, width); channel names are in `readout.names`.

        Parameters
        ----------
        image
            Micrograph without data bar, shape (height, width), any size and any range of values.
        """
        check_image(image, "image")
        grey = self._normalised(image)
        seen = magnified(grey, best_of(self._agreement(grey, {})))
        return self._unmagnified(self._predicted(seen), grey.shape)

    def magnification(self, image: npt.NDArray[np.floating]) -> float:
        """Return by how much an image, shape (height, width), is enlarged before the network sees it, at its best."""
        check_image(image, "image")
        return best_of(self._agreement(self._normalised(image), {}))

    def segment(self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None) -> LabelMap:
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
        return self.find(image, pixel_size_nm=pixel_size_nm).labels

    def find(
        self, image: npt.NDArray[np.floating], *, pixel_size_nm: float | None = None, outlines: bool = False
    ) -> Segmentation:
        """Return the particles with more than their label map.

        Parameters
        ----------
        image, pixel_size_nm
            See `segment`.
        outlines
            Also the whole outlines, the best first. They may overlap, and go as far as the network believes a particle
            to go; one that learned from label maps, in which nothing is hidden, hardly follows a particle beneath
            another one.

        Raises
        ------
        InputError
            See `segment`; or if there are to be outlines and the network has no such read-out.
        """
        outlining = self.check_outlines() if outlines else None
        check_image(image, "image")
        grey = self._normalised(image)
        whole: dict[float, _Seen] = {}
        agreement = self._agreement(grey, whole, pixel_size_nm)
        best = best_of(agreement)
        canvas, parts, dropped, sightings = Canvas(grey.shape), [], 0, Sightings()
        for block in blocks(grey.shape, BLOCK_PX // (2 if self.readout.channels > _MANY_CHANNELS else 1)):
            part = grey[block.seen]
            known = whole if part.shape == grey.shape else {}
            seen = {each: known.get(each) or self._seen(part, each, pixel_size_nm) for each in worth_looking(agreement)}
            maps, fusion = self._brought_together(seen, part, agreement)
            large = fusion.without_small(self._least_area_px(pixel_size_nm))
            small = seen[best][1]
            dropped += count_owned(small, block) - count_owned(remove_small(small, self._min_area_px), block)
            dropped += count_owned(fusion.labels, block) - count_owned(large.labels, block)
            probabilities = self._unmagnified(seen[best][0], part.shape)
            canvas.paste(large.labels, probabilities[0], block, large.scores)
            sightings.add(maps, large.labels, probabilities[0])
            if outlining is not None:
                parts.append(own_outlines(outlining.outlines(probabilities), block))
        labels, scores, likelihoods = canvas.particles()
        evidence = Evidence(self._calibration, agreement, best, scores, likelihoods, sightings)
        believed = ~(likelihoods < BELIEVED) | self._keep_unlikely
        labels, scores, evidence = only(labels, believed), scores[believed], evidence.of(believed)
        unlikely = int(np.count_nonzero(~believed))
        if outlining is None:
            return Segmentation(labels, scores, dropped, unlikely, evidence)
        from nanolab.models.readouts.outlines import join

        return Segmentation(labels, scores, dropped, unlikely, evidence, join(parts))

    def on_tile(self, shape: tuple[int, ...], tell: Callable[[float], object]) -> RemovableHandle:
        """Have `tell` called with about the part of an image that is done, after each tile that the network has seen.

        What it raises ends the search. Use it as `with segmenter.on_tile(image.shape, tell): segmenter.segment(image)`.
        """
        whole, seen = pixels_seen(shape, self._magnification) * (_VIEWS if self._flips else 1), 0

        def tile(_network: nn.Module, given: tuple[torch.Tensor, ...], _answer: torch.Tensor) -> None:
            nonlocal seen
            seen += given[0].numel()
            tell(min(seen / whole, _NEARLY_ALL))

        return self._network.register_forward_hook(tile)

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

    def candidates(self, image: npt.NDArray[np.floating]) -> list[Candidates]:
        """Return among which regions of an image, shape (height, width), `auto` chooses, for each magnification.

        Raises
        ------
        InputError
            If the network has another read-out than `interior+border`, or the options settle what is found.
        """
        if self._nested is None:
            raise InputError(
                "candidates: only the read-out interior+border has some, without dynamic and postprocessing"
            )
        grey = self._normalised(image)
        whole: dict[float, _Seen] = {}
        agreement = self._agreement(grey, whole)
        seen = {each: whole.get(each) or self._seen(grey, each, None) for each in worth_looking(agreement)}
        return find_candidates(seen, grey, self._nested, agreement, self._min_area_px)

    def _brought_together(
        self, seen: dict[float, _Seen], part: Image, agreement: dict[float, float]
    ) -> tuple[dict[float, LabelMap], Fused]:
        """Return the particles of each magnification in the shape of a part of an image, and of all together."""
        if self._nested is None or len(seen) == 1:
            kept = {each: remove_small(labels, self._min_area_px) for each, (_, labels) in seen.items()}
            maps = {each: in_shape(labels, part.shape) for each, labels in kept.items()}
            return maps, steadiest(maps, agreement)
        best = {
            each.magnification: likeliest(each, likelihood(each.features), _LEAST_LIKELY)
            for each in find_candidates(seen, part, self._nested, agreement, self._min_area_px)
        }
        maps = {each: in_shape(labels, part.shape) for each, (labels, _) in best.items()}
        return maps, fused(maps, {each: likelihoods for each, (_, likelihoods) in best.items()}, part.shape)

    def _instances(self, probabilities: Image, pixel_size_nm: float | None) -> LabelMap:
        if self._postprocessing is None:
            return self.readout.instances(probabilities)
        return self._postprocessing(self.readout.foreground(probabilities), pixel_size_nm)

    def _agreement(
        self, grey: Image, whole: "dict[float, _Seen]", pixel_size_nm: float | None = None
    ) -> dict[float, float]:
        """Return the agreement of each magnification; `whole` takes what is seen of the whole image on the way."""
        if self._magnification != "auto":
            return {self._magnification: 1.0}
        least = max(self._min_area_px, MIN_AREA_PX)  # what can be measured decides, whatever is kept

        def look(part: Image, magnification: float) -> LabelMap:
            seen = self._seen(part, magnification, pixel_size_nm)
            if part.shape == grey.shape:
                whole[magnification] = seen
            return in_shape(remove_small(seen[1], least), part.shape)

        return survey(look, grey)

    def _seen(self, part: Image, magnification: float, pixel_size_nm: float | None) -> "_Seen":
        probabilities = self._predicted(magnified(part, magnification))
        return probabilities, self._instances(probabilities, pixel_size_nm and pixel_size_nm / magnification)

    def _predicted(self, grey: Image) -> Image:
        return predict(
            self._network, self.readout, grey, precision=self._precision, tile_px=self._tile_px, flips=self._flips
        )

    def _unmagnified(self, probabilities: Image, shape: tuple[int, ...]) -> Image:
        """Return what was predicted for a magnified image in the shape (height, width) that the image has."""
        if probabilities.shape[1:] == shape:
            return probabilities
        resized = np.stack([cv2.resize(each, shape[::-1], interpolation=cv2.INTER_LINEAR) for each in probabilities])
        return self.readout.rescaled(resized, shape[0] / probabilities.shape[1])

    def _least_area_px(self, pixel_size_nm: float | None) -> int:
        diameter = self._min_diameter[pixel_size_nm is None] or 0
        return max(self._min_area_px, round(pi / 4 * (diameter / (pixel_size_nm or 1)) ** 2))


def segment(
    image: Micrograph | npt.NDArray[np.floating],
    model: "Segmenter | PathLike[str] | str | None" = None,
    *,
    magnification: Magnification | None = None,
    **options: Any,
) -> LabelMap:
    """Find the particles of one micrograph and return them as a label map, shape (height, width), 0 = background.

    For many images, make one `Segmenter`, or use `nanolab.segmentation.files.segment_files`.

    Parameters
    ----------
    image
        A micrograph, in whose data bar and lettering (where that was read) nothing is found, or an array of shape
        (height, width) without these.
    model
        A training, its folder, a checkpoint file, or a `Segmenter`; the network that ships if None.
    magnification
        See `Segmenter`; by default "auto" for the network that ships and 1 for others.
    **options
        Further ones of `Segmenter`.

    Raises
    ------
    InputError
        If there is no such model, an option is out of its range, or the image is no image.

    Examples
    --------
    >>> image = nl.read("data/examples/discs.tif")  # doctest: +SKIP
    >>> labels = nl.segment(image)  # doctest: +SKIP
    """
    if not isinstance(model, Segmenter):
        factor = magnification or ("auto" if model is None else 1.0)
        model = Segmenter(shipped_model() if model is None else model, magnification=factor, **options)
    elif magnification is not None or options:
        raise InputError("a Segmenter has its options already; give them to it, or a training in its place")
    if not isinstance(image, Micrograph):
        return model.segment(image)
    seen = image.crop_data_bar()
    found = model.segment(seen.pixels, pixel_size_nm=seen.pixel_size_nm)
    found, _ = without_lettering(found, image.lettering)
    return np.pad(found, ((0, len(image.pixels) - len(found)), (0, 0)))
