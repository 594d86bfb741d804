"""A paper's numbers next to a sweep's own."""

from pathlib import Path

import pandas as pd
import pytest
from helpers.small_sweeps import write_sweep
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.checks import InputError
from nanolab.figures.sweeps import means, measures, plot_sweep
from nanolab.runs.sweeps.engine import sweep as run_sweep
from nanolab.runs.sweeps.spec import load_sweep
from nanolab.runs.sweeps.table import collect, paper_numbers, paper_rows, sweep_state

SHIPPED = sorted((Path(__file__).parents[3] / "papermill_runs" / "sweeps").glob("*.yaml"))
TABLE = "table,images,other,f1\n1,1,a,0.1\n2,1,a,0.2\n2,1,a,0.3\n2,5,a,0.5\n"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of four runs over two images counts, of which the paper has one."""
    (tmp_path / "paper.csv").write_text(TABLE, encoding="utf-8")
    paper = {
        "table": str(tmp_path / "paper.csv"),
        "rows": {"table": 2},
        "parameters": {"n": "images"},
        "results": {"score": "f1"},
    }
    sets = [{"n": 1, "factor": 9.0}, {"n": 2, "factor": 8.0}]  # the second follows from the first
    return write_sweep(tmp_path, sets=sets, repeats=2, paper=paper, workers=2)


def test_of_several_rows_the_last_counts(sweep: Path) -> None:
    rows = paper_rows(load_sweep(sweep).paper)
    assert rows == [{"n": 1, "paper.score": 0.2}, {"n": 1, "paper.score": 0.3}, {"n": 5, "paper.score": 0.5}]
    assert paper_numbers(rows, {"n": 1, "factor": 2.0}) == {"paper.score": 0.3}
    assert paper_numbers(rows, {"n": 3}) == {}


def test_a_table_without_the_column_is_refused(sweep: Path) -> None:
    text = sweep.read_text(encoding="utf-8").replace("f1", "f2")
    sweep.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="has no column f2; its columns are table, images, other, f1"):
        run_sweep(sweep, root=sweep.parent / "root", progress=False)


def test_tables_figures_and_copies_have_the_papers_numbers(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.parent)
    run_sweep(sweep, progress=False)
    table, state = collect("small"), sweep_state(Path("papermill_runs/small"))
    assert table["paper.score"].fillna(-1).tolist() == [0.3, 0.3, -1, -1]
    assert "paper.score" not in measures(table, state)
    averages = means(table, state)
    assert averages["score"]["mean"].tolist() == [9.5, 16.5]  # n * factor + seed
    assert averages["score"]["paper"].fillna(-1).tolist() == [0.3, -1]
    (axes,) = plot_sweep(table, state, shown=["score"]).axes
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert len(crosses) == 1  # one group: `factor` follows from `n`
    assert crosses[0].get_ydata()[0] == 0.3
    shown = CliRunner().invoke(app, ["report", "small", "--to", "out/small"])
    assert shown.exit_code == 0, shown.output
    assert sorted(path.name for path in Path("out/small").iterdir()) == ["means.csv", "results.png", "table.csv"]
    assert pd.read_csv("out/small/means.csv")["score paper"].fillna(-1).tolist() == [0.3, -1]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sweeps_name_columns_that_are_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parents[2])
    sweep = load_sweep(path)
    rows = paper_rows(sweep.paper)
    assert bool(rows) == (sweep.paper is not None)
    runs = [{**run} for size in (None, "full") for run in load_sweep(path, size).combinations()]
    for row in rows:  # each number of the paper stands next to some run
        assert any(paper_numbers([row], run) for run in runs), row
