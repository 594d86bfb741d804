"""The descriptions of the environment say the same: pyproject.toml, requirements.lock, environment.yml, Makefile."""

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import nanolab
from nanolab.core.extras import EXTRAS

ROOT = Path(__file__).parents[1]
LOCKED_PYTHON = "3.11"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PYPROJECT = tomllib.loads(text_of("pyproject.toml"))
PROJECT = PYPROJECT["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRA = {
    name: [each for each in map(Requirement, lines) if each.name != "nanolab"]
    for name, lines in PROJECT["optional-dependencies"].items()
}
OPTIONAL = [each for name in EXTRAS for each in EXTRA[name]]
DEVELOPMENT = [*OPTIONAL, *EXTRA["dev"]]
BUILD = [Requirement(line) for line in PYPROJECT["build-system"]["requires"]]
LOCK = [Requirement(line.split("#")[0]) for line in text_of("requirements.lock").splitlines() if line.split("#")[0]]
PINS = {canonicalize_name(pin.name): pin for pin in LOCK}


@pytest.mark.parametrize("requirement", [*NEEDED, *DEVELOPMENT, *BUILD], ids=str)
def test_the_lock_pins_what_is_needed_within_its_range(requirement: Requirement) -> None:
    (pin,) = PINS[canonicalize_name(requirement.name)].specifier
    assert pin.operator == "=="
    assert Version(pin.version) in requirement.specifier


def test_the_lock_can_be_installed_anywhere() -> None:
    assert [str(pin) for pin in LOCK if pin.url] == []
    lines = [line for line in text_of("requirements.lock").splitlines() if not line.startswith("#")]
    assert [line for line in lines if re.search(r"://|^-|\+[a-z]|^\S*/", line)] == []


def test_the_lock_leaves_the_kind_of_torch_to_the_machine() -> None:
    assert str(PINS["torch"].specifier) == "==2.13.0"
    assert [name for name in PINS if name.startswith(("nvidia", "cuda", "triton"))] == []


def test_one_opencv_is_installed() -> None:
    # several packages bring the same module cv2 and overwrite one another's files
    assert [name for name in PINS if name.startswith("opencv")] == ["opencv-python"]


def test_ranges_are_those_promised() -> None:
    ranges = {requirement.name: requirement for requirement in NEEDED}
    assert {
        python
        for python in ("3.10", "3.11", "3.12", "3.13", "3.14")
        if python in SpecifierSet(PROJECT["requires-python"])
    } == {
        "3.11",
        "3.12",
        "3.13",
    }
    assert Version("2.6") in ranges["torch"].specifier
    assert Version("2.5.1") not in ranges["torch"].specifier
    (bpy,) = EXTRA["render"]
    marker = bpy.marker
    assert marker is not None
    assert [marker.evaluate({"python_version": python}) for python in ("3.11", "3.12", "3.13")] == [True, False, False]


def test_conda_gives_the_same_through_pip() -> None:
    python, pip, through_pip = yaml.safe_load(text_of("environment.yml"))["dependencies"]
    assert python == f"python={LOCKED_PYTHON}"
    assert pip == "pip"
    assert through_pip == {"pip": ["--requirement requirements.lock", "--editable ."]}


def test_the_locked_python_is_the_one_that_is_set_up() -> None:
    assert f"PYTHON ?= python{LOCKED_PYTHON}" in text_of("Makefile")
    assert f"Python {LOCKED_PYTHON}" in text_of("requirements.lock").splitlines()[0]
    assert Version(LOCKED_PYTHON) in SpecifierSet(PROJECT["requires-python"])


def imported(folder: str) -> set[str]:
    """The top-level packages, other than nanolab and its tests' helpers, that any module imports anywhere."""
    files = list((ROOT / folder).rglob("*.py"))
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return (
        {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"nanolab", *(path.stem for path in files)}
    )


@pytest.mark.parametrize(
    ("folder", "declared"), [("nanolab", [*NEEDED, *OPTIONAL]), ("tests", [*NEEDED, *DEVELOPMENT])]
)
def test_what_is_imported_is_declared(folder: str, declared: list[Requirement]) -> None:
    distributions = packages_distributions()
    names = {canonicalize_name(requirement.name) for requirement in declared}
    # bpy, where there is none for this Python, is found by its own name
    undeclared = {
        name
        for name in imported(folder) - {"helpers", "napari"}  # of the tests themselves; for the type checker alone
        if names.isdisjoint(canonicalize_name(found) for found in distributions.get(name, [name]))
    }
    assert undeclared == set()


def test_each_extra_brings_the_modules_that_it_is_named_for() -> None:
    assert PROJECT["optional-dependencies"]["all"] == [f"nanolab[{','.join(EXTRAS)}]"]
    distributions, needed = packages_distributions(), {canonicalize_name(each.name) for each in NEEDED}
    for extra, modules in EXTRAS.items():
        brought = {canonicalize_name(each.name) for each in EXTRA[extra]}
        for module in modules:
            named = {canonicalize_name(found) for found in distributions.get(module, [module])}
            assert named & brought, module
            assert not named & needed, module


def test_system_packages_for_users_are_those_of_ci() -> None:
    packages = re.search(r"^needed=\((.*)\)", text_of(".ci/run"), re.M)
    assert packages is not None
    libraries = [name for name in packages[1].split() if name.startswith("lib")]
    assert libraries
    assert " ".join(libraries) in text_of("CONTRIBUTING.md")


def test_versions_and_licences_agree() -> None:
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert nanolab.__version__ == PROJECT["version"] == citation["version"]
    assert PROJECT["license"] == citation["license"] == "GPL-3.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in text_of("LICENSE")
    assert f"## [{PROJECT['version']}]" in text_of("CHANGELOG.md") or "## [Unreleased]" in text_of("CHANGELOG.md")


def test_the_papers_and_data_are_cited() -> None:
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {reference["doi"] for reference in citation["references"]} == {
        "10.1002/smtd.202100223",
        "10.1371/journal.pone.0311228",
        "10.1021/acsnanoscienceau.3c00020",
        "10.1038/s41598-021-84287-6",
        "10.1021/acs.jcim.0c01455",
    }


def test_the_archive_says_what_the_citation_says() -> None:
    citation, archive = yaml.safe_load(text_of("CITATION.cff")), json.loads(text_of(".zenodo.json"))
    assert archive["title"] == citation["title"]
    assert archive["license"] == citation["license"]
    assert archive["keywords"] == citation["keywords"]
    assert [each["name"] for each in archive["creators"]] == [each["name"] for each in citation["authors"]]
    cited = {each["identifier"] for each in archive["related_identifiers"]}
    assert cited == {reference["doi"] for reference in citation["references"]}
