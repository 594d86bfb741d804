"""What each epoch finds: in the validation image, kept while training, and in any other image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

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


def validation_predictions(
    run: TrainingRun, *, min_area_px: int = MIN_AREA_PX, progress: bool = True
) -> dict[int, Prediction]:
    """Return what every epoch that can be chosen finds in the validation image, by epoch.

    Raises
    ------
    InputError
        If no epoch is finished, or the training had no validation image.
    """
    there = set(run.predicted_epochs)
    epochs = [epoch for epoch in run.epochs if epoch in there]
    if not epochs:
        raise InputError(f"{run.folder}: must hold predictions of a validation image; train with one")
    return {
        epoch: _prediction(run, epoch, min_area_px)
        for epoch in tqdm(epochs, desc="read", unit="epoch", disable=not progress)
    }


def _prediction(run: TrainingRun, epoch: int, min_area_px: int) -> Prediction:
    probabilities = run.validation_prediction(epoch)
    foreground = np.rint(np.clip(run.readout.foreground(probabilities), 0, 1) * 255).astype(np.uint8)
    return Prediction(foreground, find_particles(run.readout, probabilities, min_area_px))


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


def as_found(predictions: Mapping[int, Prediction]) -> dict[int, LabelMap]:
    """Return the label maps alone."""
    return {epoch: prediction.labels for epoch, prediction in predictions.items()}
