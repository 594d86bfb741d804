"""Patches for training: every one depends on (seed, step, item) alone."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nanolab.checks import InputError, check_image, check_same_shape
from nanolab.models.normalisation import normalise
from nanolab.models.readouts import Readout
from nanolab.samples import Sample
from nanolab.seeds import generator
from nanolab.train.augmentation import cut, draw_view, vary_grey
from nanolab.train.settings import TrainingSettings

__all__ = ["Patches", "prefetch"]

Values = npt.NDArray[np.float32]
T = TypeVar("T")

_PATCH_KEY = 1  # keeps the draws of patches apart from others of the same seed


@dataclass(frozen=True)
class _Image:
    """A training image as it is kept in memory: three bytes a pixel."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint16 | np.float32]


def _kept(sample: Sample) -> _Image:
    check_image(sample.image, sample.name)
    if sample.labels is None:
        raise InputError(f"{sample.path}: a training image must have a label map; annotate it or leave it out")
    check_same_shape(sample.image, sample.labels, sample.name)
    pixels = np.rint(normalise(sample.image, sample.name) * 255).astype(np.uint8)
    few = sample.labels.max() < 2**16
    return _Image(pixels, sample.labels.astype(np.uint16 if few else np.float32))  # the types that OpenCV warps


class Patches:
    """Patches of training images with what a read-out wants the network to learn of them.

    Parameters
    ----------
    samples
        Annotated images; all are read now and kept in memory, at three bytes a pixel.
    readout
        Makes the targets.
    settings
        Patch size, batch size, seed and augmentation.

    Raises
    ------
    InputError
        If there is no image, or one has no label map or nothing to see.
    """

    def __init__(self, samples: Iterable[Sample], readout: Readout, settings: TrainingSettings) -> None:
        self._images = [_kept(sample) for sample in samples]
        if not self._images:
            raise InputError("a training needs at least one annotated image, got none; render or annotate some")
        self._readout = readout
        self._settings = settings

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all images and label maps, in hexadecimal."""
        digest = hashlib.sha256()
        for image in self._images:
            for array in (image.pixels, image.labels):
                digest.update(f"{array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def patch(self, step: int, item: int) -> tuple[Values, Values]:
        """Return a patch, shape (side, side) in [0, 1], and its targets, shape (C, side, side)."""
        settings = self._settings
        rng = generator(settings.seed, _PATCH_KEY, step, item)
        image = self._images[rng.integers(len(self._images))]
        view = draw_view(rng, image.pixels.shape, settings.patch_px, settings.augmentation)
        labels = cut(image.labels, view, settings.patch_px, smooth=False).astype(np.int32)
        pixels = cut(image.pixels, view, settings.patch_px, smooth=True) / np.float32(255)
        return vary_grey(pixels, rng, settings.augmentation), self._readout.targets(labels)

    def batch(self, step: int) -> tuple[Values, Values]:
        """Return the patches of a step, shape (batch, 1, side, side), and targets, shape (batch, C, side, side)."""
        images, targets = zip(*(self.patch(step, item) for item in range(self._settings.batch_size)), strict=True)
        return np.stack(images)[:, None], np.stack(targets)


def prefetch(make: Callable[[int], T], steps: Iterable[int], *, ahead: int = 4) -> Generator[T, None, None]:
    """Yield `make(step)` for each step in order; another thread makes the next `ahead` of them meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
