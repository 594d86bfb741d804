import pytest
import torch

from nanolab.core.checks import InputError
from nanolab.models.readouts.base import READOUTS, make_readout
from nanolab.models.registry import build


def test_the_seed_of_torch_decides_the_first_weights() -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build("unet", 1, channels=(4, 8)))
    for one, other in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(one, other)


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"network: must be one of unet, unet_lite0, .*, got 'unett'"):
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
