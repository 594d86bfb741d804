"""The results of a sweep in one table, with the numbers of a paper next to them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from nanolab.core.checks import InputError
from nanolab.core.files import read_record
from nanolab.core.tables import read_csv
from nanolab.core.validation import validated
from nanolab.runs.record import read_run
from nanolab.runs.sweeps.jobs import is_finished
from nanolab.runs.sweeps.spec import Paper

__all__ = ["PAPER", "collect", "paper_numbers", "paper_rows", "sweep_folder", "sweep_state"]

#: What the names of columns with a paper's numbers begin with.
PAPER = "paper."
_RECORD = ("duration_s", "started", "nanolab", "commit", "machine", "threads", "error")


def sweep_folder(sweep: Path | str, root: Path = Path("papermill_runs")) -> Path:
    """Return the folder of a sweep that was started, given by its name or by the folder itself.

    Raises
    ------
    InputError
        If there is none.
    """
    for folder in (root / sweep, Path(sweep)):
        if (folder / "sweep.json").is_file():
            return folder
    raise InputError(f"{sweep}: no sweep of this name was started in {root}; run `nanolab sweep` on its file first")


def sweep_state(folder: Path) -> dict[str, Any]:
    """Return what `sweep.json` says."""
    content = read_record(folder / "sweep.json")
    validated(_State, content, f"{folder / 'sweep.json'}: not the state of a sweep; give `nanolab sweep` again")
    return content


class _Run(BaseModel):
    identity: str
    parameters: dict[str, Any]


class _State(BaseModel):
    varying: list[str]
    collect: list[str]
    runs: dict[str, _Run]
    paper: list[dict[str, Any]] = []


def collect(
    sweep: Path | str, *, table: str | None = None, root: Path = Path("papermill_runs"), unfinished: bool = False
) -> pd.DataFrame:
    """Return the runs of a sweep in one tidy table, one row per run.

    Columns, from the left: run, status; the parameters that vary; the results that the sweep's file says to collect,
    or all numbers, texts and flags of `results.json`, nested ones with dots; the other parameters; how the run came
    about. A result that has a parameter's name is called `result.<name>`, the number that a paper gives for a result
    `paper.<name>` where the sweep's file names a paper. Runs whose parameters, notebook or data have
    changed since are not in it; nor are runs that the file no longer names.

    Parameters
    ----------
    sweep
        The sweep's name, with its size if it had one, such as "epochs-smoke", or its folder.
    table
        A CSV file that each run writes, such as a curve: all of them below each other then, one row per row of that.
    root
        Where sweeps are kept.
    unfinished
        Have runs in it that are not complete; they have no results, but an error in the last column if they failed.

    Raises
    ------
    InputError
        If no such sweep was started, or no run has `table`.
    """
    folder = sweep_folder(sweep, root)
    state = sweep_state(folder)
    rows = [_row(folder / name, name, about, state) for name, about in state["runs"].items()]
    rows = [row for row in rows if unfinished or row["status"] == "complete"]
    if table is not None:
        return _below_each_other(folder, rows, state["varying"], table)
    columns = [name for name in _ordered(rows, state) if unfinished or name != "error"]
    return pd.DataFrame(rows, columns=columns)


def _row(run: Path, name: str, about: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    record = read_run(run)
    status = "missing" if not record else "complete" if is_finished(run, about["identity"]) else "outdated"
    if record.get("identity") == about["identity"]:
        status = record["status"]
    results = _results(run, state["collect"]) if status == "complete" else {}
    parameters = about["parameters"]
    named = {f"result.{key}" if key in parameters else key: value for key, value in results.items()}
    beside = paper_numbers(state.get("paper", []), parameters)
    return {"run": name, "status": status, **parameters, **named, **beside, **_how(record)}


def _how(record: Mapping[str, Any]) -> dict[str, Any]:
    parts = {
        "nanolab": record.get("versions", {}).get("nanolab"),
        "commit": (record.get("git") or {}).get("commit"),
        "machine": record.get("machine", {}).get("name"),
    }
    return {name: parts.get(name, record.get(name)) for name in _RECORD}


def _results(run: Path, wanted: Iterable[str]) -> dict[str, Any]:
    path = run / "results.json"
    if not path.exists():
        return {}
    everything = _flat(read_record(path))
    if wanted := list(wanted):
        return {key: everything[key] for key in wanted if key in everything}
    return {key: value for key, value in everything.items() if not isinstance(value, list)}


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return flat


def _ordered(rows: list[dict[str, Any]], state: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns: what varies, what came out, what is the same, how it came about."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    parameters = {key for about in state["runs"].values() for key in about["parameters"]}
    first = ["run", "status", *state["varying"]]
    last = [key for key in names if key in parameters and key not in first]
    middle = [key for key in names if key not in {*first, *last, *_RECORD}]
    return [*first, *middle, *last, *(key for key in _RECORD if key in names)]


def _below_each_other(folder: Path, rows: list[dict[str, Any]], varying: list[str], table: str) -> pd.DataFrame:
    parts = []
    for row in rows:
        path = folder / row["run"] / table
        if path.is_file() and path.resolve().is_relative_to((folder / row["run"]).resolve()):
            own = read_csv(path, f"table of run {row['run']}")
            for position, key in enumerate(["run", *(key for key in varying if key not in own)]):
                own.insert(position, key, [row[key]] * len(own))
            parts.append(own)
    if not parts:
        raise InputError(f"{folder}: no complete run has a file {table}; check its name")
    return pd.concat(parts, ignore_index=True)


def paper_rows(paper: Paper | None) -> list[dict[str, Any]]:
    """Return the rows of a paper's table under the names that a sweep has for its columns: parameters and results.

    Raises
    ------
    InputError
        If there is no such file, or a column is not in it.
    """
    if paper is None:
        return []
    table = read_csv(paper.table, "table of the paper")
    names = [*paper.rows, *paper.parameters.values(), *paper.results.values()]
    if unknown := [name for name in names if name not in table]:
        raise InputError(f"{paper.table}: has no column {unknown[0]}; its columns are {', '.join(table)}")
    for column, value in paper.rows.items():
        table = table[table[column] == value]
    table = table.astype(object).where(table.notna(), None)  # JSON has no NaN
    parameters = {name: table[column].tolist() for name, column in paper.parameters.items()}
    results = {PAPER + name: table[column].tolist() for name, column in paper.results.items()}
    columns = {**parameters, **results}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def paper_numbers(rows: Iterable[Mapping[str, Any]], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the rows of `paper_rows` say of a run with these parameters; of several rows the last."""
    found: dict[str, Any] = {}
    for row in rows:
        if all(parameters.get(name) == value for name, value in row.items() if not name.startswith(PAPER)):
            found = {name: value for name, value in row.items() if name.startswith(PAPER)}
    return found
