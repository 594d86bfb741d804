"""The shape of the code: which module may import which, and what a notebook looks like."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nanolab.core.files import read_json
from nanolab.runs.parameters import notebook_parameters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_imports_keep_the_contract(contract: str) -> None:
    # in a process of its own: its set-up of logging would silence all loggers of this one
    lint = [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"]
    done = subprocess.run([*lint, "--contract", contract], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr  # names the import that breaks it


def test_nothing_heavy_is_imported_with_the_package_or_its_command_line() -> None:
    # by a fresh interpreter, because this one has imported everything long since
    code = "import nanolab.cli, sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"IPython", "cv2", "matplotlib", "monai", "pandas", "papermill", "rich", "scipy", "skimage", "torch"}
    assert heavy.isdisjoint(shown)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def cells(notebook: Path) -> list[dict[str, Any]]:
    return list(read_json(notebook)["cells"])


@pytest.fixture
def code(cells: list[dict[str, Any]]) -> list[str]:
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_a_notebook_is_committed_without_outputs(cells: list[dict[str, Any]]) -> None:
    run = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert run == [], "run `make format`"


def test_a_notebook_tells_its_story_in_few_short_cells(cells: list[dict[str, Any]]) -> None:
    assert len(cells) <= 30
    assert max(len("".join(cell["source"]).splitlines()) for cell in cells) <= 40
    assert cells[0]["cell_type"] == "markdown"


def test_a_notebook_calls_and_does_not_define(code: list[str]) -> None:
    nodes = [node for source in code for node in ast.walk(ast.parse(source))]
    defined = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    assert defined == []


def test_a_notebook_has_parameters_and_a_folder_for_its_results(notebook: Path) -> None:
    # raises if there is anything but literals
    assert notebook_parameters(notebook)["run_folder"] == f"papermill_runs/{notebook.stem}/interactive"


def test_every_parameter_has_a_comment(cells: list[dict[str, Any]]) -> None:
    (source,) = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert [line for line in source.splitlines() if "=" in line and "#" not in line] == []


def test_a_notebook_ends_by_saving_its_results(code: list[str]) -> None:
    assert "save_results(run_folder, " in code[-1]
