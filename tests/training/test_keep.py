import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.training.keep import Keep, best_first, check_room
from nanolab.training.loop import train
from nanolab.training.run import TrainingRun
from nanolab.training.selection import select
from nanolab.training.settings import TrainingSettings

Settings = Callable[..., TrainingSettings]
ROWS = [
    {"epoch": 1, "loss": 3.0, "dice": 0.2},
    {"epoch": 2, "loss": 1.0, "dice": float("nan")},
    {"epoch": 3, "loss": 2.0, "dice": 0.7},
    {"epoch": 4, "loss": 1.0, "dice": 0.7},
]


def test_losses_rank_from_below_scores_from_above_and_unknown_last() -> None:
    assert best_first(ROWS, "loss") == [2, 4, 3, 1]
    assert best_first(ROWS, "dice") == [3, 4, 1, 2]
    assert best_first(ROWS, "recall") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("rule", "epochs", "most"),
    [
        ("all", {1, 2, 3, 4}, 9),
        ("every 2", {2, 4}, 5),
        ("every 3", {3}, 3),
        ("best 2 by loss", {2, 4}, 2),
        ("best 3 by dice", {1, 3, 4}, 3),
    ],
)
def test_rules_keep_what_they_say(rule: str, epochs: set[int], most: int) -> None:
    assert Keep.parse(rule).epochs(ROWS, last=9) == epochs
    assert Keep.parse(rule).most(9) == most


def test_the_very_last_epoch_is_kept_too() -> None:
    assert Keep.parse("every 3").epochs(ROWS, last=4) == {3, 4}


@pytest.mark.parametrize("rule", ["", "none", "every 0", "every", "best 2", "best 0 by dice", "best 2 by beauty"])
def test_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="must be 'all'"):
        Keep.parse(rule)


@pytest.mark.parametrize("rule", ["every 2", "best 1 by loss", "best 2 by dice"])
def test_a_training_keeps_weights_by_its_rule_and_every_prediction(
    tmp_path: Path, tiny_settings: Settings, rule: str
) -> None:
    samples, settings = [disc_sample(seed) for seed in range(3)], tiny_settings(epochs=5, keep=rule)
    run = train([samples], tmp_path, settings, validation=disc_sample(9), progress=False)
    assert set(run.epochs) == Keep.parse(rule).epochs(run.log().to_dict("records"), 5)
    assert run.predicted_epochs == [1, 2, 3, 4, 5]
    gone = ({1, 2, 3, 4, 5} - set(run.epochs)).pop()
    assert run.validation_prediction(gone).shape == (2, 96, 96)
    with pytest.raises(InputError, match="checkpoint not found"):
        run.model(gone)
    with pytest.raises(InputError, match="epochs must be some of"):
        select(run, [gone], "by eye")


def test_the_best_by_a_score_that_there_will_not_be_is_refused(tmp_path: Path, tiny_settings: Settings) -> None:
    with pytest.raises(InputError, match="'best 1 by dice' needs an annotated validation image"):
        train([[disc_sample(0)]], tmp_path, tiny_settings(keep="best 1 by dice"), progress=False)
    assert not (tmp_path / "run.json").exists()


def test_the_need_is_counted_and_said(
    tmp_path: Path, tiny_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    # two epochs kept and one being written; the state twice; predictions and pictures of ten epochs
    need = check_room(tmp_path, weights=100, state=400, validation=50, epochs=10, keep=Keep("best", 2, "loss"))
    assert need == 300 + 800 + 10 * (50 + 300_000)
    train([[disc_sample(0)]], tmp_path / "run", tiny_settings(epochs=1))
    assert "steps, and up to about" in capsys.readouterr().err


def test_too_little_room_stops_before_anything_is_computed(
    tmp_path: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(InputError, match=r"needs about .* on the disk and 1 kB are free; .* keep fewer"):
        train([[disc_sample(0)]], tmp_path, tiny_settings(), progress=False)
    with pytest.raises(InputError, match="holds no training"):
        TrainingRun(tmp_path)
