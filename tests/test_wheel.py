"""What is built to be installed: it has all it needs, and works without the extras and outside of the checkout."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.grid_discs import discs

from nanolab.core.extras import EXTRAS
from nanolab.images.tiff import write_tiff

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
# as if no extra were installed
WITHOUT = f"""
import sys
for name in {[name for names in EXTRAS.values() for name in names if name != "traitlets"]}:
    sys.modules[name] = None
from nanolab.cli import main
main()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, and the wheel that was built of it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files alone."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built / f"nanolab-{VERSION}-py3-none-any.whl") as wheel:
        wheel.extractall(folder)  # noqa: S202  # built here
    return folder


def told(installed: Path, here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", WITHOUT, *words]
    return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)


def test_the_source_has_what_it_takes_to_build_and_test(built: Path) -> None:
    with tarfile.open(built / f"nanolab-{VERSION}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "Makefile", "requirements.lock", "tests/conftest.py"} <= names
    assert not any(name.startswith(("data/synthetic", "build/", ".venv")) for name in names)


def test_the_wheel_has_models_recipes_and_what_pages_are_made_of(installed: Path) -> None:
    recipes = {path.name for path in (ROOT / "data/recipes").glob("*.yaml")}
    assert {path.name for path in (installed / "nanolab/_recipes").iterdir()} >= recipes
    assert (installed / "nanolab/_models/particles.safetensors").stat().st_size > 1e6
    parts = [path for path in (ROOT / "nanolab").rglob("*") if path.is_file() and path.suffix not in (".pyc", ".py")]
    assert {".js", ".css", ".yaml", ".csv", ".pyi"} <= {path.suffix for path in parts}
    assert [path.name for path in parts if not (installed / path.relative_to(ROOT)).is_file()] == []


def test_it_segments_and_measures_without_extras_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    grey = (60 + 120 * (discs(0) > 0)).astype(np.uint8)
    write_tiff(tmp_path / "a.tif", grey, pixel_size_nm=2.0)
    done = told(installed, tmp_path, "--version")
    assert VERSION in done.stdout, done.stderr
    done = told(installed, tmp_path, "segment", "a.tif", "-o", "out", "--magnification", "1")
    assert done.returncode == 0, done.stderr
    done = told(installed, tmp_path, "measure", "out", "-o", "sizes", "--report")
    assert done.returncode == 0, done.stderr
    assert 10 <= len(pd.read_csv(tmp_path / "sizes/particles.csv")) <= 20  # 16 discs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "a.ipynb"), "pip install 'nanolab[lab]'"),
        (("realism", "--real", "a", "--synthetic", "a", "-o", "out"), "pip install 'nanolab[realism]'"),
        (("render", "tio2_sem", "-n", "1", "-o", "out"), "pip install 'nanolab[render]'"),
    ],
)
def test_what_needs_an_extra_names_it(
    installed: Path, tmp_path: Path, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    for k in range(4):
        write_tiff(tmp_path / f"a/{k}.tif", (60 + 120 * (discs(k) > 0)).astype(np.uint8), pixel_size_nm=2.0)
    (tmp_path / "a.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    without = tmp_path / "python"  # Blender is another process
    without.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    without.chmod(0o755)
    monkeypatch.setenv("NANOLAB_BLENDER_PYTHON", str(without))
    done = told(installed, tmp_path, *words)
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.split()), done.stderr
