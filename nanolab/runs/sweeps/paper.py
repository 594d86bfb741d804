"""The numbers of a paper next to those of a sweep."""

from collections.abc import Iterable, Mapping
from typing import Any

from nanolab.core.checks import InputError
from nanolab.core.tables import read_csv
from nanolab.runs.sweeps.spec import Paper

__all__ = ["PAPER", "paper_numbers", "paper_rows"]

#: What the names of columns with a paper's numbers begin with.
PAPER = "paper."


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
