"""The study: participants, their files, and figure 3."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.discs import disc_sample
from hypothesis import given
from hypothesis import strategies as st

from nanolab.core.checks import InputError
from nanolab.figures.epochs import plot_choices, plot_shortfalls, plot_study
from nanolab.selection.choosing import choose_epochs
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
    picked, scored = plot_study({"TiO2": (answers, SCORES)}).axes
    assert [sorted(line.get_ydata()) for line in picked.lines] == [[2, 4], [1], [2, 3, 4, 5, 6]]
    assert [text.get_text() for text in scored.get_xticklabels()] == ["P1", "P5", "by F1"]
    with pytest.raises(InputError, match="no answers with picks yet"):
        plot_study({"TiO2": ([], SCORES)})


def test_figure_3_sets_two_samples_next_to_each_other() -> None:
    first = [Answer("P1", "non-expert", [], [2, 4]), Answer("P5", "expert", [], [1])]
    second = [Answer("P5", "expert", [], [7])]
    figure = plot_study({"SiO2": (first, SCORES), "TiO2": (second, SCORES)})
    picked, scored = figure.axes
    assert [sorted(line.get_ydata()) for line in picked.lines] == [[2, 4], [1], [2, 3, 4, 5, 6], [7], [2, 3, 4, 5, 6]]
    colours = [line.get_color() for line in picked.lines]
    assert len(set(colours[:3])) == len(set(colours[3:])) == 1 < len(set(colours))
    assert [text.get_text() for text in scored.get_xticklabels()] == ["P1", "P5", "by F1"]
    assert {text.get_text() for text in figure.legends[0].get_texts()} >= {"SiO2", "TiO2", "expert"}


def test_figure_3c_marks_what_is_found_and_not_annotated() -> None:
    sample = disc_sample(0)
    assert sample.labels is not None
    more = np.where(sample.labels == 0, 0, sample.labels)
    more[:6, :6] = sample.labels.max() + 1
    half = np.where(sample.labels > 0, sample.labels + 1, 0)
    assert not sample.labels[:6, :6].any()
    figure = plot_choices([sample], {"by F1": [more], "an expert's": [half]})
    assert [axes.get_title() for axes in figure.axes] == [sample.name, "by F1", "an expert's", "manual"]
    arrows = [[text.xy for text in axes.texts if text.arrow_patch is not None] for axes in figure.axes]
    assert arrows == [[], [(2.5, 2.5)], [], []]
    with pytest.raises(InputError, match="must be annotated"):
        plot_choices([replace(sample, labels=None)], {"by F1": [more]})


def test_of_a_long_training_the_study_shows_epochs_whose_weights_were_not_kept(tiny_run: TrainingRun) -> None:
    tiny_run.checkpoint(2).unlink()
    assert tiny_run.epochs == [1, 3]
    assert sorted(Study(tiny_run).answer("P1", "expert").order) == [1, 2, 3]
    scores = pd.DataFrame({"epoch": [1, 2, 3], "dice": [0.1, 0.9, 0.5]})
    assert choose_epochs(tiny_run, scores, "discs9", by="dice").epochs == [3, 1]


def test_the_figure_of_shortfalls_has_the_best_way_on_top() -> None:
    landed = pd.DataFrame({"way": ["dice", "dice", "mirrors", "mirrors"], "shortfall": [0.0, 0.02, 0.03, 0.05]})
    (axes,) = plot_shortfalls(landed).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "agreement with mirror images",
        "annotated: F1 over pixels",
    ]
