"""The shape of the code: which module may import which, and what a notebook looks like."""

import ast
import importlib
import inspect
import io
import resource
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nanolab.core.files import read_json
from nanolab.runs.parameters import notebook_parameters

ROOT = Path(__file__).parents[1]
BUDGET = 26_760  # lines of code
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


def seconds(code: str) -> float:
    """How long a fresh interpreter keeps the processor busy with some code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_package_is_imported_in_less_than_three_tenths_of_a_second() -> None:
    # the shortest of three: what else the machine does can only add
    bare, nanolab = (min(seconds(code) for _ in range(3)) for code in ("pass", "import nanolab as nl; dir(nl)"))
    assert nanolab - bare < 0.3


STUBS = sorted((ROOT / "nanolab").rglob("__init__.pyi"))


def stub_names(stub: Path) -> list[str]:
    nodes = ast.parse(stub.read_text(encoding="utf-8")).body
    return sorted(name.asname or name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names)


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_every_name_of_a_package_is_there(stub: Path) -> None:
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    assert sorted(package.__all__) == stub_names(stub)
    assert [name for name in stub_names(stub) if not hasattr(package, name)] == []


def test_the_public_face_shows_its_names_alone() -> None:
    # in a process of its own, where no test has imported a package of it
    code = "import nanolab as nl; print(*dir(nl))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert shown == stub_names(ROOT / "nanolab/__init__.pyi")


@pytest.mark.parametrize("name", stub_names(ROOT / "nanolab/__init__.pyi"))
def test_every_public_name_has_an_example(name: str) -> None:
    import nanolab as nl

    text = inspect.getdoc(getattr(nl, name)) or ""
    assert "\nExamples\n--------\n>>> " in text


def code_lines(text: str) -> int:
    """Lines of code: no docstrings, comments and blank lines."""
    no_code = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [(t.start[0], t.end[0]) for t in tokens if tokenize.tok_name[t.type] not in no_code]
    filled = {number for number, line in enumerate(text.splitlines(), start=1) if line.strip()}
    lines = {line for first, last in spans for line in range(first, last + 1)} & filled
    for node in ast.walk(ast.parse(text)):
        match node:
            case (
                ast.Module(body=[ast.Expr(value=ast.Constant(value=str())) as docstring, *_])
                | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str())) as docstring, *_])
                | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str())) as docstring, *_])
                | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str())) as docstring, *_])
            ):
                lines.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(lines)


def test_the_library_stays_within_its_budget_of_lines() -> None:
    files = (ROOT / "nanolab").rglob("*.py")
    # raised only with an entry in DECISIONS.md
    assert sum(code_lines(path.read_text(encoding="utf-8")) for path in files) <= BUDGET


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


def test_a_notebook_needs_five_imports_at_most(code: list[str]) -> None:
    imports = [
        node for source in code for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in imports) <= 5


def test_a_notebook_has_parameters_and_a_folder_for_its_results(notebook: Path) -> None:
    # raises if there is anything but literals
    assert notebook_parameters(notebook)["run_folder"] == f"papermill_runs/{notebook.stem}/interactive"


def test_every_parameter_has_a_comment(cells: list[dict[str, Any]]) -> None:
    (source,) = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert [line for line in source.splitlines() if "=" in line and "#" not in line] == []


def test_a_notebook_ends_by_saving_its_results(code: list[str]) -> None:
    assert "save_results(run_folder, " in code[-1]
