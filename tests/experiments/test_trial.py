"""A training and its test in one call."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.discs import TINY, disc_sample

from nanolab.core.checks import InputError
from nanolab.experiments.trial import cross_validate, run_trial
from nanolab.models.registry import NETWORKS
from nanolab.segmentation.scoring import compare_images
from nanolab.segmentation.segmenter import Segmenter
from nanolab.training.run import TrainingRun
from nanolab.training.selection import BY_EYE, select
from nanolab.training.settings import TrainingSettings
from nanolab.training.sources import Source


def test_the_last_epoch_is_tested_at_the_magnification_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", TINY["tiny"])
    settings = TrainingSettings(network="tiny", epochs=2, steps_per_epoch=40, patch_px=32, batch_size=2, device="cpu")
    sources, test = [Source([disc_sample(0), disc_sample(1)], name="discs")], [disc_sample(2), disc_sample(3)]
    found = {}
    for magnification in (1.0, 0.5):  # the second time the training is there
        trial = run_trial(
            sources, test, tmp_path, settings, min_area_px=20, magnification=magnification, progress=False
        )
        segmenter = Segmenter(tmp_path, 2, magnification=magnification)
        again = compare_images(segmenter, test, min_area_px=20, progress=False)
        found[magnification] = {name: each.pixels for name, each in trial.comparisons.items()}
        assert found[magnification] == {name: each.pixels for name, each in again.items()}
    assert found[1.0] != found[0.5]


@pytest.mark.parametrize("keep", ["every 1000000", "best 1 by loss", "all"])
def test_leaving_one_out_tests_the_epoch_of_least_validation_error_whatever_weights_were_to_stay(
    keep: str, tmp_path: Path, tiny_settings: Callable[..., TrainingSettings]
) -> None:
    samples = [disc_sample(seed) for seed in range(3)]
    # so fast a rate that the last epoch is not the best of any training
    settings = tiny_settings(epochs=6, keep=keep, learning_rate=0.5, schedule="constant", ema_decay=0, optimizer="sgd")
    trials = cross_validate(samples, None, tmp_path, settings, min_area_px=0, progress=False)
    logs = [trial.run.log() for trial in trials]
    best = [int(log.loc[log["validation_loss"].idxmin(), "epoch"]) for log in logs]
    assert [trial.epoch for trial in trials] == best
    assert best != [6, 6, 6]


def test_an_epoch_is_chosen_by_a_score_on_an_image_that_is_not_tested_on(
    tmp_path: Path, tiny_settings: Callable[..., TrainingSettings]
) -> None:
    source, test, other = Source([disc_sample(0)]), [disc_sample(2)], disc_sample(3)
    settings = tiny_settings(epochs=4, keep="every 1000000", learning_rate=0.5, schedule="constant", ema_decay=0)
    trial = run_trial(
        [source], test, tmp_path, settings, min_area_px=0, validation=other, choose_by="dice", progress=False
    )
    log = trial.run.log()
    assert trial.run.epochs == [trial.epoch] == [log.loc[log["dice"].idxmax(), "epoch"]]
    for wrong in ({"validation": None}, {"validation": test[0]}):
        with pytest.raises(InputError, match="chosen on an image that is not tested on"):
            run_trial([source], test, tmp_path, settings, min_area_px=0, choose_by="dice", **wrong)
    with pytest.raises(InputError, match="choose_by: must be 'by eye', empty or one of loss"):
        run_trial([source], test, tmp_path, settings, min_area_px=0, validation=other, choose_by="beauty")


def test_an_epoch_is_chosen_by_eye_in_the_training_that_is_there(
    tmp_path: Path, tiny_settings: Callable[..., TrainingSettings]
) -> None:
    def trial(choose_by: str) -> int:
        given = {"min_area_px": 0, "validation": disc_sample(3), "choose_by": choose_by, "progress": False}
        return run_trial([Source([disc_sample(0)])], [disc_sample(2)], tmp_path, tiny_settings(), **given).epoch

    with pytest.raises(InputError, match="nobody has picked an epoch by eye yet"):
        trial(BY_EYE)
    select(TrainingRun(tmp_path), [2, 3], BY_EYE)
    assert (trial(BY_EYE), trial("")) == (2, 3)
