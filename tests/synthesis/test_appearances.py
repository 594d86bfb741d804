"""What comes of one render: other detectors without Blender, degradations, data bars, rings, and the truth of each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nanolab.core.checks import InputError
from nanolab.datasets.dataset import Dataset
from nanolab.images.labels import read_labels
from nanolab.images.rle import decode_rle
from nanolab.images.tiff import read_tiff
from nanolab.synthesis import generate
from nanolab.synthesis.generate import render
from nanolab.synthesis.recipe import Recipe, parse_recipe
from nanolab.synthesis.rendering.client import Renderer
from nanolab.synthesis.scene.matter import matter

pytest.importorskip("bpy", reason="Blender comes for Python 3.11 only")

BASE: dict[str, Any] = {
    "name": "small",
    "image": {"width_px": 120, "height_px": 90, "pixel_size_nm": 4},
    "particles": [{"template": "sphere", "diameter_nm": [40, 90]}],
    "arrangement": {"kind": "agglomerates", "count": 25, "cluster_size": 12, "pile": 0.5},
    "detector": {"kind": "se", "substrate_level": 0.1, "particle_level": 0.5, "blur_px": 0.5, "electrons": 5000},
    "occlusion_distance_nm": 50,
}


def recipe(**changes: Any) -> Recipe:
    return parse_recipe(yaml.safe_dump(BASE | changes), "test")


def rendered(folder: Path, count: int = 2, passes: Path | None = None, **changes: Any) -> Dataset:
    return render(recipe(**changes), folder, count, seed=5, workers=1, device="cpu", passes=passes, progress=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """Two images, and the folder where their passes are kept."""
    folder = tmp_path_factory.mktemp("kept")
    return rendered(folder / "set", passes=folder / "passes"), folder / "passes"


@pytest.fixture
def no_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("Blender was asked")

    monkeypatch.setattr(Renderer, "render", refuse)


def test_amodal_masks_hold_the_visible_ones(kept: tuple[Dataset, Path]) -> None:
    dataset, _ = kept
    table = dataset.particles()
    hidden = 0
    for sample in dataset:
        labels = sample.labels
        assert labels is not None
        for row in table[table["image"] == sample.name].itertuples():
            whole = decode_rle(row.amodal_rle, labels.shape, "test")
            visible = labels == row.label if row.label else np.zeros_like(whole)
            # Blender traces rays from pixels' centres, as the projection does; on the rim rounding decides.
            assert (visible & ~whole).sum() <= 2
            if not row.touches_border:
                # 10 to 22 px across, a disc of pixels knows its area to some per cent.
                assert whole.sum() * 16 == pytest.approx(row.projected_area_nm2, rel=0.1)
                assert visible.sum() / whole.sum() == pytest.approx(row.visible_fraction, abs=0.1)
            assert row.visible_ecd_nm == pytest.approx(np.sqrt(4 / np.pi * row.visible_area_nm2))
            hidden += row.visible_fraction < 0.9
    assert hidden > 3  # the heap hides some


def test_heights_are_kept(kept: tuple[Dataset, Path]) -> None:
    dataset, _ = kept
    heights = read_tiff(dataset.folder / "heights" / "000000.tif")
    labels = dataset[0].labels
    assert labels is not None
    assert heights.dtype == np.float32
    assert heights[labels == 0] == pytest.approx(0, abs=0.01)
    assert heights[labels > 0].min() > 10
    assert "heights/000000.tif" in dataset.manifest["files"]
    dataset.verify()


@pytest.mark.usefixtures("no_blender")
def test_other_looks_need_no_blender_and_keep_the_truth(kept: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, passes = kept
    again = rendered(tmp_path / "same", passes=passes)
    assert again.manifest["files"] == dataset.manifest["files"]
    assert again.manifest["records"] == dataset.manifest["records"]
    detector = {"kind": "bf-tem", "mean_free_path_nm": 50, "electrons": 1e5, "blur_px": 0.3, "illumination": 0}
    seen_through = rendered(
        tmp_path / "tem", 6, passes, detector=detector, appearances_per_scene=3, substrate=[], name="other"
    )
    for k, sample in enumerate(seen_through):
        labels = dataset[k // 3].labels
        assert np.array_equal(sample.labels, labels)
        assert sample.image[labels > 0].mean() < 0.8 * sample.image[labels == 0].mean()  # matter is dark
    assert np.abs(seen_through[0].image - seen_through[1].image).mean() > 0.001


def test_passes_of_other_scenes_are_refused(kept: tuple[Dataset, Path], tmp_path: Path) -> None:
    _, passes = kept
    arrangement = BASE["arrangement"] | {"count": 26}
    with pytest.raises(InputError, match="other scenes"):
        rendered(tmp_path / "set", passes=passes, arrangement=arrangement)
    with pytest.raises(InputError, match="another seed"):
        render(recipe(), tmp_path / "other", 1, seed=6, passes=passes, progress=False)


def test_damaged_passes_are_rendered_again(kept: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, _ = kept
    rendered(tmp_path / "first", passes=tmp_path / "passes")
    path = tmp_path / "passes" / "000001.npz"
    path.write_bytes(path.read_bytes()[:1000])
    again = rendered(tmp_path / "second", passes=tmp_path / "passes")
    assert again.manifest["files"] == dataset.manifest["files"]
    assert path.stat().st_size > 1000


def test_degraded_images_are_four_times_larger_and_their_labels_recede(
    kept: tuple[Dataset, Path], tmp_path: Path
) -> None:
    dataset, passes = kept
    degradation = {"kind": "mill2021", "noise": 0.05, "erosion_px": 3}
    degraded = rendered(tmp_path / "set", passes=passes, degradation=degradation)
    shape = (round(90 * 2031 / 507), round(120 * 2031 / 507))
    sample, whole = degraded[0], dataset[0].labels
    assert sample.image.shape == sample.labels.shape == shape
    assert sample.pixel_size.nm == pytest.approx(4 * 507 / 2031)
    assert read_tiff(degraded.folder / "heights" / "000000.tif").shape == shape
    table, before = (one.particles().query("image == '000000'") for one in (degraded, dataset))
    # The particles are the same; what is seen of them is known finer, and their labels are 3 px narrower all around.
    assert table["diameter_nm"].tolist() == before["diameter_nm"].tolist()
    clear = (before["visible_fraction"] > 0.5).to_numpy()
    assert table["visible_ecd_nm"][clear].to_numpy() == pytest.approx(before["visible_ecd_nm"][clear], rel=0.1)
    labelled = (sample.labels > 0).sum() / (whole > 0).sum() * (507 / 2031) ** 2
    assert 0.4 < labelled < 0.95
    row = table[(table["visible_fraction"] > 0.99) & ~table["touches_border"]].iloc[0]
    outline = decode_rle(row.amodal_rle, shape, "test")
    assert outline.sum() * sample.pixel_size.nm**2 == pytest.approx(row.projected_area_nm2, rel=0.01)
    assert outline[sample.labels == row.label].all()
    eroded = np.sqrt(4 / np.pi * (sample.labels == row.label).sum())
    assert np.sqrt(4 / np.pi * outline.sum()) - eroded == pytest.approx(6, abs=1.5)


def test_nothing_under_a_data_bar_is_labelled(kept: tuple[Dataset, Path], tmp_path: Path) -> None:
    dataset, passes = kept
    with_bar = rendered(tmp_path / "set", passes=passes, data_bar={"styles": ["zeiss"]})
    record = with_bar.manifest["records"]["000000"]["appearance"]["data_bar"]
    top = record["boxes"][0][0]
    assert 0 < top < 90
    sample = with_bar[0]
    assert not sample.labels[top:].any()
    assert (sample.labels[:top] > 0).sum() == (dataset[0].labels[:top] > 0).sum()
    assert np.unique(sample.labels).tolist() == list(range(sample.labels.max() + 1))
    table = with_bar.particles().query("image == '000000'")
    assert sorted(label for label in table["label"] if label) == list(range(1, sample.labels.max() + 1))
    assert record["scale_bar"]["length_nm"] == pytest.approx(4 * record["scale_bar"]["length_px"], rel=0.05)


RINGS = {
    "particles": [{"template": "sphere", "diameter_nm": 16}],
    "arrangement": {"kind": "rings", "count": 2, "radius_nm": 70, "lines": 1, "line_nm": 80, "loose": 10},
    "labels": "rings",
}


def test_rings_are_labelled_as_rings_and_their_particles_kept(tmp_path: Path) -> None:
    dataset = rendered(tmp_path / "set", 1, **RINGS)
    rings = dataset[0].labels
    particles = read_labels(dataset.folder / "particles" / "000000.tif")
    table = dataset.particles()
    assert rings.max() in (1, 2)
    assert np.unique(rings).tolist() == list(range(rings.max() + 1))
    assert sorted(label for label in table["label"] if label) == list(range(1, particles.max() + 1))
    in_rings = table[(table["ring"] > 0) & (table["label"] > 0)]
    assert len(in_rings) >= 10
    assert set(in_rings["group_kind"]) == {"ring"}
    for row in in_rings.itertuples():
        # The band is as wide as the particles; pixels on the rim may lie beyond it.
        assert (rings[particles == row.label] == row.ring).mean() > 0.8
    loose = np.isin(particles, table.loc[table["group_kind"] == "loose", "label"]) & (particles > 0)
    assert (rings[loose] == 0).mean() > 0.8
    with pytest.raises(InputError, match="labels: rings needs an arrangement of kind rings"):
        recipe(labels="rings")


def test_more_particles_than_fit_are_fewer_and_the_record_says_so(tmp_path: Path) -> None:
    arrangement = {"kind": "scattered", "count": 500, "min_gap_nm": 20}
    dataset = rendered(tmp_path / "set", 1, arrangement=arrangement)
    record = dataset.manifest["records"]["000000"]
    assert record["particles_requested"] == 500
    assert 20 < record["particles_placed"] < 200


def test_matter_of_overlapping_hollow_and_heavier_particles() -> None:
    core = {"ratio": 0.5, "contrast": 0}
    kinds = [{"template": "sphere", "diameter_nm": 80, "core": core, "contrast": 2.0}]
    arrangement = {"kind": "agglomerates", "count": 12, "cluster_size": 12, "pile": 1.0}
    scene = generate.scene_of(recipe(particles=kinds, arrangement=arrangement), 0, 0)
    through = matter(scene)
    pixels = scene.shape[0] * scene.shape[1]
    assert len(np.unique(through.label * pixels + through.pixel)) == len(through.pixel)
    assert np.bincount(through.pixel).max() >= 2  # some lie above others
    assert through.scattering_nm == pytest.approx(2 * through.thickness_nm, abs=1e-3)
    inside = [np.abs(particle.centre_nm[:2] - [240, 180]) < [198, 138] for particle in scene.particles]
    labels = [label for label, within in enumerate(inside, start=1) if within.all()]
    assert labels
    for label in labels:
        own = through.thickness_nm[through.label == label]
        # The midpoint rule over 300 pixels, with a jump of slope at the hollow's rim.
        assert own.sum() * 16 == pytest.approx(np.pi / 6 * 80**3 * (1 - 0.5**3), rel=0.02)
