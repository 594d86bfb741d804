"""Losses that several read-outs share."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["cross_entropy_and_dice", "soft_dice_loss"]


def soft_dice_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - Dice of each channel over the whole batch, averaged over the channels.

    Pooled over the batch, because the Dice of a patch without particles says nothing.

    Parameters
    ----------
    probabilities, targets
        Shape (batch, C, height, width), in [0, 1].

    References
    ----------
    Milletari et al., V-Net, 10.1109/3DV.2016.79.
    """
    over = (0, 2, 3)
    overlap = (probabilities * targets).sum(over)
    total = (probabilities + targets).sum(over)
    return torch.mean(1 - (2 * overlap + 1) / (total + 1))


def cross_entropy_and_dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Return binary cross entropy, averaged over all pixels, plus soft Dice loss; shapes (batch, C, height, width)."""
    return functional.binary_cross_entropy_with_logits(logits, targets) + soft_dice_loss(logits.sigmoid(), targets)
