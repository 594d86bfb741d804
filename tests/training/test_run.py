import json

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.models.normalisation import normalise
from nanolab.models.tiling import predict
from nanolab.training.run import TrainingRun


def test_a_run_opens_with_its_settings_and_epochs(tiny_run: TrainingRun) -> None:
    run = TrainingRun(tiny_run.folder)
    assert run.epochs == [1, 2, 3]
    assert (run.settings.epochs, run.settings.precision in ("float32", "bfloat16")) == (3, True)
    assert run.record["data"]["images"] == 3
    assert run.record["data"]["validation"] == "discs9"
    assert run.record["versions"]["torch"] == torch.__version__.split("+")[0] or torch.__version__
    assert repr(run).endswith("3 of 3 epochs)")


def test_the_log_has_one_row_an_epoch(tiny_run: TrainingRun) -> None:
    log = tiny_run.log()
    assert log["epoch"].tolist() == [1, 2, 3]
    scores = ["validation_loss", "dice", "precision", "recall", "instance_f1_50"]
    assert set(log.columns) == {"epoch", "loss", "learning_rate", "seconds", *scores}
    assert log["loss"].is_monotonic_decreasing
    assert log["dice"].between(0, 1).all()
    assert (log["seconds"] > 0).all()


def test_the_kept_prediction_is_that_of_the_kept_weights(tiny_run: TrainingRun) -> None:
    image = normalise(disc_sample(9).image)
    for epoch in tiny_run.epochs:
        expected = predict(tiny_run.model(epoch), tiny_run.readout, image, precision=tiny_run.settings.precision)
        # kept in steps of 1/255
        np.testing.assert_allclose(tiny_run.validation_prediction(epoch), expected, atol=0.5 / 255 + 1e-5)


def test_the_last_epoch_is_selected_unless_another_was(tiny_run: TrainingRun) -> None:
    assert tiny_run.selected_epoch == 3
    (tiny_run.folder / "selection.json").write_text('{"epochs": [2, 1]}', encoding="utf-8")
    assert tiny_run.selected_epoch == 2
    (tiny_run.folder / "selection.json").write_text('{"epochs": []}', encoding="utf-8")  # notes, but no choice
    assert tiny_run.selected_epoch == 3
    (tiny_run.folder / "selection.json").write_text('{"epochs": [2, 1]}', encoding="utf-8")
    for name, weights in tiny_run.model().state_dict().items():
        assert torch.equal(weights, tiny_run.model(2).state_dict()[name])


@pytest.mark.parametrize("content", ['{"epochs": [9]}', "{}", "[]", '{"epochs": ["../../x"]}'])
def test_a_selection_of_no_epoch_is_refused(tiny_run: TrainingRun, content: str) -> None:
    (tiny_run.folder / "selection.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"selection\.json: epoch .* is not there; select one again"):
        _ = tiny_run.selected_epoch


def test_what_is_not_there_is_named(tiny_run: TrainingRun) -> None:
    with pytest.raises(InputError, match=r"0004\.safetensors: checkpoint not found"):
        tiny_run.model(4)
    with pytest.raises(InputError, match=r"0004\.foreground\.tif"):
        tiny_run.validation_prediction(4)
    (tiny_run.folder / "log.csv").unlink()
    with pytest.raises(InputError, match=r"log\.csv: training log"):
        tiny_run.log()
    for epoch in tiny_run.epochs:
        tiny_run.checkpoint(epoch).unlink()
    with pytest.raises(InputError, match="no epoch is finished"):
        _ = tiny_run.selected_epoch


def test_a_folder_without_a_training_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="holds no training"):
        TrainingRun(tmp_path)


@pytest.mark.parametrize(
    "content", [{}, [], {"settings": {"epoch": 3}}, {"settings": 3}, {"settings": {}, "data": [1]}]
)
def test_a_damaged_record_is_refused(tmp_path, content: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json: damaged or from another version"):
        TrainingRun(tmp_path)


def test_the_log_is_a_plain_csv(tiny_run: TrainingRun) -> None:
    pd.testing.assert_frame_equal(pd.read_csv(tiny_run.folder / "log.csv"), tiny_run.log())


@pytest.mark.parametrize("content", [3, {}, {"epochs": 1}, {"epochs": {"0": 1}}, {"epochs": [9]}, {"epochs": ["1"]}])
def test_a_selection_of_what_is_not_there_is_refused(tiny_run: TrainingRun, content: object) -> None:
    (tiny_run.folder / "selection.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"selection\.json: epoch .* is not there; select one again"):
        _ = tiny_run.selected_epoch


def test_other_files_are_no_epochs(tiny_run: TrainingRun) -> None:
    for name in ("epochs/1x.safetensors", "validation/0002x.foreground.tif", "validation/12.tif"):
        (tiny_run.folder / name).write_bytes(b"x")
    assert tiny_run.epochs == tiny_run.predicted_epochs == [1, 2, 3]
