"""All networks: one interface, no dead weights, the published sizes."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nanolab.core.checks import InputError
from nanolab.models.networks.ccnet import CCHead, CrissCrossAttention
from nanolab.models.networks.danet import ChannelAttention, PositionAttention
from nanolab.models.networks.deeplabv3 import DeepLabV3Head
from nanolab.models.networks.encnet import EncHead, Encoding
from nanolab.models.networks.encoder import Encoder
from nanolab.models.networks.ginet import GraphInteraction
from nanolab.models.networks.pfpnnet import PFPNHead
from nanolab.models.networks.pretrained import efficientnet_lite0
from nanolab.models.networks.pspnet import PSPHead
from nanolab.models.networks.table import network_table
from nanolab.models.networks.u2net import ResidualU
from nanolab.models.registry import NETWORKS, SIZE_MULTIPLE_PX, build

WIDE = ("ccnet", "danet", "encnet", "fastfcn", "ginet", "pspnet")
#: The same code, less of it.
OPTIONS: dict[str, dict[str, Any]] = {
    "u2net": {"small": True},
    "unet_mill": {"channels": (8, 16, 24, 32, 40)},
    "unet_paddle": {"channels": (8, 16, 24, 32, 32)},
    "unet_stardist": {"features": 8, "last_features": 16},
    **{name: {"width": 64} for name in WIDE},
}
ON_ENCODER = [name for name in NETWORKS if name not in {"unet", "unet_mill", "unet_paddle", "unet_stardist", "u2net"}]


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_logits_of_every_pixel_and_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 2, **OPTIONS.get(name, {}))
    shares = [weight for key, weight in network.named_parameters() if key.endswith(".share")]
    assert all(not share.any() for share in shares)  # as published, attention begins with no say
    for share in shares:
        nn.init.ones_(share)  # what lies behind it learns from the second step on
    image = torch.rand(2, 1, SIZE_MULTIPLE_PX * 2, SIZE_MULTIPLE_PX * 3)
    logits = network(image)
    assert logits.shape == (2, 2, SIZE_MULTIPLE_PX * 2, SIZE_MULTIPLE_PX * 3)
    logits.square().mean().backward()
    still = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # MONAI's convolutions have a bias before a batch norm: without effect, so its gradient is rounding error, or 0
    assert [key for key in still if not (name == "unet" and key.endswith("conv.bias"))] == []


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_predicts_sees_each_image_for_itself_and_says_the_same_again(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 1, **OPTIONS.get(name, {})).eval()
    images = torch.rand(2, 1, SIZE_MULTIPLE_PX, SIZE_MULTIPLE_PX * 2)
    with torch.inference_mode():
        both, again, alone = network(images), network(images), network(images[1:])
    assert torch.equal(both, again)
    spread = float(both.std())
    assert float((both[0] - both[1]).abs().max()) > 1e-3 * spread > 0
    # the same sums in another order: float32 has seven digits, and untrained layers pass errors on
    torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-3 * spread)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_an_easy_image(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 1, **OPTIONS.get(name, {}))
    truth = torch.zeros(2, 1, 64, 64)
    truth[0, :, :32], truth[1, :, :, 32:] = 1, 1  # halves, which a logit every 32 px can tell
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = [math.inf]
    while losses[-1] > 0.6 and len(losses) < 20:
        loss = nn.functional.binary_cross_entropy_with_logits(network(0.2 + 0.6 * truth), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6  # half of the pixels are particle: who sees nothing cannot get below ln 2 = 0.69


@pytest.mark.parametrize(
    ("name", "options", "published"),
    [
        ("unet_mill", {}, 31.03e6),  # Ronneberger et al. 2015, as counted in arXiv:1902.04049 and others: 31.0 million
        ("unet_paddle", {}, 13.40e6),  # PaddleSeg's model zoo
        ("u2net", {}, 44.0e6),  # Qin et al. 2020, table 1: 176.3 MB of float32
        ("u2net", {"small": True}, 1.13e6),  # the same table: 4.7 MB
    ],
)
def test_a_network_has_its_published_size(name: str, options: dict[str, bool], published: float) -> None:
    # one input channel instead of three, and no biases where batch normalisation takes them away: under a percent
    with torch.device("meta"):
        assert parameters(build(name, 1, **options)) == pytest.approx(published, rel=0.01)


# What the head of a published network has on its ResNet of 2048 channels: all its parameters but those of ResNet-101
# (42.50 million without its classifier; 42.52 with the three-convolution stem of MMSegmentation) or ResNet-50 (23.51
# and 23.53), and but MMSegmentation's auxiliary head (2.40). 150 classes are those of ADE20K, 19 those of Cityscapes.
@pytest.mark.parametrize(
    ("head", "published"),
    [
        (lambda: DeepLabV3Head(2048, 19, 256, [6, 12, 18]), 58.0e6 - 42.50e6),  # arXiv:1908.07919, table 3
        (lambda: PSPHead(2048, 150, 512), 68.1e6 - 44.92e6),  # arXiv:2105.15203, table 2, as the next two
        (lambda: CCHead(2048, 150, 512, 2), 68.9e6 - 44.92e6),
        (lambda: EncHead(2048, 150, 512, 32), 55.1e6 - 44.92e6),
        (lambda: PFPNHead((256, 512, 1024, 2048), 150, 256, 128), 28.5e6 - 23.53e6),  # arXiv:2102.12122, table 4
    ],
)
def test_a_head_on_its_own_backbone_has_its_published_size(head: type[nn.Module], published: float) -> None:
    # the published totals are rounded to 0.1 million, and some count a layer for a loss that is left out here
    with torch.device("meta"):
        assert parameters(head()) == pytest.approx(published, abs=0.2e6)


def test_stardists_network_has_its_published_layers() -> None:
    """Config2D's defaults: depth 3, 32 features at full resolution, twice as many a level, 128 after the U-Net."""
    with torch.device("meta"):
        network = build("unet_stardist", 33)
    layers = [(each.in_channels, each.out_channels) for each in network.modules() if isinstance(each, nn.Conv2d)]
    assert layers == [
        *[(1, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)],
        *[(128, 256), (256, 128)],
        *[(256, 128), (128, 64), (128, 64), (64, 32), (64, 32), (32, 32)],
        *[(32, 128), (128, 33)],
    ]
    assert not any(isinstance(each, nn.BatchNorm2d) for each in network.modules())


def test_the_default_network_has_the_size_it_is_known_for() -> None:
    assert parameters(build("unet", 1)) == pytest.approx(1.63e6, rel=0.01)


def test_a_grey_image_is_to_the_encoder_what_its_colours_were_to_the_network_it_comes_from() -> None:
    torch.manual_seed(0)
    grey = torch.rand(1, 1, 64, 96)
    published = efficientnet_lite0().eval()
    published._blocks[15].register_forward_hook(lambda module, inputs, output: kept.append(output))
    kept: list[Tensor] = []
    with torch.inference_mode():
        levels = Encoder().eval()(grey)
        published.extract_features(((grey - 0.449) / 0.226).expand(-1, 3, -1, -1))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (16, 32, 48),
        (24, 16, 24),
        (40, 8, 12),
        (112, 4, 6),
        (320, 2, 3),
    ]
    # sums in another order, and the mean and spread of the colours rounded to three digits
    torch.testing.assert_close(levels[-1], kept[0], rtol=0.02, atol=0.02)


def test_a_dilated_encoder_sees_the_same_at_every_other_pixel() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 1, 128, 128)
    with torch.inference_mode():
        whole, dilated = (Encoder(output_stride=stride).eval()(image) for stride in (32, 8))
    assert [tuple(level.shape[-2:]) for level in dilated] == [(64, 64), (32, 32), (16, 16), (16, 16), (16, 16)]
    assert torch.equal(whole[2], dilated[2])
    # the last steps of stride 2 begin half a pixel apart because of their padding: alike, not the same
    alike = torch.corrcoef(torch.stack([whole[3].flatten(), dilated[3][..., ::2, ::2].flatten()]))[0, 1]
    assert alike > 0.5


@pytest.mark.parametrize("name", ON_ENCODER)
def test_an_encoder_may_begin_with_drawn_weights(name: str) -> None:
    torch.manual_seed(0)
    learned, drawn = (build(name, 1, pretrained=pretrained).state_dict() for pretrained in (True, False))
    key = "encoder.blocks.3._expand_conv.weight"
    assert learned.keys() == drawn.keys()
    assert torch.equal(learned[key], efficientnet_lite0().state_dict()["_blocks.3._expand_conv.weight"])
    # He et al.: the standard deviation is sqrt(2 / outputs of a 1x1 convolution); 3456 draws give it to a few percent
    assert float(drawn[key].std()) == pytest.approx((2 / len(drawn[key])) ** 0.5, rel=0.05)


def test_an_output_stride_that_the_encoder_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="output_stride: must be 8, 16 or 32, got 4"):
        build("deeplabv3", 1, output_stride=4)


@pytest.mark.parametrize("name", ["bisenet", "deeplabv3", "pspnet"])
def test_a_batch_of_one_is_refused_where_batch_normalisation_needs_two(name: str) -> None:
    with pytest.raises(InputError, match=r"batch_size: .* needs at least 2 patches, got 1"):
        build(name, 1)(torch.rand(1, 1, 64, 64))


def test_the_table_tells_the_paper_and_size_of_each_network() -> None:
    table = network_table().set_index("network")
    assert list(table.index) == list(NETWORKS)
    assert table["paper"].str.contains(r"10\.\d{4,}/|arXiv:\d{4}\.\d{5}").all()
    assert list(table.index[table["pretrained"]]) == ON_ENCODER
    assert table.loc["unet_mill", "parameters"] == parameters(build("unet_mill", 1))
    assert table.loc["u2net", "summary"].startswith("U2-Net")


def test_the_names_of_networks_cost_no_import_of_torch() -> None:
    code = "import nanolab.models, nanolab.models.networks, sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {"torch", "monai", "efficientnet_lite_pytorch", "torchvision"}.isdisjoint(shown)


def filled(module: nn.Module) -> nn.Module:
    """The module with full say of its attention."""
    for key, weight in module.named_parameters():
        if key.endswith("share"):
            nn.init.ones_(weight)
    return module.eval()


def test_criss_cross_attention_sees_row_and_column_and_after_two_rounds_everything() -> None:
    torch.manual_seed(0)
    attention = filled(CrissCrossAttention(8))
    image = torch.rand(1, 8, 5, 6, requires_grad=True)
    for rounds, expected in ((1, 5 + 6 - 1), (2, 5 * 6)):
        seen = image
        for _ in range(rounds):
            seen = attention(seen)
        (gradient,) = torch.autograd.grad(seen[0, :, 1, 2].sum(), image)
        assert int(gradient.abs().sum(dim=1).count_nonzero()) == expected


def test_criss_cross_attention_agrees_with_a_loop_over_pixels() -> None:
    torch.manual_seed(0)
    attention = filled(CrissCrossAttention(8))
    image = torch.rand(1, 8, 4, 5)
    with torch.inference_mode():
        found = attention(image)[0]
        query, key, value = (conv(image)[0] for conv in (attention.query, attention.key, attention.value))
        for y in range(4):
            for x in range(5):
                cross = [(j, x) for j in range(4) if j != y] + [(y, j) for j in range(5)]
                weights = torch.stack([query[:, y, x] @ key[:, i, j] for i, j in cross]).softmax(0)
                mean = sum(weight * value[:, i, j] for weight, (i, j) in zip(weights, cross, strict=True))
                torch.testing.assert_close(found[:, y, x], image[0, :, y, x] + mean)


def test_position_and_channel_attention_agree_with_their_formulas() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 8, 4, 5)
    position, channel = filled(PositionAttention(8)), filled(ChannelAttention())
    with torch.inference_mode():
        query, key, value = (conv(image).flatten(2) for conv in (position.query, position.key, position.value))
        weights = torch.einsum("bci,bcj->bij", query, key).softmax(-1)
        expected = image + torch.einsum("bij,bcj->bci", weights, value).reshape(image.shape)
        torch.testing.assert_close(position(image), expected)
        pixels = image.flatten(2)
        likeness = torch.einsum("bip,bjp->bij", pixels, pixels)
        unlikeness = likeness.amax(-1, keepdim=True) - likeness
        expected = image + torch.einsum("bij,bjp->bip", unlikeness.softmax(-1), pixels).reshape(image.shape)
        torch.testing.assert_close(channel(image), expected)


def test_the_encoding_of_textures_agrees_with_its_sum_of_residuals() -> None:
    torch.manual_seed(0)
    encoding = Encoding(6, 3)
    image = torch.randn(2, 6, 4, 5)
    pixels = image.flatten(2).mT[:, :, None]  # batch, pixel, 1, channel
    residuals = pixels - encoding.words
    weights = (-encoding.sharpness * residuals.square().sum(-1)).softmax(-1)
    torch.testing.assert_close(encoding(image), (weights[..., None] * residuals).sum(1))


def test_graph_interaction_sees_the_whole_image_from_every_pixel() -> None:
    torch.manual_seed(0)
    unit = filled(GraphInteraction(8, 4, 5, 3))
    image = torch.rand(1, 8, 6, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(unit(image)[0, :, 0, 0].sum(), image)
    assert gradient.abs().sum(dim=1).count_nonzero() == 6 * 7


@pytest.mark.parametrize("dilated", [False, True])
def test_a_residual_u_keeps_odd_sizes(dilated: bool) -> None:
    unit = ResidualU(3, 5, dilated, 4, 6)
    assert unit(torch.rand(2, 3, 13, 21)).shape == (2, 6, 13, 21)
    assert len(unit.up) == len(unit.down) == 4
