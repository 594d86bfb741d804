"""Particles of any shape: a mesh that the user names."""

import json
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationInfo, field_validator, model_validator

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import sha256
from nanolab.core.typing import FloatArray
from nanolab.synthesis.draws import Positive
from nanolab.synthesis.mesh import Mesh
from nanolab.synthesis.particles.kind import Kind

__all__ = ["MeshFile", "read_mesh"]

Triangles = npt.NDArray[np.int64]
FORMATS = (".stl", ".obj", ".ply")
BLENDER = Path(__file__).parents[1] / "rendering" / "blender.py"
BLENDER_S = 300
# A mesh of less volume than this part of its largest extent's cube is a sheet; what is left is rounding.
FLAT = 1e-9


class MeshFile(Kind):
    """The mesh in `file`: .stl, .obj or .ply, or the `object` in a .blend.

    It is scaled to the volume of a sphere of `diameter_nm`, and lies flat as it stands in the file, z up. A relative
    path begins at the recipe's folder. The recipe keeps the whole path and the file's `sha256`, so that a dataset is
    never completed with another shape.
    """

    template: Literal["mesh"] = "mesh"
    diameter_nm: Positive
    file: str
    object: str = ""
    sha256: str = ""

    @field_validator("file")
    @classmethod
    def _whole_path(cls, file: str, info: ValidationInfo) -> str:
        folder = (info.context or {}).get("folder", Path())
        return str((folder / Path(file).expanduser()).resolve())

    @model_validator(mode="after")
    def _sound(self) -> "MeshFile":
        if self.file.lower().endswith(".blend") and not self.object:
            raise ValueError("a .blend holds many objects; name one by `object`")
        known = _hash(self.file, _stamp(self.file))
        if self.sha256 not in ("", known):
            raise ValueError(f"{self.file} has changed since the recipe was written; restore it or take out `sha256`")
        read_mesh(self.file, self.object)
        object.__setattr__(self, "sha256", known)
        return self

    def shape(self, size_nm: float, tolerance_nm: float, rng: np.random.Generator) -> Mesh:  # noqa: ARG002
        """Return the mesh of the file at its size; its facets are as they are."""
        return read_mesh(self.file, self.object).scaled_to(size_nm)


def read_mesh(file: Path | str, name: str = "") -> Mesh:
    """Read a closed mesh from a file, its centroid at the origin; `name` is the object's in a .blend.

    Raises
    ------
    InputError
        If the file is of another format, damaged, or its surface not closed.
    """
    path = check_file(file, "mesh file")
    if path.suffix.lower() not in (*FORMATS, ".blend"):
        raise InputError(f"{path}: a mesh must be one of {', '.join(FORMATS)} or .blend; export it as one of these")
    return _read(str(path), name, _stamp(path))


def _stamp(path: Path | str) -> tuple[int, int]:
    about = check_file(path, "mesh file").stat()
    return about.st_mtime_ns, about.st_size


@lru_cache
def _hash(path: str, stamp: tuple[int, int]) -> str:  # noqa: ARG001 (a changed file is another key)
    return sha256(path)


@lru_cache
def _read(path: str, name: str, stamp: tuple[int, int]) -> Mesh:  # noqa: ARG001 (a changed file is another key)
    import trimesh

    if path.lower().endswith(".blend"):
        vertices, triangles = _from_blender(path, name)
        body = trimesh.Trimesh(vertices, triangles)
    else:
        try:
            body = trimesh.load_mesh(path, skip_materials=True)
        except Exception as error:  # its readers raise whatever the damage leads to
            raise InputError(
                f"{path}: not a readable mesh ({type(error).__name__}: {error}); export it again"
            ) from error
    return _checked(body, path)


def _checked(body: Any, path: str) -> Mesh:
    if len(body.faces) < 4 or not np.isfinite(body.vertices).all():
        raise InputError(f"{path}: holds no solid ({len(body.faces)} triangles); export the mesh again")
    if not (body.is_watertight and body.is_winding_consistent):
        raise InputError(
            f"{path}: the surface is not closed (each edge must belong to two triangles that are counted alike); close "
            "its holes, in Blender by the 3D Print Toolbox's 'Make Manifold'"
        )
    triangles = np.asarray(body.faces, dtype=np.int64)
    mesh = Mesh(np.asarray(body.vertices, dtype=float), triangles)
    wide = np.ptp(mesh.vertices, axis=0)
    if abs(mesh.volume_nm3) <= FLAT * wide.max() ** 3:
        raise InputError(f"{path}: the surface encloses no volume; export a solid, not a flat face")
    if mesh.volume_nm3 < 0:
        mesh = Mesh(mesh.vertices, triangles[:, ::-1])
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) if wide[1] > wide[0] else np.eye(3)
    return mesh.moved(-mesh.centroid).rotated(turn)


def _from_blender(path: str, name: str) -> tuple[FloatArray, Triangles]:
    """Let a Blender process read an object; it runs no script of the file."""
    python = os.environ.get("NANOLAB_BLENDER_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory(prefix="nanolab-mesh-") as folder:
        target = Path(folder) / "mesh.npz"
        request = json.dumps({"blend": path, "object": name, "mesh": str(target)})
        command = [python, str(BLENDER), "--threads", "1", "--device", "cpu"]
        try:
            done = subprocess.run(
                command, input=request + "\n", capture_output=True, text=True, timeout=BLENDER_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{path}: Blender could not read it ({error}); see NANOLAB_BLENDER_PYTHON") from error
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if len(answers) != 2 or "error" in answers[1]:
            said = answers[1]["error"] if len(answers) == 2 else done.stderr[-500:]
            raise InputError(f"{path}: Blender could not read the object {name!r} ({said}); check file and name")
        with np.load(target, allow_pickle=False) as content:
            return content["vertices"].astype(float), content["triangles"].astype(np.int64)
