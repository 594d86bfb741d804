"""Losses that several read-outs share: MONAI's, with one way to count."""

from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["class_dice_loss", "cross_entropy_and_dice", "soft_dice_loss"]

# Pooled over the batch, because the Dice of a patch without particles says nothing; 1 - (2 overlap + 1) / (sum + 1).
_COUNTED = {"sigmoid": True, "batch": True, "smooth_nr": 1.0, "smooth_dr": 1.0}


def soft_dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - Dice of each channel over the whole batch, averaged over the channels.

    Parameters
    ----------
    logits, targets
        Shape (batch, C, height, width); targets in [0, 1].

    References
    ----------
    Milletari et al., V-Net, 10.1109/3DV.2016.79.
    """
    return _monais("DiceLoss")(logits, targets)


def class_dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of 1 - Dice of particle and of background over the whole batch; shapes (batch, 1, height, width).

    It is PaddleSeg's DiceLoss of two classes: its softmax of two logits is the sigmoid of their difference.

    References
    ----------
    Liu et al. 2021, PaddleSeg, arXiv:2101.06175.
    """
    return soft_dice_loss(torch.cat([logits, -logits], dim=1), torch.cat([targets, 1 - targets], dim=1))


def cross_entropy_and_dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Return binary cross entropy, averaged over all pixels, plus soft Dice loss; shapes (batch, 1, height, width)."""
    return _monais("DiceCELoss")(logits, targets)


@cache
def _monais(name: str) -> nn.Module:
    from monai import losses  # takes seconds, and only training needs it

    return getattr(losses, name)(**_COUNTED)
