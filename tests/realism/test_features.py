"""Networks that describe patches: the right weights, the same vector for the same patch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nanolab.core.checks import InputError
from nanolab.realism.features import VGG16, extract_features, load_extractor


def test_vgg16_has_the_parameters_of_the_published_network() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(each.shape) for name, each in VGG16().state_dict().items()}
    # Simonyan & Zisserman 2015, table 2: 138 million; the names are those in torchvision's file
    assert sum(np.prod(shape) for shape in shapes.values()) == 138_357_544
    convolutions = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    layers = [f"features.{k}" for k in convolutions] + [f"classifier.{k}" for k in (0, 3, 6)]
    assert list(shapes) == [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    assert shapes["features.28.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 25088)


def test_efficientnet_features_depend_on_the_patch_alone(rng: np.random.Generator) -> None:
    network = load_extractor("efficientnet-lite0")
    patches = rng.random((35, 64, 64), dtype=np.float32)
    patches[34] = patches[0]  # in another batch
    features = extract_features(patches, network, progress=False)
    assert features.shape == (35, 1280)
    # bfloat16 has three digits, and other batch sizes another order of sums
    spread = np.linalg.norm(features - features.mean(axis=0), axis=1)
    assert np.linalg.norm(features[34] - features[0]) < 0.1 * np.median(spread)


def test_efficientnet_comes_with_what_it_learned_on_imagenet(rng: np.random.Generator) -> None:
    network = load_extractor("efficientnet-lite0")
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training
    # Patches of one kind are nearer to each other than to another kind's; untrained weights give nearly one vector.
    stripes = np.stack([np.roll(np.tile(np.arange(96) % 12 < 6, (96, 1)), k, axis=1) for k in range(4)]) * 0.6 + 0.2
    noise = rng.uniform(0, 1, (4, 96, 96))
    features = extract_features(np.concatenate([stripes, noise]).astype(np.float32), network, progress=False)
    middles = features[:4].mean(axis=0), features[4:].mean(axis=0)
    within = max(np.linalg.norm(features[4 * k : 4 * k + 4] - middles[k], axis=1).max() for k in range(2))
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * within


def test_weights_that_are_missing_or_wrong_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        InputError,
        match=r"vgg16-397923af.pth: the weights of vgg16 are not in the torch cache; run `nanolab data weights vgg16`",
    ):
        load_extractor("vgg16")
    with pytest.raises(InputError, match="file of VGG16 weights not found"):
        load_extractor("vgg16", tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(InputError, match=r"text\.pth: does not hold the weights of VGG16"):
        load_extractor("vgg16", tmp_path / "text.pth")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth: does not hold the weights of VGG16"):
        load_extractor("vgg16", tmp_path / "other.pth")
    with pytest.raises(InputError, match="a file of weights goes with vgg16"):
        load_extractor("efficientnet-lite0", tmp_path / "other.pth")


@pytest.mark.slow  # writes and reads 553 MB
def test_vgg16_takes_its_weights_from_the_torch_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    made = VGG16().eval()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(made.state_dict(), tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth")
    patches = rng.random((2, 144, 144), dtype=np.float32)
    features = extract_features(patches, load_extractor("vgg16"), progress=False)
    mean, sd = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = made((torch.from_numpy(patches)[:, None] - mean) / sd).numpy()
    assert features.shape == (2, 1000)
    assert np.abs(features - expected).max() < 0.05 * np.abs(expected).max()  # bfloat16 has three digits
