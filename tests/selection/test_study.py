"""The study: participants, their files, and figure 3."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.figures.epochs import plot_shortfalls, plot_study
from nanolab.selection.study import Answer, Study, by_participant
from nanolab.training.run import TrainingRun

SCORES = pd.DataFrame({"epoch": range(1, 8), "dice": [0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]})


def test_an_answer_is_found_again(tiny_run: TrainingRun) -> None:
    study = Study(tiny_run, seed=3)
    new = study.answer("P 1", "expert")
    assert sorted(new.order) == [1, 2, 3]
    assert new.epochs == []
    path = study.save(replace(new, epochs=[2], notes={2: "gaps"}))
    assert path == tiny_run.folder / "study" / "P 1.json"
    assert Study(tiny_run, seed=4).answer("P 1", "expert") == replace(new, epochs=[2], notes={2: "gaps"})
    assert study.answers() == [replace(new, epochs=[2], notes={2: "gaps"})]


def test_the_order_is_the_participants_own_and_repeats(tiny_run: TrainingRun) -> None:
    orders = {tuple(Study(tiny_run, seed=1).answer(f"{number}", "non-expert").order) for number in range(60)}
    assert len(orders) == 6  # all orders of three epochs come up
    assert Study(tiny_run, seed=1).answer("5", "expert").order == Study(tiny_run, seed=1).answer("5", "expert").order


@pytest.mark.parametrize("name", ["", "../P1", "a/b", "a\\b", ".x", "P1.json", " P", "x" * 41, "a\nb", "C:"])
def test_a_name_is_never_a_path(tiny_run: TrainingRun, name: str) -> None:
    with pytest.raises(InputError, match="needs a name or number of letters"):
        Study(tiny_run).answer(name, "expert")


@given(st.text(max_size=50))
def test_whatever_is_typed_stays_in_the_folder(name: str) -> None:
    study = object.__new__(Study)
    study.folder = base = Path("/nowhere/study")
    try:
        path = study._path(name)
    except InputError:
        return
    assert path.parent == path.resolve().parent == base


def test_two_people_cannot_share_a_name(tiny_run: TrainingRun) -> None:
    study = Study(tiny_run)
    study.save(replace(study.answer("Anna", "expert"), epochs=[1]))
    with pytest.raises(InputError, match="is the answer of 'Anna', expert; take another name"):
        study.answer("ANNA", "expert")
    with pytest.raises(InputError, match="take another name"):
        study.answer("Anna", "non-expert")
    with pytest.raises(InputError, match="role must be one of expert, non-expert, got 'boss'"):
        study.answer("Anna", "boss")


def test_a_damaged_answer_is_named(tiny_run: TrainingRun) -> None:
    study = Study(tiny_run)
    study.save(replace(study.answer("7", "expert"), epochs=[1])).write_text('{"participant": "7"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"7\.json: no answer of a study"):
        study.answers()


def test_figure_3b_is_the_mean_and_sd_of_the_picks() -> None:
    answers = [Answer("P1", "non-expert", [], [2, 4]), Answer("P5", "expert", [], [1])]
    table = by_participant(answers, SCORES).set_index("participant")
    assert table.loc["P1", ["mean", "sd"]].tolist() == pytest.approx([0.8, 0.02**0.5])  # of 0.9 and 0.7
    assert pd.isna(table.loc["P5", "sd"])
    assert table.loc["by F1", "epochs"] == [2, 3, 4, 5, 6]
    assert table.loc["by F1", "mean"] == pytest.approx(0.7)
    with pytest.raises(InputError, match="answer of P9: epochs \\[99\\] have no score"):
        by_participant([Answer("P9", "expert", [], [99])], SCORES)


def test_figure_3_shows_every_pick() -> None:
    answers = [Answer("P1", "non-expert", [], [2, 4]), Answer("P5", "expert", [], [1])]
    picked, scored = plot_study(answers, SCORES).axes
    assert [sorted(line.get_ydata()) for line in picked.lines] == [[2, 4], [1], [2, 3, 4, 5, 6]]
    assert [text.get_text() for text in scored.get_xticklabels()] == ["P1", "P5", "by F1"]
    with pytest.raises(InputError, match="no answers with picks yet"):
        plot_study([], SCORES)


def test_the_figure_of_shortfalls_has_the_best_way_on_top() -> None:
    landed = pd.DataFrame({"way": ["dice", "dice", "mirrors", "mirrors"], "shortfall": [0.0, 0.02, 0.03, 0.05]})
    (axes,) = plot_shortfalls(landed).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "agreement with mirror images",
        "annotated: F1 over pixels",
    ]
