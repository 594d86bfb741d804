"""Scenes and their ground truth, without Blender."""

import numpy as np
import pyarrow as pa
import pytest

from nanolab.synthesis.particles import Sphere, make_mesh
from nanolab.synthesis.recipe import load_recipe
from nanolab.synthesis.scene.scene import Particle, Scene, draw_scene
from nanolab.synthesis.scene.truth import ground_truth


def ball(x_nm: float, y_nm: float, diameter_nm: float = 100.0) -> Particle:
    mesh = make_mesh(Sphere(diameter_nm=diameter_nm), diameter_nm, 2.0, np.random.default_rng(0))
    return Particle("sphere", diameter_nm, mesh, np.array([x_nm, y_nm, diameter_nm / 2]), np.eye(3))


def test_same_seed_same_scene() -> None:
    recipe = load_recipe("tio2_sem")
    first, second, other = (draw_scene(recipe, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.truth().equals(second.truth())
    assert np.array_equal(first.geometry()["vertices"], second.geometry()["vertices"])
    assert not first.truth().equals(other.truth())


def test_particles_of_a_drawn_scene_stand_on_the_substrate() -> None:
    scene = draw_scene(load_recipe("tio2_sem"), np.random.default_rng(1))
    lowest = np.array([p.centre_nm[2] + p.mesh.vertices[:, 2].min() for p in scene.particles])
    assert lowest.min() == pytest.approx(0, abs=1e-9)


def test_geometry_is_in_pixels_with_y_up() -> None:
    geometry = Scene((60, 80), 2.0, (ball(100, 40),), 1).geometry()
    assert geometry["vertices"].mean(axis=0) == pytest.approx([50, -20, 25], abs=0.1)
    a, b, c = np.moveaxis((geometry["vertices"] - [50, -20, 25])[geometry["triangles"]], 1, 0)
    assert (np.einsum("ij,ij->i", a, np.cross(b, c)) > 0).all()  # mirroring kept the faces outward


def test_truth_of_a_ball() -> None:
    (row,) = Scene((60, 80), 2.0, (ball(80, 60),), 1).truth().to_dict("records")
    assert row["diameter_nm"] == 100
    # The outline is a polygon on a sphere of equal volume; 0.1 px of 50 px is 0.4 % of the area.
    assert row["projected_area_nm2"] == pytest.approx(np.pi / 4 * 100**2, rel=0.004)
    assert row["projected_ecd_nm"] == pytest.approx(100, rel=0.002)
    assert not row["touches_border"]
    assert Scene((60, 80), 2.0, (ball(30, 60),), 1).truth()["touches_border"].all()


def test_hidden_particle_has_label_0_and_labels_have_no_gap() -> None:
    scene = Scene((60, 80), 2.0, (ball(40, 40), ball(80, 60), ball(120, 80), ball(-500, 60)), 4)
    rendered = np.zeros((60, 80), dtype=np.int32)
    rendered[10:20, 10:20] = 1
    rendered[30:40, 50:60] = 3
    labels, table = ground_truth(scene, rendered, 2.0)
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert table["label"].tolist() == [1, 0, 2]  # the fourth lies outside and is nobody's business
    assert table["visible_area_nm2"].tolist() == [400, 0, 400]
    assert table["visible_fraction"].to_numpy() == pytest.approx([400 / 7854, 0, 400 / 7854], rel=0.004)


def test_empty_scene() -> None:
    scene = Scene((60, 80), 2.0, (), 0)
    labels, table = ground_truth(scene, np.zeros((60, 80), dtype=np.int32), 2.0)
    assert labels.max() == 0
    assert len(table) == 0
    assert scene.geometry()["triangles"].shape == (0, 3)


def test_tables_with_and_without_particles_are_written_together() -> None:
    nothing = np.zeros((60, 80), dtype=np.int32)
    tables = [
        pa.Table.from_pandas(ground_truth(Scene((60, 80), 2.0, particles, 1), nothing, 2.0)[1], preserve_index=False)
        for particles in ((ball(80, 60),), ())
    ]
    together = pa.concat_tables(tables, promote_options="permissive")  # as a data set does
    assert together.schema.field("amodal_rle").type == tables[0].schema.field("amodal_rle").type
    assert together["template"].to_pylist() == ["sphere"]
