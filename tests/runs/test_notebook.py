"""Running notebooks headlessly: what is checked, what is kept, what a failure leaves."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import papermill
import pytest
from helpers.small_notebooks import PARAMETERS, SAVE, write_notebook
from matplotlib.figure import Figure

from nanolab.core.checks import InputError
from nanolab.core.files import read_json, sha256
from nanolab.core.results import save_figure, save_results
from nanolab.runs.notebook import NotebookError
from nanolab.runs.notebook import run as run_notebook
from nanolab.runs.parameters import check_parameters, notebook_parameters, parse_parameters

Maker = Callable[..., Path]


@pytest.fixture
def notebook(tmp_path: Path) -> Maker:
    return lambda *sources, **options: write_notebook(tmp_path / "small.ipynb", *sources, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run that went to its end, in a place whose name papermill must not fill anything into."""
    folder = tmp_path_factory.mktemp("runs {count}")
    path = write_notebook(
        folder / "small.ipynb", PARAMETERS, "from tqdm.auto import tqdm\nprint(tqdm.__module__)", SAVE
    )
    return run_notebook(path, {"count": 8}, name="renamed", run="first", root=folder / "root", progress=False)


def test_parameters_are_read_as_values(notebook: Maker) -> None:
    assert notebook_parameters(notebook(PARAMETERS)) == {
        "count": 3,
        "pixel_size_nm": 2.5,
        "label": "a = b",
        "flag": False,
        "sizes_nm": [10, 20],
        "choice": None,
        "run_folder": "papermill_runs/small/interactive",
    }


@pytest.mark.parametrize(
    "line", ["area = 3 * 4", "import os", "a, b = 1, 2", "count += 1", "count: int", "n = len('x')"]
)
def test_parameters_must_be_literals(notebook: Maker, line: str) -> None:
    with pytest.raises(InputError, match="must hold lines such as count = 3"):
        notebook_parameters(notebook(f"count = 3\n{line}"))


def test_a_parameters_cell_that_is_not_python_is_refused(notebook: Maker) -> None:
    with pytest.raises(InputError, match="not valid Python"):
        notebook_parameters(notebook("%matplotlib inline"))


@pytest.mark.parametrize("tags", [{}, {0: "parameters", 1: "parameters"}])
def test_there_must_be_one_parameters_cell(notebook: Maker, tags: dict[int, str]) -> None:
    with pytest.raises(InputError, match=f"one cell tagged 'parameters', got {len(tags)}"):
        notebook_parameters(notebook(PARAMETERS, "1", tags=tags))


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"nbformat": 3, "worksheets": []}', '{"nbformat": 4}'])
def test_what_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "no.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"no\.ipynb"):
        notebook_parameters(path)


def test_a_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.ipynb: notebook not found"):
        run_notebook(tmp_path / "absent.ipynb", {})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "12", 12),
        ("pixel_size_nm", "1e-3", 0.001),
        ("pixel_size_nm", "4", 4),
        ("label", "1908248", "1908248"),
        ("label", "null", "null"),
        ("flag", "true", True),
        ("sizes_nm", "[5, 7.5]", [5, 7.5]),
        ("choice", "3", 3),
        ("choice", "2e-3", 0.002),
        ("choice", "[-1, 2e-3]", [-1, 0.002]),
        ("choice", "three", "three"),
    ],
)
def test_a_typed_text_takes_the_type_of_the_default(notebook: Maker, name: str, text: str, value: Any) -> None:
    parsed = parse_parameters(notebook(PARAMETERS), {name: text})
    assert parsed == {name: value}
    assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"), [("pixel_size_nm", "wide"), ("count", "[1"), ("choice", "!!python/name:os.system")]
)
def test_a_text_that_is_no_value_is_refused(notebook: Maker, name: str, text: str) -> None:
    path = notebook(PARAMETERS)
    with pytest.raises(InputError, match=f"{name}: (must be|not valid YAML)"):
        check_parameters(path, parse_parameters(path, {name: text}), notebook_parameters(path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 2.5),
        ("count", True),
        ("count", None),
        ("pixel_size_nm", "2"),
        ("pixel_size_nm", float("nan")),
        ("label", 5),
        ("flag", 1),
        ("sizes_nm", 10),
        ("choice", {1, 2}),
    ],
)
def test_a_value_of_another_type_is_refused(notebook: Maker, name: str, value: Any) -> None:
    path = notebook(PARAMETERS)
    with pytest.raises(InputError, match=f"parameter {name}: must be"):
        check_parameters(path, {name: value}, notebook_parameters(path))


def test_an_unknown_parameter_is_refused_with_the_known_ones(notebook: Maker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no parameter cuont; it has count, pixel_size_nm, label"):
        run_notebook(notebook(PARAMETERS), {"cuont": 3}, root=tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_the_run_folder_is_not_the_users_to_set(notebook: Maker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no parameter run_folder"):
        run_notebook(notebook(PARAMETERS), {"run_folder": "/elsewhere"}, root=tmp_path / "root")


def test_a_notebook_without_a_run_folder_is_refused(notebook: Maker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must have a parameter run_folder"):
        run_notebook(notebook("count = 3"), {}, root=tmp_path / "root")


@pytest.mark.parametrize("name", ["../out", "a/b", "..", ".hidden", "a\\b", "", "x" * 201, "nul\0"])
def test_names_cannot_leave_the_root(notebook: Maker, tmp_path: Path, name: str) -> None:
    if name:  # an empty name is no name: the notebook's own is taken
        with pytest.raises(InputError, match="must be a plain name"):
            run_notebook(notebook(PARAMETERS), {}, name=name, run="r", root=tmp_path / "root")
    with pytest.raises(InputError, match="must be a plain name"):
        save_figure(tmp_path, name, Figure())
    assert not (tmp_path / "root").exists()


def test_a_run_leaves_its_files_in_its_folder(finished: Path) -> None:
    assert finished.parts[-3:] == ("root", "renamed", "first")
    assert {path.name for path in finished.iterdir()} == {"renamed.ipynb", "parameters.json", "results.json"}


def test_a_run_uses_its_parameters_this_interpreter_and_this_folder(finished: Path) -> None:
    # 8 comes from the call, 2.5 from the notebook's default
    assert read_json(finished / "results.json") == {
        "area_nm2": 8 * 2.5**2,
        "python": sys.executable,
        "cwd": str(Path.cwd()),
    }


def test_the_record_says_how_a_run_came_about(finished: Path) -> None:
    record = read_json(finished / "parameters.json")
    assert record["parameters"] == {
        "count": 8,
        "pixel_size_nm": 2.5,
        "label": "a = b",
        "flag": False,
        "sizes_nm": [10, 20],
        "choice": None,
    }
    assert record["status"] == "complete"
    assert record["duration_s"] > 0
    assert record["notebook_sha256"] == sha256(finished.parents[2] / "small.ipynb")
    assert record["versions"]["numpy"] == np.__version__
    assert record["git"] is None  # the notebook lies outside any repository


def test_bars_in_a_run_are_drawn_as_text(finished: Path) -> None:
    cells = read_json(finished / "renamed.ipynb")["cells"]
    assert "".join(cells[2]["outputs"][0]["text"]).strip() == "tqdm.std"


def test_a_run_name_stands_for_one_set_of_parameters(finished: Path) -> None:
    path, root = finished.parents[2] / "small.ipynb", finished.parents[1]
    with pytest.raises(InputError, match=r"made with other parameters \(count\)"):
        run_notebook(path, {"count": 9}, name="renamed", run="first", root=root)
    assert read_json(finished / "parameters.json")["parameters"]["count"] == 8


def test_a_failing_cell_ends_the_run_and_keeps_what_ran(notebook: Maker, tmp_path: Path) -> None:
    path = notebook(PARAMETERS, SAVE, "print('so far')\n1 / 0", "print('never')")
    root = tmp_path / "root"
    with pytest.raises(NotebookError, match=r"cell \[4\] failed: ZeroDivisionError: division by zero"):
        run_notebook(path, {}, run="broken", root=root, progress=False)
    record = read_json(root / "small/broken/parameters.json")
    executed = (root / "small/broken/small.ipynb").read_text(encoding="utf-8")
    assert record["status"] == "failed"
    assert "so far" in executed
    assert '"never"' not in executed


def test_an_input_error_in_a_cell_is_the_users(notebook: Maker, tmp_path: Path) -> None:
    path = notebook(PARAMETERS, "from nanolab.core.checks import check_file\ncheck_file('gone.tif', 'micrograph')")
    with pytest.raises(InputError, match=r"gone\.tif: micrograph not found"):
        run_notebook(path, {}, root=tmp_path / "root", progress=False)


def test_a_cell_that_takes_too_long_is_stopped(notebook: Maker, tmp_path: Path) -> None:
    path = notebook(PARAMETERS, "import time\ntime.sleep(60)")
    with pytest.raises(NotebookError, match="a cell took longer than 1 s"):
        run_notebook(path, {}, root=tmp_path / "root", timeout=1, progress=False)


def test_a_dead_kernel_is_said_to_be_dead(notebook: Maker, tmp_path: Path) -> None:
    path = notebook(PARAMETERS, "import os\nos._exit(1)")
    with pytest.raises(NotebookError, match="its kernel died"):
        run_notebook(path, {}, root=tmp_path / "root", progress=False)


@pytest.mark.parametrize("failures", [2, 3])
def test_a_kernel_that_lost_its_port_is_started_again(
    notebook: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    starts = []

    def unlucky(*_: Any, **__: Any) -> None:
        starts.append(1)
        if len(starts) <= failures:
            raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(papermill, "execute_notebook", unlucky)
    if failures == 3:
        with pytest.raises(RuntimeError, match="Kernel died before replying"):
            run_notebook(notebook(PARAMETERS), {}, root=tmp_path / "root")
    else:
        run_notebook(notebook(PARAMETERS), {}, root=tmp_path / "root")
    assert len(starts) == 3


def test_an_interrupted_run_says_so(notebook: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_notebook(notebook(PARAMETERS), {}, run="stopped", root=tmp_path / "root")
    assert read_json(tmp_path / "root/small/stopped/parameters.json")["status"] == "interrupted"


def test_what_a_run_shows_reaches_the_terminal(
    notebook: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = "from tqdm.auto import trange\nfor _ in trange(3, desc='epochs'):\n    pass\nprint('done')"
    run_notebook(notebook(PARAMETERS, bar), {}, root=tmp_path / "root")
    shown = capsys.readouterr()
    assert "done" in shown.out
    assert "epochs: 100%" in shown.err
    assert "Passed unknown parameter" not in shown.err


def test_results_are_plain_json(tmp_path: Path) -> None:
    results = {
        "dice": np.float32(0.5),
        "n_found": np.int64(3),
        "median_ecd_found_nm": float("nan"),
        "seconds": {"render": np.float64(1.5)},
        "epochs": np.array([1, 2]),
        "folder": Path("a/b"),
    }
    path = save_results(tmp_path, results)
    assert path == tmp_path / "results.json"
    assert read_json(path) == {
        "dice": 0.5,
        "n_found": 3,
        "median_ecd_found_nm": None,
        "seconds": {"render": 1.5},
        "epochs": [1, 2],
        "folder": "a/b",
    }


def test_a_figure_is_saved_at_its_size(tmp_path: Path) -> None:
    path = save_figure(tmp_path, "sizes", Figure(figsize=(2, 1)), dpi=50)
    # bytes 16 to 24 of a PNG are its width and height
    assert [int.from_bytes(path.read_bytes()[start : start + 4]) for start in (16, 20)] == [100, 50]
