import math

import pytest
import torch

from nanolab.models.readouts.losses import class_dice_loss, cross_entropy_and_dice, soft_dice_loss


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


def test_class_dice_is_paddlesegs_of_two_classes() -> None:
    torch.manual_seed(0)
    two, truth = torch.randn(3, 2, 8, 8), torch.rand(3, 8, 8) > 0.8
    seen, wanted = two.softmax(dim=1), torch.stack([~truth, truth], dim=1).float()
    # as its dice_loss_helper has it, with its smoothing of 1, over the whole batch, class by class
    of_class = [
        1 - (2 * (seen[:, k] * wanted[:, k]).sum() + 1) / ((seen[:, k] + wanted[:, k]).sum() + 1) for k in range(2)
    ]
    ours = class_dice_loss(two[:, 1:] - two[:, :1], truth[:, None].float())
    assert ours.item() == pytest.approx(sum(each.item() for each in of_class) / 2, rel=1e-5)
