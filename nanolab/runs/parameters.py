"""The parameters of a notebook: which it has, and whether values fit them."""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import parse_json
from nanolab.core.validation import parse_yaml, validated

__all__ = ["check_parameters", "code_cells", "notebook_parameters", "parse_parameters"]


def notebook_parameters(path: Path | str) -> dict[str, Any]:
    """Return the parameters of a notebook with their defaults, from its cell tagged `parameters`.

    Raises
    ------
    InputError
        If the notebook cannot be read, has no such cell, or has something else than literals in it. A derived value
        would keep what the default gave when papermill sets the parameter it comes from.
    """
    path = Path(path)
    cells = [cell for cell in code_cells(path) if "parameters" in cell.metadata.tags]
    if len(cells) != 1:
        raise InputError(f"{path}: must have one cell tagged 'parameters', got {len(cells)}")
    try:
        statements = ast.parse(cells[0].code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # ast has all four for damaged code
        raise InputError(f"{path}: the parameters cell is not valid Python: {error}") from error
    return dict(_literal(statement, path) for statement in statements)


class _Metadata(BaseModel):
    tags: list[str] = []


class _Cell(BaseModel):
    cell_type: str
    metadata: _Metadata = _Metadata()
    source: str | list[str] = ""

    @property
    def code(self) -> str:
        return "".join(self.source)


class _Notebook(BaseModel):
    nbformat: Literal[4]
    cells: list[_Cell]


def code_cells(path: Path) -> list[_Cell]:
    """Return the cells of a notebook that hold code.

    Raises
    ------
    InputError
        If it is not a notebook.
    """
    text = check_file(path, "notebook").read_bytes()
    content = parse_json(text, str(path), "save it again in Jupyter", nan=True)  # outputs may hold NaN
    what = f"{path}: not a Jupyter notebook of format 4; give an .ipynb file saved by Jupyter"
    return [cell for cell in validated(_Notebook, content, what).cells if cell.cell_type == "code"]


def _literal(statement: ast.stmt, path: Path) -> tuple[str, Any]:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value)
        ):
            try:
                return name, ast.literal_eval(value)  # type: ignore[arg-type]  # None raises ValueError too
            except (ValueError, TypeError, RecursionError, MemoryError):
                pass
    raise InputError(
        f"{path}: the parameters cell must hold lines such as count = 3, got {ast.unparse(statement)[:99]!r}; "
        "move what is computed to the next cell"
    )


def parse_parameters(path: Path | str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters typed on a command line as values of the types that the notebook's defaults have.

    They are YAML scalars or flow lists (`3`, `true`, `[1, 2]`), unless the default is a text: then they are texts too.
    """
    defaults = notebook_parameters(path)
    return {
        name: text if isinstance(defaults.get(name), str) else parse_yaml(text, name) for name, text in texts.items()
    }


def check_parameters(path: Path, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all parameters of a notebook, the given ones over the defaults.

    Raises
    ------
    InputError
        If one is unknown, of another type than its default, or nothing that JSON can hold.
    """
    if unknown := given.keys() - defaults:
        raise InputError(f"{path}: no parameter {', '.join(sorted(unknown))}; it has {', '.join(defaults)}")
    for name, value in given.items():
        _check_value(value, defaults[name], name)
    return {**defaults, **given}


def _check_value(value: Any, default: Any, name: str) -> None:
    allowed = (int, float) if isinstance(default, float) else type(default)
    is_flag = isinstance(value, bool) and not isinstance(default, bool)  # True is an int to Python
    if default is not None and (is_flag or not isinstance(value, allowed)):
        expected = "float" if isinstance(default, float) else type(default).__name__
        raise InputError(f"parameter {name}: must be of type {expected} like its default {default!r}, got {value!r}")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"parameter {name}: must be a finite number, a text, a flag or a list, got {value!r}"
        ) from error
