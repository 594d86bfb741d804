"""Networks whose published weights must fit."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nanolab.classification.backbones import BACKBONES, load_backbone, make_backbone
from nanolab.classification.convnext import ConvNeXtBase
from nanolab.classification.xception import Xception
from nanolab.core.checks import InputError

# As published: Liu et al. give 89 M and torchvision 88,591,464; Cadene's and timm's Xception has 22,855,952.
PARAMETERS = {ConvNeXtBase: 88_591_464, Xception: 22_855_952}
# Some names and shapes in torchvision's and in Cadene's and timm's files.
PUBLISHED = {
    ConvNeXtBase: {
        "features.0.0.weight": (128, 3, 4, 4),
        "features.0.1.bias": (128,),
        "features.2.1.weight": (256, 128, 2, 2),
        "features.5.26.layer_scale": (512, 1, 1),
        "features.5.26.block.0.weight": (512, 1, 7, 7),
        "features.7.2.block.2.weight": (1024,),
        "features.7.2.block.3.weight": (4096, 1024),
        "features.7.2.block.5.bias": (1024,),
        "classifier.0.weight": (1024,),
        "classifier.2.weight": (1000, 1024),
    },
    Xception: {
        "conv1.weight": (32, 3, 3, 3),
        "bn2.running_var": (64,),
        "block1.skip.weight": (128, 64, 1, 1),
        "block1.skipbn.bias": (128,),
        "block1.rep.0.conv1.weight": (64, 1, 3, 3),
        "block2.rep.1.pointwise.weight": (256, 128, 1, 1),
        "block11.rep.8.running_mean": (728,),
        "block12.rep.4.pointwise.weight": (1024, 728, 1, 1),
        "conv4.conv1.weight": (1536, 1, 3, 3),
        "fc.weight": (1000, 2048),
    },
}


@pytest.fixture(scope="module", params=[ConvNeXtBase, Xception])
def network(request: pytest.FixtureRequest) -> nn.Module:
    network: nn.Module = request.param()
    return network.eval()


def test_a_network_has_the_published_parameters(network: nn.Module) -> None:
    assert sum(each.numel() for each in network.parameters()) == PARAMETERS[type(network)]
    shapes = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    assert PUBLISHED[type(network)].items() <= shapes.items()


def test_a_backbone_is_the_network_without_its_last_layer(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    name = {ConvNeXtBase: "convnext-base", Xception: "xception"}[type(network)]
    backbone = load_backbone(name, tmp_path / "weights.pth")
    last = network.fc if isinstance(network, Xception) else network.classifier[-1]
    images = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        features = backbone.tuned.eval()(backbone.frozen.eval()(images))
        assert features.shape == (2, backbone.features)
        torch.testing.assert_close(last(features), network(images))


def test_efficientnet_brings_what_it_learned() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    fresh, learned = make_backbone("efficientnet-lite0"), load_backbone("efficientnet-lite0")
    with torch.inference_mode():
        features = [each.tuned.eval()(each.frozen.eval()(images)) for each in (learned, fresh)]
    assert [each.shape for each in features] == [(1, 1280)] * 2
    assert features[0].max() > 1  # features of a trained network; freshly drawn ones are far below


def test_wrong_weights_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(
        InputError,
        match=r"xception-43020ad28\.pth: the weights of xception are not in the torch cache; run `nanolab data",
    ):
        load_backbone("xception")
    with pytest.raises(InputError, match="does not hold the weights of Xception"):
        load_backbone("xception", tmp_path / "other.pth")
    with pytest.raises(InputError, match="brings its own weights"):
        load_backbone("efficientnet-lite0", tmp_path / "other.pth")
    with pytest.raises(InputError, match=f"must be one of {', '.join(BACKBONES)}, got 'resnet'"):
        load_backbone("resnet")
