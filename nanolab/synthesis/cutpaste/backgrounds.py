"""The pool of backgrounds: the source with its particles painted over, textures grown from it, and the plain mean."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from nanolab.core.checks import InputError
from nanolab.core.typing import Image, Mask
from nanolab.synthesis.cutpaste.ground import LEVEL_SD_PX, Ground
from nanolab.synthesis.cutpaste.settings import BackgroundKind, CutPasteSettings

__all__ = ["Background", "background_pool", "patch_places", "quilt"]


# Sides of the patches tried, the largest first; a smaller one fits between more particles.
SIDES_PX = (64, 48, 32, 24, 16, 12, 8)
_PLACES = 60  # so many places for a patch are enough for variety
_CANDIDATES = 24
_CHOICES = 3  # one of the best few is taken; always the best would repeat itself


def quilt(source: Image, usable: Mask, shape: tuple[int, int], rng: np.random.Generator, where: str) -> Image:
    """Grow a texture of the given shape from the usable pixels of `source`, shape (height, width).

    Raises
    ------
    InputError
        If there is no room for a patch of 8 x 8 usable pixels.
    """
    side, places = patch_places(usable, where)
    overlap = max(side // 4, 2)
    step = side - overlap
    canvas = np.zeros((shape[0] + side, shape[1] + side), dtype=np.float32)
    for row in range(0, shape[0], step):
        for col in range(0, shape[1], step):
            block = canvas[row : row + side, col : col + side]
            patch = _fitting(source, places, side, block, overlap, (row > 0, col > 0), rng)
            block[:] = _joined(block, patch, overlap, (row > 0, col > 0))
    return canvas[: shape[0], : shape[1]].copy()


def patch_places(usable: Mask, where: str) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the side of the largest patches with enough places, and the places (row, col), shape (places, 2).

    Raises
    ------
    InputError
        If there is no room for a patch of 8 x 8 usable pixels.
    """
    total = cv2.integral((~usable).astype(np.uint8))
    places = np.empty((0, 2), dtype=np.int64)
    for side in SIDES_PX:
        if side > min(usable.shape):
            continue
        spoilt = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        places = np.argwhere(spoilt == 0)
        if len(places) >= _PLACES * side:
            return side, places
    if not len(places):
        raise InputError(f"{where}: no 8 x 8 pixels of background in one place; use an image that shows more of it")
    return SIDES_PX[-1], places


def _fitting(
    source: Image,
    places: npt.NDArray[np.int64],
    side: int,
    block: Image,
    overlap: int,
    has: tuple[bool, bool],
    rng: np.random.Generator,
) -> Image:
    """Return a patch that agrees well with what `block` holds above (`has[0]`) and to the left (`has[1]`)."""
    corners = places[rng.integers(len(places), size=_CANDIDATES)]
    patches = np.stack([source[row : row + side, col : col + side] for row, col in corners])
    misfit = np.zeros(_CANDIDATES, dtype=np.float32)
    if has[0]:
        misfit += ((patches[:, :overlap] - block[:overlap]) ** 2).sum(axis=(1, 2))
    if has[1]:
        misfit += ((patches[:, :, :overlap] - block[:, :overlap]) ** 2).sum(axis=(1, 2))
    best = np.argsort(misfit, kind="stable")[:_CHOICES]
    return np.asarray(patches[best[rng.integers(len(best))]])


def _joined(block: Image, patch: Image, overlap: int, has: tuple[bool, bool]) -> Image:
    """Lay a patch over a block along the seams of least difference."""
    keep = np.zeros(block.shape, dtype=bool)
    if has[0]:
        keep[:overlap] |= _before_seam(((patch - block)[:overlap] ** 2).T).T
    if has[1]:
        keep[:, :overlap] |= _before_seam((patch - block)[:, :overlap] ** 2)
    return np.where(keep, block, patch)


def _before_seam(cost: Image) -> Mask:
    """Return the pixels left of the cheapest path from the first row to the last, shape of `cost` (length, width)."""
    length, width = cost.shape
    padded = np.full(width + 2, np.inf, dtype=np.float32)
    total = np.empty_like(cost)
    total[0] = cost[0]
    for row in range(1, length):
        padded[1:-1] = total[row - 1]
        total[row] = cost[row] + np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    seam = np.empty(length, dtype=np.int64)
    seam[-1] = total[-1].argmin()
    for row in range(length - 2, -1, -1):
        first = max(seam[row + 1] - 1, 0)
        seam[row] = first + total[row, first : seam[row + 1] + 2].argmin()
    return np.arange(width) < seam[:, None]


# Noise is what is finer than this SD, but for what exceeds so many SD of its own.
_GRAIN_SD_PX, _GRAIN_SDS = 2.0, 3.0
_STEP = 4  # the painting is coarse, so every fourth pixel is enough
_INPAINT_RADIUS = 5
_PLAIN_RADIUS = 3  # OpenCV's own example; the paper gives none
_BORDER_PX = 2.0  # SD of the transition between painted and real


@dataclass(frozen=True)
class Background:
    """An empty image, at least as large as the images to make, and what a particle pasted on it needs to know.

    Attributes
    ----------
    kind
        How it was made.
    pixels
        Shape (height, width), values in [0, 1].
    level
        The same shape: its local level.
    grain
        The same shape: its noise, of mean 0.
    particles
        How many are annotated in the source that it was made of.
    """

    kind: BackgroundKind
    pixels: Image
    level: Image
    grain: Image
    particles: int = 0


def background_pool(
    image: Image, ground: Ground, settings: CutPasteSettings, rng: np.random.Generator, where: str
) -> list[Background]:
    """Make the backgrounds that the settings name out of one source, each at least `size_px` wide and high."""
    pool = []
    for kind in settings.backgrounds:
        for _ in range(settings.textures if kind == "texture" else 1):
            pixels = _MAKERS[kind](image, ground, settings, rng, where)
            pool.append(_described(kind, pixels))
    return pool


def _described(kind: BackgroundKind, pixels: Image) -> Background:
    pixels = np.clip(pixels, 0, 1)
    small = cv2.resize(pixels, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    level = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3), pixels.shape[::-1], interpolation=cv2.INTER_CUBIC)
    grain = pixels - cv2.GaussianBlur(pixels, (0, 0), _GRAIN_SD_PX)
    most = _GRAIN_SDS * 1.4826 * np.median(np.abs(grain))  # so that no text is laid over a particle
    return Background(kind, pixels, np.asarray(level, dtype=np.float32), np.clip(grain, -most, most))


def _inpainted(image: Image, ground: Ground, settings: CutPasteSettings, rng: np.random.Generator, where: str) -> Image:
    """Paint the particles over with OpenCV (Telea, J. Graph. Tools 2004, 10.1080/10867651.2004.10487596).

    The painting continues what is coarse; alone it would be too smooth, so texture is laid over it. An image that is
    too small is continued all around in the same way.
    """
    margins = _margins(image.shape, settings.size_px, rng)
    real = np.pad(image, margins)
    free = np.pad(ground.free if settings.keep_text else ground.bare, margins)
    coarse = np.pad(_painted(ground), margins, mode="symmetric")
    height, width = coarse.shape
    texture = quilt(image - ground.level, ground.bare, (height, width), rng, where)
    share = np.minimum(cv2.GaussianBlur(free.astype(np.float32), (0, 0), _BORDER_PX) * 2 - 1, free)
    share = np.clip(share, 0, 1)
    return np.asarray(share * real + (1 - share) * (coarse + texture), dtype=np.float32)


def _plain(
    image: Image,
    ground: Ground,
    settings: CutPasteSettings,
    rng: np.random.Generator,
    where: str,  # noqa: ARG001 (one signature for all)
) -> Image:
    """Paint the annotated particles over with OpenCV and leave all else: rims, shadows, text and scale bars."""
    hole = ground.annotated.astype(np.uint8)
    grey = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    painted = cv2.inpaint(grey, hole, _PLAIN_RADIUS, cv2.INPAINT_TELEA).astype(np.float32) / 255
    return np.pad(painted, _margins(image.shape, settings.size_px, rng), mode="symmetric")


def _painted(ground: Ground) -> Image:
    """Return the level of the ground with the particles' places painted over."""
    height, width = ground.level.shape
    small = (width // _STEP, height // _STEP)
    level = np.rint(cv2.resize(ground.level, small, interpolation=cv2.INTER_AREA) * 65535).astype(np.uint16)
    hole = cv2.resize((~ground.bare).astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0.5
    painted = cv2.inpaint(level, hole.astype(np.uint8), _INPAINT_RADIUS, cv2.INPAINT_TELEA).astype(np.float32) / 65535
    # Where the painting meets itself there are creases; the level is smooth.
    smooth = cv2.GaussianBlur(painted, (0, 0), LEVEL_SD_PX / _STEP, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC))


def _margins(shape: tuple[int, ...], size_px: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return what to add before and after in each direction, the image at a random place."""
    missing = [max(0, size_px - side) for side in shape]
    before = [int(rng.integers(each + 1)) for each in missing]
    return [(first, each - first) for first, each in zip(before, missing, strict=True)]


def _texture(image: Image, ground: Ground, settings: CutPasteSettings, rng: np.random.Generator, where: str) -> Image:
    """Grow the background's deviations from its local level, so that its gradients do not show as patches."""
    deviations = quilt(image - ground.level, ground.bare, (settings.size_px,) * 2, rng, where)
    return np.float32(ground.level[ground.bare].mean()) + deviations


def _mean(
    image: Image,
    ground: Ground,
    settings: CutPasteSettings,
    rng: np.random.Generator,  # noqa: ARG001 (one signature for all)
    where: str,  # noqa: ARG001
) -> Image:
    return np.full((settings.size_px,) * 2, image[ground.bare].mean(), dtype=np.float32)


_MAKERS = {"inpainted": _inpainted, "texture": _texture, "mean": _mean, "plain": _plain}
