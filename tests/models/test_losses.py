import math

import pytest
import torch

from nanolab.models.readouts.losses import cross_entropy_and_dice, soft_dice_loss


def test_soft_dice_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 40.0]]]])  # probabilities 0.5 and, to a float32, 1
    targets = torch.tensor([[[[1.0, 0.0]]]])
    # 1 - (2 * 0.5 + 1) / (1.5 + 1 + 1)
    assert soft_dice_loss(logits, targets).item() == pytest.approx(1 - 2 / 3.5)


def test_soft_dice_is_zero_without_particles_and_when_right() -> None:
    nothing = torch.zeros(2, 1, 4, 4)
    assert soft_dice_loss(nothing - 100, nothing).item() == 0  # probabilities of 4e-44
    assert soft_dice_loss(nothing + 100, nothing + 1).item() == 0


def test_soft_dice_is_pooled_over_the_batch_and_averaged_over_channels() -> None:
    targets = torch.tensor([[[[1.0]], [[0.0]]], [[[1.0]], [[0.0]]]])  # batch 2, channel 0 all particle, channel 1 none
    logits = torch.full_like(targets, 40)  # probabilities of 1
    # channel 0 is right; channel 1: 1 - 1 / (2 + 1)
    assert soft_dice_loss(logits, targets).item() == pytest.approx((0 + 2 / 3) / 2)


def test_cross_entropy_and_dice_by_hand() -> None:
    logits, targets = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    # probabilities 0.5: cross entropy ln 2, Dice (2 * 0.5 + 1) / (1 + 1 + 1)
    assert cross_entropy_and_dice(logits, targets).item() == pytest.approx(math.log(2) + 1 / 3)
