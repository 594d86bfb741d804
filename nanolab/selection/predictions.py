"""What each epoch finds: in the validation image, kept while training, and in any other image."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from nanolab.core.checks import InputError
from nanolab.core.typing import LabelMap
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.labels import write_labels
from nanolab.images.tiff import read_tiff
from nanolab.models.readouts.base import MIN_AREA_PX, find_particles
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.run import TrainingRun

__all__ = ["MIRRORS", "Prediction", "as_found", "predictions_of", "validation_predictions", "validation_sample"]


T = TypeVar("T")

#: The axes that are reversed in each mirror image, the image as it is first.
MIRRORS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an epoch makes of an image.

    Attributes
    ----------
    foreground
        Probability that a pixel is particle, before post-processing, shape (height, width), 0 to 255.
    labels
        The particles after post-processing, a label map of that shape.
    """

    foreground: npt.NDArray[np.uint8]
    labels: LabelMap


class _Lazy(Mapping[int, T]):
    """Something by epoch that is made when it is looked at."""

    def __init__(self, epochs: Iterable[int], make: Callable[[int], T]) -> None:
        self._epochs, self._make = dict.fromkeys(epochs), make

    def __getitem__(self, epoch: int) -> T:
        if epoch not in self._epochs:
            raise KeyError(epoch)
        return self._make(epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs)


def validation_predictions(run: TrainingRun, *, min_area_px: int = MIN_AREA_PX) -> Mapping[int, Prediction]:
    """Return what every epoch finds in the validation image, by epoch, whether or not its weights were kept.

    Each is read when it is looked at. Its label map then stays in memory, compressed, so that the second look is fast
    and 500 epochs need little.

    Raises
    ------
    InputError
        If no epoch is finished, or the training had no validation image.
    """
    if not run.predicted_epochs:
        raise InputError(f"{run.folder}: must hold predictions of a validation image; train with one")
    packed: dict[int, bytes] = {}

    def read(epoch: int) -> Prediction:
        probabilities = run.validation_prediction(epoch)
        foreground = np.rint(np.clip(run.readout.foreground(probabilities), 0, 1) * 255).astype(np.uint8)
        if epoch not in packed:
            found = find_particles(run.readout, probabilities, min_area_px).astype(np.int32)
            packed[epoch] = zlib.compress(found.tobytes(), 1)
        labels = np.frombuffer(zlib.decompress(packed[epoch]), dtype=np.int32)
        return Prediction(foreground, labels.reshape(foreground.shape))

    return _Lazy(run.predicted_epochs, read)


def validation_sample(run: TrainingRun, samples: Sequence[AnnotatedImage]) -> AnnotatedImage:
    """Return the validation image of a training from a set of images, found by its name.

    Raises
    ------
    InputError
        If the training had no validation image, or the set does not hold it.
    """
    name = run.validation_name
    if name is None:
        raise InputError(f"{run.folder}: was trained without a validation image; train with one")
    found = next((sample for sample in samples if sample.name == name), None)
    if found is None:
        raise InputError(f"the validation image {name!r} of {run.folder} is not among the {len(samples)} images given")
    return found


def predictions_of(
    run: TrainingRun, samples: Sequence[AnnotatedImage], *, mirrors: bool = False, progress: bool = True
) -> dict[str, dict[int, list[LabelMap]]]:
    """Find the particles of other images with every epoch, as a `Segmenter` does.

    Each label map is kept in `<run>/elsewhere/<image>/`, so that an interruption costs one of them.

    Parameters
    ----------
    mirrors
        Also show the network the mirror images (see `MIRRORS`); it takes four times as long.

    Returns
    -------
    found
        By image name and epoch: the label map of the image as it is and, with `mirrors`, those of its mirror images,
        mirrored back.
    """
    found: dict[str, dict[int, list[LabelMap]]] = {sample.name: {} for sample in samples}
    for epoch in tqdm(run.epochs, desc="segment", unit="epoch", disable=not progress):
        segmenter = cache(partial(Segmenter, run, epoch))  # loaded if something is missing
        for sample in samples:
            found[sample.name][epoch] = [
                _found(segmenter, sample, axes, _path(run, sample, epoch, axes))
                for axes in (MIRRORS if mirrors else MIRRORS[:1])
            ]
    return found


def _found(segmenter: Callable[[], Segmenter], sample: AnnotatedImage, axes: tuple[int, ...], path: Path) -> LabelMap:
    """Return the particles of a mirror image, mirrored back, from the file in which they are kept from then on."""
    if not path.exists():
        labels = segmenter().segment(np.ascontiguousarray(np.flip(sample.image, axes)))
        write_labels(path, np.flip(labels, axes), pixel_size_nm=sample.pixel_size.nm)
    return read_tiff(path).astype(np.int32)


def _path(run: TrainingRun, sample: AnnotatedImage, epoch: int, axes: tuple[int, ...]) -> Path:
    mirrored = "".join(f".{axis}" for axis in axes)
    return run.folder / "elsewhere" / Path(sample.name).name / f"{epoch:04d}{mirrored}.tif"


def as_found(predictions: Mapping[int, Prediction], epochs: Iterable[int] | None = None) -> Mapping[int, LabelMap]:
    """Return the label maps alone, of all epochs or of some; each is looked up when it is looked at."""
    return _Lazy(predictions if epochs is None else epochs, lambda epoch: predictions[epoch].labels)
