"""Fixtures every test may use: where the real micrographs are, generators, small trainings and sets to compare."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

pytest_plugins = ["helpers.annotated_files", "helpers.trainings", "helpers.realism_sets"]

# Tests do not judge speed (that is for the benchmarks), and a failure must come back on the next run.
settings.register_profile("nanolab", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("nanolab")

# What runs in the background or in a worker of pytest-xdist ignores Ctrl-C, and so would what tests start to stop it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _real(name: str) -> Path:
    folder = Path(os.environ.get("NANOLAB_DATA", "data/raw")) / name
    if not folder.is_dir():
        pytest.skip(f"needs the real images: set NANOLAB_DATA or run `nanolab data get {name}`")
    return folder.resolve()  # tests change the folder they run in


@pytest.fixture(scope="session")
def bam_folder() -> Path:
    """The folder of the BAM TiO2 micrographs."""
    return _real("bam-tio2")


@pytest.fixture(scope="session")
def emps_folder() -> Path:
    """The folder of the EMPS micrographs."""
    return _real("emps")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
