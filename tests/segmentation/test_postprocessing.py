"""Mill's post-processing: MorphoLibJ's steps on cases computed by hand, and against scikit-image's slow functions."""

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label
from skimage.morphology import local_minima, reconstruction

from nanolab.core.checks import InputError
from nanolab.segmentation.chamfer import BORGEFORS, CHESSKNIGHT, chamfer_distance
from nanolab.segmentation.postprocessing import POSTPROCESSING, DistanceWatershed, _reconstructed, make_postprocessing

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
seeds = st.integers(0, 2**32 - 1)


def blobs(seed: int, shape: tuple[int, int] = (60, 80)) -> npt.NDArray[np.bool_]:
    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 3) > 0


def slow_chamfer(mask: npt.NDArray[np.bool_], weights: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Dijkstra's shortest ways."""
    steps = dict(zip([(0, 1), (1, 1), (1, 2)], weights, strict=False))
    moves = [
        (r, c, steps[key])
        for r in range(-2, 3)
        for c in range(-2, 3)
        if (key := (min(abs(r), abs(c)), max(abs(r), abs(c)))) in steps
    ]
    distance = np.where(mask, 2**30, 0)
    queue = [(0, row, col) for row, col in np.argwhere(~mask).tolist()]
    while queue:
        way, row, col = heappop(queue)
        for down, right, length in moves:
            to = (row + down, col + right)
            if 0 <= to[0] < mask.shape[0] and 0 <= to[1] < mask.shape[1] and way + length < distance[to]:
                distance[to] = way + length
                heappush(queue, (way + length, *to))
    return distance


@given(seeds, st.sampled_from([BORGEFORS, CHESSKNIGHT]))
def test_chamfer_distances_are_shortest_ways(seed: int, weights: tuple[int, ...]) -> None:
    mask = blobs(seed, (30, 40))
    np.testing.assert_array_equal(chamfer_distance(mask, weights), slow_chamfer(mask, weights))


def test_chamfer_distances_of_one_background_pixel() -> None:
    mask = np.ones((3, 4), dtype=bool)
    mask[0, 0] = False
    assert chamfer_distance(mask).tolist() == [[0, 3, 6, 9], [3, 4, 7, 10], [6, 7, 8, 11]]
    assert chamfer_distance(mask, CHESSKNIGHT).tolist() == [[0, 5, 10, 15], [5, 7, 11, 16], [10, 11, 14, 18]]


@given(seeds, st.sampled_from([3, 7, 20]))
def test_growing_step_by_step_is_the_reconstruction(seed: int, dynamic: int) -> None:
    height = chamfer_distance(blobs(seed)).astype(np.float32)
    inverted = height.max() - height
    expected = reconstruction(inverted + dynamic, inverted, method="erosion", footprint=CROSS)
    # outside particles MorphoLibJ's filled map stays at its ceiling, which ours has as 0
    expected = np.minimum(expected, height.max())
    grown = _reconstructed(np.maximum(height - dynamic, 0), height)
    np.testing.assert_array_equal(height.max() - grown, expected)


def bars(neck: int) -> npt.NDArray[np.float32]:
    """Two squares of 21 x 21 px, joined over their full length by a bridge of an odd number of rows.

    Their middles are 11 px from the outside, 33 in Borgefors' units, and the middle of the bridge (neck + 1) / 2 px.
    """
    image = np.zeros((31, 70), dtype=np.float32)
    image[5:26, 5:26] = image[5:26, 45:66] = 1
    half = neck // 2
    image[15 - half : 16 + half, 26:45] = 1
    return image


@pytest.mark.parametrize(
    ("neck", "dynamic", "count"),
    [
        (7, 20, 2),  # pass at 3 * 4 = 12, summits at 33: they stand out by 21
        (7, 21, 1),  # no more than the dynamic
        (9, 20, 1),  # pass at 15: 18
        (9, 17, 2),
        (9, 18, 1),
    ],
)
def test_a_summit_counts_that_stands_out_by_more_than_the_dynamic(neck: int, dynamic: int, count: int) -> None:
    found = DistanceWatershed(min_area_px=1, dynamic=dynamic)(bars(neck))
    assert found.max() == count


@pytest.mark.parametrize(("dynamic", "count"), [(6, 2), (7, 1)])
def test_normalised_distances_are_px(dynamic: int, count: int) -> None:
    # 11 px against 4 px in the bridge: they stand out by 7 px, 21 thirds
    assert DistanceWatershed(min_area_px=1, dynamic=dynamic, normalised=True)(bars(7)).max() == count


def two_discs(distance: int, radius: int = 20) -> npt.NDArray[np.float32]:
    rows, cols = np.ogrid[:61, : 61 + distance]
    first = (rows - 30) ** 2 + (cols - 30) ** 2
    return ((first < radius**2) | ((rows - 30) ** 2 + (cols - 30 - distance) ** 2 < radius**2)).astype(np.float32)


@pytest.mark.parametrize("distance", [24, 28, 32, 36, 39])
def test_discs_come_apart_where_their_distance_map_says_so(distance: int) -> None:
    image = two_discs(distance)
    height = chamfer_distance(image > 0)
    stands_out = int(height[30, 30] - height[30, 30 + distance // 2])  # symmetric: the pass lies half way
    assert DistanceWatershed(dynamic=stands_out - 1)(image).max() == 2
    assert DistanceWatershed(dynamic=stands_out)(image).max() == 1


def test_a_line_of_one_pixel_separates_them() -> None:
    image = two_discs(34)
    found = make_postprocessing("mill2021_sio2_px")(image)
    assert found.max() == 2
    cut = (image > 0) & (found == 0)
    assert cut.any(axis=0).sum() == 1  # 34 is even: the line is the column half way
    assert np.flatnonzero(cut.any(axis=0)) == [47]
    assert label(found > 0)[1] == 2


def test_small_regions_are_removed_before_and_thin_ones_vanish() -> None:
    image = np.zeros((60, 200), dtype=np.float32)
    image[5:25, 5:24] = 0.52  # 380 px
    image[5:25, 40:60] = 0.52  # 400 px, up to 10 px deep, 30 in thirds
    image[5:45, 80:120] = 0.51  # not above the threshold
    image[30:42, 5:65] = 0.9  # 720 px, but only 6 px, 18 in thirds, deep
    sio2, tio2 = (make_postprocessing(name)(image) for name in ("mill2021_sio2_px", "mill2021_tio2_px"))
    assert sorted(np.bincount(sio2.ravel())[1:]) == [400, 720]
    assert tio2.max() == 0
    assert DistanceWatershed(min_area_px=400)(image).max() == 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_and_everything(value: float) -> None:
    assert (make_postprocessing("mill2021_tio2_px")(np.full((40, 40), value)) == value).all()


@given(seeds, st.sampled_from([4, 9, 15]))
def test_there_is_one_particle_for_each_of_morpholibjs_extended_minima(seed: int, dynamic: int) -> None:
    image = blobs(seed, (80, 100))
    height = chamfer_distance(image)
    inverted = height.max() - height
    filled = reconstruction(inverted + dynamic, inverted, method="erosion", footprint=CROSS)
    minima, count = label(local_minima(filled, connectivity=1) & image)
    found = DistanceWatershed(min_area_px=1, dynamic=dynamic)(image.astype(np.float32))
    assert found.max() == count
    for number in range(1, count + 1):
        assert len(np.unique(found[minima == number])) == 1
        assert label(found == number)[1] == 1
    assert not found[~image].any()


def test_an_unknown_name_is_refused() -> None:
    assert sorted(POSTPROCESSING) == ["mill2021_sio2", "mill2021_sio2_px", "mill2021_tio2", "mill2021_tio2_px"]
    with pytest.raises(InputError, match=r"must be one of mill2021_sio2, mill2021_tio2, .*got 'mill'"):
        make_postprocessing("mill")


@pytest.mark.parametrize("name", ["mill2021_sio2", "mill2021_tio2"])
def test_area_and_dynamic_are_as_large_in_nm_whatever_the_pixels(name: str) -> None:
    paper, fixed = make_postprocessing(name), make_postprocessing(f"{name}_px")
    assert paper.at(0.976) == fixed == fixed.at(5.0) == fixed.at(None)
    coarse = paper.at(4 * 0.976)
    assert coarse.min_area_px * 16 == pytest.approx(fixed.min_area_px, abs=8)  # whole pixels
    assert coarse.dynamic == pytest.approx(fixed.dynamic / 4)
    # two discs of 80 nm across: 5277 px at the paper's scale, 203 px at 4.976 nm, where 400 px would remove them
    small = np.zeros((40, 60), dtype=np.float32)
    rows, cols = np.ogrid[:40, :60]
    for middle in (15, 40):
        small[(rows - 20) ** 2 + (cols - middle) ** 2 <= 64] = 1
    assert (fixed(small).max(), paper(small, 4.976).max()) == (0, 2)
    with pytest.raises(InputError, match="follow the pixel size, which is unknown here"):
        paper(small)
