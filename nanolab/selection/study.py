"""The study of Mill et al.: people choose epochs by looking, blind, and are compared with the choice by F1.

Mill et al., Small Methods 2021, 10.1002/smtd.202100223, section 2.2 and figure 3: seven participants, experts on
segmentation or not, each picked the five epochs whose segmentation of one image looked best to them.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError
from pydantic.dataclasses import dataclass

from nanolab.core.checks import InputError
from nanolab.core.files import read_record, write_json
from nanolab.core.seeds import generator
from nanolab.selection.choosing import MOST_PICKS, best_epochs
from nanolab.training.run import TrainingRun

__all__ = ["ROLES", "Answer", "Role", "Study", "analytical", "by_participant"]

Role = Literal["expert", "non-expert"]
ROLES: tuple[Role, ...] = ("expert", "non-expert")

_LONGEST_NAME = 40


@dataclass(frozen=True)
class Answer:
    """What one participant picked.

    Attributes
    ----------
    participant, role
        Who it was.
    order
        The epochs as they were shown: the first was called candidate 1.
    epochs
        The picked epochs, best first.
    notes
        What the participant noted, by epoch.
    """

    participant: str
    role: Role
    order: list[int]
    epochs: list[int] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)


class Study:
    """The answers of a study in its folder, one file per participant, written whenever an answer changes.

    Parameters
    ----------
    run
        The training whose epochs are shown.
    folder
        Where the answers are kept; `study` in the folder of the training if not given.
    seed
        Decides in which order each participant sees the epochs.
    """

    def __init__(self, run: TrainingRun, folder: Path | str | None = None, *, seed: int = 0) -> None:
        self.run = run
        self.folder = run.folder / "study" if folder is None else Path(folder)
        self.seed = seed

    def answer(self, participant: str, role: str) -> Answer:
        """Return the answer of a participant as it stands; of a new one, an empty one with a random order.

        Raises
        ------
        InputError
            If the name is none that a file can have, the role is none of `ROLES`, or the participant had another one.
        """
        if role not in ROLES:
            raise InputError(f"role must be one of {', '.join(ROLES)}, got {role!r}")
        path = self._path(participant)
        if not path.exists():
            return Answer(participant, role, self._order(participant))
        kept = _read(path)
        if (kept.participant, kept.role) != (participant, role):
            raise InputError(f"{path}: is the answer of {kept.participant!r}, {kept.role}; take another name")
        return kept

    def save(self, answer: Answer) -> Path:
        """Write an answer and return its file."""
        path = self._path(answer.participant)
        write_json(path, asdict(answer))
        return path

    def answers(self) -> list[Answer]:
        """Return all answers with picks, experts last, by name."""
        found = [_read(path) for path in sorted(self.folder.glob("[!.]*.json"))]
        return sorted((a for a in found if a.epochs), key=lambda a: (a.role == "expert", a.participant))

    def _path(self, participant: str) -> Path:
        """Return the file of a participant; the name comes from outside, so it must be a plain one."""
        plain = all(letter.isalnum() or letter in " _-" for letter in participant)
        if not (plain and participant[:1].isalnum() and len(participant) <= _LONGEST_NAME):
            raise InputError(
                f"a participant needs a name or number of letters, digits, spaces, - and _, at most {_LONGEST_NAME} "
                f"long and beginning with a letter or digit, got {participant!r}"
            )
        same = {path.stem.casefold(): path for path in self.folder.glob("*.json")}
        return same.get(participant.casefold(), self.folder / f"{participant}.json")

    def _order(self, participant: str) -> list[int]:
        epochs = self.run.predicted_epochs or self.run.epochs  # what each finds is kept, with or without its weights
        rng = generator(self.seed, zlib.crc32(participant.casefold().encode()))
        return [int(epoch) for epoch in rng.permutation(epochs)]


def _read(path: Path) -> Answer:
    try:
        return Answer(**read_record(path))
    except ValidationError as error:
        raise InputError(f"{path}: no answer of a study, or damaged ({error}); move it away") from error


def by_participant(answers: Sequence[Answer], scores: pd.DataFrame, by: str = "dice") -> pd.DataFrame:
    """Return figure 3b as a table: the mean score of each participant's picks, and of the best five by that score.

    Parameters
    ----------
    scores
        As `nanolab.selection.choosing.score_epochs` returns them.
    by
        The column that counts.

    Returns
    -------
    table
        One row per participant: participant, role, epochs, mean, sd (of the sample, n - 1; NaN for one pick); the last
        row is "by F1", the analytical choice.

    Raises
    ------
    InputError
        If an answer holds an epoch without a score.
    """
    known: Mapping[int, float] = dict(zip(scores["epoch"], scores[by], strict=True))
    choices = [(a.participant, a.role, a.epochs) for a in answers] + [analytical(scores, by)]
    rows: list[dict[str, Any]] = []
    for participant, role, epochs in choices:
        if missing := [epoch for epoch in epochs if epoch not in known]:
            raise InputError(f"answer of {participant}: epochs {missing} have no score; is it of another training?")
        values = pd.Series([known[epoch] for epoch in epochs], dtype=float)
        rows.append(
            {"participant": participant, "role": role, "epochs": epochs, "mean": values.mean(), "sd": values.std()}
        )
    return pd.DataFrame(rows)


def analytical(scores: pd.DataFrame, by: str = "dice") -> tuple[str, str, list[int]]:
    """Return name, role and picks of the choice by a score, to stand next to the participants."""
    return "by F1", "analytical", best_epochs(scores, by, MOST_PICKS)
