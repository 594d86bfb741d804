"""Layers of a substrate: each does what its fields say."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage

from nanolab.synthesis.substrates.dirt import Blobs, Contamination, Drops, Outlines, Smears, Specks
from nanolab.synthesis.substrates.film import Carbon, Grain, Holes, Relief, Scratches, Support
from nanolab.synthesis.substrates.folds import Ridges, Sheets
from nanolab.synthesis.substrates.layer import Layer, depth_in_discs, filled, rim
from nanolab.synthesis.substrates.substrate import SubstrateLayer, draw_substrate, render_substrate

SHAPE = (256, 320)
EVERY_KIND: list[Layer] = [
    Grain(amplitude=0.2, scale_nm=40),
    Relief(amplitude=0.2, scale_nm=40),
    Carbon(amplitude=0.1, scale_nm=8),
    Scratches(amplitude=0.3, width_nm=5, per_um=20),
    Holes(level=0.4, diameter_nm=80, pitch_nm=160, irregularity=0.5, rim=-0.2),
    Ridges(amplitude=0.5, width_nm=6, pitch_nm=60),
    Sheets(amplitude=-0.2, scale_nm=150, width_nm=5),
    Outlines(amplitude=0.5, scale_nm=100, width_nm=5),
    Blobs(amplitude=0.5, size_nm=30, per_um2=50),
    Specks(amplitude=0.5, size_nm=20, per_um2=50),
    Smears(amplitude=0.2, width_nm=15, stretch=8),
    Contamination(amplitude=0.3, coverage=0.3, rim=0.1),
    Support(amplitude=2, diameter_nm=60, coverage=0.5),
    Drops(level=0.2, size_nm=80, per_um2=50, rim=0.3, rim_nm=5),
]


def ground(layer: Layer, seed: int = 0, pixel_size_nm: float = 2.0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return render_substrate([layer.draw(np.random.default_rng(seed))], shape, pixel_size_nm)


def test_every_kind_is_tested() -> None:
    schema = TypeAdapter(SubstrateLayer).json_schema()
    assert {layer.kind for layer in EVERY_KIND} == set(schema["discriminator"]["mapping"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("layer", EVERY_KIND, ids=lambda layer: layer.kind)
@pytest.mark.parametrize("shape", [(256, 320), (61, 47)])
def test_a_layer_is_seen_and_replays(layer: Layer, shape: tuple[int, int]) -> None:
    record = layer.draw(np.random.default_rng(1))
    first = render_substrate([record], shape, 2.0)
    assert first.shape == shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, render_substrate([record], shape, 2.0))
    seen = [ground(layer, seed, shape=shape).std() for seed in range(4)]
    assert max(seen) > 1e-3


@pytest.mark.parametrize("layer", EVERY_KIND, ids=lambda layer: layer.kind)
def test_layers_of_other_seeds_differ(layer: Layer) -> None:
    assert not np.array_equal(ground(layer, 0), ground(layer, 1))


def test_a_clean_substrate_is_0() -> None:
    assert not render_substrate([], SHAPE, 2.0).any()


def test_probability_is_the_share_of_images_with_the_layer() -> None:
    rng = np.random.default_rng(0)
    layers = [Grain(probability=0.3, amplitude=0.1, scale_nm=10), Blobs(amplitude=0.1, size_nm=10, per_um2=1)]
    drawn = [[record["kind"] for record in draw_substrate(layers, rng)] for _ in range(1000)]
    assert all("blobs" in kinds for kinds in drawn)
    assert np.mean(["grain" in kinds for kinds in drawn]) == pytest.approx(0.3, abs=0.06)  # 4 SD of 1.45 %


def test_coverage_is_the_part_that_is_covered() -> None:
    texture = ground(Grain(amplitude=1, coverage=0.4, scale_nm=4), shape=(256, 256))
    assert (np.abs(texture) > 1e-6).mean() == pytest.approx(0.4, abs=0.12)  # soft edges add to it


def test_outlines_are_thin() -> None:
    lines = ground(Outlines(amplitude=1, scale_nm=100, width_nm=6), pixel_size_nm=3.0)
    assert 0.9 < lines.max() <= 1.3
    assert (lines > 0.5).mean() < 0.1


@pytest.mark.parametrize("kind", [Blobs, Specks])
def test_spots_have_their_number_and_size(kind: type[Layer]) -> None:
    layer = kind.model_validate({"amplitude": 1, "size_nm": 40, "per_um2": 20})
    areas = [(ground(layer, seed, 3.0) > np.exp(-1)).mean() for seed in range(20)]
    # Ellipses of mean squash 3/4 and spread in diameter uniform from 1/2 to 3/2, whose mean square is 13/12.
    expected = 20e-6 * np.pi / 4 * 40**2 * 0.75 * 13 / 12
    assert np.mean(areas) == pytest.approx(expected, rel=0.25)  # 20 images of 15 spots: Poisson alone is 6 %


def test_holes_are_in_a_lattice_and_hide_the_film() -> None:
    # Film of noise, holes of 50 px in a lattice of 100 px.
    film, holes = Grain(amplitude=0.3, scale_nm=6), Holes(level=0.5, diameter_nm=100, pitch_nm=200)
    rng = np.random.default_rng(0)
    texture = render_substrate([film.draw(rng), holes.draw(rng)], (600, 600), 2.0)
    in_holes = np.abs(texture - 0.5) < 1e-5
    assert in_holes.mean() == pytest.approx(np.pi * 25**2 / 100**2, rel=0.12)  # 36 holes, some cut by the border
    labels, count = ndimage.label(ndimage.binary_opening(in_holes, np.ones((3, 3))))
    whole = [box for box in ndimage.find_objects(labels) if all(s.start > 0 and s.stop < 600 for s in box)]
    assert count >= 25
    assert all(abs((side.stop - side.start) - 49) <= 3 for box in whole for side in box)  # 50 px less its soft edge
    centres = np.array([[(s.start + s.stop) / 2 for s in box] for box in whole])
    nearest = np.sort(np.linalg.norm(centres[:, None] - centres, axis=-1), axis=1)[:, 1]
    assert nearest == pytest.approx(100, abs=2)
    assert texture[~in_holes].std() > 0.2


def test_the_rim_of_a_disc_is_at_its_edge() -> None:
    rng = np.random.default_rng(0)
    depth = depth_in_discs(np.array([[100.0, 140]]), np.array([60.0]), SHAPE, 20, 0, rng)
    away = np.hypot(*(np.indices(SHAPE) - np.array([100, 140])[:, None, None]))
    near = away < 75  # the margin beyond the disc
    assert depth[near] == pytest.approx(60 - away[near], abs=1e-4)
    line = rim(depth, 10)
    assert line[near & (np.abs(away - 60) < 0.3)].min() > 0.98
    assert line[np.abs(away - 60) > 10].max() < np.exp(-2) * 1.001  # 10 px are two SDs
    assert filled(depth).sum() == pytest.approx(np.pi * 60**2, rel=0.002)


def test_irregular_holes_are_of_various_sizes() -> None:
    equal, various = (
        ground(Holes(level=1, diameter_nm=60, pitch_nm=200, irregularity=irregularity), 0, 2.0, (600, 600)) > 0.5
        for irregularity in (0, 1)
    )
    spread = []
    for holes in (equal, various):
        labels, _ = ndimage.label(np.pad(holes, 1))
        areas = [np.sum(labels[box] > 0) for box in ndimage.find_objects(labels)]
        inner = np.array(areas)[np.array(areas) > 100]
        spread.append(inner.std() / inner.mean())
    assert spread[1] > 2 * spread[0]


def test_contamination_covers_its_part_and_has_its_height() -> None:
    parts = [ground(Contamination(amplitude=0.5, coverage=0.3, softness=0.01), seed) for seed in range(4)]
    for dirt in parts:
        assert (dirt > 0.25).mean() == pytest.approx(0.3, abs=0.03)  # the level is set on every fourth pixel
        assert dirt.max() == pytest.approx(0.5, abs=1e-3)
        assert dirt.min() == 0


def test_contamination_with_low_roughness_has_a_ragged_edge() -> None:
    edges = []
    for roughness in (0.2, 1.0):
        dirt = ground(Contamination(amplitude=1, coverage=0.4, roughness=roughness, softness=0.01)) > 0.5
        edges.append(np.abs(np.diff(dirt.astype(int), axis=1)).sum())
    assert edges[0] > 3 * edges[1]


def test_smears_are_long_and_narrow() -> None:
    smears = ground(Smears(amplitude=1, width_nm=12, stretch=15))
    down, right = np.gradient(smears)
    tensor = [[np.mean(right * right), np.mean(right * down)], [np.mean(right * down), np.mean(down * down)]]
    weak, strong = np.linalg.eigvalsh(tensor)
    assert strong > 20 * weak  # 15 times as long: the slope across is 15 times as steep, its square 200 times
    assert smears.min() == 0


def test_scratches_cross_the_image_along_one_direction() -> None:
    scratches = ground(Scratches(amplitude=1, width_nm=6, per_um=10))
    down, right = np.gradient(scratches)
    tensor = [[np.mean(right * right), np.mean(right * down)], [np.mean(right * down), np.mean(down * down)]]
    weak, strong = np.linalg.eigvalsh(tensor)
    assert strong > 50 * weak
    assert np.abs(scratches).max() <= 2  # lines that fall together add up


@pytest.mark.parametrize("coverage", [0.2, 0.6])
def test_a_support_covers_its_part_and_adds_up(coverage: float) -> None:
    image = ground(Support(amplitude=1, diameter_nm=60, coverage=coverage, bend=0, texture=0))
    # It stops with the particle that reaches the part; one of 30 px across is at most 1.7 times that with its spread.
    assert coverage <= (image > 0).mean() < coverage + np.pi * (1.7 * 15) ** 2 / image.size
    assert image.min() == 0
    assert image.max() > 1.5  # sintered particles overlap


def test_drops_have_a_flat_inside_and_a_rim() -> None:
    drops = ground(Drops(level=0.2, size_nm=150, per_um2=4, rim=0.3, rim_nm=8), 5)
    assert drops.max() == pytest.approx(0.2 + 0.3, abs=0.12)  # on the edge the inside is at half
    inside = np.abs(drops - 0.2) < 0.01
    assert inside.mean() > 0.02
    assert (np.abs(drops) < 0.01).mean() > 0.3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "holes", "level": 0.1, "diameter_nm": 0, "pitch_nm": 5}, "above 0"),
        ({"kind": "contamination", "amplitude": 1, "coverage": 1.5}, "between 0 and 1"),
        ({"kind": "grain", "amplitude": 1, "scale_nm": 4, "rough": 1}, "Extra inputs"),
        ({"kind": "mud", "amplitude": 1}, "does not match any of the expected tags"),
    ],
)
def test_wrong_values_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(SubstrateLayer).validate_python(content)


def test_ridges_are_as_wide_as_asked_and_run_along_one_way_where_they_are_drawn_out() -> None:
    wide, narrow = (ground(Ridges(amplitude=1, width_nm=width, pitch_nm=120)) > 0.3 for width in (24, 8))
    assert wide.mean() > 1.8 * narrow.mean()
    drawn_out = ground(Ridges(amplitude=1, width_nm=8, pitch_nm=60, stretch=12), shape=(256, 256))
    round_about = ground(Ridges(amplitude=1, width_nm=8, pitch_nm=60), shape=(256, 256))
    main = [
        np.linalg.eigvalsh(np.cov(np.stack([d.ravel() for d in np.gradient(one)]))) for one in (drawn_out, round_about)
    ]
    assert main[0][1] / main[0][0] > 5 * main[1][1] / main[1][0]  # slopes are steep across, not along


def test_more_sheets_let_less_through() -> None:
    few, many = (
        np.mean([ground(Sheets(amplitude=-0.2, scale_nm=150, width_nm=5, count=n), s) for s in range(5)])
        for n in (1, 8)
    )
    assert many < 2 * few < 0
