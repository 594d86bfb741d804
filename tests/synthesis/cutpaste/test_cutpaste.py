"""Cut and paste: the truth is exact, the seam is gone."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from helpers.cutpaste_sources import DISCS, GROUND, NOISE, PARTICLE, PLAIN, made, settings, source
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from nanolab.core.checks import InputError
from nanolab.core.seeds import generator
from nanolab.datasets.annotated import AnnotatedImage
from nanolab.images.rle import decode_rle
from nanolab.synthesis.cutpaste.backgrounds import Background, quilt
from nanolab.synthesis.cutpaste.composition import Composition, Pasted, compose, draw_composition
from nanolab.synthesis.cutpaste.material import Material, check_source, prepare
from nanolab.synthesis.cutpaste.settings import PRESETS, CutPasteSettings
from nanolab.synthesis.cutpaste.stamp import footprint


def analytic_area(kind: str, size: float) -> float:
    return np.pi * size**2 if kind == "disc" else (2 * size) ** 2


@pytest.mark.parametrize("kind", ["disc", "square"])
@pytest.mark.parametrize("size", [12, 30])
@given(angle=st.floats(0, 360), scale=st.floats(0.3, 2), row=st.floats(0, 64), col=st.floats(0, 64))
def test_masks_keep_their_area_and_centre_at_every_angle(kind, size, angle, scale, row, col) -> None:
    sample = source((kind, 99.5, 99.5, size))
    (cutout,) = prepare([(0, sample)], settings(backgrounds=["mean"]), seed=0).cutouts
    there = footprint(cutout, angle, scale, (row, col))
    expected = scale**2 * analytic_area(kind, size)
    # The pixels of the source give the disc of radius 12 0.5 % too little or too much; the smallest mask has 41.
    assert there.mask.sum() == pytest.approx(expected, rel=0.02, abs=1)
    assert ndimage.label(there.mask)[1] == 1
    centre = np.argwhere(there.mask).mean(axis=0) + np.array([there.top, there.left])
    # Along an edge parallel to the pixels one row is taken or left.
    assert np.abs(centre - (row, col)).max() < 0.51


def test_an_unturned_mask_is_the_sources_own() -> None:
    (cutout,) = prepare([(0, source(("disc", 100, 100, 20)))], settings(backgrounds=["mean"]), seed=0).cutouts
    there = footprint(cutout, 0, 1, cutout.centre)
    source_mask = source(("disc", 100, 100, 20)).labels == 1
    rows, cols = np.nonzero(source_mask)
    inner = there.mask[np.ix_(*(np.flatnonzero(there.mask.any(axis=axis)) for axis in (1, 0)))]
    assert np.array_equal(inner, source_mask[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1])


@given(scale=st.floats(0.05, 0.3), angle=st.floats(0, 360))
def test_the_smallest_particles_still_have_a_pixel(scale, angle) -> None:
    sample = source(("disc", 100, 100, 3))
    (cutout,) = prepare([(0, sample)], settings(backgrounds=["mean"], min_solidity=0), seed=0).cutouts
    assert footprint(cutout, angle, scale, (10.3, 10.7)).mask.sum() >= 1


def check_truth(result: Composition) -> None:
    """What holds of every label map and its table."""
    labels, table = result.labels, result.particles
    seen = table[table["label"] > 0]
    assert sorted(seen["label"]) == list(range(1, labels.max() + 1))
    visible = np.bincount(labels.ravel(), minlength=len(seen) + 1)
    assert (visible[seen["label"]] == seen["visible_area_px"]).all()
    for row in table.itertuples():
        amodal = decode_rle(row.amodal_rle, labels.shape, "test")
        assert amodal.sum() <= row.area_px
        assert (amodal.sum() == row.area_px) or row.touches_border
        if row.label:
            # Splinters of others, which it covers, may be added at its rim.
            assert (labels == row.label)[~ndimage.binary_dilation(amodal, iterations=2)].sum() == 0
            assert row.visible_fraction == pytest.approx(min(row.visible_area_px / row.area_px, 1))


@pytest.mark.parametrize("arrangement", ["overlapping", "agglomerated", "separate", "grid"])
def test_labels_and_table_agree(arrangement) -> None:
    for index in range(3):
        result = made(DISCS, settings(arrangement=arrangement, particles=(20, 30)), index)
        check_truth(result)
        inner = result.particles[~result.particles["touches_border"]]
        expected = inner["scale"] ** 2 * np.array([0, *(np.bincount(DISCS.labels.ravel())[1:])])[inner["source_label"]]
        assert (inner["area_px"] - expected).abs().max() <= 1


def test_particles_pasted_later_lie_on_top() -> None:
    result = made(DISCS, settings(particles=60, size_px=128))
    table = result.particles
    masks = [decode_rle(rle, result.labels.shape, "test") for rle in table["amodal_rle"]]
    top = np.zeros(result.labels.shape, dtype=int)
    for label, mask in zip(table["label"], masks, strict=True):
        top[mask] = label
    assert (table["visible_fraction"] < 0.5).any()
    # But for splinters of less than 5 pixels, or 1 % of what is visible of one.
    assert (top != result.labels).mean() < 0.002


def test_no_piece_of_a_particle_is_a_splinter() -> None:
    for index in range(5):
        labels = made(DISCS, settings(particles=60, size_px=128), index).labels
        for label in range(1, labels.max() + 1):
            pieces = np.bincount(ndimage.label(labels == label)[0].ravel())[1:]
            assert pieces.min() >= 5


def test_splinters_go_to_the_particle_on_top() -> None:
    pasted = Pasted(16)
    pasted.paste((slice(2, 10), slice(2, 10)), np.ones((8, 8), np.uint8))
    cover = np.ones((9, 9), np.uint8)
    cover[0, 0] = 0  # leaves one pixel of the first particle at (2, 2) and nothing else
    pasted.paste((slice(2, 11), slice(2, 11)), cover)
    labels, number, visible_px = pasted.labels()
    assert number.tolist() == [0, 1]
    assert visible_px.tolist() == [0, 81]
    assert (labels[2:11, 2:11] == 1).all()


@pytest.mark.parametrize(("arrangement", "gap_px"), [("separate", 1), ("separate", 4), ("grid", 2)])
def test_separate_particles_never_touch(arrangement, gap_px) -> None:
    for index in range(3):
        chosen = settings(arrangement=arrangement, particles=30, gap_px=gap_px, scale=(0.3, 1.2))
        labels = made(DISCS, chosen, index).labels
        for label in range(1, labels.max() + 1):
            near = ndimage.binary_dilation(labels == label, np.ones((3, 3)), iterations=gap_px)
            assert set(np.unique(labels[near])) <= {0, label}


@pytest.mark.parametrize("arrangement", ["separate", "grid"])
def test_what_finds_no_place_is_left_out_and_counted(arrangement) -> None:
    chosen = settings(arrangement=arrangement, particles=200, size_px=128, scale=(1, 1), tries=20)
    material = prepare([(0, DISCS)], chosen, seed=0)
    record = draw_composition(material, chosen, generator(0, 1, 0))
    placed = record["particles_placed"]
    assert record["particles_requested"] == 200
    # 200 discs of radius 13 need six times the image.
    assert (0 < placed < 30) if arrangement == "separate" else (placed == 0)
    assert len(compose(material, chosen, record).particles) == placed


def test_agglomerated_particles_lie_closer_than_scattered_ones() -> None:
    def nearest(arrangement: str) -> float:
        chosen = settings(arrangement=arrangement, particles=20, size_px=512, scale=(1, 1), backgrounds=["mean"])
        table = made(DISCS, chosen).particles
        points = table[["row_px", "col_px"]].to_numpy()
        distances = np.hypot(*(points[:, None] - points[None]).T) + 1e9 * np.eye(len(points))
        return float(np.median(distances.min(axis=0)))

    # Neighbours are 20 to 30 px apart in an agglomerate; 20 points on 512 x 512 px are 57 px from their nearest.
    assert nearest("agglomerated") < 31
    assert nearest("overlapping") > 40


def test_only_whole_particles_are_cut_out() -> None:
    sample = source(
        ("disc", 100, 100, 20),  # whole
        ("disc", 5, 60, 15),  # cut by the border
        ("disc", 30, 120, 5),  # too small
        ("disc", 150, 40, 20),  # to be hollowed
        ("disc", 150, 150, 20),  # to be cut in two
    )
    assert sample.labels is not None
    sample.labels[140:160, 40:70] = 0
    sample.labels[148:152, 125:180] = 0
    material = prepare([(0, sample)], settings(backgrounds=["mean"]), seed=0)
    assert [cutout.label for cutout in material.cutouts] == [1]
    sample.labels[sample.labels == 1] = 0
    message = "1 cut by the border, 1 too small, 1 hollow fragments, 1 in pieces"
    with pytest.raises(InputError, match=rf"source0: no particle can be cut out \({message}\)"):
        prepare([(0, sample)], settings(backgrounds=["mean"]), seed=0)


def test_a_separating_line_along_the_border_makes_no_particle_whole() -> None:
    sample = source(("disc", 100, 100, 20), ("disc", 5, 60, 15), ("disc", 60, 195, 15))
    assert sample.labels is not None
    sample.labels[0] = sample.labels[:, -1] = 0
    material = prepare([(0, sample)], settings(backgrounds=["mean"]), seed=0)
    assert [cutout.label for cutout in material.cutouts] == [1]


def test_sources_that_cannot_be_used_are_named() -> None:
    everywhere = source(("square", 100, 100, 99.9))
    with pytest.raises(InputError, match="no background between the particles"):
        prepare([(0, AnnotatedImage("full", everywhere.image, everywhere.labels * 0 + 1, everywhere.pixel_size,
        Path("x")))],
                settings(), seed=0)  # fmt: skip
    with pytest.raises(InputError, match=r"x\.tif: has no annotation"):
        prepare(
            [(0, AnnotatedImage("x", everywhere.image, None, everywhere.pixel_size, Path("x.tif")))], settings(), seed=0
        )
    other = source(("disc", 100, 100, 20), nm=3.0, seed=1)
    with pytest.raises(InputError, match=r"must have one pixel size, got source0: 2 nm .*, source1: 3 nm"):
        prepare([(0, DISCS), (1, other)], settings(mix_sources=True), seed=0)


def on_new_ground(
    chosen: CutPasteSettings, sample: AnnotatedImage, pixels: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Paste the first particle, unturned, in the middle of a given ground; values in [0, 1]."""
    material = prepare([(0, sample)], chosen, seed=0)
    flat = Background("mean", pixels, ndimage.uniform_filter(pixels, 65), np.zeros_like(pixels))
    record = {
        **{"background": 0, "corner_px": [0, 0], "mirrored": [False, False], "cutout": [0], "angle_deg": [0.0]},
        **{"scale": [1.0], "row_px": [128.0], "col_px": [128.0]},
        **{"salt_pepper": 0.0, "gaussian_blur_px": 0.0, "seed": 0},
    }
    return compose(Material((), material.cutouts, (flat,), None), chosen, record).image / 255


def rings(image: npt.NDArray[np.float64], *limits: tuple[float, float]) -> list[float]:
    """Mean grey values between pairs of distances from the middle."""
    rows, cols = np.ogrid[:256, :256]
    distance = np.hypot(rows - 128, cols - 128)
    return [float(image[(distance >= low) & (distance < high)].mean()) for low, high in limits]


@pytest.mark.parametrize("blending", ["feather", "poisson"])
@pytest.mark.parametrize("level", [0.15, 0.5])
def test_a_particle_keeps_its_contrast_to_the_ground(blending, level) -> None:
    pixels = np.full((256, 256), level, dtype=np.float32)
    image = on_new_ground(settings(blending=blending), source(("disc", 100, 100, 20)), pixels)
    inside, outside = rings(image, (0, 16), (30, 60))
    # The mean of 800 noisy pixels is known to 0.0007; a grey level of 8 bits is 0.004.
    assert inside == pytest.approx(min(level + PARTICLE - GROUND, 1), abs=0.006)
    assert outside == pytest.approx(level, abs=0.003)


@pytest.mark.parametrize("blending", ["feather", "none"])
def test_without_matching_a_particle_keeps_its_grey(blending) -> None:
    pixels = np.full((256, 256), 0.5, dtype=np.float32)
    chosen = settings(blending=blending, intensity_matching=0)
    inside, _ = rings(on_new_ground(chosen, source(("disc", 100, 100, 20)), pixels), (0, 16), (30, 60))
    assert inside == pytest.approx(PARTICLE, abs=0.006)


def test_hard_pasting_copies_pixels() -> None:
    sample = source(("square", 100, 100, 20.5))  # 41 px wide, its centroid on a pixel
    image = on_new_ground(CutPasteSettings.model_validate(PRESETS["utile2023"].model_dump() | PLAIN), sample,
                          np.full((256, 256), 0.1, dtype=np.float32))  # fmt: skip
    expected = np.full((256, 256), 0.1)
    expected[108:149, 108:149] = sample.image[80:121, 80:121]
    # OpenCV's cubic kernel at whole pixels is the identity; the rest is rounding to 8 bits.
    assert np.abs(image - expected).max() <= 0.5 / 255 + 1e-3


def shadowed() -> AnnotatedImage:
    """A disc of radius 20 with a shadow that halves the ground and ends 8 px from it."""
    sample = source(("disc", 100, 100, 20))
    rows, cols = np.ogrid[:200, :200]
    distance = np.hypot(rows - 100, cols - 100) - 20
    ring = (distance >= 0) & (distance < 8)
    sample.image[ring] -= 0.15
    return sample


@pytest.mark.parametrize("blending", ["feather", "poisson"])
def test_shadows_come_along(blending) -> None:
    pixels = np.full((256, 256), GROUND, dtype=np.float32)
    kept, lost = (
        rings(on_new_ground(settings(blending=blending, shadow=shadow), shadowed(), pixels), (22, 25), (40, 60))
        for shadow in (0.5, 0.0)
    )
    # Over 20 px the shadow fades to zero by a smooth step, of which 0.75 to 1 are left at 2 to 5 px.
    assert kept[0] == pytest.approx(GROUND - 0.15 * 0.9, abs=0.025)
    assert lost[0] == pytest.approx(GROUND, abs=0.02)
    assert kept[1] == pytest.approx(GROUND, abs=0.003)


@pytest.mark.parametrize("blending", ["feather", "poisson"])
def test_there_is_no_seam(blending) -> None:
    """A particle of no contrast, pasted on noise of the same kind, leaves no edge behind."""
    sample = source(("disc", 100, 100, 20))
    noise = NOISE * np.random.default_rng(5).standard_normal((256, 256))
    invisible = GROUND + NOISE * np.random.default_rng(6).standard_normal(sample.image.shape)
    sample = AnnotatedImage("invisible", invisible.astype(np.float32), sample.labels, sample.pixel_size, sample.path)
    image = on_new_ground(settings(blending=blending), sample, (GROUND + noise).astype(np.float32))
    near, inside, far = rings(np.hypot(*np.gradient(image)), (17, 23), (0, 14), (40, 80))
    # Steps between neighbours are as large at the edge as elsewhere, but for the pixel or two where the noise of both
    # is seen; twice the variance there would be 1.4 times the steps.
    assert 0.8 * far < near < 1.2 * far
    assert inside == pytest.approx(far, rel=0.1)


def test_noise_is_what_was_drawn() -> None:
    chosen = settings(salt_pepper=0.1, backgrounds=["mean"], particles=0)
    material = prepare([(0, DISCS)], chosen, seed=0)
    record = draw_composition(material, chosen, generator(0, 1, 3))
    image = compose(material, chosen, record).image
    assert 0 < record["salt_pepper"] < 0.1
    # Some places are drawn twice: of n pixels drawn, n/2 * share are.
    expected = 1 - np.exp(-record["salt_pepper"])
    assert ((image == 0) | (image == 255)).mean() == pytest.approx(expected, rel=0.02)
    assert (image == 0).sum() == pytest.approx((image == 255).sum(), rel=0.1)
    assert np.array_equal(image, compose(material, chosen, record).image)


def test_backgrounds_are_those_of_the_source() -> None:
    pool = {each.kind: each.pixels for each in prepare([(0, DISCS)], settings(size_px=200), seed=0).backgrounds}
    assert pool["mean"] == pytest.approx(GROUND, abs=0.001)  # 30,000 pixels
    for kind in ("inpainted", "texture"):
        assert pool[kind].shape == (200, 200)
        assert pool[kind].mean() == pytest.approx(GROUND, abs=0.003)
        assert pool[kind].std() == pytest.approx(NOISE, rel=0.1)
        assert pool[kind].max() < GROUND + 6 * NOISE  # no particle is left
    far = ndimage.binary_erosion(DISCS.labels == 0, iterations=15)
    # Of the painting's soft edge less than a grey level is left there.
    assert np.abs(pool["inpainted"] - DISCS.image)[far].max() < 1 / 255


def test_a_small_source_is_continued_to_the_size_asked_for() -> None:
    (background,) = prepare([(0, DISCS)], settings(size_px=300, backgrounds=["inpainted"]), seed=0).backgrounds
    assert background.pixels.shape == (300, 300)
    assert background.pixels.std() == pytest.approx(NOISE, rel=0.1)


def test_text_is_no_texture() -> None:
    sample = source(("disc", 50, 50, 12), side=300)
    sample.image[200:204, 100:160] = 1.0
    chosen = settings(backgrounds=["inpainted", "texture"], size_px=300)
    for background in prepare([(0, sample)], chosen, seed=0).backgrounds:
        assert background.pixels.max() < GROUND + 6 * NOISE
    kept = prepare([(0, sample)], settings(backgrounds=["inpainted"], size_px=300, keep_text=True), seed=0)
    assert (kept.backgrounds[0].pixels[201:203, 105:155] == 1).all()


def test_a_quilt_is_made_of_usable_pixels_only(rng) -> None:
    image = rng.random((90, 120)).astype(np.float32)
    usable = rng.random((90, 120)) > 0.001
    texture = quilt(image, usable, (64, 150), rng, "test")
    assert texture.shape == (64, 150)
    assert np.isin(texture, image[usable]).all()
    with pytest.raises(InputError, match="no 8 x 8 pixels of background"):
        quilt(image, rng.random((90, 120)) > 0.5, (64, 64), rng, "test")


def test_the_papers_hyperparameters_have_its_defaults() -> None:
    chosen = CutPasteSettings()
    assert (chosen.size_px, chosen.scale, chosen.min_area_fraction) == (1024, (0.3, 2.0), 0.6)
    assert (chosen.salt_pepper, chosen.gaussian_blur_px) == (0.1, 0.3)
    assert "mean" in chosen.backgrounds


def test_the_papers_tool_pastes_particles_of_all_sources_as_many_as_the_source_of_the_ground_has() -> None:
    chosen = CutPasteSettings.model_validate(PRESETS["utile2023"].model_dump() | PLAIN | {"scale": (1, 1)})
    assert PRESETS["utile2023"].size_px == 1024
    assert chosen.mix_sources
    other = source(("disc", 100, 100, 20), seed=1)
    material = prepare([(0, DISCS), (1, other)], chosen, seed=0)
    assert [each.kind for each in material.backgrounds] == ["plain", "mean"] * 2
    assert [each.particles for each in material.backgrounds] == [3, 3, 1, 1]
    pasted = set()
    for index in range(20):
        record = draw_composition(material, chosen, generator(0, 1, index))
        assert record["particles_requested"] == (3, 3, 1, 1)[record["background"]]
        pasted |= set(record["cutout"])
    assert pasted == {0, 1, 2, 3}  # from both sources


def test_a_plain_background_is_the_source_with_its_annotated_particles_painted_over_alone() -> None:
    sample = source(("disc", 100, 100, 20))
    sample.image[10:14, 10:60] = 1  # a scale bar
    (background,) = prepare([(0, sample)], settings(backgrounds=["plain"], size_px=200), seed=0).backgrounds
    ground = sample.labels == 0
    np.testing.assert_allclose(background.pixels[ground], np.clip(sample.image, 0, 1)[ground], atol=0.5 / 255 + 1e-6)
    painted = background.pixels[ndimage.binary_erosion(~ground, iterations=2)]
    assert painted.mean() == pytest.approx(GROUND, abs=NOISE)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"particles": (60, 40)}, "particles: a range goes from low to high, got 60 to 40"),
        ({"scale": (2, 0.3)}, "scale: a range goes from low to high"),
        ({"scale": (0, 1)}, "greater than or equal to 0.05"),
        ({"salt_pepper": 1.5}, "less than or equal to 1"),
        ({"arrangement": "random"}, "'overlapping', 'separate', 'grid' or 'agglomerated'"),
        ({"backgrounds": []}, "at least 1 item"),
        ({"particle": 50}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused(wrong, message) -> None:
    with pytest.raises(ValidationError, match=message):
        CutPasteSettings.model_validate(wrong)


def test_a_particle_larger_than_the_image_is_made_to_fit_it(caplog: pytest.LogCaptureFixture) -> None:
    disc = source(("disc", 100, 100, 40))  # 80 px across
    chosen = settings(size_px=64, particles=20, scale=(0.5, 4), backgrounds=("mean",))
    material = prepare([(0, disc)], chosen, seed=0)
    scales = draw_composition(material, chosen, np.random.default_rng(0))["scale"]
    # Half of its diameter is 40 px, all of it 80: nothing exceeds 64, and most of 0.5 to 4 would.
    assert max(scales) * material.cutouts[0].ecd_px == pytest.approx(64)
    check_source(disc, chosen)
    assert "1 of 1 particles can come out larger than the images of 64 px" in caplog.messages[0]


def test_a_particle_that_is_larger_than_the_image_at_every_scale_is_not_used() -> None:
    with pytest.raises(InputError, match="1 larger than the image"):
        check_source(source(("disc", 100, 100, 40)), settings(size_px=64, scale=(1, 2)))
