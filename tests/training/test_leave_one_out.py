from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.discs import disc_sample

from nanolab.core.checks import InputError
from nanolab.core.files import read_json
from nanolab.training.leave_one_out import leave_one_out
from nanolab.training.settings import TrainingSettings

Settings = Callable[..., TrainingSettings]
SAMPLES = [disc_sample(seed) for seed in range(4)]


def test_each_image_is_left_out_once_and_the_lowest_validation_loss_selected(
    tmp_path: Path, tiny_settings: Settings
) -> None:
    settings = tiny_settings(keep="best 1 by validation_loss")
    runs = leave_one_out(SAMPLES, tmp_path, settings, progress=False)
    assert [run.folder.name for run in runs] == ["00", "01", "02", "03"]
    assert [run.record["data"]["validation"] for run in runs] == ["discs1", "discs2", "discs3", "discs0"]
    assert [run.record["data"]["images"] for run in runs] == [2] * 4
    for run in runs:
        log = run.log()
        assert run.epochs == [run.selected_epoch] == [log.loc[log["validation_loss"].idxmin(), "epoch"]]
        assert "lowest validation_loss" in read_json(run.folder / "selection.json")["how"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again = leave_one_out(SAMPLES, tmp_path, settings, progress=False)
    assert [run.selected_epoch for run in again] == [run.selected_epoch for run in runs]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}


def test_it_can_be_validated_on_the_image_left_out(tmp_path: Path, tiny_settings: Settings) -> None:
    settings = tiny_settings(epochs=1)
    runs = leave_one_out(SAMPLES[:3], tmp_path, settings, validate_on="left out", by="dice", progress=False)
    assert [run.record["data"]["validation"] for run in runs] == ["discs0", "discs1", "discs2"]
    assert [run.record["data"]["images"] for run in runs] == [2] * 3


def test_too_few_images_and_unknown_scores_are_refused(tmp_path: Path, tiny_settings: Settings) -> None:
    with pytest.raises(InputError, match="at least 3 annotated images are needed, got 2"):
        leave_one_out(SAMPLES[:2], tmp_path, tiny_settings())
    with pytest.raises(InputError, match="by must be one of loss"):
        leave_one_out(SAMPLES, tmp_path, tiny_settings(), by="beauty")
