"""What hands nanolab on says what pyproject.toml says: the conda recipe, the container, the workflows, the paper."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = {"opencv-python": "py-opencv", "torch": "pytorch", "matplotlib": "matplotlib-base", "openexr": "openexr-python"}


def test_the_conda_recipe_needs_what_the_package_needs() -> None:
    recipe = yaml.safe_load((ROOT / "packaging/recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == PROJECT["version"]
    (python, *run) = recipe["requirements"]["run"]
    needed = [Requirement(line) for line in PROJECT["dependencies"]]
    assert run == [f"{CONDA.get(each.name, each.name)} {each.specifier}" for each in needed]
    assert python.endswith(PROJECT["requires-python"].split(",")[1])
    (script,) = recipe["build"]["python"]["entry_points"]
    assert script == f"nanolab = {PROJECT['scripts']['nanolab']}"


def test_the_container_serves_the_dashboard_as_nobody_in_particular() -> None:
    text = (ROOT / "packaging/Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    steps = [line.split(maxsplit=1) for line in lines]
    order = [word for word, _ in steps]
    assert order[0] == "FROM"
    assert order.count("VOLUME") == order.count("CMD") == 1
    assert dict(steps)["USER"] == "nanolab"
    assert order.index("USER") < order.index("CMD")
    assert "bpy" in re.search(r"grep -v '\^(\w+)'", text)[1]  # type: ignore[index]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for word, rest in steps if word == "COPY" for name in rest.split()[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    # what it starts is there, and takes these words
    assert 'CMD ["nanolab", "dashboard", "--host", "0.0.0.0"]' in text


@pytest.mark.parametrize("name", ["test", "docs", "release"])
def test_a_workflow_may_no_more_than_it_must(name: str) -> None:
    workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"]["contents"] == "read"
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    runs = [step["run"] for step in steps if "run" in step]
    assert name == "release" or ".ci/run" in runs[0].split()
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./-]+", step["uses"]) for step in steps if "uses" in step)


def test_the_paper_cites_what_its_bibliography_has() -> None:
    paper = (ROOT / "paper.md").read_text(encoding="utf-8")
    head, body = paper.split("---\n")[1:3]
    about = yaml.safe_load(head)
    assert about["bibliography"] == "paper.bib"
    keys = set(re.findall(r"@\w+\{(\S+),", (ROOT / "paper.bib").read_text(encoding="utf-8")))
    assert set(re.findall(r"@([\w-]+)", body)) == keys
    assert {"# Summary", "# Statement of need", "# References"} <= set(body.splitlines())
    assert 250 < len(body.split()) < 1000  # as JOSS wants it
