"""Tables as CSV and Excel files in which no text becomes a formula."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from nanolab.core.checks import InputError, check_file
from nanolab.core.files import atomic

__all__ = ["read_csv", "significant", "write_csv", "write_excel", "write_parquet"]

#: What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MOST_ROWS = 2**20 - 1  # below the names


def read_csv(path: Path | str, what: str, **options: Any) -> pd.DataFrame:
    """Read a table from a CSV file; `what` errors call it, `options` are pandas'.

    Raises
    ------
    InputError
        If there is no such file, or it is not a table in UTF-8.
    """
    found = check_file(path, what)
    try:
        return pd.read_csv(found, **options)
    except (ValueError, pd.errors.ParserError) as error:  # a ValueError is also a wrong encoding or no columns
        raise InputError(f"{path}: {what} is not a CSV file with these columns ({error}); save it again") from error


def write_csv(path: Path | str, table: pd.DataFrame) -> Path:
    """Write a table as CSV, atomically; return its path.

    A text that a spreadsheet would take for a formula, such as the name of a file `=cmd.tif`, gets an apostrophe in
    front, in column names too. Numbers stay as they are.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_csv(Path(folder, "a.csv"), pd.DataFrame({"image": ["=a"], "ecd_nm": [2.5]}))
    ...     path.read_text().split()
    ['image,ecd_nm', "'=a,2.5"]
    """
    path = Path(path)
    safe = table.rename(columns=_as_text)
    for column in safe.columns[[not pd.api.types.is_numeric_dtype(each) for each in safe.dtypes]]:
        safe[column] = safe[column].map(_as_text)
    with atomic(path) as temporary:
        safe.to_csv(temporary, index=False)
    return path


def write_parquet(path: Path | str, table: pd.DataFrame) -> Path:
    """Write a table as a Parquet file, atomically; return its path. Needs the package pyarrow."""
    path = Path(path)
    with atomic(path) as temporary:
        try:
            table.to_parquet(temporary, index=False)
        except ImportError as error:
            raise InputError(f"{path}: Parquet needs pyarrow; pip install pyarrow, or take the CSV file") from error
    return path


def significant(table: pd.DataFrame, digits: int = 4) -> pd.DataFrame:
    """Return a table with its numbers, but for whole ones, rounded to so many significant digits."""
    return table.assign(**{name: _rounded(table[name], digits) for name in table.select_dtypes("floating")})


def _rounded(values: "pd.Series[float]", digits: int) -> "pd.Series[float]":
    with np.errstate(divide="ignore", invalid="ignore"):
        places = digits - 1 - np.nan_to_num(np.floor(np.log10(np.abs(values))), neginf=0, posinf=0)
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)  # no power of ten below 1 is exact
    return (values * up / down).round() / up * down


def _as_text(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_excel(path: Path | str, sheets: Mapping[str, pd.DataFrame]) -> Path:
    """Write tables as the sheets of an Excel file, atomically; return its path.

    Texts are kept and marked as text, so that none is a formula; control characters, which Excel has not, become
    U+FFFD. The first row is bold, stays in sight and has filters.

    Raises
    ------
    InputError
        If a table has more rows than Excel can hold.
    """
    path = Path(path)
    for name, table in sheets.items():
        if len(table) > _MOST_ROWS:
            raise InputError(
                f"{path}: Excel holds {_MOST_ROWS} rows, the table {name} has {len(table)}; use the CSV file"
            )
    with atomic(path) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as writer:
        for name, table in sheets.items():
            table.map(_printable).to_excel(writer, sheet_name=name, index=False, freeze_panes=(1, 0))
            _finish(writer.sheets[name])
    return path


def _printable(value: object) -> object:
    return ILLEGAL_CHARACTERS_RE.sub("\ufffd", value) if isinstance(value, str) else value


def _finish(sheet: Worksheet) -> None:
    for row in sheet.iter_rows():
        for cell in row:
            if isinstance(cell, Cell) and isinstance(cell.value, str):
                cell.data_type = "s"
                cell.quotePrefix = cell.value.startswith(_FORMULA)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.auto_filter.ref = sheet.dimensions
    for number, column in enumerate(sheet.iter_cols(max_row=50), start=1):
        width = max((len(str(cell.value)) for cell in column if cell.value is not None), default=0)
        sheet.column_dimensions[get_column_letter(number)].width = min(max(8, width + 1), 90)
