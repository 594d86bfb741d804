import pytest
import torch

from nanolab.checks import InputError
from nanolab.models import NETWORKS, SIZE_MULTIPLE_PX, build
from nanolab.models.readouts import READOUTS, make_readout


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_one_logit_a_channel_and_pixel_and_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 2)
    image = torch.rand(2, 1, SIZE_MULTIPLE_PX * 2, SIZE_MULTIPLE_PX * 3)
    logits = network(image)
    assert logits.shape == (2, 2, SIZE_MULTIPLE_PX * 2, SIZE_MULTIPLE_PX * 3)
    logits.square().mean().backward()
    still = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # a convolution's bias before a batch norm has no effect, so its gradient is rounding error, which may be 0
    assert [key for key in still if not key.endswith("conv.bias")] == []


def test_the_default_network_has_the_size_it_is_known_for() -> None:
    assert sum(weight.numel() for weight in build("unet", 1).parameters()) == pytest.approx(1.63e6, rel=0.01)


def test_the_seed_of_torch_decides_the_first_weights() -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build("unet", 1, channels=(4, 8)))
    for one, other in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(one, other)


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"network: must be one of unet, got 'unett'"):
        build("unett", 1)


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"network unet: .*'chanels'; it takes out_channels, channels, units, norm"):
        build("unet", 1, chanels=(4, 8))


def test_an_unknown_readout_is_refused() -> None:
    with pytest.raises(InputError, match="readout: must be one of foreground"):
        make_readout("border")


@pytest.mark.parametrize("name", READOUTS)
def test_a_readout_names_each_channel(name: str) -> None:
    readout = make_readout(name, threshold=0.4)
    assert len(readout.names) == readout.channels
    assert readout.names[0] == "foreground"
    assert readout.threshold == 0.4
