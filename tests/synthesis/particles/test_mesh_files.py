"""Particles of any shape: meshes of users' files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from helpers.particle_kinds import KIND, PIXEL, SIZE, is_closed_and_outward
from pydantic import ValidationError

from nanolab.core.checks import InputError
from nanolab.core.typing import FloatArray
from nanolab.synthesis.particles import (
    Kind,
    make_mesh,
)
from nanolab.synthesis.particles.files import read_mesh
from nanolab.synthesis.recipe import dump_recipe, parse_recipe

# A tetrahedron over the unit corner, 1 x 2 x 0.5 wide, its triangles counted outwards.
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 0.5]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
WRITERS = ("stl-text", "stl-binary", "obj", "ply")


def written(folder: Path, sort: str, corners: FloatArray = CORNERS, faces: npt.NDArray[np.int64] = FACES) -> Path:
    """Write a mesh file by hand, not by the library that reads it."""
    path = folder / f"body.{sort.partition('-')[0]}"
    if sort == "stl-binary":
        record = np.zeros(len(faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("extra", "<u2")])
        record["corners"] = corners[faces]
        path.write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + record.tobytes())
    elif sort == "stl-text":
        points = [" ".join(f"vertex {x} {y} {z}" for x, y, z in corners[face]) for face in faces]
        body = "\n".join(f"facet normal 0 0 0 outer loop {three} endloop endfacet" for three in points)
        path.write_text("solid body\n" + body.replace(" vertex", "\nvertex").replace(" end", "\nend").replace(
            " outer", "\nouter") + "\nendsolid body\n")  # fmt: skip
    elif sort == "obj":
        lines = [f"v {x} {y} {z}" for x, y, z in corners] + [f"f {a} {b} {c}" for a, b, c in faces + 1]
        path.write_text("\n".join(lines) + "\n")
    else:
        head = f"ply\nformat ascii 1.0\nelement vertex {len(corners)}\nproperty float x\nproperty float y\n"
        head += f"property float z\nelement face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
        lines = [f"{x} {y} {z}" for x, y, z in corners] + [f"3 {a} {b} {c}" for a, b, c in faces]
        path.write_text(head + "\n".join(lines) + "\n")
    return path


def mesh_kind(path: Path | str, **more: object) -> Kind:
    return KIND.validate_python({"template": "mesh", "diameter_nm": SIZE, "file": str(path), **more})


@pytest.mark.parametrize("turned_inside_out", [False, True])
@pytest.mark.parametrize("sort", WRITERS)
def test_mesh_file_of_each_format(sort: str, turned_inside_out: bool, tmp_path: Path) -> None:
    path = written(tmp_path, sort, faces=FACES[:, ::-1] if turned_inside_out else FACES)
    raw = read_mesh(path)
    assert raw.volume_nm3 == pytest.approx(1 / 6)  # |det| of the corner's edges 1, 2, 0.5 over 6
    assert np.ptp(raw.vertices, axis=0) == pytest.approx([2, 1, 0.5])  # its longer side lies along x, z stays up
    mesh = make_mesh(mesh_kind(path), SIZE, PIXEL, np.random.default_rng(0))
    assert is_closed_and_outward(mesh)
    assert np.abs(mesh.centroid).max() < 1e-6 * SIZE
    assert mesh.volume_nm3 == pytest.approx(np.pi / 6 * SIZE**3)
    assert (len(mesh.vertices), len(mesh.triangles)) == (4, 4)


def test_mesh_file_takes_surface_and_core(tmp_path: Path) -> None:
    more = {"surface": {"roughness_nm": 1, "scale_nm": 30}, "core": {"ratio": 0.4, "contrast": 0}}
    mesh = make_mesh(mesh_kind(written(tmp_path, "ply"), **more), SIZE, PIXEL, np.random.default_rng(0))
    assert is_closed_and_outward(mesh)
    assert mesh.core is not None
    assert mesh.core.volume_nm3 == pytest.approx(0.4**3 * mesh.volume_nm3)


@pytest.mark.parametrize(
    ("corners", "faces", "message"),
    [
        (CORNERS, FACES[:3], "holds no solid"),
        (CORNERS, np.concatenate([FACES[:3], FACES[:1]]), "surface is not closed"),
        (CORNERS, np.concatenate([FACES[:3], FACES[3:, ::-1]]), "surface is not closed"),
        (CORNERS * [1, 1, 0] + [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 2, 0]], FACES, "encloses no volume"),
        (CORNERS * np.nan, FACES, "holds no solid|not a readable mesh"),
    ],
)
def test_mesh_that_is_no_solid_is_refused(
    corners: FloatArray, faces: npt.NDArray[np.int64], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "obj", corners, faces)
    with pytest.raises(InputError, match=message) as caught:
        read_mesh(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["body.stl", "body.obj", "body.ply"])
def test_damaged_mesh_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(InputError, match=r"not a readable mesh|holds no solid"):
        read_mesh(tmp_path / name)


@pytest.mark.parametrize("sort", ["stl-binary", "ply"])
def test_cut_off_mesh_file_is_refused(sort: str, tmp_path: Path) -> None:
    path = written(tmp_path, sort)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"not a readable mesh|holds no solid|not closed"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.stl", None, "mesh file not found"),
        ("empty.ply", b"", "empty"),
        ("body.fbx", b"something", "one of .stl, .obj, .ply or .blend"),
    ],
)
def test_wrong_mesh_files_say_so(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / name)
    with pytest.raises(ValidationError, match=message):
        mesh_kind(tmp_path / name)


@pytest.mark.parametrize("name", ["body.blend", "body.BLEND"])
def test_blend_needs_the_name_of_an_object(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"BLENDER")
    with pytest.raises(ValidationError, match="name one by `object`"):
        mesh_kind(tmp_path / name)


RECIPE = """
name: test
image: {width_px: 64, height_px: 48, pixel_size_nm: 2}
particles: [{template: mesh, diameter_nm: 20, file: shapes/body.ply}]
arrangement: {kind: scattered, count: 3}
detector: {kind: se, substrate_level: 0.1, particle_level: 0.5}
occlusion_distance_nm: 50
"""


def test_recipe_keeps_path_and_hash_of_its_mesh(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    path = written(tmp_path / "shapes", "ply")
    recipe = parse_recipe(RECIPE, "mine.yaml", folder=tmp_path)
    text = dump_recipe(recipe)
    assert str(path) in text
    assert parse_recipe(text, "dump") == recipe  # from any folder
    written(tmp_path / "shapes", "ply", CORNERS * 2.5)
    with pytest.raises(InputError, match="has changed since the recipe was written"):
        parse_recipe(text, "dump")
    assert parse_recipe(RECIPE, "mine.yaml", folder=tmp_path) != recipe


MAKE_BLEND = """
import sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_cube_add(size=1)
bpy.context.object.name = "brick"
bpy.context.object.scale = (1, 2, 3)
bpy.ops.mesh.primitive_plane_add()
bpy.context.object.name = "sheet"
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[1])
"""


def test_object_of_a_blend(tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    path = tmp_path / "bodies.blend"
    subprocess.run([sys.executable, "-c", MAKE_BLEND, str(path)], check=True, capture_output=True, timeout=120)
    brick = read_mesh(path, "brick")
    assert brick.volume_nm3 == pytest.approx(6, rel=1e-6)  # a .blend holds single precision
    assert np.ptp(brick.vertices, axis=0) == pytest.approx([2, 1, 3])  # lying along x, as scaled in Blender
    assert is_closed_and_outward(brick)
    with pytest.raises(InputError, match="no object 'brock'; it has 'brick', 'sheet'"):
        read_mesh(path, "brock")
    with pytest.raises(InputError, match="holds no solid"):
        read_mesh(path, "sheet")
