import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.training.augmentation import cut, draw_view, vary_grey
from nanolab.training.settings import AugmentationSettings

AS_IT_IS = AugmentationSettings(
    flip=False, rotate=False, scale=(1, 1), gamma=0, contrast=0, brightness=0, illumination=0, blur_px=0, noise=0
)
seeds = st.integers(0, 2**32 - 1)


def view_of(seed: int, shape: tuple[int, int], settings: AugmentationSettings, side_px: int = 32) -> np.ndarray:
    return draw_view(np.random.default_rng(seed), shape, side_px, settings)


@given(seeds)
def test_without_augmentation_a_patch_is_a_window_of_the_image(seed: int) -> None:
    image = np.arange(50 * 70, dtype=np.uint16).reshape(50, 70)
    patch = cut(image, view_of(seed, image.shape, AS_IT_IS), 32, smooth=False).astype(int)
    row, col = divmod(patch[0, 0], 70)
    assert 0 <= row <= 18
    assert 0 <= col <= 38
    np.testing.assert_array_equal(patch, image[row : row + 32, col : col + 32])


def test_windows_come_from_everywhere() -> None:
    image = np.arange(50 * 70, dtype=np.uint16).reshape(50, 70)
    corners = {int(cut(image, view_of(s, image.shape, AS_IT_IS), 32, smooth=False)[0, 0]) for s in range(3000)}
    # 19 * 39 = 741 windows; in 3000 draws one of them stays out with probability 741 * exp(-4.05), 13 are expected to
    assert len(corners) > 741 - 40
    assert max(corners) // 70 == 18
    assert max(corner % 70 for corner in corners) == 38


@given(seeds)
def test_flips_and_quarter_turns_interpolate_nothing(seed: int) -> None:
    image = np.arange(50 * 70, dtype=np.float32).reshape(50, 70)
    patch = cut(image, view_of(seed, image.shape, AS_IT_IS.model_copy(update={"flip": True})), 32, smooth=True)
    values = patch.astype(int)
    np.testing.assert_array_equal(patch, values)
    steps = {abs(int(values[0, 1] - values[0, 0])), abs(int(values[1, 0] - values[0, 0]))}
    assert steps == {1, 70}


def test_all_eight_flips_and_turns_occur() -> None:
    image = np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    settings = AS_IT_IS.model_copy(update={"flip": True})
    found = {tuple(cut(image, view_of(s, (32, 32), settings), 32, smooth=False)[0, :2]) for s in range(200)}
    assert len(found) == 8


@given(seeds, st.sampled_from([31, 32, 33]))
def test_a_window_without_interpolation_is_what_opencv_would_cut(seed: int, side_px: int) -> None:
    image = np.random.default_rng(seed).integers(0, 2**16, (50, 70), dtype=np.uint16)
    view = view_of(seed, image.shape, AS_IT_IS.model_copy(update={"flip": True}), side_px)
    found = cut(image, view, side_px, smooth=True)
    beyond = np.pad(image, 60, mode="reflect")  # a view that reaches over an edge is warped
    moved = view + np.column_stack([np.zeros((2, 2)), [60, 60]])
    np.testing.assert_array_equal(found, cut(beyond, moved, side_px, smooth=True))
    cols, rows = np.einsum(
        "ij,jrc->irc", view, np.stack([*np.mgrid[:side_px, :side_px][::-1], np.ones((side_px,) * 2)])
    )
    np.testing.assert_array_equal(found, image[rows.round().astype(int), cols.round().astype(int)])


@given(seeds, st.integers(0, 99), st.integers(0, 119))
def test_a_patch_around_a_point_shows_it(seed: int, row: int, col: int) -> None:
    settings = AugmentationSettings(rotate=False, scale=(1, 1))
    image = np.zeros((100, 120), dtype=np.uint8)
    image[row, col] = 200
    view = draw_view(np.random.default_rng(seed), image.shape, 32, settings, (row, col))
    assert cut(image, view, 32, smooth=False).max() == 200


def test_shear_tilts_the_axes() -> None:
    settings = AS_IT_IS.model_copy(update={"shear": 0.2})
    tilts = [float(turn[:, 0] @ turn[:, 1]) for turn in (view_of(s, (90, 90), settings)[:, :2] for s in range(50))]
    assert -0.2 <= min(tilts) < -0.1
    assert 0.1 < max(tilts) <= 0.2
    assert 10 <= np.count_nonzero(np.abs(tilts) < 1e-12) <= 40  # half of the patches stay as they are


@given(seeds, st.floats(0.5, 2))
def test_magnification_and_angle_are_those_of_the_view(seed: int, magnification: float) -> None:
    settings = AugmentationSettings(scale=(magnification, magnification))
    turn = view_of(seed, (200, 200), settings)[:, :2]
    # either not resampled, or turned and magnified
    assert abs(np.linalg.det(turn)) == pytest.approx(1) or abs(np.linalg.det(turn)) == pytest.approx(magnification**-2)
    np.testing.assert_allclose(turn @ turn.T, abs(np.linalg.det(turn)) * np.eye(2), atol=1e-12)


@given(seeds)
def test_image_and_labels_stay_on_each_other(seed: int) -> None:
    rows, cols = np.ogrid[:120, :120]
    labels = sum(
        k * ((rows - r) ** 2 + (cols - c) ** 2 < 15**2) for k, (r, c) in enumerate([(30, 30), (80, 90)], start=1)
    ).astype(np.uint16)
    image = ((labels > 0) * 255).astype(np.uint8)
    view = view_of(seed, image.shape, AugmentationSettings(), 64)
    shown = cut(image, view, 64, smooth=True) > 127.5
    found = cut(labels, view, 64, smooth=False)
    assert set(np.unique(found)) <= {0, 1, 2}
    # bilinear and nearest differ by at most half a pixel at the edge: here some 2 % of the pixels, if any
    assert np.mean(shown != (found > 0)) < 0.03


@pytest.mark.parametrize("shape", [(2, 2), (5, 300), (40, 40)])
def test_an_image_smaller_than_the_patch_is_mirrored(shape: tuple[int, int], rng: np.random.Generator) -> None:
    image = rng.integers(1, 255, shape, dtype=np.uint8)
    for seed in range(20):
        patch = cut(image, view_of(seed, shape, AugmentationSettings(), 64), 64, smooth=False)
        assert patch.shape == (64, 64)
        assert np.isin(patch, image).all()


def test_a_small_image_keeps_its_middle_and_is_mirrored_around_it() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    patch = cut(image, view_of(0, (4, 4), AS_IT_IS, 8), 8, smooth=False)
    np.testing.assert_array_equal(patch, np.pad(image, 2, mode="reflect"))


def test_grey_values_stay_without_grey_augmentation(rng: np.random.Generator) -> None:
    patch = rng.random((32, 32), dtype=np.float32)
    # 0.5 is subtracted and added again, which may cost the last bit
    np.testing.assert_allclose(vary_grey(patch, rng, AS_IT_IS), patch, atol=1e-7)


@given(seeds)
def test_varied_grey_values_stay_in_range_and_in_order(seed: int) -> None:
    ramp = np.linspace(0.2, 0.8, 64, dtype=np.float32)[None].repeat(64, axis=0)
    settings = AugmentationSettings(noise=0, illumination=0)
    found = vary_grey(ramp, np.random.default_rng(seed), settings)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert (np.diff(found, axis=1) >= 0).all()
    # contrast of at least exp(-0.3), gamma of at most exp(0.3): the ramp of 0.6 keeps at least half of its height
    assert np.ptp(found) > 0.3


@pytest.mark.parametrize(("key", "amount"), [("noise", 0.1), ("blur_px", 3.0), ("illumination", 0.2), ("gamma", 0.3)])
def test_every_kind_of_variety_can_be_had_alone(key: str, amount: float, rng: np.random.Generator) -> None:
    patch = rng.random((64, 64), dtype=np.float32) / 2 + 0.25
    settings = AS_IT_IS.model_copy(update={key: amount})
    changes = np.array([np.std(vary_grey(patch, rng, settings) - patch) for _ in range(40)])
    assert changes.max() > 0.01
    if key in ("noise", "blur_px"):  # half of the patches: 40 coins give 8 to 32 but once in 10,000 times
        assert 8 <= np.sum(changes < 1e-6) <= 32
    if key == "noise":
        assert 0.05 < changes.max() <= 0.101  # the strength is uniform up to 0.1; known to 1/64 of itself


def test_illumination_is_smooth(rng: np.random.Generator) -> None:
    patch = np.full((64, 64), 0.5, dtype=np.float32)
    found = vary_grey(patch, rng, AS_IT_IS.model_copy(update={"illumination": 0.2}))
    assert np.abs(np.diff(found, axis=0)).max() < 0.03  # 0.4 over a third of 64 px, steeper in the middle of it
    assert np.ptp(found) > 0.05
