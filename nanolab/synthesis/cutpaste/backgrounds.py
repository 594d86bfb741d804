"""The pool of backgrounds: the source with its particles painted over, textures, and the plain mean."""

from dataclasses import dataclass

import cv2
import numpy as np

from nanolab.core.typing import Image
from nanolab.synthesis.cutpaste.ground import LEVEL_SD_PX, Ground
from nanolab.synthesis.cutpaste.settings import BackgroundKind, CutPasteSettings
from nanolab.synthesis.cutpaste.texture import quilt

__all__ = ["Background", "background_pool"]


# Noise is what is finer than this SD, but for what exceeds so many SD of its own.
_GRAIN_SD_PX, _GRAIN_SDS = 2.0, 3.0
_STEP = 4  # the painting is coarse, so every fourth pixel is enough
_INPAINT_RADIUS = 5
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
    """

    kind: BackgroundKind
    pixels: Image
    level: Image
    grain: Image


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


_MAKERS = {"inpainted": _inpainted, "texture": _texture, "mean": _mean}
