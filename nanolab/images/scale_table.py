"""A table of pixel sizes typed by hand, for images whose files do not know theirs."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from nanolab.core.checks import InputError
from nanolab.core.tables import read_csv
from nanolab.images.pixel_size import parse_nm

__all__ = ["ScaleTable", "read_scales", "typed_scale"]

_COLUMNS = ("image", "nm per px")


class ScaleTable(dict[str, float]):
    """Pixel sizes in nm by the name of the image, which knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._used: set[str] = set()

    def of(self, names: Iterable[str]) -> float | None:
        """Return the size under the first of the names that the table has."""
        name = next((name for name in names if name in self), None)
        if name is None:
            return None
        self._used.add(name)
        return self[name]

    @property
    def unused(self) -> list[str]:
        """Names that no image had so far."""
        return sorted(self.keys() - self._used)


def read_scales(path: Path | str) -> ScaleTable:
    """Read a CSV table of two columns, `image` (a file name, with or without suffix) and `nm per px`.

    Semicolons and decimal commas, as spreadsheets of some languages write them, are read too.

    Raises
    ------
    InputError
        If it is no such table, names an image twice, or has a size that no pixel has.
    """
    table = read_csv(
        path, "table of scales", sep=None, engine="python", dtype=str, encoding="utf-8-sig", keep_default_na=False
    )
    table.columns = [str(name).strip().replace("_", " ") for name in table.columns]
    if missing := [name for name in _COLUMNS if name not in table]:
        raise InputError(f"{path}: must have the columns {' and '.join(_COLUMNS)}, {missing[0]} is missing")
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path}: has more values than columns; with decimal commas, put semicolons between columns")
    scales = ScaleTable()
    for name, text in table[list(_COLUMNS)].fillna("").itertuples(index=False):
        if not name.strip() or name.strip() in scales:
            raise InputError(f"{path}: must name each image once, got {name.strip() or 'a row without a name'}")
        scales[name.strip()] = parse_nm(text, f"{path}: {name.strip()}: nm per px")
    return scales


def typed_scale(scales: float | Mapping[str, float] | None, *names: str) -> float | None:
    """Return the pixel size typed for an image: the one for all, or that of the first of its names in the table."""
    if isinstance(scales, ScaleTable):
        return scales.of(names)
    return next((scales[name] for name in names if name in scales), None) if isinstance(scales, Mapping) else scales
