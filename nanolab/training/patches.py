"""Patches for training: every one depends on (seed, step, item) alone."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError, check_image, check_same_shape
from nanolab.core.seeds import generator
from nanolab.core.typing import Image
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.metrics.pixel import outlines
from nanolab.models.normalisation import normalise
from nanolab.models.readouts.base import HasOutlines, Readout
from nanolab.training.augmentation import cut, draw_view, vary_grey
from nanolab.training.settings import TrainingSettings

__all__ = ["Patches", "prefetch"]

T = TypeVar("T")

_PATCH_KEY = 1  # keeps the draws of patches apart from others of the same seed


@dataclass(frozen=True)
class _Image:
    """A training image as it is kept in memory: three bytes a pixel, and the middle (row, col) of each particle.

    Where only some of it was looked at, a fourth byte says what is known.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint16 | np.float32]
    middles: npt.NDArray[np.float64]
    known: npt.NDArray[np.uint8] | None


def _middles(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    rows, cols = np.nonzero(labels)
    _, each, area = np.unique(labels[rows, cols], return_inverse=True, return_counts=True)
    return np.column_stack([np.bincount(each, weights=at) / area for at in (rows, cols)])


def _eroded(labels: npt.NDArray[np.integer], depth_px: int) -> npt.NDArray[np.integer]:
    """Take from each particle its outermost pixels, but none where the border of the image cuts it."""
    for _ in range(depth_px):
        labels = np.where(outlines(labels), 0, labels)
    return labels


def _whole_particles(
    labels: npt.NDArray[np.integer], looked_at: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.uint8]]:
    """Return the label map of the particles wholly looked at, and 1 where it is known what is there.

    A particle that touches what nobody looked at may go on there: all of it is unknown.
    """
    beyond = cv2.dilate((~looked_at).astype(np.uint8), np.ones((3, 3), dtype=np.uint8)) > 0
    known = looked_at & (~np.isin(labels, labels[beyond]) | (labels == 0))
    return np.where(known, labels, 0), known.astype(np.uint8)


def _kept(sample: AnnotatedImage, settings: TrainingSettings) -> _Image:
    check_image(sample.image, sample.name)
    if sample.labels is None:
        raise InputError(f"{sample.path}: a training image must have a label map; annotate it or leave it out")
    check_same_shape(sample.image, sample.labels, sample.name)
    grey = normalise(sample.image, sample.name, clahe=settings.clahe, stretch=settings.stretch)
    labels: npt.NDArray[np.integer] = sample.labels
    known = None
    if sample.looked_at is not None and not sample.looked_at.all():
        check_same_shape(sample.image, sample.looked_at, sample.name)
        labels, known = _whole_particles(labels, sample.looked_at)
    labels = _eroded(labels, settings.erode_px)
    few = labels.max() < 2**16
    kind = np.uint16 if few else np.float32  # the types that OpenCV warps
    return _Image(np.rint(grey * 255).astype(np.uint8), labels.astype(kind), _middles(labels), known)


class Patches:
    """Patches of training images with what a read-out wants the network to learn of them.

    Parameters
    ----------
    samples
        Annotated images; all are read now and kept in memory, at three bytes a pixel. Nothing is learned where nobody
        looked at them (`AnnotatedImage.looked_at`), nor of particles that the edge of such a region cuts.
    readout
        Makes the targets.
    settings
        Patch size, batch size, seed and augmentation.
    weights
        How often each image is shown, relative to the others; all equally often if None.

    Raises
    ------
    InputError
        If there is no image, nobody looked at any of them, or one has no label map or nothing to see.
    """

    def __init__(
        self,
        samples: Iterable[AnnotatedImage],
        readout: Readout,
        settings: TrainingSettings,
        *,
        weights: Sequence[float] | None = None,
    ) -> None:
        self._images = [_kept(sample, settings) for sample in samples]
        if not self._images:
            raise InputError("a training needs at least one annotated image, got none; render or annotate some")
        seen = np.array([image.known is None or image.known.any() for image in self._images], dtype=np.bool_)
        if not seen.any():
            raise InputError(
                "a training needs a part of an image that somebody looked at, whole particles or ground, got none; "
                "look at more of an image, or remove looked_at/ where all of it counts"
            )
        if isinstance(readout, HasOutlines) and any(image.known is not None for image in self._images):
            raise InputError(
                f"readout {settings.readout}: learns whole outlines, and of an image only parts were looked at; start "
                "from a network with another read-out, or look at whole images"
            )
        self._readout = readout
        self._settings = settings
        odds = np.cumsum(np.where(seen, 1.0 if weights is None else weights, 0))
        self._odds = odds / odds[-1]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all images and label maps, in hexadecimal."""
        digest = hashlib.sha256()
        for image in self._images:
            for array in (image.pixels, image.labels, *([] if image.known is None else [image.known])):
                digest.update(f"{array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def patch(self, step: int, item: int) -> tuple[Image, Image]:
        """Return a patch, shape (side, side) in [0, 1], and its targets, shape (C, side, side), as `batch` has them."""
        images, targets = self.batch(step, [item])
        return images[0, 0], targets[0]

    def batch(
        self, step: int, items: Iterable[int] | None = None, *, pool: Executor | None = None
    ) -> tuple[Image, Image]:
        """Return the patches of a step, shape (batch, 1, side, side), and targets, shape (batch, C, side, side).

        Where it is unknown what a patch shows, the first channel of its targets is NaN.

        Parameters
        ----------
        items
            Which of the patches; all if None.
        pool
            Where the targets are computed, each patch by itself; in this thread if None.
        """
        chosen = range(self._settings.batch_size) if items is None else items
        images, labels, known = zip(*(self._cut(step, item) for item in chosen), strict=True)
        targets = np.stack(list((map if pool is None else pool.map)(self._readout.targets, labels)))
        for target, there in zip(targets, known, strict=True):
            if there is not None:
                target[0, there == 0] = np.nan
        return np.stack(images)[:, None], targets

    def _cut(self, step: int, item: int) -> tuple[Image, npt.NDArray[np.int32], Image | None]:
        """Return the pixels and the label map of a patch, and 1 where it is known, 0 elsewhere."""
        settings = self._settings
        rng = generator(settings.seed, _PATCH_KEY, step, item)
        image = self._images[int(np.searchsorted(self._odds, rng.random(), side="right"))]
        around = _around(rng, image, settings.particle_share)
        view = draw_view(rng, image.pixels.shape, settings.patch_px, settings.augmentation, around)
        labels = cut(image.labels, view, settings.patch_px, smooth=False).astype(np.int32)
        pixels = cut(image.pixels, view, settings.patch_px, smooth=True) / np.float32(255)
        known = None if image.known is None else cut(image.known, view, settings.patch_px, smooth=False)
        return vary_grey(pixels, rng, settings.augmentation), labels, known


def _around(rng: np.random.Generator, image: _Image, particle_share: float) -> tuple[float, float] | None:
    """Draw a particle that a patch shall show, or none; where not all is known, then a pixel that is."""
    if not particle_share or not len(image.middles) or rng.random() >= particle_share:
        return None if image.known is None else _any_pixel(rng, image.known)
    row, col = image.middles[rng.integers(len(image.middles))].tolist()
    return math.floor(row), math.floor(col)


def _any_pixel(rng: np.random.Generator, mask: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Draw one of the pixels of a mask that has some."""
    up_to = np.cumsum(np.count_nonzero(mask, axis=1))
    row = int(np.searchsorted(up_to, rng.integers(up_to[-1]), side="right"))
    return row, int(rng.choice(np.flatnonzero(mask[row])))


def prefetch(
    make: Callable[[int], T], steps: Iterable[int], *, ahead: int = 4, workers: int = 1
) -> Generator[T, None, None]:
    """Yield `make(step)` for each step in order; other threads make the next `ahead` of them meanwhile.

    Threads do, because nearly all of the work on a patch is done by NumPy and OpenCV, which let go of Python's lock;
    for targets that do not, `Patches.batch` takes a pool of processes.
    """
    ahead = max(ahead, 2 * workers)
    with ThreadPoolExecutor(max_workers=workers) as pool:
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
