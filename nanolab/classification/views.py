"""What a classifier sees of a micrograph: the whole of it in squares, or, to learn from, varied parts."""

from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
import torch

from nanolab.core.checks import check_image
from nanolab.core.extras import optional
from nanolab.core.typing import Image
from nanolab.models.normalisation import normalise
from nanolab.training.augmentation import vary_grey
from nanolab.training.settings import AugmentationSettings

__all__ = ["AUGMENTATIONS", "Augmentation", "draw_view", "mix_up", "shrink", "squares"]

Levels = npt.NDArray[np.uint8]

#: How images are varied: "standard" cuts, mirrors, turns, and changes grey values and focus a little, as the paper does
#: (10.1021/acsnanoscienceau.3c00020); the other cuts, mirrors, turns, and goes on with RandAugment and MixUp.
Augmentation = Literal["standard", "RandAugment + MixUp"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

_LEAST_SEEN = 0.5  # a view shows at least this part of the image's short side
_STANDARD = AugmentationSettings(gamma=0.25, contrast=0.25, brightness=0.1, illumination=0, blur_px=1.0, noise=0)
_OPERATIONS, _MAGNITUDE = 2, 9  # of RandAugment; N = 2, M = 9 is the paper's choice for ResNet-50 on ImageNet
_SEEDS = 2**31


def shrink(image: npt.NDArray[np.floating], side_px: int, where: str = "image") -> Levels:
    """Return a micrograph in 256 grey levels, its short side twice `side_px` at most: more a view never needs.

    Parameters
    ----------
    image
        Shape (height, width); its grey values are stretched as `nanolab.models.normalisation.normalise` does.
    where
        What to call the image in an error.
    """
    check_image(image, where)
    pixels = normalise(image, where)
    factor = 2 * side_px / min(pixels.shape)
    if factor < 1:
        size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return np.rint(pixels * 255).astype(np.uint8)


def squares(image: Levels, side_px: int) -> Image:
    """Return the squares, shape (squares, side_px, side_px) in [0, 1], that together show all of an image.

    They are as large as fits, spread evenly along the longer side, and as few as cover it.
    """
    short, long = sorted(image.shape)
    starts = np.linspace(0, long - short, -(-long // short)).round().astype(int)
    wide = image.shape[1] > image.shape[0]
    cuts = [image[:, at : at + short] if wide else image[at : at + short] for at in starts]
    return np.stack([_resized(each, side_px) for each in cuts])


def draw_view(image: Levels, side_px: int, augmentation: Augmentation, rng: np.random.Generator) -> Image:
    """Draw a view to learn from, shape (side_px, side_px) in [0, 1]."""
    side = round(min(image.shape) * rng.uniform(_LEAST_SEEN, 1))
    row, column = (int(rng.integers(length - side + 1)) for length in image.shape)
    view = _resized(image[row : row + side, column : column + side], side_px)
    view = np.rot90(view, int(rng.integers(4)))
    view = np.ascontiguousarray(view[:, ::-1] if rng.random() < 0.5 else view)
    return vary_grey(view, rng, _STANDARD) if augmentation == "standard" else rand_augment(view, rng)


def _resized(square: Levels, side_px: int) -> Image:
    finer = side_px < len(square)
    resized = cv2.resize(square, (side_px, side_px), interpolation=cv2.INTER_AREA if finer else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32) / np.float32(255)


def rand_augment(view: Image, rng: np.random.Generator) -> Image:
    """Change a view, shape (side, side) in [0, 1], by two operations drawn from kornia's list but for its colour one.

    References
    ----------
    Cubuk et al. 2020, RandAugment, 10.1109/CVPRW50498.2020.00359.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # kornia draws from torch's common generator
        torch.manual_seed(int(rng.integers(_SEEDS)))
        varied = _kornias_rand_augment()(torch.from_numpy(view)[None, None])[0, 0].numpy()
    return np.clip(varied, 0, 1, dtype=np.float32)


@cache
def _kornias_rand_augment() -> Callable[[torch.Tensor], torch.Tensor]:
    with optional():
        from kornia.augmentation.auto.rand_augment.rand_augment import RandAugment, default_policy

    for_grey = [operation for operation in default_policy if operation[0][0] != "color"]
    return RandAugment(_OPERATIONS, _MAGNITUDE, for_grey)


def mix_up(views: Image, targets: Image, alpha: float, rng: np.random.Generator) -> tuple[Image, Image]:
    """Blend each view, shape (views, side, side), and its target, (views, classes), with another one of the batch.

    The weight of each is drawn from the beta distribution of `alpha` and `alpha`.

    References
    ----------
    Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization, 10.48550/arXiv.1710.09412.
    """
    weight = rng.beta(alpha, alpha, len(views)).astype(np.float32)
    other = rng.permutation(len(views))
    mixed = weight[:, None, None] * views + (1 - weight)[:, None, None] * views[other]
    return mixed, weight[:, None] * targets + (1 - weight)[:, None] * targets[other]
