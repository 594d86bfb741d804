"""Sweeps: what a file may say, which runs it gives, what is done again and what is not, and the table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.small_sweeps import noted, pretend_done, write_sweep
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from nanolab.cli import app
from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.core.results import plain_name
from nanolab.figures.sweeps import means, measures, plot_sweep
from nanolab.runs.sweeps.backends import local_backend
from nanolab.runs.sweeps.engine import sweep as run_sweep
from nanolab.runs.sweeps.planning import plan_sweep, run_names
from nanolab.runs.sweeps.report import report_sweep
from nanolab.runs.sweeps.spec import load_sweep
from nanolab.runs.sweeps.table import collect, sweep_state

SHIPPED = sorted((Path(__file__).parents[3] / "papermill_runs" / "sweeps").glob("*.yaml"))


def test_sets_grid_and_seeds_combine(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path,
        fixed={"label": "b"},
        sets=[{"n": 1, "factor": 1.5}, {"n": 2, "factor": 2.5}],
        grid={"seconds": [0.0, 1.0]},
        repeats=2,
        seed=7,
    )
    runs = list(load_sweep(path).combinations())
    assert len(runs) == 2 * 2 * 2
    assert runs[0] == {"label": "b", "n": 1, "factor": 1.5, "seconds": 0.0, "seed": 7}
    assert {(run["n"], run["factor"]) for run in runs} == {(1, 1.5), (2, 2.5)}
    assert list(plan_sweep(load_sweep(path)))[-1] == "n=2,factor=2.5,seconds=1.0,seed=8"


def test_a_size_changes_what_it_names_and_has_its_own_folder(tmp_path: Path) -> None:
    size = {"fixed": {"seconds": 0.5}, "grid": {"n": [1]}, "repeats": 1}
    path = write_sweep(
        tmp_path, fixed={"label": "b", "seconds": 9.0}, grid={"n": [1, 2]}, repeats=3, sizes={"smoke": size}
    )
    sweep = load_sweep(path, "smoke")
    assert sweep.name == "small-smoke"
    assert list(sweep.combinations()) == [{"label": "b", "seconds": 0.5, "n": 1, "seed": 0}]
    assert len(list(load_sweep(path).combinations())) == 6
    with pytest.raises(InputError, match="size full: must be one of smoke"):
        load_sweep(path, "full")


def test_notebook_and_table_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sweep(tmp_path)
    (tmp_path / "paper.csv").write_text("n,f1\n1,0.5\n", encoding="utf-8")
    paper = {"table": "paper.csv", "parameters": {"n": "n"}, "results": {"score": "f1"}}
    (tmp_path / "sweeps/deep").mkdir(parents=True)
    path = write_sweep(tmp_path, "sweeps/deep/mine", notebook="small.ipynb", paper=paper)
    monkeypatch.chdir(tmp_path / "sweeps")
    sweep = load_sweep(Path("deep/mine.yaml"))
    assert sweep.notebook == str(tmp_path / "small.ipynb")
    assert sweep.paper is not None
    assert sweep.paper.table == str(tmp_path / "paper.csv")
    monkeypatch.chdir(tmp_path)  # what is here comes first, under the name it has here
    assert load_sweep(path).notebook == "small.ipynb"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"grids": {"n": [1]}}, r"grids: unknown key \(did you mean grid\?\), got"),
        ({"grid": {"n": 3}}, r"grid\.n: Input should be a valid list, got 3"),
        ({"grid": {"n": []}}, r"grid\.n: List should have at least 1 item"),
        ({"repeats": 0}, "repeats: Input should be greater than or equal to 1, got 0"),
        ({"repeats": "3"}, "repeats: Input should be a valid integer, got '3'"),
        ({"fixed": {"n": 1}, "grid": {"n": [1]}}, "n must be given once, not in both fixed and grid"),
        ({"fixed": {"seed": 1}, "repeats": 2}, "seed must be given once, not in both fixed and repeats"),
        ({"name": "../out"}, "name: String should match pattern"),
        ({"sizes": {"a/b": {}}}, r"sizes\.a/b\.\[key\]: String should match pattern"),
        ({"fixed": {"n": 1}, "sizes": {"s": {"grid": {"n": [1]}}}}, "size s: .*not in both fixed and grid"),
        ({"dask": {}}, "dask: must name either a running scheduler or the kind of a cluster"),
        ({"dask": {"cluster": "cloud"}}, r"dask\.cluster: Input should be 'slurm', 'pbs', 'lsf', 'sge' or 'local'"),
        ({"dask": {"scheduler": "tcp://a:1", "jobs": 2}}, "jobs and options belong to a cluster to start"),
        ({"grid": {"m": [1]}}, "no parameter m; it has n, factor"),
        ({"grid": {"n": [1.5]}}, "parameter n: must be of type int like its default 1, got 1.5"),
        ({"fixed": {"run_folder": "/elsewhere"}}, "no parameter run_folder"),
        ({"grid": {"n": [1, 1]}}, "n=1.* is there twice"),
        ({"notebook": "absent.ipynb"}, r"absent\.ipynb: notebook not found"),
    ],
)
def test_mistakes_are_named_before_anything_runs(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = write_sweep(tmp_path, **content)
    with pytest.raises(InputError, match=message):
        run_sweep(path, root=tmp_path / "root", progress=False)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "a sweep is a mapping of keys to values, got list"),
        ("notebook: [1\n", "not valid YAML"),
        ("notebook: a.ipynb\ngrid: {n: [1]}\ngrid: {m: [2]}\n", "the key 'grid' is given twice"),
        ("notebook: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_what_is_no_sweep_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_sweep(path)


def test_numbers_that_yaml_takes_for_texts_are_numbers(tmp_path: Path) -> None:
    path = write_sweep(tmp_path)
    path.write_text(path.read_text() + "grid: {factor: [1e-3, 2]}\n", encoding="utf-8")
    assert [plan.values["factor"] for plan in plan_sweep(load_sweep(path)).values()] == [0.001, 2]


values = st.one_of(st.integers(-5, 5), st.floats(-2, 2, width=16), st.booleans(), st.none(), st.text(max_size=120))
sets = st.lists(
    st.fixed_dictionaries({"a": values, "b": st.lists(values, max_size=3)}),
    max_size=6,
    unique_by=repr,
)


@given(sets)
def test_each_run_has_a_name_of_its_own_that_is_a_plain_folder(runs: list[dict[str, Any]]) -> None:
    names = run_names(runs)
    # 1 and True, or 0.0 and -0.0, differ to repr and may share a name; planning refuses such runs
    if len({repr(run).replace("-0.0", "0.0") for run in runs}) == len(runs):
        assert len({name.casefold() for name in names}) == len(runs)
    for name in names:
        assert plain_name(name, "run") == name
        assert (Path("root") / name).resolve().parent == Path("root").resolve()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a sweep of four runs, two of them with the same parameters but for the seed."""
    folder = tmp_path_factory.mktemp("sweep")
    path = write_sweep(folder, grid={"n": [1, 2]}, repeats=2, workers=2, threads=3)
    done = run_sweep(path, root=folder / "root", progress=False)
    assert [outcome.status for outcome in done.outcomes] == ["complete"] * 4
    return done.folder


def test_each_run_has_its_folder_record_and_results(finished: Path) -> None:
    assert noted(finished) == ["n=1,seed=0", "n=1,seed=1", "n=2,seed=0", "n=2,seed=1"]
    run = finished / "n=2,seed=1"
    assert {path.name for path in run.iterdir()} == {"parameters.json", "results.json", "small.ipynb", "curve.csv"}
    record = read_json(run / "parameters.json")
    assert (record["status"], record["sweep"]) == ("complete", "small")
    assert record["parameters"]["seed"] == 1
    assert record["machine"]["cores"] >= 1


def test_a_run_is_bounded_to_its_threads(finished: Path) -> None:
    # 3 is what the file says; nothing else in this environment says 3
    assert set(collect(finished)["deep.threads"]) == {3}


def test_runs_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOLAB_THREADS", "8")
    for workers, threads in {1: 8, 3: 2, 16: 1}.items():
        with local_backend(workers) as place:
            assert place.threads == threads


def test_a_finished_sweep_is_kept(finished: Path) -> None:
    done = run_sweep(finished.parents[1] / "small.yaml", root=finished.parent, progress=False)
    assert [outcome.status for outcome in done.outcomes] == ["kept"] * 4
    assert len(noted(finished)) == 4


def test_the_table_is_tidy(finished: Path) -> None:
    table = collect("small", root=finished.parent)
    assert list(table.columns[:6]) == ["run", "status", "n", "seed", "score", "deep.threads"]
    assert list(table["score"]) == [2.0, 3.0, 4.0, 5.0]  # n * 2 + seed
    assert set(table["label"]) == {"a"}
    assert "curve" not in table
    pd.testing.assert_frame_equal(table, collect(finished))


def test_curves_come_below_each_other(finished: Path) -> None:
    curves = collect(finished, table="curve.csv")
    assert list(curves.columns) == ["run", "n", "seed", "step", "value"]
    assert list(curves["value"]) == [1, 2, 1, 2, 2, 3, 2, 3]
    with pytest.raises(InputError, match=r"no complete run has a file \.\./begun"):
        collect(finished, table="../begun.log")


def test_means_are_over_the_seeds(finished: Path) -> None:
    averages = means(collect(finished), sweep_state(finished))
    assert list(averages.index) == [1, 2]
    assert list(averages["score"]["mean"]) == [2.5, 4.5]
    assert averages["score"]["std"].to_numpy() == pytest.approx(np.sqrt(0.5))  # of two numbers that differ by 1


def test_the_report_has_tables_and_figures_and_needs_no_network(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.parents[1])
    (finished.parents[1] / "papermill_runs").symlink_to(finished.parent)
    shown = CliRunner().invoke(app, ["sweep-report", "small"])
    assert shown.exit_code == 0, shown.output
    page = (finished / "report" / "report.html").read_text(encoding="utf-8")
    assert "4 complete" in page
    assert "data:image/png;base64" in page
    assert "n=2,seed=1" in page
    assert "http" not in page
    assert list(pd.read_csv(finished / "report" / "means.csv")["score mean"]) == [2.5, 4.5]
    assert len(pd.read_csv(finished / "report" / "table.csv")) == 4
    assert len(collect(finished)) == 4  # the report is no run


def test_the_report_of_a_smoke_run_says_that_its_numbers_mean_nothing(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, grid={"n": [1, 2]}, sizes={"smoke": {"grid": {"n": [1]}}})
    folder = run_sweep(path, size="smoke", root=tmp_path / "root", progress=False).folder
    page = report_sweep(folder, root=tmp_path / "root").read_text(encoding="utf-8")
    assert "smoke: numbers mean nothing" in page


@pytest.mark.parametrize("varying", [["n"], ["label", "n"], ["label"], []])
def test_a_figure_shows_each_measure_and_each_group(varying: list[str]) -> None:
    grid = [(n, label) for n in (1, 2, 4) for label in "xy"]
    rows = [{"run": "r", "n": n, "label": label, "seed": 0, "dice": n / 4, "f1": 0.5} for n, label in grid]
    table = pd.DataFrame(rows)
    about = {"parameters": {"n": 1, "label": "x", "seed": 0}}
    state = {"name": "demo", "varying": [*varying, "seed"], "seed_parameter": "seed", "runs": {"r": about}}
    assert measures(table, state) == ["dice", "f1"]
    figure = plot_sweep(table, state)
    assert [axes.get_title() for axes in figure.axes] == ["dice", "f1"]
    if "n" in varying:
        means_drawn = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
        assert len(means_drawn) == (2 if "label" in varying else 1)
        assert list(means_drawn[0].get_ydata()) == [0.25, 0.5, 1.0]


def test_settings_that_vary_have_names_rows_and_means() -> None:
    variants: list[dict[str, Any]] = [{}, {"loss": "dice"}, {"augmentation": {"noise": 0, "blur_px": 0}}]
    rows = [{"variant": each, "seed": seed, "dice": k + seed / 2} for k, each in enumerate(variants) for seed in (0, 1)]
    table = pd.DataFrame(rows)
    about = {"parameters": {"variant": {}, "seed": 0}}
    state = {"name": "demo", "varying": ["variant", "seed"], "seed_parameter": "seed", "runs": {"r": about}}
    said = ["as it is", "loss dice", "augmentation noise 0, blur_px 0"]
    averages = means(table, state)
    assert list(averages.index.get_level_values("variant")) == said
    assert averages["dice"]["mean"].tolist() == [0.25, 1.25, 2.25]
    (axes,) = plot_sweep(table, state).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == said
    drawn = [line for line in axes.lines if len(line.get_xdata()) == len(variants)]  # the means; above them the runs
    assert [list(line.get_xdata()) for line in drawn] == [[0.25, 1.25, 2.25]]
    names = run_names([{"variant": each} for each in variants])
    assert [name.rpartition("-")[0] for name in names[1:]] == [
        "variant=loss-dice",
        "variant=augmentation-noise-0+blur_px-0",
    ]


def test_a_name_is_drawn_and_not_the_number_that_goes_with_it() -> None:
    cases = [("gray", 39), ("black", 62), ("rods", 0)]
    rows = [{"case": case, "n_test": n, "method": method, "f1": 0.5} for case, n in cases for method in "xy"]
    about = {"parameters": {"case": "", "n_test": 1, "method": "x"}}
    state = {"name": "demo", "varying": ["case", "n_test", "method"], "seed_parameter": None, "runs": {"r": about}}
    figure = plot_sweep(pd.DataFrame(rows), state)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [case for case, _ in cases]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["method x", "method y"]


def test_titles_leave_out_what_measures_share_unless_two_would_be_alike() -> None:
    names = ["scores.bam.dice", "scores.bam.f1", "real, both.f1", "seconds.train", "f1"]
    names += ["halves.kappa.a", "halves.kappa.b", "thirds.kappa.a", "thirds.kappa.b"]
    state = {"name": "demo", "varying": ["n"], "seed_parameter": None, "runs": {"r": {"parameters": {"n": 1}}}}
    table = pd.DataFrame({"n": [1, 2], **{name: [0.1, 0.2] for name in names}})
    figure = plot_sweep(table, state)
    assert [axes.get_title() for axes in figure.axes] == ["dice", "scores.bam.f1", *names[2:]]


def test_nothing_to_draw_is_said(finished: Path) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        plot_sweep(collect(finished).iloc[:0], sweep_state(finished))


def do(path: Path, **options: Any) -> dict[str, str]:
    done = run_sweep(path, root=path.parent / "root", progress=False, **options)
    return {outcome.run: outcome.status for outcome in done.outcomes}


def test_changing_a_parameter_does_only_what_depends_on_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "b.txt").write_text("b", encoding="utf-8")
    data = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    root = tmp_path / "root" / "small"
    # Pretended runs, so that only what has to be done costs a kernel.
    path = write_sweep(tmp_path, sets=[{"data": each, "n": k} for k, each in enumerate(data)])
    plans = plan_sweep(load_sweep(path))
    for name, plan in plans.items():
        pretend_done(root / name, plan.identity)
    assert set(do(path).values()) == {"kept"}
    # one more run
    write_sweep(tmp_path, sets=[{"data": each, "n": k} for k, each in enumerate([*data, ""])])
    assert list(do(path).values()) == ["kept", "kept", "complete"]
    # other content of one of the files
    (tmp_path / "b.txt").write_text("changed", encoding="utf-8")
    assert list(do(path).values()) == ["kept", "complete", "kept"]
    assert len(list((root / ".replaced").iterdir())) == 1
    # another axis, of which the runs that are there are a part: they get its names
    write_sweep(tmp_path, sets=[{"data": data[0], "n": 0}], grid={"label": ["a"]})
    assert list(do(path).values()) == ["kept"]
    assert len(noted(root)) == 2


def test_another_text_in_a_notebook_changes_nothing_other_code_does(tmp_path: Path) -> None:
    path = write_sweep(tmp_path)
    (before,) = plan_sweep(load_sweep(path)).values()
    notebook = tmp_path / "small.ipynb"
    content = notebook.read_text(encoding="utf-8")
    markdown = '{"cell_type": "markdown", "id": "words", "metadata": {}, "source": "Words."}, '
    notebook.write_text(content.replace('"cells": [', '"cells": [' + markdown), encoding="utf-8")
    assert plan_sweep(load_sweep(path))["single"].identity == before.identity
    notebook.write_text(content.replace("seconds > 0", "seconds >= 0"), encoding="utf-8")
    assert plan_sweep(load_sweep(path))["single"].identity != before.identity


def test_a_failing_run_is_said_at_the_end_and_tried_again_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path, grid={"n": [1, 2, 3]}, fixed={"fails_at": 1}, workers=2)
    shown = CliRunner().invoke(app, ["sweep", "small.yaml"])
    assert shown.exit_code == 1
    assert "3 runs: 0 kept, 2 done, 1 failed" in shown.output
    assert "failed: n=1" in shown.output
    assert "cell [3] failed: ValueError: cannot do 1" in shown.output
    assert "n=1/small.ipynb" in shown.output
    folder = tmp_path / "papermill_runs" / "small"
    assert list(collect("small")["n"]) == [2, 3]
    everything = collect("small", unfinished=True)
    assert list(everything["status"]) == ["failed", "complete", "complete"]
    assert "cannot do 1" in everything["error"][0]
    done = run_sweep(tmp_path / "small.yaml", progress=False)
    assert [outcome.status for outcome in done.outcomes] == ["failed", "kept", "kept"]
    assert noted(folder, "begun").count("n=1") == 2


def test_a_failing_run_can_be_retried_at_once(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, fixed={"n": 1, "fails_at": 1}, retries=1)
    assert do(path) == {"single": "failed"}
    assert noted(tmp_path / "root" / "small", "begun") == ["single", "single"]


def test_again_does_complete_runs_again_and_keeps_the_last(tmp_path: Path) -> None:
    path = write_sweep(tmp_path)
    (plan,) = plan_sweep(load_sweep(path)).values()
    root = tmp_path / "root" / "small"
    pretend_done(root / "single", plan.identity)
    assert do(path, again=True) == {"single": "complete"}
    assert noted(root) == ["single"]
    assert (root / ".replaced" / "single" / "parameters.json").exists()


def test_workers_and_a_scheduler_exclude_each_other(tmp_path: Path) -> None:
    words = ["sweep", str(write_sweep(tmp_path)), "--workers", "2", "--scheduler", "tcp://localhost:1"]
    assert CliRunner().invoke(app, words).exit_code == 2


def test_an_unknown_sweep_has_no_report(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["report", str(tmp_path / "no")])
    assert shown.exit_code == 2
    assert "run `nanolab sweep` on its file first" in shown.output


def test_there_is_a_shipped_sweep() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sweeps_fit_their_notebooks_in_all_sizes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    sweep = load_sweep(path)
    assert "smoke" in sweep.sizes
    for size in (None, *sweep.sizes):
        assert plan_sweep(load_sweep(path, size))
