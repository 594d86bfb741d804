import numpy as np
import pandas as pd
import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.selection.choosing import best_epoch, best_epochs, choose_epochs, score_epochs
from nanolab.training.run import TrainingRun
from nanolab.training.selection import BY_EYE, Selection, read_selection, select, unselect


@pytest.fixture
def squares(tiny_run: TrainingRun) -> np.ndarray:
    """Make the epochs predict known shapes, and return the truth: two squares of 100 px, 16 px apart."""
    truth = np.zeros((40, 60), dtype=np.int32)
    truth[5:15, 5:15], truth[5:15, 30:40] = 1, 2
    half = np.where(truth == 1, 1.0, 0.0)
    both_and_more = np.where(truth > 0, 1.0, 0.0)
    both_and_more[25:35, 5:25] = 1
    for epoch, foreground in enumerate((half, truth > 0, both_and_more), start=1):
        depth = np.where(foreground, 0.5, 0)
        tiny_run.keep_validation_prediction(epoch, np.stack([foreground, depth]).astype(np.float32))
    return truth


def test_scores_are_those_counted_by_hand(tiny_run: TrainingRun, squares: np.ndarray) -> None:
    expected = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "dice": [200 / 300, 1.0, 400 / 600],
            "precision": [1.0, 1.0, 200 / 400],
            "recall": [0.5, 1.0, 1.0],
            "instance_f1_50": [2 / 3, 1.0, 4 / 5],
        }
    )
    pd.testing.assert_frame_equal(score_epochs(tiny_run, squares), expected)


def test_small_particles_do_not_count_as_found(tiny_run: TrainingRun, squares: np.ndarray) -> None:
    scores = score_epochs(tiny_run, squares, min_area_px=101)
    assert scores["recall"].tolist() == [0, 0, 0]
    assert scores["precision"].isna().tolist() == [True, True, False]


def test_the_best_epoch_is_that_of_the_score_asked_for() -> None:
    scores = pd.DataFrame({"epoch": [4, 5, 6, 7], "dice": [0.5, np.nan, 0.8, 0.8], "recall": [1, 0, 0, 0]})
    assert best_epoch(scores) == 6
    assert best_epoch(scores, "recall") == 4


def test_without_a_score_there_is_no_best() -> None:
    scores = pd.DataFrame({"epoch": [1], "dice": [np.nan], "recall": [0.5]})
    with pytest.raises(InputError, match="no epoch has a score 'dice'; choose one of dice, recall"):
        best_epoch(scores)
    with pytest.raises(InputError, match="no epoch has a score 'f1'"):
        best_epoch(scores, "f1")


def test_a_selection_is_kept_with_its_reason(tiny_run: TrainingRun, squares: np.ndarray) -> None:
    scores = score_epochs(tiny_run, squares, min_area_px=101)
    select(tiny_run, [np.int64(2), 1], "by eye", scores)
    assert TrainingRun(tiny_run.folder).selected_epoch == 2
    kept = read_json(tiny_run.folder / "selection.json")
    assert (kept["epochs"], kept["how"]) == ([2, 1], "by eye")
    assert kept["scores"][0] == {"epoch": 1, "dice": 0.0, "precision": None, "recall": 0.0, "instance_f1_50": 0.0}


@pytest.mark.parametrize("epochs", [[], [4], [1, 0]])
def test_only_epochs_that_are_there_can_be_selected(tiny_run: TrainingRun, epochs: list[int]) -> None:
    with pytest.raises(InputError, match=r"epochs must be some of \[1, 2, 3\]"):
        select(tiny_run, epochs, "by eye")
    assert not (tiny_run.folder / "selection.json").exists()


def test_a_truth_of_another_size_is_refused(tiny_run: TrainingRun) -> None:
    with pytest.raises(InputError, match="truth and validation image"):
        score_epochs(tiny_run, disc_sample(0, shape=(50, 50)).labels)


def test_the_best_epochs_come_best_first() -> None:
    scores = pd.DataFrame({"epoch": [4, 5, 6, 7], "dice": [0.5, np.nan, 0.8, 0.8]})
    assert best_epochs(scores, "dice", 2) == [6, 7]
    assert best_epochs(scores) == [6, 7, 4]


def test_notes_and_scores_outlast_the_next_choice(tiny_run: TrainingRun) -> None:
    select(tiny_run, [2], BY_EYE, pd.DataFrame({"epoch": [2], "dice": [0.5]}), notes={2: "sharp", 3: ""})
    select(tiny_run, [3, 1], BY_EYE)
    kept = read_selection(tiny_run)
    assert kept == Selection([3, 1], BY_EYE, [{"epoch": 2, "dice": 0.5}], {2: "sharp"})
    unselect(tiny_run)
    assert tiny_run.selected_epoch == 3  # the last
    assert read_selection(tiny_run) == Selection([], BY_EYE, [{"epoch": 2, "dice": 0.5}], {2: "sharp"})


def test_an_epoch_is_chosen_once(tiny_run: TrainingRun) -> None:
    with pytest.raises(InputError, match="epochs must be some of"):
        select(tiny_run, [2, 2], BY_EYE)


def test_a_damaged_selection_is_named(tiny_run: TrainingRun) -> None:
    assert read_selection(tiny_run) is None
    (tiny_run.folder / "selection.json").write_text('{"epochs": "x"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"selection\.json: damaged"):
        read_selection(tiny_run)


def test_without_anybody_looking_the_given_way_chooses_and_a_choice_stays(tiny_run: TrainingRun) -> None:
    table = pd.DataFrame({"epoch": [1, 2, 3], "dice": [0.1, 0.9, 0.5], "agreement": [0.2, 0.3, 0.4]})
    assert choose_epochs(tiny_run, table, "image", by="agreement").epochs == [3, 2, 1]
    assert choose_epochs(tiny_run, table, "image").how == "highest agreement on image"  # stays
    chosen = choose_epochs(tiny_run, table, "image", epochs=[2])
    assert (chosen.epochs, chosen.how, tiny_run.selected_epoch) == ([2], "given", 2)
    unselect(tiny_run)
    assert choose_epochs(tiny_run, table, "image").how == "highest dice on image"
    unselect(tiny_run)
    assert choose_epochs(tiny_run, table.drop(columns="dice"), "image").how == "highest agreement on image"
