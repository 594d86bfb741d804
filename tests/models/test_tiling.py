import numpy as np
import pytest
import torch
from helpers.discs import TinyNetwork
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nanolab.models.readouts.foreground import Foreground
from nanolab.models.readouts.stardist import StarConvex
from nanolab.models.registry import SIZE_MULTIPLE_PX
from nanolab.models.tiling import predict, tile_side
from nanolab.models.views import VIEWS, View

lengths = st.integers(1, 200).map(lambda count: count * SIZE_MULTIPLE_PX)


@given(lengths, st.sampled_from([128, 256, 1152]), st.sampled_from([32, 64]))
def test_equal_tiles_on_the_grid_of_the_strides_cover_an_axis(length: int, tile: int, overlap: int) -> None:
    side = tile_side(length, tile, overlap)
    starts = range(0, max(1, length - overlap), max(1, side - overlap))
    assert side % SIZE_MULTIPLE_PX == 0
    assert side <= min(tile, max(length, SIZE_MULTIPLE_PX))
    assert starts[-1] + side >= length  # the last one is moved back to end with the axis
    assert len(starts) <= max(1, -(-(length - overlap) // (tile - overlap)))  # as few as tiles of the full side


def test_a_small_axis_is_one_tile() -> None:
    assert tile_side(96, 128, 32) == 96


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return TinyNetwork(1).eval()


def whole(network: nn.Module, image: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(image)[None, None]).sigmoid()[0].numpy()


def test_tiles_give_what_the_whole_image_gives(network: nn.Module, rng: np.random.Generator) -> None:
    image = rng.random((320, 416), dtype=np.float32)
    found = predict(network, Foreground(), image, tile_px=128, overlap_px=64)
    expected = whole(network, image)
    # The network sees 7 px around each, so a tile errs only in its outermost 7 px. In an overlap of 64 px its weight
    # there is below (7 / 64)**2 / (1 - 7 / 64)**2, that is 0.015, and probabilities differ by at most 1.
    np.testing.assert_allclose(found, expected, atol=0.015)
    assert np.median(np.abs(found - expected)) < 1e-6


@pytest.mark.parametrize("shape", [(2, 2), (7, 300), (33, 31), (129, 97)])
def test_any_size_comes_back_in_its_size(network: nn.Module, rng: np.random.Generator, shape: tuple[int, int]) -> None:
    image = rng.random(shape, dtype=np.float32)
    found = predict(network, Foreground(), image, tile_px=96, overlap_px=32)
    assert found.shape == (1, *shape)
    assert found.dtype == np.float32
    assert ((found > 0) & (found < 1)).all()
    # away from the mirrored border, the 7 px that the network sees, it is as if nothing had been added
    expected = whole(network, image)
    inner = np.s_[:, : max(0, shape[0] - 8), : max(0, shape[1] - 8)]
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.08)  # (7 / 32)**2 / (1 - 7 / 32)**2, see above


def test_where_the_tiles_lie_does_not_matter(network: nn.Module, rng: np.random.Generator) -> None:
    image = rng.random((300, 260), dtype=np.float32)
    found = [predict(network, Foreground(), image, tile_px=tile, overlap_px=64) for tile in (128, 160, 512)]
    np.testing.assert_allclose(found[0], found[2], atol=0.015)  # the reason is that of the first of these tests
    np.testing.assert_allclose(found[1], found[2], atol=0.015)


def test_prediction_leaves_no_gradients_behind(network: nn.Module) -> None:
    predict(network, Foreground(), np.ones((32, 32), dtype=np.float32))
    assert all(weight.grad is None for weight in network.parameters())


def test_bfloat16_is_close_to_float32(network: nn.Module, rng: np.random.Generator) -> None:
    image = rng.random((64, 64), dtype=np.float32)
    half = predict(network, Foreground(), image, precision="bfloat16")
    # bfloat16 has 8 bits: three layers of sums of some 200 terms, logits of order 1
    np.testing.assert_allclose(half, predict(network, Foreground(), image), atol=0.02)


@pytest.mark.parametrize("view", VIEWS)
def test_with_flips_a_turned_image_gives_a_turned_prediction(view: View, rng: np.random.Generator) -> None:
    torch.manual_seed(1)
    readout = StarConvex(rays=8)
    network = TinyNetwork(readout.channels).eval()
    image = torch.from_numpy(rng.random((64, 96), dtype=np.float32))
    expected = torch.from_numpy(predict(network, readout, image.numpy(), flips=True))
    turned = predict(network, readout, np.ascontiguousarray(view.apply(image).numpy()), flips=True)
    found = readout.realigned(view.undo(torch.from_numpy(turned)), view)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)  # float32 sums in another order
    once = torch.from_numpy(predict(network, readout, image.numpy()))
    assert (once - expected).abs().max() > 0.01  # the network itself is not that even-handed


def test_flips_are_the_mean_of_eight_views(network: nn.Module, rng: np.random.Generator) -> None:
    image = rng.random((32, 64), dtype=np.float32)
    eight = [np.rot90(whole(network, np.rot90(side, k).copy())[0], -k) for side in (image,) for k in range(4)]
    mirrored = image[:, ::-1]
    eight += [np.rot90(whole(network, np.rot90(mirrored, k).copy())[0], -k)[:, ::-1] for k in range(4)]
    np.testing.assert_allclose(predict(network, Foreground(), image, flips=True)[0], np.mean(eight, axis=0), atol=1e-6)
