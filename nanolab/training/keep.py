"""Which epochs keep their weights, and how much room a training needs on the disk."""

import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nanolab.core.checks import InputError

__all__ = ["SCORES", "Keep", "best_first", "check_room", "in_words"]

#: What epochs can be ranked by, and whether more of it is better.
SCORES = {
    "loss": False,
    "validation_loss": False,
    "dice": True,
    "precision": True,
    "recall": True,
    "instance_f1_50": True,
}

_RULE = re.compile(r"all|every (?P<every>[1-9]\d*)|best (?P<best>[1-9]\d*) by (?P<by>\w+)")
_PICTURE_BYTES = 300_000  # what TensorBoard's files grow by in an epoch


def best_first(rows: Sequence[Mapping[str, Any]], by: str) -> list[int]:
    """Return the epochs of a log, the best by a score of `SCORES` first, the earlier of equals first.

    Epochs without that score come last.
    """

    def place(row: Mapping[str, Any]) -> tuple[float, int]:
        value = row.get(by)
        if value is None or math.isnan(value):
            return math.inf, row["epoch"]
        return -value if SCORES[by] else value, row["epoch"]

    return [row["epoch"] for row in sorted(rows, key=place)]


@dataclass(frozen=True)
class Keep:
    """The rule by which weights stay on disk.

    Attributes
    ----------
    kind
        All epochs, every n-th and the last, or so many of the best.
    count
        Every how many, or how many.
    by
        The score by which the best are found.
    """

    kind: Literal["all", "every", "best"] = "all"
    count: int = 1
    by: str = ""

    @classmethod
    def parse(cls, text: str) -> "Keep":
        """Read a rule: `all`, `every 10`, `best 3 by dice`.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        found = _RULE.fullmatch(text)
        if found is None or (found["best"] and found["by"] not in SCORES):
            raise ValueError(f"must be 'all', 'every K', or 'best N by SCORE' with one of {', '.join(SCORES)}")
        if found["every"]:
            return cls("every", int(found["every"]))
        return cls("best", int(found["best"]), found["by"]) if found["best"] else cls()

    @staticmethod
    def holding_best(rule: str, by: str) -> str:
        """Return a rule if by it the epoch with the best score `by` keeps its weights, else one that keeps that alone.

        Examples
        --------
        >>> Keep.holding_best("every 10", "dice"), Keep.holding_best("best 3 by dice", "dice")
        ('best 1 by dice', 'best 3 by dice')
        """
        keep = Keep.parse(rule)
        held = keep.by == by if keep.kind == "best" else keep.count == 1
        return rule if held else f"best 1 by {by}"

    def epochs(self, rows: Sequence[Mapping[str, Any]], last: int) -> set[int]:
        """Return the epochs of a log so far that keep their weights; `last` is the number of the very last epoch."""
        if self.kind == "best":
            return set(best_first(rows, self.by)[: self.count])
        return {row["epoch"] for row in rows if row["epoch"] % self.count == 0 or row["epoch"] == last}

    def most(self, epochs: int) -> int:
        """Return how many of so many epochs are on disk at most."""
        return min(epochs, self.count) if self.kind == "best" else math.ceil(epochs / self.count)


def check_room(folder: Path, *, weights: int, state: int, validation: int, epochs: int, keep: Keep) -> int:
    """Return roughly how many bytes a training will take, after checking that the disk has room for what is to come.

    Parameters
    ----------
    weights, state, validation
        Bytes of an epoch's weights, of the state to resume from, and of the prediction of the validation image.

    Raises
    ------
    InputError
        If there is too little room.
    """
    # a file is written next to the one it replaces
    need = weights * (keep.most(epochs) + 1) + 2 * state + (validation + _PICTURE_BYTES) * epochs
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if need - there > free:
        raise InputError(
            f"{folder}: the training needs about {in_words(need)} on the disk and {in_words(free)} are free; free "
            "some, choose another folder, or keep fewer weights, such as 'every 10' or 'best 3 by dice'"
        )
    return need


def in_words(size: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> in_words(34_500_000)
    '34.5 MB'
    """
    power = min(4, int(math.log10(max(size, 1))) // 3)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
