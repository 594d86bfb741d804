"""Which particles of a table fulfil a condition that somebody typed, such as `trust > 0.5 and ecd_nm < 100`."""

import operator
import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanolab.core.checks import InputError

__all__ = ["fulfilling"]

_CONDITION = re.compile(r"(\w+)\s*(<=|>=|==|!=|<|>)\s*(\S+)")
_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def fulfilling(particles: pd.DataFrame, where: str) -> npt.NDArray[np.bool_]:
    """Return which rows of a table fulfil all conditions, shape (rows,); all rows if there is none.

    Parameters
    ----------
    where
        Comparisons of a column with a number, joined by "and"; words (`class == cube`, `touches_border == False`) can
        be equal or not. An empty cell fulfils no comparison but `!=`.

    Raises
    ------
    InputError
        If a condition is none, or the table lacks the column.

    Examples
    --------
    >>> fulfilling(pd.DataFrame({"ecd_px": [3.0, 8.0, 20.0]}), "ecd_px > 5 and ecd_px <= 10").tolist()
    [False, True, False]
    """
    result = np.ones(len(particles), dtype=bool)
    for part in re.split(r"\s+and\s+", where.strip()) if where.strip() else []:
        result &= _fulfilling_one(particles, part)
    return result


def _fulfilling_one(particles: pd.DataFrame, condition: str) -> npt.NDArray[np.bool_]:
    parts = _CONDITION.fullmatch(condition)
    if parts is None:
        raise InputError(
            f"where: must be a column, one of {', '.join(_COMPARE)}, and a number, such as trust > 0.5, "
            f"got {condition!r}"
        )
    name, compare, text = parts.groups()
    if name not in particles:
        raise InputError(f"where: the table of particles has no column {name!r}; choose from {', '.join(particles)}")
    column, value = particles[name], text.strip("'\"")
    if compare in ("==", "!=") and not pd.api.types.is_any_real_numeric_dtype(column):
        return np.asarray(_COMPARE[compare](column.astype(str), value), dtype=bool)
    try:
        return np.asarray(_COMPARE[compare](column.astype(float), float(value)), dtype=bool)
    except ValueError as error:
        raise InputError(f"where: {name} can be compared with a number alone, got {condition!r}") from error
