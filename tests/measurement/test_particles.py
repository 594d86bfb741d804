from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import regionprops_table

from nanolab.core.checks import InputError
from nanolab.images.labels import labels_from_mask, read_labels, relabel
from nanolab.images.pixel_size import PixelSize
from nanolab.measurement.particles import DESCRIPTORS, LEAST_SHAPE_PX, equivalent_diameter, measure, sizes_of
from nanolab.measurement.regions import find_regions
from nanolab.measurement.size_sample import size_sample

TYPED = PixelSize.typed(2.0)
UNKNOWN = PixelSize.unknown("nothing known")
masks = arrays(np.bool_, st.tuples(st.integers(2, 14), st.integers(2, 14)))


def disc(diameter_px: float, size: int = 80, row: float = 40.0, col: float = 40.0) -> np.ndarray:
    rows, cols = np.mgrid[:size, :size]
    return (np.hypot(rows - row, cols - col) <= diameter_px / 2).astype(np.int32)


def rectangle(height: int, width: int) -> np.ndarray:
    labels = np.zeros((height + 10, width + 10), np.int32)
    labels[5:-5, 5:-5] = 1
    return labels


def test_a_sphere_of_100_nm_at_2_nm_per_px_has_an_ecd_of_50_px() -> None:
    diameters = []
    for shift in np.linspace(0, 0.9, 10):
        particle = measure(disc(50, row=40 + shift, col=40 + shift / 2), pixel_size=TYPED).iloc[0]
        # A disc's pixel count errs by much less than its circumference in pixels: 0.2 px in diameter is 0.8 % in
        # area, 16 of 1963 px, a tenth of the circumference (Gauss circle problem).
        assert particle["ecd_px"] == pytest.approx(50, abs=0.2)
        assert particle["ecd_nm"] == 2 * particle["ecd_px"]
        diameters.append(particle["ecd_px"])
    assert np.mean(diameters) == pytest.approx(50, abs=0.05)  # over positions the error averages out


def test_a_square_has_the_descriptors_of_a_square() -> None:
    particle = measure(rectangle(30, 30), pixel_size=TYPED).iloc[0]
    assert particle["area_px"] == 900
    assert particle["area_nm2"] == 3600
    assert particle["ecd_px"] == pytest.approx(30 * np.sqrt(4 / np.pi))
    assert particle["major_axis_px"] == pytest.approx(2 * 30 / np.sqrt(3))  # 4 sqrt(second moment), a^2 / 12
    assert particle["minor_axis_nm"] == pytest.approx(2 * 60 / np.sqrt(3))
    assert particle["aspect_ratio"] == pytest.approx(1)
    assert particle["solidity"] == 1
    # 29 steps of 0.98 along each edge, four corners, and pi for the half pixel around: 2.7 % less than the square's 120
    assert particle["perimeter_px"] == pytest.approx(4 * 29 * 0.98 - 4 * 0.091 + np.pi)
    assert (particle["centroid_row_px"], particle["centroid_col_px"]) == (19.5, 19.5)


def test_a_rectangle_has_its_aspect_ratio() -> None:
    particle = measure(rectangle(40, 10), pixel_size=UNKNOWN).iloc[0]
    assert particle["aspect_ratio"] == pytest.approx(4)
    assert particle["circularity"] < 0.6  # 0.50 for exact edges, 0.55 with the perimeter 5 % short


def test_a_disc_is_round() -> None:
    particle = measure(disc(60), pixel_size=UNKNOWN).iloc[0]
    assert particle["aspect_ratio"] == pytest.approx(1, abs=1e-6)  # symmetric
    assert particle["perimeter_px"] == pytest.approx(60 * np.pi, rel=0.015)  # measured for discs of any place
    assert particle["circularity"] == pytest.approx(1, abs=0.03)  # twice that of the perimeter


def test_a_concave_particle_has_a_low_solidity() -> None:
    labels = rectangle(20, 20)
    labels[5:15, 5:15] = 0  # an L of three quarters, whose hull is the square less a triangle
    particle = measure(labels, pixel_size=UNKNOWN).iloc[0]
    # of the 100 px cut out, those on and below the line between the arms, 9 + 8 + ... + 1, lie in the hull
    assert particle["solidity"] == pytest.approx(300 / (300 + 45))
    assert particle["extent"] == 0.75
    # outline of the L as long as the square's along rows and columns; aslant its lines enter and leave no more often
    assert particle["convexity"] < 1


@pytest.mark.parametrize("labels", [disc(10), disc(30), disc(61.3), rectangle(12, 5), rectangle(1, 69)])
def test_convex_particles_are_their_own_hulls(labels: np.ndarray) -> None:
    particle = measure(labels, pixel_size=UNKNOWN).iloc[0]
    assert particle["solidity"] == 1
    assert particle["convexity"] == pytest.approx(1)


def drawn(kind: str, long: float, short: float, rng: np.random.Generator) -> np.ndarray:
    """Draw an ellipse or a rectangle of these sides at a random place and angle; a ring has a hole of half the size."""
    (row, col), angle = rng.uniform(-0.5, 0.5, 2), rng.choice([0, np.pi / 4, rng.uniform(0, np.pi)])
    half = int(long) + 3
    rows, cols = np.mgrid[-half : half + 1, -half : half + 1] - np.array([row, col])[:, None, None]
    along, across = np.cos(angle) * cols + np.sin(angle) * rows, np.cos(angle) * rows - np.sin(angle) * cols
    far = np.stack([2 * along / long, 2 * across / short])
    if kind == "rectangle":
        return (np.abs(far) <= 1).all(axis=0).astype(np.int32)
    distance = np.hypot(*far)
    return ((distance <= 1) & (distance >= (0.5 if kind == "ring" else 0))).astype(np.int32)


def length_of_outline(kind: str, long: float, short: float) -> float:
    if kind == "rectangle":
        return 2 * (long + short)
    unlike = ((long - short) / (long + short)) ** 2  # Ramanujan's formula for an ellipse
    outer = np.pi / 2 * (long + short) * (1 + 3 * unlike / (10 + np.sqrt(4 - 3 * unlike)))
    return outer * (1.5 if kind == "ring" else 1)


@pytest.mark.parametrize("diameter_px", [10, 16, 40, 90])
@pytest.mark.parametrize(
    ("kind", "ratio"), [("disc", 1), ("ring", 1), ("ellipse", 1.2), ("ellipse", 2), ("rectangle", 1), ("rectangle", 3)]
)
def test_the_perimeter_is_right_and_no_disc_is_rounder_than_round(kind: str, ratio: float, diameter_px: float) -> None:
    rng, errors = np.random.default_rng(diameter_px), []
    for _ in range(40):
        long, short = np.array([ratio**0.5, ratio**-0.5]) * diameter_px * rng.uniform(0.9, 1.1)
        particle = measure(drawn(kind, long, short, rng), pixel_size=UNKNOWN).iloc[0]
        errors.append(particle["perimeter_px"] / length_of_outline(kind, long, short) - 1)
        assert not particle["circularity"] > 1.01  # 12,000 discs and ellipses from 60 px reached 1.0097
    # a corner may lie half a pixel inside, and edges along rows and columns count 2 % less
    corners = 2 * np.sqrt(2) / diameter_px if kind == "rectangle" else 0
    assert abs(np.mean(errors)) < 0.011 + corners / 2 + 0.02 * (kind == "rectangle")
    assert np.abs(errors).max() < 0.02 + 0.25 / diameter_px + corners + 0.02 * (kind == "rectangle")


def test_feret_diameters_of_rectangles_and_discs() -> None:
    particle = measure(rectangle(30, 40), pixel_size=TYPED).iloc[0]
    assert particle["feret_max_px"] == 50
    assert (particle["feret_min_px"], particle["feret_min_nm"]) == (30, 60)
    assert (particle["box_height_px"], particle["box_width_px"], particle["box_aspect_ratio"]) == (30, 40, 4 / 3)
    assert particle["box_ratio"] == particle["extent"] == 1
    assert particle["roundness"] == pytest.approx(4 * 1200 / (np.pi * 2500))
    particle = measure(disc(60), pixel_size=UNKNOWN).iloc[0]
    assert 60 <= particle["feret_max_px"] <= 60 + np.sqrt(2)  # between corners of pixels whose centres are in the disc
    assert particle["feret_min_px"] == pytest.approx(60, abs=1)


@pytest.mark.parametrize("angle_deg", [0, 17, 45, 90, 135, 171])
def test_a_turned_rod_keeps_its_size_and_tells_its_angle(angle_deg: float) -> None:
    rows, cols = np.mgrid[:120, :120] - 60.0
    angle = np.deg2rad(angle_deg)
    along, across = cols * np.cos(angle) - rows * np.sin(angle), cols * np.sin(angle) + rows * np.cos(angle)
    rod = (np.abs(along) < 40.2) & (np.abs(across) < 10.2)  # no pixel's centre on an edge
    particle = measure(rod.astype(int), pixel_size=UNKNOWN).iloc[0]
    off = abs(particle["orientation_deg"] - angle_deg)
    assert min(off, 180 - off) < 0.5
    assert particle["feret_min_px"] == pytest.approx(20.4, abs=1.5)  # a pixel's diagonal
    assert particle["feret_max_px"] == pytest.approx(np.hypot(80.4, 20.4), abs=1.5)
    assert particle["box_ratio"] > 0.9  # less at most half a pixel around, 100 of 1600 px


def test_the_numbers_are_scikit_images(rng: np.random.Generator) -> None:
    labels = labels_from_mask(ndimage.gaussian_filter(rng.normal(size=(120, 150)), 3) > 0.05)
    ours = measure(labels, pixel_size=UNKNOWN)
    names = ("centroid", "num_pixels", "perimeter_crofton", "extent", "orientation", "inertia_tensor_eigvals")
    theirs = regionprops_table(labels, properties=names)
    np.testing.assert_allclose(ours["area_px"], theirs["num_pixels"])
    np.testing.assert_allclose(ours["centroid_row_px"], theirs["centroid-0"])
    np.testing.assert_allclose(find_regions(labels).crofton, theirs["perimeter_crofton"])
    shaped = (ours["area_px"] >= LEAST_SHAPE_PX).to_numpy()
    np.testing.assert_allclose(ours["extent"][shaped], theirs["extent"][shaped])
    for column, number in (("major_axis_px", 0), ("minor_axis_px", 1)):
        eigenvalues = np.maximum(theirs[f"inertia_tensor_eigvals-{number}"], 0)
        np.testing.assert_allclose(ours[column], 4 * np.sqrt(eigenvalues + 1 / 12), rtol=1e-6)
    long = (ours["aspect_ratio"] > 1.05).to_numpy()
    off = np.abs(ours["orientation_deg"] - (np.rad2deg(theirs["orientation"]) + 90) % 180)[long]
    assert np.minimum(off, 180 - off).max() < 1e-6


def test_nearest_neighbours_are_those_of_the_image() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5, 5], labels[5, 15], labels[35, 45] = 1, 2, 3
    table = measure(labels, pixel_size=TYPED)
    assert table["nearest_neighbour_px"].tolist() == [10, 10, pytest.approx(np.hypot(30, 30))]
    assert table["nearest_neighbour_nm"].tolist()[0] == 20


def test_classes_come_into_the_table() -> None:
    labels = np.array([[1, 0, 2], [0, 0, 7]])
    assert measure(labels, pixel_size=UNKNOWN, classes={1: "rod", 7: "cube"})["class"].tolist() == ["rod", "", "cube"]


def test_huge_labels_need_no_memory() -> None:
    table = measure(np.array([[0, 2**31 - 1], [3, 3]]), pixel_size=UNKNOWN)
    assert table["label"].tolist() == [3, 2**31 - 1]


def test_an_unknown_quantity_is_named() -> None:
    with pytest.raises(
        InputError, match="diameter: no length of the particle table; choose from ecd, ecd_whole, sqrt_area"
    ):
        sizes_of(measure(disc(9), pixel_size=TYPED), "diameter")


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2)])
def test_the_smallest_particles_have_finite_sizes_and_no_shape(shape: tuple[int, int]) -> None:
    particle = measure(rectangle(*shape), pixel_size=TYPED).iloc[0]
    empty = [key for key, each in DESCRIPTORS.items() if each.dimension == 0]
    empty += ["nearest_neighbour_px", "nearest_neighbour_nm"]
    assert particle[empty].isna().all()
    assert np.isfinite(particle.drop(["image", "scale_source", *empty]).to_numpy(dtype=float)).all()


def square(side: float, angle: float, row: float, col: float) -> np.ndarray:
    rows, cols = np.mgrid[:30, :30]
    along = (cols - col) * np.cos(angle) + (rows - row) * np.sin(angle)
    across = (rows - row) * np.cos(angle) - (cols - col) * np.sin(angle)
    return ((np.abs(along) <= side / 2) & (np.abs(across) <= side / 2)).astype(np.int32)


def test_particles_that_have_a_shape_can_be_told_to_be_discs_or_squares(rng: np.random.Generator) -> None:
    circularity: dict[str, list[float]] = {"disc": [], "square": []}
    for _ in range(300):
        area, angle, (row, col) = rng.uniform(64, 80), rng.uniform(0, np.pi), rng.uniform(14, 16, 2)
        shapes = {"disc": disc(np.sqrt(4 * area / np.pi), row=row, col=col)}
        shapes["square"] = square(np.sqrt(area), angle, row, col)
        for name, labels in shapes.items():
            circularity[name].append(measure(labels, pixel_size=UNKNOWN)["circularity"].item())
    assert np.nanquantile(circularity["square"], 0.975) < np.nanquantile(circularity["disc"], 0.025)
    assert np.nanmax(circularity["disc"]) < 1.01


@pytest.mark.parametrize("quantity", ["area", "circularity", "centroid_row", "image_height", "orientation_deg"])
def test_what_is_no_length_is_no_size(quantity: str) -> None:
    for scale in (TYPED, UNKNOWN):
        with pytest.raises(InputError, match=f"{quantity}: no length of the particle table; choose from ecd"):
            sizes_of(measure(disc(9), pixel_size=scale), quantity)


@pytest.mark.parametrize("quantity", [key for key, each in DESCRIPTORS.items() if each.dimension == 1])
def test_sizes_of_pixels_of_different_size_are_pooled_in_nm(quantity: str) -> None:
    coarse, fine = np.zeros((60, 60), np.int32), np.zeros((120, 120), np.int32)
    coarse[10:20, 10:20], coarse[30:40, 40:50] = 1, 2
    fine[20:40, 20:40], fine[60:80, 80:100] = 1, 2  # the same squares with pixels half as large
    tables = [measure(labels, pixel_size=PixelSize.typed(nm)) for labels, nm in ((coarse, 2.0), (fine, 1.0))]
    sizes, unit = sizes_of(pd.concat(tables, ignore_index=True), quantity)
    assert unit == "nm"
    np.testing.assert_allclose(sizes, sizes[0], rtol=0.03)  # the ellipse knows the pixels: 1/12 of each


def test_only_particles_at_the_edge_of_the_image_touch_the_border() -> None:
    labels = np.zeros((7, 9), np.int32)
    labels[0, 4], labels[6, 4], labels[3, 0], labels[3, 8], labels[1:6, 2:7] = 1, 2, 3, 4, 5
    assert measure(labels, pixel_size=UNKNOWN)["touches_border"].tolist() == [True, True, True, True, False]


def test_intensity_is_the_mean_grey_value() -> None:
    labels = np.array([[1, 1, 0], [0, 2, 2]])
    image = np.array([[0.25, 0.75, 9], [9, 0.5, 1.0]], dtype=np.float32)
    assert measure(labels, pixel_size=UNKNOWN, image=image)["mean_intensity"].tolist() == [0.5, 0.75]
    with pytest.raises(InputError, match=r"sem-1: both must have one size, got \(2, 3\) and \(2, 2\)"):
        measure(labels, pixel_size=UNKNOWN, image=image[:, :2], name="sem-1")


def test_the_table_says_where_the_scale_is_from_and_has_no_nm_without_one() -> None:
    known, unknown = measure(disc(9), pixel_size=TYPED, name="a"), measure(disc(9), pixel_size=UNKNOWN, name="a")
    assert (known["image"].item(), known["scale_source"].item(), unknown["scale_source"].item()) == (
        "a",
        "typed",
        "unknown",
    )
    units = {1: "nm", 2: "nm2"}
    nm = {f"{key}_{units[each.dimension]}" for key, each in DESCRIPTORS.items() if each.dimension}
    assert set(known) - set(unknown) == {*nm, "pixel_size_nm"}
    assert known["pixel_size_nm"].item() == 2


def test_a_map_without_particles_gives_the_same_columns() -> None:
    empty, one = (measure(labels, pixel_size=TYPED) for labels in (np.zeros((5, 5), int), disc(9)))
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == one.dtypes.to_dict()


@given(masks)
def test_areas_add_up_to_the_foreground(mask: np.ndarray) -> None:
    assert measure(labels_from_mask(mask), pixel_size=UNKNOWN)["area_px"].sum() == mask.sum()


@given(masks)
def test_numbers_of_particles_do_not_matter(mask: np.ndarray) -> None:
    labels = labels_from_mask(mask)
    other = np.where(labels > 0, 7 * labels + 3, 0)
    first, second = (measure(each, pixel_size=TYPED) for each in (labels, other))
    assert second["label"].tolist() == (7 * first["label"] + 3).tolist()
    pd.testing.assert_frame_equal(first.drop(columns="label"), second.drop(columns="label"))


@given(masks, st.sampled_from([np.flipud, np.fliplr, np.transpose, np.rot90]))
def test_flips_and_quarter_turns_change_no_size_or_shape(mask: np.ndarray, turn: object) -> None:
    labels = labels_from_mask(mask)
    first, second = (measure(each, pixel_size=TYPED) for each in (labels, turn(labels)))
    kept = [name for name in first if not name.startswith(("centroid", "box_", "orientation", "image_"))]
    kept += ["box_ratio"]
    # Sums of the same pixels in another order: rounding only.
    pd.testing.assert_frame_equal(first[kept], second[kept], rtol=1e-9)


@given(masks, st.floats(0.1, 100))
def test_nm_scale_with_the_pixel_size(mask: np.ndarray, pixel_size_nm: float) -> None:
    table = measure(labels_from_mask(mask), pixel_size=PixelSize.typed(pixel_size_nm))
    np.testing.assert_allclose(table["ecd_nm"], equivalent_diameter(table["area_nm2"]), rtol=1e-12)
    np.testing.assert_allclose(table["perimeter_nm"], table["perimeter_px"] * pixel_size_nm, rtol=1e-12)


def test_annotated_tio2_has_the_median_size_counted_by_hand(bam_folder: Path) -> None:
    path = next(bam_folder.rglob("1908248_m.tif"))
    labels = read_labels(path)[:704]
    table = measure(labels, pixel_size=PixelSize.typed(7.34375))
    areas = sorted(np.unique(labels[labels > 0], return_counts=True)[1] * 7.34375**2)
    assert np.median(sizes_of(table)[0]) == pytest.approx(np.sqrt(4 * np.median(areas) / np.pi), rel=0.01)
    assert len(table) == len(areas)


def test_known_and_unknown_scales_are_not_mixed() -> None:
    tables = [measure(relabel(disc(9)), pixel_size=size) for size in (TYPED, UNKNOWN)]
    with pytest.raises(InputError, match="1 of 2 particles have no pixel size"):
        sizes_of(pd.concat(tables))


def test_a_particle_alone_in_its_image_has_no_neighbour_and_costs_no_other_image_its_own() -> None:
    pairs = np.zeros((9, 30), dtype=np.int32)
    pairs[3:6, 3:6], pairs[3:6, 20:23] = 1, 2
    tables = [
        measure(labels, pixel_size=TYPED, name=name) for name, labels in (("one", relabel(disc(2))), ("two", pairs))
    ]
    sample = size_sample(pd.concat(tables), "nearest_neighbour", border="keep")
    assert sample.sizes.tolist() == [17 * 2.0] * 2
    assert (sample.lonely, sample.images) == (1, ("two",))
    with pytest.raises(InputError, match="nearest_neighbour: every particle is alone in its image"):
        size_sample(tables[0], "nearest_neighbour", border="keep")
